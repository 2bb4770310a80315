-- ---
-- title = "Every record of a cryptographic use with an impossible time"
-- ---
-- ## What it holds
-- The rows of `recorded_uses` with a time outside the `horizon`. Such a use falls in no window, and yet it happened: whoever
-- asks whether a key is in use must count it as a use of unknown time.
SELECT *
FROM recorded_uses
WHERE event_time < horizon_from()
   OR event_time >= horizon_until()
