-- ---
-- title    = "An alias was pointed at another KMS key"
-- severity = "low"
-- attack   = ["T1565", "T1486"]
-- needs    = []
-- message  = "{principal} pointed an alias at {key_arn}: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.recent_days = { type = "days", default = 30, doc = "use of the alias in so many days before the window is recent" }
-- ---
-- ## What it does
-- Reports a successful UpdateAlias by which an alias names another key than before, and a CreateAlias of an alias that
-- is known to have named another key: deleting an alias and making it again moves it, too. It is high when something
-- used a key by that alias between `recent_days` before the window and the call. Which key it named before is told by
-- earlier calls that named the alias, within the same time, or by an inventory; if neither knows, the finding of an
-- UpdateAlias says so.
-- ## Why it matters
-- Whatever encrypts by the alias encrypts with the new key from then on, without a change of its own. If the new key
-- is someone else's to destroy, so is the data.
-- ## False positives
-- Rotating by hand: making a new key and moving the alias to it.
-- ## What to do next
-- Ask who moved it. Move it back with `aws kms update-alias`, and look for what was encrypted with the new key
-- meanwhile.
WITH moved AS (
    SELECT *
    FROM control_calls
    WHERE event_name IN ('UpdateAlias', 'CreateAlias') AND key_alias IS NOT NULL AND NOT is_past AND NOT is_aws
),
-- What calls named by the alias before, and how often they used it. A call that two accounts logged is one.
named AS (
    SELECT
        m.event_id,
        -- A call of the second in which the alias was pointed at a key may have come before that.
        last_value(
            e.key_arn ORDER BY e.event_time, e.event_name IN ('CreateAlias', 'UpdateAlias'), e.event_id
        ) FILTER (WHERE e.key_arn IS NOT NULL) AS key_arn,
        count(DISTINCT coalesce(e.shared_event_id, e.event_id)) FILTER (
            WHERE is_use(e.usage_class)
        ) AS uses
    FROM moved AS m
    JOIN kms_events AS e ON e.key_alias = m.key_alias AND e.key_account_id = m.account_id AND e.key_region = m.region
    WHERE e.outcome = 'ok'
      AND e.original_event_id IS NULL
      AND e.event_time >= $since - days($recent_days) AND e.event_time < $until
      AND (
          e.event_time < m.event_time
          OR (
              e.event_time = m.event_time
              AND e.event_name = 'DeleteAlias'
              AND m.event_name = 'CreateAlias'
              AND e.key_arn <> m.key_arn
          )
      )
    GROUP BY m.event_id
),
listed_before AS (
    SELECT m.event_id, last_value(k.key_arn ORDER BY k.taken_at, k.key_arn) AS key_arn
    FROM moved AS m
    JOIN keys AS k ON k.account_id = m.account_id AND k.region = m.region
    WHERE k.taken_at < m.event_time
      AND strpos(k.aliases, concat('"', m.key_alias, '"')) > 0
    GROUP BY m.event_id
),
found AS (
    SELECT
        m.*, coalesce(n.key_arn, l.key_arn) AS before_arn, n.uses,
        concat(
            m.key_alias,
            ' (', coalesce('which named ' || coalesce(n.key_arn, l.key_arn) || ' before', 'which key it named before is not known'),
            CASE WHEN n.uses > 0 THEN concat(', and was used ', n.uses, ' times lately') ELSE '' END, ')'
        ) AS told
    FROM moved AS m
    LEFT JOIN named AS n ON n.event_id = m.event_id
    LEFT JOIN listed_before AS l ON l.event_id = m.event_id
)
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen, count(*) AS events, evidence(event_id, event_time) AS evidence,
    concat(listed_in_order(told, date_part('epoch', event_time)), '.') AS detail,
    CASE WHEN max(uses) > 0 THEN 'high' END AS severity
FROM found
WHERE (before_arn IS DISTINCT FROM key_arn)
  AND (event_name = 'UpdateAlias' OR before_arn IS NOT NULL)
GROUP BY key_arn, principal
