-- ---
-- title = "Calls known only from events that may be repeats of others"
-- ---
-- ## What it holds
-- The rows of `calls` made of CloudTrail's patches of events, of events without an id and of events of VPC endpoints, where the lake lacks
-- the event that they would repeat. Most lakes have none, and then this is not planned.

-- A null joins nothing, so each kind of repeat is matched on one side only. VPC endpoint and KMS clocks differ and request ids can recur, so the times must
-- be close. Events that name different keys are not repeats.
SELECT
    odd.* EXCEPT (is_endpoint, repeated_request),
    (odd.outcome IS DISTINCT FROM 'ok') AS failed,
    coalesce(odd.principal_type, '') = 'AWSService'
        OR odd.principal LIKE 'service:%'
        OR odd.principal LIKE '%:role/aws-service-role/%' AS is_aws
FROM (
    SELECT
        *,
        CASE
            WHEN is_endpoint THEN coalesce(request_id, shared_event_id)
            WHEN event_id LIKE 'fp:%' THEN request_id
        END AS repeated_request
    FROM (
        SELECT
            * EXCEPT (call) REPLACE (coalesce(principal, principal_id, 'unknown') AS principal),
            coalesce(event_type, '') IN ('AwsVpceEvent', 'AwsVpceEvents') AS is_endpoint
        FROM uncertain_events
        WHERE call = 'uncertain'
          AND event_time >= horizon_from()
          AND event_time < horizon_until()
    )
) AS odd
LEFT ANTI JOIN (
    SELECT event_id, original_event_id FROM timely_events WHERE event_source = 'kms.amazonaws.com'
) AS patched
    ON patched.event_id = odd.original_event_id
    AND (patched.event_id <> odd.event_id OR patched.original_event_id IS NULL)
LEFT ANTI JOIN (
    SELECT *, coalesce(event_type, '') IN ('AwsVpceEvent', 'AwsVpceEvents') AS is_endpoint
    FROM timely_events
    WHERE event_source = 'kms.amazonaws.com'
      AND (original_event_id IS NULL OR original_event_id = event_id)
) AS whole
    ON coalesce(whole.request_id, whole.shared_event_id) = odd.repeated_request
    AND whole.event_name = odd.event_name
    AND (odd.dest_key_arn IS NULL OR odd.dest_key_arn = whole.dest_key_arn)
    AND CASE
        -- The endpoint's owner and the caller may both be told: the one that names the key stays.
        WHEN whole.is_endpoint
        THEN odd.is_endpoint
            AND (odd.key_arn IS NULL OR odd.key_arn = whole.key_arn)
            AND (
                whole.event_id < odd.event_id
                OR (whole.event_id = odd.event_id AND whole.account_id < odd.account_id)
                OR (odd.key_arn IS NULL AND whole.key_arn IS NOT NULL)
            )
        WHEN odd.is_endpoint
        THEN (odd.key_arn IS NULL OR odd.key_arn = whole.key_arn)
            AND whole.event_time >= odd.event_time - INTERVAL '10 minutes'
            AND whole.event_time <= odd.event_time + INTERVAL '10 minutes'
        ELSE whole.event_time = odd.event_time
            AND whole.account_id = odd.account_id
            AND (whole.key_arn IS NOT DISTINCT FROM odd.key_arn)
            AND (whole.principal_id IS NOT DISTINCT FROM odd.principal_id)
            AND (whole.outcome IS NOT DISTINCT FROM odd.outcome)
            AND whole.event_id NOT LIKE 'fp:%'
    END
