-- ---
-- title = "Who used a key for which asset"
-- params.key_arn     = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id      = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.alias       = { type = "text", doc = "only calls that name this alias, such as alias/orders, and no key" }
-- params.alias_owner = { type = "text", doc = "only aliases of this account and Region, such as 111122223333/eu-west-1" }
-- params.principal   = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.since       = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until       = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- The calls of `who`, split by the resource that the encryption context names. `asset_trust` says how far that name can
-- be believed: `service` (an AWS service set it), `proved` (a successful decrypt), `claimed` (the caller's word).
-- ## How it counts
-- Cross-account calls once, dry runs never (see the view `usage`); `calls` holds successes and failures. A ReEncrypt
-- counts for its source key and for its destination key.
SELECT
    asset,
    asset_type,
    asset_trust,
    principal,
    principal_type,
    event_name AS operation,
    via,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS failures,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    min(event_id) AS sample_event_id,
    key_arn
FROM usage
WHERE ($key_arn IS NULL OR key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($alias IS NULL OR ((key_arn IS NULL) IS TRUE AND (key_alias = $alias) IS TRUE))
  AND ($alias_owner IS NULL OR (concat(key_account_id, '/', key_region) = $alias_owner) IS TRUE)
  AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key_arn, principal, principal_type, event_name, via, asset, asset_type, asset_trust
ORDER BY calls DESC, last_seen DESC, key_arn, principal, principal_type, operation, via, asset, asset_type, asset_trust
