-- ---
-- title = "From when to when each log object has events"
-- ---
-- ## What it holds
-- One row per object with events: its `uri`, its first and its last event (`first_event_time`, `last_event_time`). Events of
-- a time beyond the `horizon` do not count, and one of them does not hide the others of its object.
WITH mixed AS (
    SELECT uri
    FROM objects
    WHERE first_event_time < horizon_from()
       OR last_event_time >= horizon_until()
    GROUP BY uri
)
SELECT uri, first_event_time, last_event_time
FROM objects
WHERE first_event_time >= horizon_from()
  AND last_event_time < horizon_until()
UNION ALL
-- Nearly always there are none, and then the events are not read.
SELECT e.source_object AS uri, min(e.event_time) AS first_event_time, max(e.event_time) AS last_event_time
FROM mixed AS m
JOIN timely_events AS e ON e.source_object = m.uri
GROUP BY e.source_object
