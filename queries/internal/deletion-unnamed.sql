-- ---
-- title = "Calls that used a key which the record does not name"
-- params.account = { type = "text", doc = "only keys that this account owns, or may own" }
-- params.since   = { type = "timestamp", required = true, doc = "only calls at or after this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per account, Region, alias and key: calls that succeeded, or failed because their key cannot be used, and that do
-- not name a key by its ARN (for ReEncrypt: do not name the key that encrypted). `key_alias` is the alias that they used,
-- and `key_arn` the key that the alias named at that time (see the view `alias_targets`, also for `from_time` to
-- `is_told_after`); null where that is not known, and any key of the place may be meant. A null account or Region may be
-- any. A ReEncrypt that names neither of its keys counts twice: once by its alias, and once as a use of any key.
-- ## Whose key it may be
-- An alias ARN identifies its account. If a call names no alias either, the key may belong to any account that logged the
-- call, or to the caller's account.
WITH uses AS (
    SELECT *
    FROM unnamed_uses
    WHERE event_time >= $since
      AND event_time < $until
),
unnamed AS (
    SELECT * EXCEPT (is_of_two) FROM uses
    UNION ALL
    SELECT event_id, event_time, shared_event_id, account_id, principal_account_id, region, NULL, NULL, NULL
    FROM uses
    WHERE is_of_two
      AND key_alias IS NOT NULL
),
-- Nearly always there is none, and then the join's other side reads no file.
logged AS (
    SELECT event_id, key_alias, coalesce(account_id, principal_account_id) AS account_id
    FROM unnamed
    WHERE key_account_id IS NULL
    UNION ALL
    SELECT event_id, key_alias, principal_account_id
    FROM unnamed
    WHERE key_account_id IS NULL AND principal_account_id IS NOT NULL
    UNION ALL
    SELECT u.event_id, u.key_alias, e.account_id
    FROM (
        SELECT event_id, key_alias, event_time, shared_event_id
        FROM unnamed
        WHERE key_account_id IS NULL AND shared_event_id IS NOT NULL
    ) AS u
    JOIN kms_events AS e ON e.shared_event_id = u.shared_event_id AND e.event_time = u.event_time
    WHERE e.account_id IS NOT NULL
    UNION ALL
    SELECT event_id, key_alias, key_account_id FROM unnamed WHERE key_account_id IS NOT NULL
),
placed AS (
    SELECT
        u.event_id,
        u.event_time,
        l.account_id,
        coalesce(u.key_region, u.region) AS region,
        u.key_alias
    FROM (SELECT event_id, key_alias, account_id FROM logged GROUP BY event_id, key_alias, account_id) AS l
    JOIN unnamed AS u ON u.event_id = l.event_id AND (u.key_alias IS NOT DISTINCT FROM l.key_alias)
    WHERE ($account IS NULL OR l.account_id IS NULL OR l.account_id = $account)
)
SELECT
    p.account_id,
    p.region,
    p.key_alias,
    t.key_arn,
    t.from_time,
    t.until_time,
    coalesce(t.is_told_before, false) AS is_told_before,
    coalesce(t.is_told_after, false) AS is_told_after,
    count(*) AS calls,
    max(p.event_time) AS last_used,
    last_value(p.event_id ORDER BY p.event_time, p.event_id) AS event_id
FROM placed AS p
LEFT JOIN alias_targets AS t
    ON t.account_id = p.account_id
    AND t.region = p.region
    AND t.alias = p.key_alias
    AND (t.from_time IS NULL OR t.from_time < p.event_time)
    AND (t.until_time IS NULL OR t.until_time > p.event_time)
GROUP BY
    p.account_id, p.region, p.key_alias, t.key_arn, t.from_time, t.until_time, t.is_told_before, t.is_told_after
ORDER BY p.account_id, p.region, p.key_alias, t.key_arn, t.from_time
