-- ---
-- title    = "An alias was pointed at another KMS key"
-- severity = "medium"
-- attack   = ["T1565", "T1486"]
-- needs    = []
-- message  = "{principal} pointed an alias at {key_arn}: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.recent_days = { type = "integer", default = 30, doc = "use of the alias in so many days before the window is recent" }
-- ---
-- ## What it does
-- Reports a successful UpdateAlias by which an alias names another key than before. It is high when something used a
-- key by that alias between `recent_days` before the window and the call. Which key it named before is told by earlier
-- calls that named the alias, within the same time, or by an inventory; if neither knows, the finding says so.
-- ## Why it matters
-- Whatever encrypts by the alias encrypts with the new key from then on, without a change of its own. If the new key
-- is someone else's to destroy, so is the data.
-- ## False positives
-- Rotating by hand: making a new key and moving the alias to it.
-- ## What to do next
-- Ask who moved it. Move it back with `aws kms update-alias`, and look for what was encrypted with the new key
-- meanwhile.
WITH moved AS (
    SELECT key_arn, principal, key_account_id, key_region, key_alias, event_time, event_id
    FROM calls
    WHERE event_name = 'UpdateAlias'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND key_alias IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
),
-- Successful calls only: one that failed may name a key that the alias never named. Few aliases come first in the join.
named AS (
    SELECT
        m.event_id,
        last_value(e.key_arn ORDER BY e.event_time, e.event_id) AS before_arn,
        count(*) FILTER (
            WHERE e.usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
        ) AS uses
    FROM moved AS m
    JOIN kms_events AS e
        ON e.key_alias = m.key_alias AND e.key_account_id = m.key_account_id AND e.key_region = m.key_region
    WHERE e.event_time < m.event_time
      AND e.outcome = 'ok'
      AND e.key_arn IS NOT NULL
      AND e.event_time >= $since - CAST(concat($recent_days, ' days') AS INTERVAL)
      AND e.event_time < $until
      AND e.event_date >= CAST(CAST($since AS TIMESTAMP) - CAST(concat($recent_days, ' days') AS INTERVAL) AS DATE)
      AND e.event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY m.event_id
),
found AS (
    SELECT m.event_id, last_value(k.key_arn ORDER BY k.taken_at, k.key_arn) AS before_arn
    FROM moved AS m
    JOIN keys AS k ON k.account_id = m.key_account_id AND k.region = m.key_region
    WHERE k.taken_at < m.event_time
      AND strpos(k.aliases, concat('"', m.key_alias, '"')) > 0
    GROUP BY m.event_id
),
changes AS (
    SELECT m.*, coalesce(n.before_arn, f.before_arn) AS before_arn, coalesce(n.uses, 0) AS uses
    FROM moved AS m
    LEFT JOIN named AS n ON n.event_id = m.event_id
    LEFT JOIN found AS f ON f.event_id = m.event_id
    WHERE coalesce(n.before_arn, f.before_arn) IS DISTINCT FROM m.key_arn
),
aliases AS (
    SELECT
        key_arn, principal, key_alias, before_arn,
        max(uses) AS uses,
        row_number() OVER (PARTITION BY key_arn, principal ORDER BY max(uses) DESC, key_alias, before_arn) AS place,
        count(*) OVER (PARTITION BY key_arn, principal) AS aliases
    FROM changes
    GROUP BY key_arn, principal, key_alias, before_arn
),
listed AS (
    SELECT
        key_arn,
        principal,
        max(uses) AS uses,
        concat(
            string_agg(
                concat(
                    key_alias,
                    CASE
                        WHEN before_arn IS NULL THEN ' (which key it named before is not known)'
                        ELSE concat(', which named ', before_arn, ' before')
                    END,
                    CASE WHEN uses > 0 THEN concat(' and was used ', uses, ' times lately') ELSE '' END
                ),
                '; ' ORDER BY place
            ),
            CASE WHEN max(aliases) > 5 THEN concat(' and ', max(aliases) - 5, ' more') ELSE '' END
        ) AS names
    FROM aliases
    WHERE place <= 5
    GROUP BY key_arn, principal
)
SELECT
    c.key_arn,
    c.principal,
    max(c.key_account_id) AS account_id,
    max(c.key_region) AS region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat(max(l.names), '.') AS detail,
    CASE WHEN max(l.uses) > 0 THEN 'high' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM changes AS c
JOIN listed AS l ON l.key_arn = c.key_arn AND (l.principal IS NOT DISTINCT FROM c.principal)
GROUP BY c.key_arn, c.principal
