-- ---
-- title = "Every event whose time can be"
-- ---
-- ## What it holds
-- One row per kept record of a time within the `horizon`: from before there was CloudTrail until a day after the lake was
-- last added to. What is said to be of another time is in `untimely_events`: it is no part of any window, and one such
-- record among millions would else decide when the logs begin and end.
SELECT *
FROM events
WHERE event_time >= horizon_from()
  AND event_time < horizon_until()
