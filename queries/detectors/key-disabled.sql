-- ---
-- title    = "A KMS key was disabled"
-- severity = "medium"
-- attack   = ["T1485", "T1489"]
-- needs    = []
-- message  = "{principal} disabled {key_arn}: {detail}"
-- params.since       = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until       = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.recent_days = { type = "integer", default = 30, doc = "use in so many days before the call is recent" }
-- ---
-- ## What it does
-- Reports every successful DisableKey, with what used the key in the `recent_days` before it (before the last one,
-- where the key was enabled and disabled again). It is high when anything did, and low when the key was enabled
-- again later in the window. Times are whole seconds, and what is of the same second is not later.
-- ## Why it matters
-- Whatever needs the key fails from then on, some of it only when a cached data key or an attached volume is next
-- asked for. It can be undone at once, and is the usual first step towards deleting a key.
-- ## False positives
-- Keys being retired with care: disabling a key and waiting for failures is what AWS advises before deleting it.
-- ## What to do next
-- Ask the caller. If in doubt, `aws kms enable-key`. See `doomed-key-still-used` for what has failed since.
WITH switches AS (
    SELECT
        key_arn, principal, principal_type, key_account_id, key_region, event_name, event_time, event_id, via,
        max(CASE WHEN event_name = 'EnableKey' THEN event_time END) OVER (PARTITION BY key_arn) AS enabled_at
    FROM calls
    WHERE event_name IN ('DisableKey', 'EnableKey')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since
      AND event_time < $until
),
disabled AS (
    SELECT
        key_arn,
        principal,
        max(key_account_id) AS account_id,
        max(key_region) AS region,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        count(*) AS events,
        array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
        max(via) AS via,
        max(enabled_at) > max(event_time) AS is_enabled
    FROM switches
    WHERE event_name = 'DisableKey'
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
    FROM (SELECT key_arn, max(last_seen) AS at FROM disabled GROUP BY key_arn) AS shut
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
        CASE WHEN s.is_enabled THEN 'The key was enabled again later. ' ELSE '' END,
        coalesce('The call came through ' || s.via || '. ', ''),
        coalesce(d.sentence, concat('No use of it is known in the ', $recent_days, ' days before')), '.'
    ) AS detail,
    CASE
        WHEN s.is_enabled THEN 'low'
        WHEN d.key_arn IS NOT NULL THEN 'high'
    END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM disabled AS s
LEFT JOIN dependents AS d ON d.key_arn = s.key_arn
