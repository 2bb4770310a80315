-- ---
-- title = "Who depends on keys by records that no call shows"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.since   = { type = "timestamp", required = true, doc = "only calls at or after this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- params.used     = { type = "text", doc = "keys of which calls show a use, by their ARNs with blanks in between" }
-- params.failing  = { type = "text", doc = "keys of which calls show a use that failed because the key cannot be used" }
-- params.unserved = { type = "text", doc = "keys of which calls show a use that failed on AWS's side" }
-- ---
-- ## What it answers
-- Which of several records `calls` keeps must not decide whether a key is in use. The columns are those of `deletion-uses`, but of
-- the records that `calls` may have dropped in favor of others: of one key, principal, service and asset those of which any shows a
-- use, or a failed attempt, of a key of which calls show none of that kind (`used`, `failing`, `unserved`). What shares no id with
-- another record, repeats none and comes from no endpoint is a call as it is.
WITH counted AS (
    SELECT
        *,
        is_unserved(outcome, error_code) AS is_unserved
    FROM (
        SELECT key_arn, dest_key_arn, outcome, error_code
        FROM call_counts
        WHERE NOT is_call
          AND NOT is_past
          AND is_use(usage_class)
        UNION ALL
        -- Records of a time that the lake cannot tell of.
        SELECT key_arn, dest_key_arn, outcome, error_code
        FROM recorded_uses
        WHERE event_time < horizon_from() OR event_time >= horizon_until()
    )
),
-- Nearly always there are none, and then the joins' other sides read no file.
doubted AS (
    SELECT key_arn
    FROM (
        SELECT key_arn, outcome, is_unserved FROM counted
        UNION ALL
        SELECT dest_key_arn, outcome, is_unserved FROM counted
    )
    WHERE key_arn IS NOT NULL
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND (
          (outcome = 'ok' AND ($used IS NULL OR NOT array_has(string_to_array($used, ' '), key_arn)))
          OR (outcome = 'key_unusable' AND ($failing IS NULL OR NOT array_has(string_to_array($failing, ' '), key_arn)))
          OR (is_unserved AND ($unserved IS NULL OR NOT array_has(string_to_array($unserved, ' '), key_arn)))
      )
    GROUP BY key_arn
),
records AS (
    SELECT
        key_arn, principal, principal_type, via, outcome, is_failing, is_unserved, error_message, event_time, event_id,
        CASE WHEN outcome = 'ok' OR is_failing THEN asset END AS asset
    FROM (
        SELECT
            u.*,
            coalesce(
                outcome = 'key_unusable'
                    AND (key_role IS NULL OR coalesce(error_message, '') NOT LIKE '%:key/%' OR strpos(error_message, u.key_arn) > 0),
                false
            ) AS is_failing,
            is_unserved(outcome, error_code) AS is_unserved
        FROM doubted AS d
        JOIN recorded_uses AS u ON u.key_arn = d.key_arn
    )
    WHERE key_arn IS NOT NULL
      AND (call IS DISTINCT FROM 'single')
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND ($account IS NULL OR key_account_id = $account)
      AND event_time >= $since
      AND event_time < $until
),
telling AS (
    SELECT key_arn, principal, via, asset
    FROM records
    WHERE (outcome = 'ok' AND ($used IS NULL OR NOT array_has(string_to_array($used, ' '), key_arn)))
       OR (is_failing AND ($failing IS NULL OR NOT array_has(string_to_array($failing, ' '), key_arn)))
       OR (is_unserved AND NOT is_failing AND ($unserved IS NULL OR NOT array_has(string_to_array($unserved, ' '), key_arn)))
    GROUP BY key_arn, principal, via, asset
)
SELECT
    r.key_arn,
    r.principal,
    max(r.principal_type) AS principal_type,
    r.via,
    count(*) FILTER (WHERE r.outcome = 'ok') AS calls,
    count(*) FILTER (WHERE r.is_failing) AS failing,
    count(*) FILTER (WHERE r.is_unserved AND NOT r.is_failing) AS unserved,
    count(*) FILTER (WHERE (r.outcome IS DISTINCT FROM 'ok') AND NOT r.is_failing AND NOT r.is_unserved) AS denied,
    distinct_texts(r.asset) AS assets,
    latest(r.asset, r.event_time, 5) AS asset_examples,
    min(r.event_time) FILTER (WHERE r.outcome = 'ok') AS first_used,
    max(r.event_time) FILTER (WHERE r.outcome = 'ok') AS last_used,
    last_value(r.event_id ORDER BY r.event_time, r.event_id) FILTER (WHERE r.outcome = 'ok') AS last_event_id,
    min(r.event_time) FILTER (WHERE r.is_failing) AS first_failing,
    max(r.event_time) FILTER (WHERE r.is_failing) AS last_failing,
    last_value(r.event_id ORDER BY r.event_time, r.event_id) FILTER (WHERE r.is_failing) AS failing_event_id,
    max(r.error_message) FILTER (WHERE r.is_failing) AS error_message
FROM telling AS t
JOIN records AS r
    ON r.key_arn = t.key_arn
    AND r.principal = t.principal
    AND (r.via IS NOT DISTINCT FROM t.via)
    AND (r.asset IS NOT DISTINCT FROM t.asset)
GROUP BY r.key_arn, r.principal, r.via
ORDER BY key_arn, calls DESC, failing DESC, principal, via
