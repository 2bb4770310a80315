-- ---
-- title = "Who used a key, for what, through which service"
-- params.key_arn     = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id      = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.alias       = { type = "text", doc = "only calls that name this alias, such as alias/orders, and no key" }
-- params.alias_owner = { type = "text", doc = "only aliases of this account and Region, such as 111122223333/eu-west-1" }
-- params.principal   = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.since       = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until       = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- Which principals used which keys, with which operation and through which AWS service (`via`; null is a direct call),
-- how often, how often without success, over how many assets, and when first and last. `sample_event_id` is one
-- of the events behind the row, the same one each time.
-- ## How it counts
-- Cross-account calls once, dry runs never (see the view `usage`); `calls` holds successes and failures. A ReEncrypt counts
-- for its source key and for its destination key. A call that names only an alias has a row without `key_arn`.

-- `IS TRUE` keeps a filter that prunes nothing from looking like a constant: DataFusion 55 drops constants from ORDER BY
-- on one side of a union and then finds the sort wanting ("does not satisfy order requirements").
SELECT
    key_arn,
    principal,
    principal_type,
    event_name AS operation,
    via,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS failures,
    count(DISTINCT asset) AS assets,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    min(event_id) AS sample_event_id
FROM usage
WHERE ($key_arn IS NULL OR key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($alias IS NULL OR ((key_arn IS NULL) IS TRUE AND (key_alias = $alias) IS TRUE))
  AND ($alias_owner IS NULL OR (concat(key_account_id, '/', key_region) = $alias_owner) IS TRUE)
  AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key_arn, principal, principal_type, event_name, via
ORDER BY calls DESC, last_seen DESC, key_arn, principal, principal_type, operation, via
