-- ---
-- title    = "A KMS key was scheduled for deletion"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "{principal} scheduled {key_arn} for deletion: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.recent_days = { type = "integer", default = 30, doc = "use in so many days before the call is recent" }
-- params.short_days  = { type = "integer", default = 10, doc = "a waiting period of at most so many days is short" }
-- ---
-- ## What it does
-- Reports every successful ScheduleKeyDeletion, with what used the key in the `recent_days` before it (before the
-- last one, where a deletion was cancelled and scheduled again). It is critical when anything did, or when the call
-- asked for a waiting period of `short_days` or less (KMS takes 7 to 30 days, and 30 when the call does not say). It
-- is low when the deletion was cancelled later in the window. Times are whole seconds, and what is of the same
-- second is not later.
-- ## Why it matters
-- From that moment the key cannot be used, and after the waiting period nothing that it encrypted can be read again.
-- ## False positives
-- Planned retirement of a key. The lists of dependents show whether it was planned well.
-- ## What to do next
-- Ask the caller. If in doubt, cancel: `aws kms cancel-key-deletion`, then `aws kms enable-key`, since a cancelled key
-- stays disabled. Then look for use that AWS KMS does not log: volumes that stay attached, data keys that are cached.
WITH shutdowns AS (
    SELECT
        key_arn, principal, principal_type, key_account_id, key_region, event_name, event_time, event_id, via,
        CAST((regexp_match(request_parameters, '"pendingWindowInDays":([0-9]{1,4})[^0-9]'))[1] AS BIGINT) AS window_days,
        max(CASE WHEN event_name = 'CancelKeyDeletion' THEN event_time END) OVER (PARTITION BY key_arn) AS cancelled_at
    FROM calls
    WHERE event_name IN ('ScheduleKeyDeletion', 'CancelKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since
      AND event_time < $until
),
scheduled AS (
    SELECT
        key_arn,
        principal,
        max(key_account_id) AS account_id,
        max(key_region) AS region,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        count(*) AS events,
        array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
        min(window_days) AS window_days,
        max(via) AS via,
        max(cancelled_at) > max(event_time) AS is_cancelled
    FROM shutdowns
    WHERE event_name = 'ScheduleKeyDeletion'
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
    GROUP BY key_arn, principal
),
-- The few keys come first in the join: the engine then reads of usage only what bears on them, and nothing for none.
used AS (
    SELECT
        u.key_arn,
        u.principal,
        coalesce(u.via, 'direct calls') AS via,
        u.asset,
        count(*) AS calls
    FROM (SELECT key_arn, max(last_seen) AS at FROM scheduled GROUP BY key_arn) AS shut
    JOIN usage AS u ON u.key_arn = shut.key_arn
    WHERE u.outcome = 'ok'
      AND u.event_time >= shut.at - CAST(concat($recent_days, ' days') AS INTERVAL)
      AND u.event_time < shut.at
      AND u.event_time >= $since - CAST(concat($recent_days, ' days') AS INTERVAL)
      AND u.event_time < $until
    GROUP BY u.key_arn, u.principal, u.via, u.asset
),
-- Each row of use as three, one for each kind of dependent, so that usage is read once.
named AS (
    SELECT key_arn, kind, name, sum(calls) AS calls
    FROM (
        SELECT
            key_arn,
            unnest(make_array('principal', 'via', 'asset')) AS kind,
            unnest(make_array(principal, via, asset)) AS name,
            calls
        FROM used
    )
    WHERE name IS NOT NULL
    GROUP BY key_arn, kind, name
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY key_arn, kind ORDER BY calls DESC, name) AS place,
        count(*) OVER (PARTITION BY key_arn, kind) AS names
    FROM named
),
listed AS (
    SELECT
        key_arn,
        kind,
        max(names) AS names,
        concat(
            string_agg(name, ', ' ORDER BY place),
            CASE WHEN max(names) > 5 THEN concat(' and ', max(names) - 5, ' more') ELSE '' END
        ) AS text
    FROM ranked
    WHERE place <= 5
    GROUP BY key_arn, kind
),
dependents AS (
    SELECT
        key_arn,
        concat(
            'In the ', $recent_days, ' days before it was used by ',
            coalesce(max(text) FILTER (WHERE kind = 'principal'), 'an unknown principal'),
            ', through ', max(text) FILTER (WHERE kind = 'via'),
            coalesce(', for ' || max(text) FILTER (WHERE kind = 'asset'), '')
        ) AS sentence
    FROM listed
    GROUP BY key_arn
)
SELECT
    s.key_arn,
    s.principal,
    s.account_id,
    s.region,
    s.first_seen,
    s.last_seen,
    s.events,
    s.evidence,
    concat(
        CASE WHEN s.is_cancelled THEN 'The deletion was cancelled later. ' ELSE '' END,
        CASE
            WHEN s.window_days IS NULL THEN 'The waiting period is the usual 30 days'
            ELSE concat('A waiting period of ', s.window_days, ' days was asked for')
        END,
        coalesce(', through ' || s.via, ''), '. ',
        coalesce(d.sentence, concat('No use of it is known in the ', $recent_days, ' days before')), '.'
    ) AS detail,
    CASE
        WHEN s.is_cancelled THEN 'low'
        WHEN d.key_arn IS NOT NULL OR s.window_days <= $short_days THEN 'critical'
    END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM scheduled AS s
LEFT JOIN dependents AS d ON d.key_arn = s.key_arn
