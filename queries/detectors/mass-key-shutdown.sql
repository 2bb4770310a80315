-- ---
-- title    = "Many KMS keys were disabled or scheduled for deletion in a few minutes"
-- severity = "critical"
-- attack   = ["T1485", "T1486"]
-- needs    = []
-- message  = "{principal} shut down many keys in account {account_id}: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.keys    = { type = "integer", default = 5, doc = "so many different keys are many" }
-- params.minutes = { type = "integer", default = 10, doc = "within so many minutes" }
-- ---
-- ## What it does
-- Reports a principal that disabled, or scheduled for deletion, `keys` or more different keys of one account within
-- `minutes` minutes, whatever their Region.
-- ## Why it matters
-- One key may be a mistake. Many at a time take an account's data away, which is how extortion with KMS works.
-- ## False positives
-- Tearing down a test environment.
-- ## What to do next
-- Take the principal's credentials away, then cancel the deletions and enable the keys: all can be undone until the
-- waiting period ends. Each key has its own finding of `key-deletion-scheduled` or `key-disabled`.
WITH shutdowns AS (
    SELECT principal, key_account_id AS account_id, key_arn, key_region, event_time, event_id
    FROM calls
    WHERE event_name IN ('DisableKey', 'ScheduleKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
),
-- Every call begins a span of some minutes.
spans AS (
    SELECT
        b.principal,
        b.account_id,
        b.event_time AS begins_at,
        count(DISTINCT s.key_arn) AS keys
    FROM (SELECT principal, account_id, event_time FROM shutdowns GROUP BY principal, account_id, event_time) AS b
    JOIN shutdowns AS s ON s.principal = b.principal AND s.account_id = b.account_id
    WHERE s.event_time >= b.event_time
      AND s.event_time <= b.event_time + CAST(concat($minutes, ' minutes') AS INTERVAL)
    GROUP BY b.principal, b.account_id, b.event_time
),
mass AS (
    SELECT *
    FROM spans
    WHERE keys >= $keys
),
-- The calls in any such span, each once.
struck AS (
    SELECT s.principal, s.account_id, s.key_arn, s.key_region, s.event_time, s.event_id, max(m.keys) AS keys
    FROM shutdowns AS s
    JOIN mass AS m ON m.principal = s.principal AND m.account_id = s.account_id
    WHERE s.event_time >= m.begins_at
      AND s.event_time <= m.begins_at + CAST(concat($minutes, ' minutes') AS INTERVAL)
    GROUP BY s.principal, s.account_id, s.key_arn, s.key_region, s.event_time, s.event_id
),
keys_struck AS (
    SELECT
        principal,
        account_id,
        key_arn,
        row_number() OVER (PARTITION BY principal, account_id ORDER BY min(event_time), key_arn) AS place
    FROM struck
    GROUP BY principal, account_id, key_arn
),
named AS (
    SELECT
        principal,
        account_id,
        max(place) AS keys,
        string_agg(key_arn, ', ' ORDER BY place) FILTER (WHERE place <= 5) AS names
    FROM keys_struck
    GROUP BY principal, account_id
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    s.principal,
    s.account_id,
    min(s.key_region) AS region,
    min(s.event_time) AS first_seen,
    max(s.event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(s.event_id ORDER BY s.event_time, s.event_id), 1, 10) AS evidence,
    concat(
        'Up to ', max(s.keys), ' keys within ', $minutes, ' minutes, ', max(n.keys), ' in all: ', max(n.names),
        CASE WHEN max(n.keys) > 5 THEN concat(' and ', max(n.keys) - 5, ' more') ELSE '' END,
        '.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM struck AS s
JOIN named AS n ON n.principal = s.principal AND n.account_id = s.account_id
GROUP BY s.principal, s.account_id
