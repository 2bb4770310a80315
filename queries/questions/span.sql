-- ---
-- title = "From when to when the lake has events"
-- ---
-- ## What it answers
-- One row, or none for an empty lake: the first and the last event in the lake, of those whose time can be (see the view `horizon`), and how many
-- log objects they came from.
SELECT
    min(first_event_time) AS first_event_time,
    max(last_event_time) AS last_event_time,
    count(*) AS objects
FROM object_times
HAVING count(*) > 0
