-- ---
-- title = "On which days keys were used, over all that the lake has, and attempts that failed because they cannot be"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per account, key id and day with a use; siblings of a multi-Region key are one. `calls` succeeded, between
-- `first_used` and `last_used`, the latter by `last_principal`; `failing` failed because the key is disabled, pending deletion or otherwise unusable. A key
-- that is used once a quarter shows here, and in no look-back that is shorter.
SELECT
    key_account_id AS account_id,
    key_id,
    CAST(half AS DATE) AS day,
    CAST(coalesce(sum(calls) FILTER (WHERE outcome = 'ok'), 0) AS BIGINT) AS calls,
    CAST(coalesce(sum(calls) FILTER (WHERE outcome = 'key_unusable'), 0) AS BIGINT) AS failing,
    min(first_seen) FILTER (WHERE outcome = 'ok') AS first_used,
    max(last_seen) FILTER (WHERE outcome = 'ok') AS last_used,
    last_value(principal ORDER BY last_seen, last_event_id) FILTER (WHERE outcome = 'ok') AS last_principal,
    last_value(last_event_id ORDER BY last_seen, last_event_id) FILTER (WHERE outcome = 'ok') AS last_event_id
FROM use_counts
WHERE outcome IN ('ok', 'key_unusable')
  AND key_arn IS NOT NULL
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
  AND ($account IS NULL OR key_account_id = $account)
  AND first_seen < $until
GROUP BY key_account_id, key_id, CAST(half AS DATE)
ORDER BY account_id, key_id, day
