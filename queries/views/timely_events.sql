-- ---
-- title = "Every event with a possible time"
-- ---
-- ## What it holds
-- One row per kept record with a time within the `horizon`: from before CloudTrail existed until a day after data was last
-- added to the lake. Records with any other time are in `untimely_events`: they belong to no window, and otherwise a single
-- one among millions would decide when the logs begin and end.
SELECT *
FROM events
WHERE event_time >= horizon_from()
  AND event_time < horizon_until()
