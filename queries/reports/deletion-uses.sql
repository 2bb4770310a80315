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
-- the latest first.
-- ## How it counts
-- Cross-account calls once, dry runs never, ReEncrypt under both its keys (see the view `usage`). Where the message of a
-- failed ReEncrypt names the key that is unusable, the other one is not blamed. A record that `calls` drops in favor of
-- another still counts if it is the only one that shows that the key was used.

-- What shares no id with another record, repeats none and comes from no endpoint is in `usage` as it is.
WITH told AS (
    SELECT
        true AS is_call, key_arn, key_role, principal, principal_type, via, asset, outcome, error_code, error_message,
        event_time, event_id
    FROM usage
    WHERE key_arn IS NOT NULL
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR key_account_id = $account)
      AND event_time >= $since
      AND event_time < $until
    UNION ALL
    SELECT
        false, key_arn, key_role, principal, principal_type, via, asset, outcome, error_code, error_message,
        event_time, event_id
    FROM recorded_uses
    WHERE key_arn IS NOT NULL
      AND (call IS DISTINCT FROM 'single')
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR key_account_id = $account)
      AND event_time >= $since
      AND event_time < $until
),
judged AS (
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
    FROM told
),
-- Other records than calls count per asset, since each asset of theirs counts or not.
counted AS (
    SELECT
        key_arn,
        principal,
        via,
        CASE WHEN NOT is_call THEN coalesce(named, '') END AS recorded,
        max(principal_type) AS principal_type,
        count(*) FILTER (WHERE outcome = 'ok') AS calls,
        count(*) FILTER (WHERE is_failing) AS failing,
        count(*) FILTER (WHERE is_unserved AND NOT is_failing) AS unserved,
        count(*) FILTER (WHERE (outcome IS DISTINCT FROM 'ok') AND NOT is_failing AND NOT is_unserved) AS denied,
        distinct_texts(named) AS assets,
        latest(named, event_time, 5) AS examples,
        min(event_time) FILTER (WHERE outcome = 'ok') AS first_used,
        max(event_time) FILTER (WHERE outcome = 'ok') AS last_used,
        last_value(event_id ORDER BY event_time, event_id) FILTER (WHERE outcome = 'ok') AS last_event_id,
        min(event_time) FILTER (WHERE is_failing) AS first_failing,
        max(event_time) FILTER (WHERE is_failing) AS last_failing,
        last_value(event_id ORDER BY event_time, event_id) FILTER (WHERE is_failing) AS failing_event_id,
        max(error_message) FILTER (WHERE is_failing) AS error_message
    FROM (SELECT *, CASE WHEN outcome = 'ok' OR is_failing THEN asset END AS named FROM judged)
    GROUP BY 1, 2, 3, 4
),
by_key AS (
    SELECT
        *,
        sum(CASE WHEN recorded IS NULL THEN calls ELSE 0 END) OVER (PARTITION BY key_arn) AS calls_of_key,
        sum(CASE WHEN recorded IS NULL THEN failing ELSE 0 END) OVER (PARTITION BY key_arn) AS failing_of_key,
        sum(CASE WHEN recorded IS NULL THEN unserved ELSE 0 END) OVER (PARTITION BY key_arn) AS unserved_of_key
    FROM counted
),
together AS (
    SELECT
        key_arn,
        principal,
        via,
        max(principal_type) AS principal_type,
        sum(calls) AS calls,
        sum(failing) AS failing,
        sum(unserved) AS unserved,
        sum(denied) AS denied,
        sum(assets) AS assets,
        flatten(array_agg(examples)) AS examples,
        min(first_used) AS first_used,
        max(last_used) AS last_used,
        last_value(last_event_id ORDER BY last_used, last_event_id) FILTER (WHERE last_used IS NOT NULL) AS last_event_id,
        min(first_failing) AS first_failing,
        max(last_failing) AS last_failing,
        last_value(failing_event_id ORDER BY last_failing, failing_event_id) FILTER (WHERE last_failing IS NOT NULL)
            AS failing_event_id,
        max(error_message) AS error_message
    FROM by_key
    WHERE recorded IS NULL
       OR (calls > 0 AND calls_of_key = 0)
       OR (failing > 0 AND failing_of_key = 0)
       OR (unserved > 0 AND unserved_of_key = 0)
    GROUP BY key_arn, principal, via
)
SELECT
    key_arn,
    principal,
    max(principal_type) AS principal_type,
    via,
    max(calls) AS calls,
    max(failing) AS failing,
    max(unserved) AS unserved,
    max(denied) AS denied,
    max(assets) AS assets,
    array_slice(
        array_agg(example['text'] ORDER BY example['at'] DESC, example['text']) FILTER (WHERE example IS NOT NULL),
        1, 5
    ) AS asset_examples,
    max(first_used) AS first_used,
    max(last_used) AS last_used,
    max(last_event_id) AS last_event_id,
    max(first_failing) AS first_failing,
    max(last_failing) AS last_failing,
    max(failing_event_id) AS failing_event_id,
    max(error_message) AS error_message
-- A row without examples stays.
FROM (SELECT *, unnest(array_append(examples, NULL)) AS example FROM together)
GROUP BY key_arn, principal, via
ORDER BY key_arn, calls DESC, failing DESC, principal, via
