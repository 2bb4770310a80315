-- ---
-- title = "Calls that used a key which the record does not name"
-- params.account = { type = "text", doc = "only of this account's log" }
-- params.since   = { type = "timestamp", required = true, doc = "only calls at or after this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per account, Region and alias: calls that succeeded, or failed because their key cannot be used, and name no key by
-- its ARN; or of ReEncrypt not the one that encrypted. `key_alias` is what they called it by. They may have used any key of the
-- place; `of_keys` are those that have the alias, by the latest inventory.
WITH unnamed AS (
    SELECT
        account_id,
        region,
        CASE WHEN key_arn IS NULL THEN CAST(key_alias AS VARCHAR) END AS key_alias,
        count(*) AS calls,
        max(event_time) AS last_used,
        max(event_id) AS event_id
    FROM calls
    WHERE usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
      AND outcome IN ('ok', 'key_unusable')
      AND event_name <> 'GenerateRandom'
      AND (key_arn IS NULL OR (event_name = 'ReEncrypt' AND dest_key_arn IS NULL))
      -- As in `who`: an account that is a constant would be dropped from the order of one side of a union.
      AND ($account IS NULL OR account_id = $account) IS TRUE
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY 1, 2, 3
)
SELECT
    u.account_id,
    u.region,
    u.key_alias,
    max(u.calls) AS calls,
    max(u.last_used) AS last_used,
    max(u.event_id) AS event_id,
    array_agg(i.key_arn) FILTER (WHERE i.key_arn IS NOT NULL) AS of_keys
FROM unnamed AS u
LEFT JOIN key_inventory AS i
    ON i.account_id = u.account_id
    AND i.region = u.region
    AND strpos(i.aliases, concat('"', u.key_alias, '"')) > 0
GROUP BY u.account_id, u.region, u.key_alias
ORDER BY u.account_id, u.region, u.key_alias
