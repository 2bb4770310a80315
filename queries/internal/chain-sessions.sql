-- ---
-- title = "Sessions that began with these access keys or under these ids"
-- params.keys  = { type = "text", doc = "access key ids, with a space between them" }
-- params.ids   = { type = "text", doc = "session ids such as AROA…:name, or ARNs of sessions, with a space between them" }
-- params.since = { type = "timestamp", required = true, doc = "only sessions that began at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only sessions that began before this instant" }
-- ---
-- ## What it answers
-- Rows of the view `session_starts`, each once. `keytrail chain` follows them back, a step at a time.
WITH wanted AS (
    SELECT unnest(string_to_array(concat(coalesce(CAST($keys AS VARCHAR), ''), ' ', coalesce(CAST($ids AS VARCHAR), '')), ' ')) AS name
),
named AS (
    SELECT name
    FROM wanted
    WHERE name <> ''
    GROUP BY name
),
begun AS (
    SELECT *
    FROM session_starts
    WHERE started_at >= $since
      AND started_at < $until
)
SELECT b.*
FROM named AS n
JOIN begun AS b ON b.access_key_id = n.name
UNION ALL
SELECT b.*
FROM named AS n
JOIN begun AS b ON coalesce(b.session_id, b.session_arn) = n.name
LEFT ANTI JOIN named AS k ON k.name = b.access_key_id
ORDER BY started_at, event_id
