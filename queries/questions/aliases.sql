-- ---
-- title = "Which alias named which key, and when"
-- params.alias   = { type = "text", doc = "only this alias, such as alias/orders; `*` stands for any characters" }
-- params.key_arn = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id  = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.since   = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until   = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- Every alias that a KMS call named, with the key that the call then reached. An alias that was pointed at another key
-- has a row for each; the latest `last_seen` comes first. `key_arn` is null where no call told which key it was.
-- `named_from` and `named_until` are the span in which the alias is known to have named the key, from the changes of the alias and from
-- inventories (see the view `alias_targets`); null is not known, or still.
WITH called AS (
    SELECT
        key_alias,
        key_arn,
        key_account_id,
        key_region,
        count(*) AS calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM calls
    WHERE key_alias IS NOT NULL
      AND ($alias IS NULL OR (key_alias LIKE replace(replace(replace(replace(CAST($alias AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
      AND ($key_arn IS NULL OR key_arn = $key_arn)
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
    GROUP BY key_alias, key_arn, key_account_id, key_region
),
named AS (
    SELECT
        alias,
        key_arn,
        CASE WHEN count(*) = count(from_time) THEN min(from_time) END AS named_from,
        CASE WHEN count(*) = count(until_time) THEN max(until_time) END AS named_until
    FROM alias_targets
    GROUP BY alias, key_arn
)
SELECT
    c.key_alias,
    c.key_arn,
    c.key_account_id,
    c.key_region,
    c.calls,
    c.first_seen,
    c.last_seen,
    -- A call by the alias that names the key shows that it named it then, whatever change is missing from the logs.
    CASE WHEN n.named_from IS NOT NULL THEN least(n.named_from, c.first_seen) END AS named_from,
    CASE WHEN n.named_until IS NOT NULL THEN greatest(n.named_until, c.last_seen) END AS named_until
FROM called AS c
LEFT JOIN named AS n ON n.alias = c.key_alias AND n.key_arn = c.key_arn
ORDER BY c.key_alias, c.last_seen DESC, c.key_arn
