-- ---
-- title = "What keys an inventory had found by then"
-- params.at      = { type = "timestamp", default = "now", doc = "as of this instant" }
-- params.key_arn = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id  = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.alias   = { type = "text", doc = "only the key that had this alias, such as alias/orders" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- ---
-- ## What it answers
-- What each key looked like to the last inventory at or before an instant: its state, who manages it, its aliases, tags,
-- rotation, policy and grants. `taken_at` says how old that knowledge was. `gone` is true when a listing after `taken_at`
-- and not after the instant no longer had the key.
-- ## What null means
-- Where a part could not be read its columns are null and `unknown_fields` says why. Nothing here is derived from logs: a
-- key that came and went between two inventories is not in it.
WITH then AS (
    SELECT * FROM keys WHERE taken_at <= $at
),
listings AS (
    SELECT account_id, region, max(taken_at) AS listed_at
    FROM inventories
    WHERE source = 'aws' AND keys IS NOT NULL AND taken_at <= $at
    GROUP BY account_id, region
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY key_arn ORDER BY taken_at DESC, source) AS place
    FROM then
)
SELECT
    ranked.key_arn,
    ranked.account_id,
    ranked.region,
    ranked.state,
    coalesce(listings.listed_at > ranked.taken_at, false) AS gone,
    ranked.key_manager,
    ranked.key_usage,
    ranked.key_spec,
    ranked.creation_date,
    ranked.deletion_date,
    ranked.aliases,
    ranked.tags,
    ranked.rotation_enabled,
    ranked.grants,
    ranked.policy,
    ranked.last_usage_time,
    ranked.tracking_start,
    ranked.unknown_fields,
    ranked.taken_at
FROM ranked
LEFT JOIN listings ON listings.account_id = ranked.account_id AND listings.region = ranked.region
WHERE ranked.place = 1
  AND ($key_arn IS NULL OR ranked.key_arn = $key_arn)
  AND ($key_id IS NULL OR ranked.key_id = $key_id)
  AND ($account IS NULL OR ranked.account_id = $account)
  AND ($alias IS NULL OR strpos(ranked.aliases, concat('"', $alias, '"')) > 0)
ORDER BY ranked.key_arn
