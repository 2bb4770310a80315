-- ---
-- title = "Calls that are neither a use of a key that they name nor a read"
-- ---
-- ## What it holds
-- The rows of `calls` that are such calls, as `uncommon_events` says.
SELECT
    * EXCEPT (is_event, is_call) REPLACE (
        coalesce(principal, principal_id, 'unknown') AS principal,
        CAST(NULL AS VARCHAR) AS original_event_id
    ),
    (outcome IS DISTINCT FROM 'ok') AS failed,
    coalesce(principal_type, '') = 'AWSService'
        OR coalesce(principal, principal_id, 'unknown') LIKE 'service:%'
        OR coalesce(principal, principal_id, 'unknown') LIKE '%:role/aws-service-role/%' AS is_aws
FROM settled_uncommon
WHERE is_call
  AND event_time >= horizon_from()
  AND event_time < horizon_until()
UNION ALL
SELECT *
FROM uncertain_calls
WHERE CASE
        WHEN is_use(usage_class)
        THEN (key_arn IS NULL OR (event_name = 'ReEncrypt' AND dest_key_arn IS NULL))
            AND (event_name IS DISTINCT FROM 'GenerateRandom')
        ELSE (usage_class IS DISTINCT FROM 'read')
    END
