-- ---
-- title = "Who made calls of which the role's or key's owner logged no more than an account and an id"
-- params.ids   = { type = "text", required = true, doc = "shared event ids, with a space between them" }
-- params.since = { type = "timestamp", required = true, doc = "only calls at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per call that the caller's own log has too: the identity that it names. `keytrail timeline --chain` asks it.
WITH wanted AS (
    SELECT name
    FROM (SELECT unnest(string_to_array(CAST($ids AS VARCHAR), ' ')) AS name)
    WHERE name <> ''
    GROUP BY name
)
SELECT
    e.shared_event_id,
    e.event_time,
    e.principal,
    e.principal_type,
    e.principal_id,
    e.principal_account_id,
    e.session_name,
    e.session_arn,
    e.access_key_id,
    e.session_start,
    e.source_identity,
    e.mfa,
    e.via
FROM wanted AS w
JOIN events AS e ON e.shared_event_id = w.name
WHERE e.principal NOT LIKE 'acct:%'
  AND e.event_time >= $since
  AND e.event_time < $until
ORDER BY e.shared_event_id, e.account_id, e.event_id
