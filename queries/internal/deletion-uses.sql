-- ---
-- title = "Who depends on keys: use, and attempts that failed because a key cannot be used"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.since   = { type = "timestamp", required = true, doc = "only calls at or after this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per key, principal and service: `calls` that succeeded, and calls that failed because the key is disabled,
-- pending deletion or otherwise unusable (`failing`), with the first and last of either and the event ids of the last.
-- `unserved` were allowed and failed on AWS's side (throttled, an internal error, a key store that did not answer):
-- someone needs the key. `denied` counts the other failures, which are no use: someone was refused, or asked wrongly.
-- `assets` is how many assets the calls that succeeded or were failing named, and `asset_examples` at most five of them,
-- the latest first, each with its last time.
-- ## How it counts
-- Cross-account calls once, dry runs never, ReEncrypt under both its keys (see the view `usage`). Where the message of a
-- failed ReEncrypt names the key that is unusable, the other one is not blamed. A record that `calls` drops in favor of
-- another is in `deletion-recorded`.
WITH counted AS (
    SELECT
        *,
        is_unserved(outcome, error_code) AS is_unserved
    FROM use_counts
    WHERE key_arn IS NOT NULL
      AND NOT is_past
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR key_account_id = $account)
),
-- Only a call's message says which key is unusable. Nearly always there is none, and then the join's other side reads no file.
unusable AS (
    SELECT
        u.key_arn, u.principal, u.principal_type, u.via, u.asset, u.event_time, u.event_id, u.error_message, c.is_unserved,
        u.key_role IS NULL OR coalesce(u.error_message, '') NOT LIKE '%:key/%' OR strpos(u.error_message, u.key_arn) > 0
            AS is_failing
    FROM (
        SELECT key_arn, error_code, is_unserved FROM counted WHERE outcome = 'key_unusable' GROUP BY 1, 2, 3
    ) AS c
    JOIN usage AS u ON u.key_arn = c.key_arn AND (u.error_code IS NOT DISTINCT FROM c.error_code)
    WHERE u.outcome = 'key_unusable'
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), u.key_arn))
      AND u.event_time >= $since
      AND u.event_time < $until
),
named AS (
    SELECT key_arn, principal, via, asset, last_seen
    FROM named_uses
    WHERE NOT is_past
      AND ($key_id IS NULL OR split_part(key_arn, ':key/', 2) = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR split_part(key_arn, ':', 5) = $account)
    UNION ALL
    SELECT key_arn, principal, via, asset, event_time FROM unusable WHERE is_failing AND asset IS NOT NULL
)
SELECT
    key_arn,
    principal,
    max(principal_type) AS principal_type,
    via,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(sum(failing) AS BIGINT) AS failing,
    CAST(sum(unserved) AS BIGINT) AS unserved,
    CAST(sum(denied) AS BIGINT) AS denied,
    max(assets) AS assets,
    first_value(asset_examples) FILTER (WHERE asset_examples IS NOT NULL) AS asset_examples,
    min(first_used) AS first_used,
    max(last_used) AS last_used,
    max(last_event_id) AS last_event_id,
    min(first_failing) AS first_failing,
    max(last_failing) AS last_failing,
    max(failing_event_id) AS failing_event_id,
    max(error_message) AS error_message
FROM (
    SELECT
        key_arn, principal, via, max(principal_type) AS principal_type,
        coalesce(sum(calls) FILTER (WHERE outcome = 'ok'), 0) AS calls,
        0 AS failing,
        coalesce(sum(calls) FILTER (WHERE is_unserved AND (outcome IS DISTINCT FROM 'key_unusable')), 0) AS unserved,
        coalesce(sum(calls) FILTER (
            WHERE (outcome IN ('ok', 'key_unusable')) IS NOT TRUE AND NOT is_unserved
        ), 0) AS denied,
        0 AS assets, NULL AS asset_examples,
        min(first_seen) FILTER (WHERE outcome = 'ok') AS first_used,
        max(last_seen) FILTER (WHERE outcome = 'ok') AS last_used,
        last_value(last_event_id ORDER BY last_seen, last_event_id) FILTER (WHERE outcome = 'ok') AS last_event_id,
        NULL AS first_failing, NULL AS last_failing, NULL AS failing_event_id, NULL AS error_message
    FROM counted
    GROUP BY key_arn, principal, via
    UNION ALL
    SELECT
        key_arn, principal, via, NULL,
        0,
        count(*) FILTER (WHERE is_failing),
        count(*) FILTER (WHERE is_unserved AND NOT is_failing),
        count(*) FILTER (WHERE NOT is_failing AND NOT is_unserved),
        0, NULL, NULL, NULL, NULL,
        min(event_time) FILTER (WHERE is_failing),
        max(event_time) FILTER (WHERE is_failing),
        last_value(event_id ORDER BY event_time, event_id) FILTER (WHERE is_failing),
        max(error_message) FILTER (WHERE is_failing)
    FROM unusable
    GROUP BY key_arn, principal, via
    UNION ALL
    SELECT
        key_arn, principal, via, NULL, 0, 0, 0, 0, distinct_texts(asset), latest(asset, last_seen, 5),
        NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM named
    GROUP BY key_arn, principal, via
)
GROUP BY key_arn, principal, via
ORDER BY key_arn, calls DESC, failing DESC, principal, via
