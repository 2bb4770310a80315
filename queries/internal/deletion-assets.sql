-- ---
-- title = "Every asset ever seen under keys: what may still be encrypted with them"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- params.limit   = { type = "integer", default = 1000, doc = "at most so many assets of a key" }
-- ---
-- ## What it answers
-- One row per key and asset that a successful use named, over all that the lake has: how often, when first and last, and
-- how far the name can be trusted (`asset_trust`). The latest come first; `assets` is how many the key has in all.
-- Ciphertext of each of them may still exist, however long ago that was. Data that was encrypted before the lake begins, or without an encryption context, is not here.
WITH named AS (
    SELECT
        key_arn,
        asset,
        max(asset_type) AS asset_type,
        -- Of proved, service and claimed, the one that is worth most.
        CASE
            WHEN bool_or(asset_trust = 'proved') THEN 'proved'
            WHEN bool_or(asset_trust = 'service') THEN 'service'
            ELSE 'claimed'
        END AS asset_trust,
        CAST(sum(calls) AS BIGINT) AS calls,
        min(first_seen) AS first_used,
        max(last_seen) AS last_used
    FROM named_uses
    WHERE ($key_id IS NULL OR split_part(key_arn, ':key/', 2) = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR split_part(key_arn, ':', 5) = $account)
      AND first_seen < $until
    GROUP BY key_arn, asset
)
SELECT key_arn, asset, asset_type, asset_trust, calls, first_used, last_used, assets
FROM (
    SELECT
        *,
        count(*) OVER (PARTITION BY key_arn) AS assets,
        row_number() OVER (PARTITION BY key_arn ORDER BY last_used DESC, asset) AS place
    FROM named
)
WHERE place <= $limit
ORDER BY key_arn, place
