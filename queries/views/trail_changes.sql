-- ---
-- title = "Every call that changed what a trail records, and what inventories found it to be set to"
-- ---
-- ## What it holds
-- CloudTrail's own control events, those that had an effect: failed calls are left out. A trail is known by the account
-- that owns it, its home Region and its name, whether the call named it by name or by ARN.
-- `logging` is what the call made of it: on, off, or new (made, and not started); `captures` whether its selectors record
-- the use of KMS keys: yes, no, or unknown where the event does not say; null where the call did not touch that.
-- `is_multi_region` and `is_organization` are as the call's answer says. What is of a time beyond the `horizon` is left out.
-- An inventory (table `trails`) tells of its own instant, and of when the trail was last started or stopped; its rows are
-- named `inventory`. It says nothing of the settings before: what they were then, no one can ask.
WITH control AS (
    SELECT
        *,
        coalesce(
            (regexp_match(response_elements, '"trailARN":"(arn:[^"]*:trail/[^"]*)"'))[1],
            (regexp_match(request_parameters, '"(?:name|trailName)":"(arn:[^"]*:trail/[^"]*)"'))[1]
        ) AS trail_arn,
        CASE event_name
            WHEN 'PutEventSelectors' THEN (regexp_match(request_parameters, '"trailName":"([^"]*)"'))[1]
            ELSE (regexp_match(request_parameters, '"name":"([^"]*)"'))[1]
        END AS called
    FROM uncommon_events
    WHERE event_source = 'cloudtrail.amazonaws.com'
      AND event_name IN (
          'CreateTrail', 'PutEventSelectors', 'UpdateTrail', 'StartLogging', 'StopLogging', 'DeleteTrail'
      )
      AND error_code IS NULL
),
settings AS (
    SELECT
        split_part(trail_arn, ':', 5) AS account_id,
        split_part(trail_arn, ':', 4) AS home_region,
        split_part(trail_arn, ':trail/', 2) AS trail,
        concat('of ', taken_at) AS taken,
        CAST(NULL AS VARCHAR) AS principal,
        6 AS step,
        taken_at,
        is_logging,
        kms_captured,
        is_multi_region,
        is_organization,
        start_logging_time,
        stop_logging_time
    FROM trails
    WHERE strpos(trail_arn, ':trail/') > 0
),
changes AS (
    SELECT
        coalesce(nullif(split_part(trail_arn, ':', 5), ''), account_id) AS account_id,
        coalesce(nullif(split_part(trail_arn, ':', 4), ''), region) AS home_region,
        coalesce(nullif(split_part(trail_arn, ':trail/', 2), ''), called) AS trail,
        event_time,
        event_name,
        event_id,
        principal,
        -- Of calls in one second, the order in which they can follow from each other.
        CASE event_name
            WHEN 'CreateTrail' THEN 0
            WHEN 'PutEventSelectors' THEN 1
            WHEN 'UpdateTrail' THEN 2
            WHEN 'StartLogging' THEN 3
            WHEN 'StopLogging' THEN 4
            ELSE 5
        END AS step,
        CASE event_name
            WHEN 'CreateTrail' THEN 'new'
            WHEN 'StartLogging' THEN 'on'
            WHEN 'StopLogging' THEN 'off'
            WHEN 'DeleteTrail' THEN 'off'
        END AS logging,
        CASE
            -- A new trail records all management events until it is told otherwise.
            WHEN event_name = 'CreateTrail' THEN 'yes'
            WHEN event_name = 'PutEventSelectors' THEN
                CASE coalesce(selectors_capture_kms(response_elements), selectors_capture_kms(request_parameters))
                    WHEN true THEN 'yes'
                    WHEN false THEN 'no'
                    ELSE 'unknown'
                END
        END AS captures,
        CAST((regexp_match(response_elements, '"isMultiRegionTrail":(true|false)'))[1] AS BOOLEAN) AS is_multi_region,
        CAST((regexp_match(response_elements, '"isOrganizationTrail":(true|false)'))[1] AS BOOLEAN) AS is_organization,
        request_parameters
    FROM control
    WHERE coalesce(trail_arn, called) IS NOT NULL
    UNION ALL
    SELECT
        account_id,
        home_region,
        trail,
        taken_at,
        'inventory',
        taken,
        principal,
        step,
        CASE WHEN is_logging THEN 'on' WHEN NOT is_logging THEN 'off' END,
        CASE WHEN kms_captured THEN 'yes' WHEN NOT kms_captured THEN 'no' END,
        is_multi_region,
        is_organization,
        NULL
    FROM settings
    UNION ALL
    SELECT
        account_id,
        home_region,
        trail,
        CASE WHEN is_logging THEN start_logging_time ELSE stop_logging_time END,
        'inventory',
        taken,
        principal,
        step,
        CASE WHEN is_logging THEN 'on' ELSE 'off' END,
        CAST(NULL AS VARCHAR),
        is_multi_region,
        is_organization,
        NULL
    FROM settings
    WHERE is_logging IS NOT NULL
      AND CASE WHEN is_logging THEN start_logging_time ELSE stop_logging_time END IS NOT NULL
)
SELECT
    c.* REPLACE (
        -- Of settings in one second nobody knows which came last: 'no' is before 'unknown', and that before 'yes'.
        CASE
            WHEN c.captures IS NOT NULL
            THEN min(c.captures) OVER (PARTITION BY c.account_id, c.home_region, c.trail, c.event_time, c.step)
        END AS captures
    )
FROM changes AS c
WHERE c.event_time >= horizon_from() AND c.event_time < horizon_until()
