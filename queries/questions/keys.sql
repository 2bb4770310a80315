-- ---
-- title = "Every key that the lake has seen"
-- params.key_arn = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id  = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- ---
-- ## What it answers
-- Which keys any event speaks of, used or not: a key that is only described or tagged is here too. `events` counts
-- everything that was logged about it, both copies of a cross-account call included; `who` counts its use. `alias` is the
-- last one that the key was called by; `aliases` has them all.
WITH seen AS (
    SELECT key_arn, key_id, key_account_id, key_region, key_alias, event_time
    FROM kms_events
    WHERE key_arn IS NOT NULL
    UNION ALL
    SELECT
        dest_key_arn,
        split_part(dest_key_arn, ':key/', 2),
        split_part(dest_key_arn, ':', 5),
        split_part(dest_key_arn, ':', 4),
        NULL,
        event_time
    FROM kms_events
    WHERE dest_key_arn IS NOT NULL AND dest_key_arn IS DISTINCT FROM key_arn
)
SELECT
    key_arn,
    key_id,
    key_account_id,
    key_region,
    last_value(key_alias ORDER BY event_time, key_alias) FILTER (WHERE key_alias IS NOT NULL) AS alias,
    count(*) AS events,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
FROM seen
WHERE ($key_arn IS NULL OR key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($account IS NULL OR key_account_id = $account)
GROUP BY key_arn, key_id, key_account_id, key_region
ORDER BY events DESC, key_arn
