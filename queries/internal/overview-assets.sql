-- ---
-- title = "What lies under keys that AWS manages: assets by key and kind"
-- params.since = { type = "timestamp", required = true, doc = "calls at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "calls before this instant" }
-- ---
-- ## What it answers
-- Per AWS-managed key and kind of asset how many different assets were encrypted or decrypted under it with success, and how
-- often. The policy of such a key cannot be changed, and it cannot be shared with another account, nor deleted.
WITH touched AS (
    SELECT key_arn, asset_type, asset, count(*) AS calls, max(event_time) AS last_seen
    FROM usage
    WHERE outcome = 'ok'
      AND usage_class IN ('decrypt', 'encrypt', 'generate')
      AND asset IS NOT NULL
      AND event_time >= $since
      AND event_time < $until
      AND key_arn IN (SELECT key_arn FROM known_keys WHERE key_manager = 'AWS')
    GROUP BY key_arn, asset_type, asset
)
SELECT
    key_arn,
    asset_type,
    count(*) AS assets,
    CAST(sum(calls) AS BIGINT) AS calls,
    max(last_seen) AS last_seen
FROM touched
GROUP BY key_arn, asset_type
ORDER BY assets DESC, key_arn, asset_type
