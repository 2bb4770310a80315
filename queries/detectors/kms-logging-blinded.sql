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
-- (Decrypt counts as a read), StopLogging, DeleteTrail, and UpdateTrail that took the other Regions away or made an
-- organization's trail one of its own account only. It is critical when the trail is still so at the end of the window
-- and other trails are not known to record KMS then in every account and Region of the lake that it recorded. A new
-- bucket or KMS key for a trail, and log file validation switched off, are told with medium severity: the trail goes
-- on, but its files go elsewhere or prove less. Calls that failed changed nothing and are left out.
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
    SELECT *
    FROM (
        SELECT
            account_id, home_region, trail, principal, event_time, event_id, event_name, logging, captures,
            last_value(is_multi_region) IGNORE NULLS OVER (
                PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS was_multi_region,
            last_value(is_organization) IGNORE NULLS OVER (
                PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS was_organization
        FROM trail_changes
    )
    WHERE event_time >= $since
      AND event_time < $until
      AND event_name IN ('PutEventSelectors', 'UpdateTrail', 'StopLogging', 'DeleteTrail')
),
asked AS (
    SELECT
        event_id,
        request_parameters LIKE '%"readWriteType":"WriteOnly"%' AS is_write_only,
        request_parameters LIKE '%"isMultiRegionTrail":false%' AS is_one_region,
        request_parameters LIKE '%"isOrganizationTrail":false%' AS is_one_account,
        request_parameters LIKE '%"enableLogFileValidation":false%' AS is_unsigned,
        (regexp_match(request_parameters, '"s3BucketName":"([^"]*)"'))[1] AS bucket,
        (regexp_match(request_parameters, '"kmsKeyId":"([^"]*)"'))[1] AS kms_key
    FROM events
    WHERE event_source = 'cloudtrail.amazonaws.com'
      AND event_name IN ('PutEventSelectors', 'UpdateTrail')
      AND event_time >= $since
      AND event_time < $until
),
-- What a trail is told to be and has been all along takes nothing away; where nothing is known, it does.
lost AS (
    SELECT
        c.*,
        a.is_write_only, a.is_unsigned, a.bucket, a.kms_key,
        coalesce(c.event_name = 'UpdateTrail' AND a.is_one_region AND coalesce(c.was_multi_region, true), false)
            AS loses_regions,
        coalesce(c.event_name = 'UpdateTrail' AND a.is_one_account AND coalesce(c.was_organization, true), false)
            AS loses_members
    FROM changes AS c
    LEFT JOIN asked AS a ON a.event_id = c.event_id
),
-- `blinds` is false where the trail goes on and only its files are in question.
acts AS (
    SELECT
        c.account_id, c.home_region, c.trail, c.principal, c.event_time, c.event_id, c.loses_regions, c.loses_members,
        coalesce(c.logging = 'off', false) OR coalesce(c.captures = 'no', false) OR c.loses_regions OR c.loses_members AS blinds,
        CASE
            WHEN c.logging = 'off' THEN c.event_name
            WHEN c.captures = 'no' AND c.is_write_only THEN 'selectors that record only writes'
            WHEN c.captures = 'no' THEN 'selectors without reads of KMS'
            WHEN c.event_name = 'UpdateTrail' THEN concat_ws(
                ', ',
                CASE WHEN c.loses_regions THEN 'other Regions no longer recorded' END,
                CASE WHEN c.loses_members THEN 'the organization''s other accounts no longer recorded' END,
                CASE WHEN c.is_unsigned THEN 'log file validation off' END,
                CASE WHEN c.bucket IS NOT NULL THEN concat('bucket ', c.bucket) END,
                CASE WHEN c.kms_key = '' THEN 'no KMS key' WHEN c.kms_key IS NOT NULL THEN concat('KMS key ', c.kms_key) END
            )
        END AS act
    FROM lost AS c
),
states AS (
    SELECT
        account_id, home_region, trail, from_time, is_blind,
        coalesce(is_multi_region, false) AS is_multi_region,
        coalesce(is_organization, false) AS is_organization,
        from_time < $until AND (until_time IS NULL OR until_time >= $until) AS is_last
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
        bool_or(loses_regions) AS loses_regions,
        bool_or(loses_members) AS loses_members,
        count(*) AS events,
        array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
        array_agg(DISTINCT act ORDER BY act) AS acts
    FROM acts
    WHERE nullif(act, '') IS NOT NULL
    GROUP BY account_id, home_region, trail, principal
),
-- Where each of those trails recorded: what it lost is not in `trail_lanes`, which knows what it is now.
places AS (
    SELECT d.account_id, d.home_region, d.trail, d.principal, l.account_id AS lane_account_id, l.region AS lane_region
    FROM did AS d
    JOIN trail_lanes AS l ON l.owner_account_id = d.account_id AND l.home_region = d.home_region AND l.trail = d.trail
    UNION
    SELECT d.account_id, d.home_region, d.trail, d.principal, l.account_id, l.region
    FROM did AS d
    CROSS JOIN lanes AS l
    WHERE d.loses_members OR (d.loses_regions AND l.account_id = d.account_id)
),
-- Where each trail is known to record KMS at the end of the window. A trail of which nothing tells that it is of more
-- Regions or accounts than its own is taken to be of those.
recording AS (
    SELECT s.account_id, s.home_region, s.trail, l.account_id AS lane_account_id, l.region AS lane_region
    FROM (
        SELECT *
        FROM trail_states
        WHERE from_time < $until
          AND (until_time IS NULL OR until_time >= $until)
          AND logging = 'on'
          AND captures = 'yes'
    ) AS s
    JOIN trail_lanes AS l ON l.owner_account_id = s.account_id AND l.home_region = s.home_region AND l.trail = s.trail
    WHERE (s.is_multi_region OR l.region = s.home_region)
      AND (l.is_organization OR l.account_id = s.account_id)
),
-- In how many of its places another trail records.
replaced AS (
    SELECT account_id, home_region, trail, principal, bool_and(others > 0) AS is_replaced
    FROM (
        SELECT
            p.account_id, p.home_region, p.trail, p.principal, p.lane_account_id, p.lane_region,
            count(*) FILTER (
                WHERE r.trail IS NOT NULL
                  AND NOT (r.trail = p.trail AND r.account_id = p.account_id AND r.home_region = p.home_region)
            ) AS others
        FROM places AS p
        LEFT JOIN recording AS r ON r.lane_account_id = p.lane_account_id AND r.lane_region = p.lane_region
        GROUP BY p.account_id, p.home_region, p.trail, p.principal, p.lane_account_id, p.lane_region
    )
    GROUP BY account_id, home_region, trail, principal
),
seen AS (
    SELECT
        d.*,
        s.from_time,
        s.is_last,
        s.is_blind OR (d.loses_regions AND NOT s.is_multi_region) OR (d.loses_members AND NOT s.is_organization) AS is_blind
    FROM did AS d
    LEFT JOIN states AS s ON s.account_id = d.account_id AND s.home_region = d.home_region AND s.trail = d.trail
),
ended AS (
    SELECT
        account_id, home_region, trail, principal, first_seen, last_seen, blinded_at, events, evidence, acts,
        bool_or(is_last AND is_blind) AS is_still,
        min(from_time) FILTER (WHERE NOT is_blind AND from_time > blinded_at AND from_time < $until) AS mended_at
    FROM seen
    GROUP BY account_id, home_region, trail, principal, first_seen, last_seen, blinded_at, events, evidence, acts
),
outcomes AS (
    SELECT e.*, coalesce(r.is_replaced, false) AS is_replaced
    FROM ended AS e
    LEFT JOIN replaced AS r
        ON r.account_id = e.account_id
        AND r.home_region = e.home_region
        AND r.trail = e.trail
        AND (r.principal = e.principal OR (r.principal IS NULL AND e.principal IS NULL))
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
            WHEN is_still AND is_replaced
            THEN '; still so at the end of the window, and other trails record KMS wherever it did'
            WHEN is_still THEN '; still so at the end of the window'
            WHEN mended_at IS NOT NULL THEN concat('; recording again from ', mended_at)
            ELSE ''
        END
    ) AS detail,
    CASE
        WHEN blinded_at IS NULL THEN 'medium'
        WHEN is_still AND NOT is_replaced THEN 'critical'
    END AS severity,
    concat(
        'arn:', aws_partition(principal, home_region), ':cloudtrail:', home_region, ':', account_id, ':trail/', trail
    ) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM outcomes
ORDER BY account_id, region, asset, principal
