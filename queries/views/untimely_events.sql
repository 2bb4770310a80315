-- ---
-- title = "Every event with an impossible time"
-- ---
-- ## What it holds
-- One row per kept record with a time outside the `horizon`, such as the year 0000 or 9999, or a future day. The log shows
-- that the event happened, but not when, so `calls`, `usage` and the answers built on them leave it out. To find the record,
-- see `source_object` and `record_index`.
SELECT *
FROM events
WHERE event_time < horizon_from()
   OR event_time >= horizon_until()
