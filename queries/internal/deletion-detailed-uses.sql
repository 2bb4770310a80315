-- ---
-- title = "What named assets under some keys or failed for want of them, counted by principal, way and asset"
-- params.key_arns = { type = "text", required = true, doc = "the keys, by their ARNs with blanks in between" }
-- ---
-- ## What it answers
-- The rows of `detailed_uses` under these keys, those that are alike as one.
SELECT
    key_arn, key_role, principal, principal_type, via, asset, asset_type, asset_trust, outcome, error_code, error_message, is_past,
    CAST(sum(calls) AS BIGINT) AS calls,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    last_value(last_event_id ORDER BY last_seen, last_event_id) FILTER (WHERE outcome = 'key_unusable') AS last_event_id
FROM detailed_uses
WHERE array_has(string_to_array($key_arns, ' '), key_arn)
GROUP BY
    key_arn, key_role, principal, principal_type, via, asset, asset_type, asset_trust, outcome, error_code, error_message, is_past
