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
WITH uses AS (
    SELECT
        key_arn, principal, principal_type, via, outcome, is_failing, is_unserved, error_message, event_time, event_id,
        CASE WHEN outcome = 'ok' OR is_failing THEN asset END AS asset
    FROM (
        SELECT
            *,
            coalesce(
                outcome = 'key_unusable'
                    AND (key_role IS NULL OR coalesce(error_message, '') NOT LIKE '%:key/%' OR strpos(error_message, key_arn) > 0),
                false
            ) AS is_failing,
            outcome = 'throttled'
                OR coalesce(regexp_like(error_code, '^(KMSInternal|DependencyTimeout|KeyUnavailable|CloudHsm|CustomKeyStore|Xks|InternalFailure)'), false)
                AS is_unserved
        FROM usage
    )
    WHERE key_arn IS NOT NULL
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR key_account_id = $account)
      AND event_time >= $since
      AND event_time < $until
)
SELECT
    key_arn,
    principal,
    max(principal_type) AS principal_type,
    via,
    count(*) FILTER (WHERE outcome = 'ok') AS calls,
    count(*) FILTER (WHERE is_failing) AS failing,
    count(*) FILTER (WHERE is_unserved AND NOT is_failing) AS unserved,
    count(*) FILTER (WHERE (outcome IS DISTINCT FROM 'ok') AND NOT is_failing AND NOT is_unserved) AS denied,
    distinct_texts(asset) AS assets,
    latest(asset, event_time, 5) AS asset_examples,
    min(event_time) FILTER (WHERE outcome = 'ok') AS first_used,
    max(event_time) FILTER (WHERE outcome = 'ok') AS last_used,
    last_value(event_id ORDER BY event_time, event_id) FILTER (WHERE outcome = 'ok') AS last_event_id,
    min(event_time) FILTER (WHERE is_failing) AS first_failing,
    max(event_time) FILTER (WHERE is_failing) AS last_failing,
    last_value(event_id ORDER BY event_time, event_id) FILTER (WHERE is_failing) AS failing_event_id,
    max(error_message) FILTER (WHERE is_failing) AS error_message
FROM uses
GROUP BY key_arn, principal, via
ORDER BY key_arn, calls DESC, failing DESC, principal, via
