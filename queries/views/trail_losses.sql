-- ---
-- title = "What calls took away from what a trail records, or from what its files are worth"
-- ---
-- ## What it holds
-- One row per successful PutEventSelectors, UpdateTrail, StopLogging or DeleteTrail that took something away: `act` says what. `blinds`
-- is false where the trail goes on and only its files are in question (another bucket or key, no validation). With `loses_regions`
-- it no longer records other Regions, with `loses_members` no longer the organization's other accounts. A call that repeats what the
-- trail was set to takes nothing away; where that is not known, it counts as a loss.
WITH changes AS (
    SELECT
        *,
        event_name = 'UpdateTrail' AND coalesce(request_parameters LIKE '%"isMultiRegionTrail":false%', false)
            AND coalesce(last_value(is_multi_region) IGNORE NULLS OVER before, true) AS loses_regions,
        event_name = 'UpdateTrail' AND coalesce(request_parameters LIKE '%"isOrganizationTrail":false%', false)
            AND coalesce(last_value(is_organization) IGNORE NULLS OVER before, true) AS loses_members
    FROM trail_changes
    WINDOW before AS (
        PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
acts AS (
    SELECT
        account_id, home_region, trail, principal, event_time, event_id, loses_regions, loses_members,
        coalesce(logging = 'off', false) OR coalesce(captures = 'no', false) OR loses_regions OR loses_members AS blinds,
        CASE
            WHEN logging = 'off' THEN event_name
            WHEN captures = 'no' AND request_parameters LIKE '%"readWriteType":"WriteOnly"%' THEN 'selectors that record only writes'
            WHEN captures = 'no' THEN 'selectors without reads of KMS'
            WHEN event_name = 'UpdateTrail' THEN nullif(concat_ws(
                ', ',
                CASE WHEN loses_regions THEN 'other Regions no longer recorded' END,
                CASE WHEN loses_members THEN 'the organization''s other accounts no longer recorded' END,
                CASE WHEN request_parameters LIKE '%"enableLogFileValidation":false%' THEN 'log file validation off' END,
                'bucket ' || (regexp_match(request_parameters, '"s3BucketName":"([^"]*)"'))[1],
                coalesce(
                    'KMS key ' || (regexp_match(request_parameters, '"kmsKeyId":"([^"]+)"'))[1],
                    CASE WHEN request_parameters LIKE '%"kmsKeyId":""%' THEN 'no KMS key' END
                )
            ), '')
        END AS act
    FROM changes
    WHERE event_name IN ('PutEventSelectors', 'UpdateTrail', 'StopLogging', 'DeleteTrail')
)
SELECT *
FROM acts
WHERE act IS NOT NULL
