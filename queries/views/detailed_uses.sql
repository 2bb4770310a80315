-- ---
-- title = "Every use of a key that names an asset, or that failed because the key cannot be used"
-- ---
-- ## What it holds
-- The rows of `usage` of which more than their number matters, in the time until the end of the window that is looked at: those that
-- succeeded and name what they were for, and those that failed because the key is disabled, pending deletion or otherwise unusable.
-- `calls` is 1, and `first_seen` and `last_seen` are the call's time: a verdict about one key reads them counted.
SELECT
    key_arn, key_role, principal, principal_type, via, asset, asset_type, asset_trust, outcome, error_code, error_message,
    event_time < window_since() AS is_past, 1 AS calls, event_time AS first_seen, event_time AS last_seen, event_id AS last_event_id
FROM usage
WHERE ((outcome = 'ok' AND asset IS NOT NULL) OR outcome = 'key_unusable')
  AND key_arn IS NOT NULL
  AND event_time < window_until()
