-- ---
-- title = "Every successful use of a key that names an asset"
-- ---
-- ## What it holds
-- The rows of `usage` that succeeded and name what they were for, in the time until the end of the window that is looked at. `calls` is 1, and
-- `first_seen` and `last_seen` are the call's time: a verdict about one key reads them counted.
SELECT
    key_arn, principal, via, asset, asset_type, asset_trust,
    event_time < window_since() AS is_past, 1 AS calls, event_time AS first_seen, event_time AS last_seen
FROM usage
WHERE outcome = 'ok'
  AND asset IS NOT NULL
  AND key_arn IS NOT NULL
  AND event_time < window_until()
