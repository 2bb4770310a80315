-- ---
-- title = "Calls to KMS that only a VPC endpoint logged"
-- ---
-- ## What it holds
-- The rows of `events` that VPC endpoints logged of KMS (network activity, `AwsVpceEvent`) and that repeat no event of
-- `kms_events`. A call that an endpoint's policy denied (`error_code` is `VpceAccessDenied`) never reached KMS and is logged
-- nowhere else; the endpoint's owner sees it, also when the caller is of another account.
-- ## What counts as a repeat
-- A call that the endpoint let through is logged by KMS as well, with the same `request_id` and operation: KMS gives the
-- id, and both logs have it. Records that have none are compared by `shared_event_id`. Times are not compared: they are of
-- two clocks.
-- ## What it does not say
-- That KMS granted a call which the endpoint let through. Where KMS's own event of it is not in the lake, the call counts as
-- one that succeeded, so that no key looks unused because a log is missing. It mostly names no key either.
WITH logged AS (
    SELECT * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal)
    FROM events
    WHERE event_source = 'kms.amazonaws.com'
      AND event_type IN ('AwsVpceEvent', 'AwsVpceEvents')
      AND (original_event_id IS NULL OR original_event_id = event_id)
)
-- Mostly there is none, and then the join reads nothing of the other side.
SELECT l.*
FROM logged AS l
LEFT ANTI JOIN kms_events AS k
    ON coalesce(k.request_id, k.shared_event_id) = coalesce(l.request_id, l.shared_event_id)
    AND k.event_name = l.event_name
