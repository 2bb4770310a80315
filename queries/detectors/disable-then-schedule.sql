-- ---
-- title    = "A KMS key was disabled and, soon after, scheduled for deletion by the same principal"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{principal} disabled {key_arn} and scheduled it for deletion soon after: {detail}"
-- params.since        = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until        = { type = "timestamp", required = true, doc = "only what happened before this instant" }
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

-- One pass over the calls: each deletion looks back at the last disabling by the same principal.
WITH shutdowns AS (
    SELECT
        key_arn,
        principal,
        key_account_id,
        key_region,
        event_name,
        event_time,
        event_id,
        max(CASE WHEN event_name = 'DisableKey' THEN event_time END) OVER before AS disabled_at,
        last_value(CASE WHEN event_name = 'DisableKey' THEN event_id END) IGNORE NULLS OVER before AS disabled_id
    FROM calls
    WHERE event_name IN ('DisableKey', 'ScheduleKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal IS NOT NULL
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since - CAST(concat($within_hours, ' hours') AS INTERVAL)
      AND event_time < $until
    WINDOW before AS (
        PARTITION BY key_arn, principal
        ORDER BY event_time, event_name, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),
steps AS (
    SELECT
        key_arn,
        principal,
        key_account_id,
        key_region,
        date_part('epoch', event_time) - date_part('epoch', disabled_at) AS seconds,
        unnest(make_array(disabled_at, event_time)) AS step_at,
        unnest(make_array(disabled_id, event_id)) AS step_id
    FROM shutdowns
    WHERE event_name = 'ScheduleKeyDeletion'
      AND event_time >= $since
      AND disabled_at >= event_time - CAST(concat($within_hours, ' hours') AS INTERVAL)
),
-- One disabling may be of several pairs.
each_once AS (
    SELECT
        key_arn, principal, step_at, step_id,
        max(key_account_id) AS account_id,
        max(key_region) AS region,
        min(seconds) AS seconds
    FROM steps
    GROUP BY key_arn, principal, step_at, step_id
)
SELECT
    key_arn,
    principal,
    max(account_id) AS account_id,
    max(region) AS region,
    min(step_at) AS first_seen,
    max(step_at) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(step_id ORDER BY step_at, step_id), 1, 10) AS evidence,
    concat(
        'The deletion was scheduled ',
        CASE
            WHEN min(seconds) < 120 THEN concat(CAST(min(seconds) AS BIGINT), ' seconds')
            ELSE concat(CAST(floor(min(seconds) / 60) AS BIGINT), ' minutes')
        END,
        ' after the key was disabled.'
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM each_once
GROUP BY key_arn, principal
