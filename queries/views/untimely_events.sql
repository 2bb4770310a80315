-- ---
-- title = "Every event whose time cannot be"
-- ---
-- ## What it holds
-- One row per kept record of a time beyond the `horizon`, such as the year 0000 or 9999, or a day that is still to come.
-- That it happened is logged, when it happened is not: `calls`, `usage` and the answers made of them leave it out. To
-- find where it lies, see `source_object` and `record_index`.
SELECT *
FROM events
WHERE event_time < horizon_from()
   OR event_time >= horizon_until()
