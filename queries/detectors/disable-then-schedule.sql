-- ---
-- title    = "A KMS key was disabled and, soon after, scheduled for deletion by the same principal"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{principal} disabled {key_arn} and scheduled it for deletion soon after: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.within_hours = { type = "integer", default = 1, doc = "the two calls lie no more than so many hours apart" }
-- ---
-- ## What it does
-- Reports a key that one principal disabled and, within `within_hours` of that, scheduled for deletion. The disabling
-- may lie before the window; the scheduling does not.
-- ## Why it matters
-- Whoever retires a key with care disables it and waits for days to see what breaks. The two calls in a row are what
-- someone does who wants the key gone, or a script that does not wait.
-- ## False positives
-- Clean-up scripts for test keys.
-- ## What to do next
-- See `key-deletion-scheduled` for who depends on the key. Cancel the deletion and enable the key unless its owner is
-- sure.
WITH shutdowns AS (
    SELECT key_arn, principal, key_account_id, key_region, event_name, event_time, event_id
    FROM calls
    WHERE event_name IN ('DisableKey', 'ScheduleKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since - CAST(concat($within_hours, ' hours') AS INTERVAL)
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) - CAST(concat($within_hours, ' hours') AS INTERVAL) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
),
pairs AS (
    SELECT
        s.key_arn,
        s.principal,
        s.key_account_id,
        s.key_region,
        d.event_time AS disabled_at,
        d.event_id AS disabled_id,
        s.event_time AS scheduled_at,
        s.event_id AS scheduled_id
    FROM shutdowns AS s
    JOIN shutdowns AS d ON d.key_arn = s.key_arn AND d.principal = s.principal
    WHERE s.event_name = 'ScheduleKeyDeletion'
      AND s.event_time >= $since
      AND d.event_name = 'DisableKey'
      AND d.event_time <= s.event_time
      AND d.event_time >= s.event_time - CAST(concat($within_hours, ' hours') AS INTERVAL)
),
-- A call may be of several pairs.
steps AS (
    SELECT key_arn, principal, key_account_id, key_region, disabled_at AS event_time, disabled_id AS event_id
    FROM pairs
    UNION
    SELECT key_arn, principal, key_account_id, key_region, scheduled_at, scheduled_id
    FROM pairs
),
shortest AS (
    SELECT key_arn, principal, min(date_part('epoch', scheduled_at) - date_part('epoch', disabled_at)) AS seconds
    FROM pairs
    GROUP BY key_arn, principal
)
SELECT
    s.key_arn,
    s.principal,
    max(s.key_account_id) AS account_id,
    max(s.key_region) AS region,
    min(s.event_time) AS first_seen,
    max(s.event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(s.event_id ORDER BY s.event_time, s.event_id), 1, 10) AS evidence,
    concat(
        'The deletion was scheduled ',
        CASE
            WHEN max(h.seconds) < 120 THEN concat(CAST(max(h.seconds) AS BIGINT), ' seconds')
            ELSE concat(CAST(floor(max(h.seconds) / 60) AS BIGINT), ' minutes')
        END,
        ' after the key was disabled.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM steps AS s
JOIN shortest AS h ON h.key_arn = s.key_arn AND h.principal = s.principal
GROUP BY s.key_arn, s.principal
