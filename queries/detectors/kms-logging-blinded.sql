-- ---
-- title    = "A trail was made blind to KMS"
-- severity = "high"
-- attack   = ["T1562.008"]
-- needs    = []
-- message  = "{principal} blinded trail {asset}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Finds calls that kept a trail from recording the use of keys: event selectors that exclude KMS or record only writes
-- (Decrypt counts as a read), StopLogging, DeleteTrail, and UpdateTrail that took the other Regions away. It is
-- critical when the trail is still blind at the end of the window and no other trail of its account is known to record
-- KMS then. A new bucket or KMS key for a trail, and log file validation switched off, are told with medium severity:
-- the trail goes on, but its files go elsewhere or prove less. Calls that failed changed nothing and are left out.
-- ## Why it matters
-- Who wants to use a key unseen begins here. What a trail did not record cannot be had from it afterwards, and no
-- finding about that time can be relied on.
-- ## False positives
-- KMS is often excluded for its cost, and trails are replaced by organization trails. A trail that is deleted and made
-- anew by a tool was blind for a moment only; the detail says from when it recorded again.
-- ## What to do next
-- Ask the principal. Let the trail record KMS again. CloudTrail's event history cannot leave KMS out: look there for
-- what happened meanwhile, Region by Region, before its 90 days are over.
WITH changes AS (
    SELECT account_id, home_region, trail, principal, event_time, event_id, event_name, logging, captures
    FROM trail_changes
    WHERE event_time >= $since
      AND event_time < $until
      AND event_name IN ('PutEventSelectors', 'UpdateTrail', 'StopLogging', 'DeleteTrail')
),
asked AS (
    SELECT
        event_id,
        request_parameters LIKE '%"readWriteType":"WriteOnly"%' AS is_write_only,
        request_parameters LIKE '%"isMultiRegionTrail":false%' AS is_one_region,
        request_parameters LIKE '%"enableLogFileValidation":false%' AS is_unsigned,
        (regexp_match(request_parameters, '"s3BucketName":"([^"]*)"'))[1] AS bucket,
        (regexp_match(request_parameters, '"kmsKeyId":"([^"]*)"'))[1] AS kms_key
    FROM events
    WHERE event_source = 'cloudtrail.amazonaws.com'
      AND event_name IN ('PutEventSelectors', 'UpdateTrail')
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
),
-- `blinds` is false where the trail goes on and only its files are in question.
acts AS (
    SELECT
        c.account_id, c.home_region, c.trail, c.principal, c.event_time, c.event_id,
        c.logging = 'off' OR c.captures = 'no' OR (c.event_name = 'UpdateTrail' AND a.is_one_region) AS blinds,
        CASE
            WHEN c.logging = 'off' THEN c.event_name
            WHEN c.captures = 'no' AND a.is_write_only THEN 'selectors that record only writes'
            WHEN c.captures = 'no' THEN 'selectors without reads of KMS'
            WHEN c.event_name = 'UpdateTrail' THEN concat_ws(
                ', ',
                CASE WHEN a.is_one_region THEN 'other Regions no longer recorded' END,
                CASE WHEN a.is_unsigned THEN 'log file validation off' END,
                CASE WHEN a.bucket IS NOT NULL THEN concat('bucket ', a.bucket) END,
                CASE WHEN a.kms_key = '' THEN 'no KMS key' WHEN a.kms_key IS NOT NULL THEN concat('KMS key ', a.kms_key) END
            )
        END AS act
    FROM changes AS c
    LEFT JOIN asked AS a ON a.event_id = c.event_id
),
states AS (
    SELECT
        account_id, home_region, trail, from_time, is_blind,
        from_time < $until AND (until_time IS NULL OR until_time >= $until) AS is_last,
        count(*) FILTER (
            WHERE from_time < $until AND (until_time IS NULL OR until_time >= $until)
              AND logging = 'on' AND captures = 'yes'
        ) OVER (PARTITION BY account_id) AS recording
    FROM trail_states
),
did AS (
    SELECT
        account_id,
        home_region,
        trail,
        principal,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        max(event_time) FILTER (WHERE blinds) AS blinded_at,
        count(*) AS events,
        array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
        array_agg(DISTINCT act ORDER BY act) AS acts
    FROM acts
    WHERE nullif(act, '') IS NOT NULL
    GROUP BY account_id, home_region, trail, principal
),
outcomes AS (
    SELECT
        d.account_id, d.home_region, d.trail, d.principal,
        d.first_seen, d.last_seen, d.blinded_at, d.events, d.evidence, d.acts,
        bool_or(s.is_last AND s.is_blind) AS is_still,
        max(s.recording) AS recording,
        min(s.from_time) FILTER (WHERE NOT s.is_blind AND s.from_time > d.blinded_at AND s.from_time < $until) AS mended_at
    FROM did AS d
    LEFT JOIN states AS s ON s.account_id = d.account_id AND s.home_region = d.home_region AND s.trail = d.trail
    GROUP BY
        d.account_id, d.home_region, d.trail, d.principal,
        d.first_seen, d.last_seen, d.blinded_at, d.events, d.evidence, d.acts
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    principal,
    account_id,
    home_region AS region,
    first_seen,
    last_seen,
    events,
    evidence,
    concat(
        array_to_string(array_slice(acts, 1, 5), '; '),
        CASE WHEN array_length(acts) > 5 THEN concat(' and ', array_length(acts) - 5, ' more') ELSE '' END,
        CASE
            WHEN blinded_at IS NULL THEN ''
            WHEN is_still AND recording > 0
            THEN concat('; still so at the end of the window, and ', recording, ' other trail(s) of the account record KMS')
            WHEN is_still THEN '; still so at the end of the window'
            WHEN mended_at IS NOT NULL THEN concat('; recording again from ', mended_at)
            ELSE ''
        END
    ) AS detail,
    CASE
        WHEN blinded_at IS NULL THEN 'medium'
        WHEN is_still AND recording = 0 THEN 'critical'
    END AS severity,
    concat(
        'arn:aws',
        CASE WHEN home_region LIKE 'cn-%' THEN '-cn' WHEN home_region LIKE 'us-gov-%' THEN '-us-gov' ELSE '' END,
        ':cloudtrail:', home_region, ':', account_id, ':trail/', trail
    ) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM outcomes
ORDER BY account_id, region, asset, principal
