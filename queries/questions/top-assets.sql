-- ---
-- title = "Which assets keys are used for most"
-- params.key_arn    = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id     = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.asset_type = { type = "text", doc = "only assets of this type, such as s3-object" }
-- params.since      = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until      = { type = "timestamp", doc = "only calls before this instant" }
-- params.limit      = { type = "integer", default = 50, doc = "at most so many assets" }
-- ---
-- ## What it answers
-- The resources that encryption contexts name, by how many calls were made for them, with the number of principals and
-- keys involved. `asset_trust` says how far the name can be believed: `service`, `proved` or `claimed`.
-- ## How it counts
-- Cross-account calls once, dry runs never. Without a key given, a ReEncrypt is one call that uses two keys.

WITH by_use AS (
    SELECT
        asset, asset_type, asset_trust, principal, key_arn,
        count(*) FILTER (
            WHERE (key_role IS DISTINCT FROM 'destination') OR $key_arn IS NOT NULL OR $key_id IS NOT NULL
        ) AS calls
    FROM usage
    WHERE asset IS NOT NULL
      AND ($key_arn IS NULL OR key_arn = $key_arn)
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($asset_type IS NULL OR (asset_type = $asset_type) IS TRUE)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
    GROUP BY asset, asset_type, asset_trust, principal, key_arn
),
-- Each distinct pair is one row here, so that the counts of distinct values below are plain counts.
by_pair AS (
    SELECT
        asset, asset_type, asset_trust, principal, key_arn,
        grouping(principal) AS of_keys,
        sum(calls) AS calls
    FROM by_use
    GROUP BY GROUPING SETS (
        (asset, asset_type, asset_trust, principal),
        (asset, asset_type, asset_trust, key_arn)
    )
)
SELECT
    asset,
    asset_type,
    asset_trust,
    sum(calls) FILTER (WHERE of_keys = 0) AS calls,
    count(principal) FILTER (WHERE of_keys = 0) AS principals,
    count(key_arn) FILTER (WHERE of_keys = 1) AS keys
FROM by_pair
GROUP BY asset, asset_type, asset_trust
ORDER BY calls DESC, asset, asset_type, asset_trust
LIMIT $limit
