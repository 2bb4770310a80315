-- ---
-- title = "What named assets under some keys, counted by principal, way and asset"
-- params.key_arns = { type = "text", required = true, doc = "the keys, by their ARNs with blanks in between" }
-- ---
-- ## What it answers
-- The rows of `named_uses` under these keys, those that are alike as one.
SELECT
    key_arn, principal, via, asset, asset_type, asset_trust, is_past,
    CAST(sum(calls) AS BIGINT) AS calls, min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM named_uses
WHERE array_has(string_to_array($key_arns, ' '), key_arn)
GROUP BY key_arn, principal, via, asset, asset_type, asset_trust, is_past
