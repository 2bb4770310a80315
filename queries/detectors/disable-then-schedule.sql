-- ---
-- title    = "A KMS key was disabled and, soon after, scheduled for deletion by the same principal"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{principal} disabled {key_arn} and scheduled it for deletion soon after: {detail}"
-- params.within_hours = { type = "hours", default = 1, doc = "the two calls lie no more than so many hours apart" }
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

-- Each deletion, with the last disabling before it.
WITH pairs AS (
    SELECT
        s.key_arn, s.principal, s.account_id, s.region, s.event_time AS scheduled_at, s.event_id AS scheduled_id,
        max(d.event_time) AS disabled_at, last_value(d.event_id ORDER BY d.event_time, d.event_id) AS disabled_id
    FROM control_calls AS s
    JOIN control_calls AS d ON d.key_arn = s.key_arn AND d.principal = s.principal
    WHERE s.event_name = 'ScheduleKeyDeletion'
      AND NOT s.is_past
      AND NOT s.is_aws
      AND d.event_name = 'DisableKey'
      AND d.event_time <= s.event_time
      AND d.event_time >= s.event_time - hours($within_hours)
    GROUP BY s.key_arn, s.principal, s.account_id, s.region, s.event_time, s.event_id
)
SELECT
    key_arn, principal, account_id, region, min(at) AS first_seen, max(at) AS last_seen,
    count(DISTINCT id) AS events,
    evidence(id, at) AS evidence,
    concat(
        'The deletion was scheduled ',
        CASE WHEN min(seconds) < 120 THEN concat(min(seconds), ' seconds') ELSE concat(min(seconds) / 60, ' minutes') END,
        ' after the key was disabled.'
    ) AS detail
FROM (
    SELECT
        *,
        CAST(round(86400 * days_between(disabled_at, scheduled_at)) AS BIGINT) AS seconds,
        unnest(make_array(disabled_at, scheduled_at)) AS at,
        unnest(make_array(disabled_id, scheduled_id)) AS id
    FROM pairs
)
GROUP BY key_arn, principal, account_id, region
