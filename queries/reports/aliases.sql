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
  AND ($since IS NULL OR event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE))
  AND ($until IS NULL OR event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE))
GROUP BY key_alias, key_arn, key_account_id, key_region
ORDER BY key_alias, last_seen DESC, key_arn
