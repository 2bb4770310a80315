-- ---
-- title = "Every call to AWS KMS, each once, however many accounts logged it"
-- ---
-- ## What it holds
-- One row per call, with all columns of `events` but `call`, and two more: `failed` (the outcome is not `ok`), and `is_aws` (AWS
-- itself or a service-linked role made the call). Calls that changed nothing
-- (`outcome = 'dry_run'`) are included. Events that repeat another one are left out if the lake has that other one:
-- CloudTrail's patches of events delivered before (`original_event_id`), copies without an event id, and events of VPC
-- endpoints (`AwsVpceEvent`).
-- ## Calls that only a VPC endpoint logged
-- A call that an endpoint's policy denied (`error_code` is `VpceAccessDenied`) never reached KMS and is logged nowhere else;
-- the endpoint's owner sees it, even if the caller belongs to another account. A call that the endpoint let through is
-- logged by KMS as well, with the same `request_id` and operation. Where KMS's own event of it is missing, the call counts
-- as successful, so that a missing log does not make a key look unused.
-- ## How a cross-account call is counted
-- It is logged in the caller's account and in the key owner's, as events with one `shared_event_id` and the same time,
-- operation and key: they are one row. A copy that names only an alias gets the key that another copy names, if one does.
-- All columns of the row come from one copy: a successful one if there is any; among those the owner's, then the caller's full
-- record, then the last in a fixed order. There are two exceptions. The caller's columns come from the copy that identifies the
-- caller best, because the owner sees only an account and an opaque id. And if the chosen copy lacks an address, user agent,
-- asset or the like, it is filled in from the owner's or the caller's copy.
-- An event with a `shared_event_id` and no twin, as service principals' calls have, is a row like any other.
-- ## Copies that remain two rows
-- Two copies without a common `shared_event_id` and with different event ids; a copy without an event id that differs
-- from the other in its account, request id, key or caller's id.

-- The only row of a call counts as it is; other calls are in `shared_calls` already. The column `call` says which, so this is one
-- plain scan.
WITH told AS (
    SELECT
        * EXCEPT (call) REPLACE (
            coalesce(principal, principal_id, 'unknown') AS principal,
            CAST(NULL AS VARCHAR) AS original_event_id
        )
    FROM timely_events
    WHERE call = 'single'
       OR (call = 'shared' AND NOT in_shared_calls(shared_event_id, event_time))
    UNION ALL
    SELECT * EXCEPT (call)
    FROM shared_calls
    WHERE event_time >= horizon_from()
      AND event_time < horizon_until()
)
SELECT
    *,
    (outcome IS DISTINCT FROM 'ok') AS failed,
    coalesce(principal_type, '') = 'AWSService'
        OR principal LIKE 'service:%'
        OR principal LIKE '%:role/aws-service-role/%' AS is_aws
FROM told
UNION ALL
-- Possible repeats, kept only if the lake lacks the original. Most lakes have none, and then this is not planned. A null joins nothing,
-- so each kind of repeat is matched on one side only. VPC endpoint and KMS clocks differ and request ids can recur, so the times must
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
