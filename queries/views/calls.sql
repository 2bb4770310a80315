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
SELECT *
FROM uncertain_calls
