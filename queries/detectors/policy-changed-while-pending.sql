-- ---
-- title    = "The policy of a KMS key was changed while the key was pending deletion"
-- severity = "high"
-- attack   = ["T1531", "T1485"]
-- needs    = []
-- message  = "{principal} changed the policy of {key_arn}, which is pending deletion: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until         = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.lookback_days = { type = "integer", default = 31, doc = "look for the scheduling in so many days before the window" }
-- ---
-- ## What it does
-- Reports a successful PutKeyPolicy on a key that was scheduled for deletion before, without a CancelKeyDeletion
-- between the two. A waiting period is 30 days at most.
-- ## Why it matters
-- A doomed key needs no new policy. Who changes it may be taking away the right to cancel the deletion.
-- ## False positives
-- Tools that apply a policy to every key, whatever its state.
-- ## What to do next
-- Read the new policy (`keytrail event` with the event id): can anyone still cancel? If not, only AWS support can
-- help, so act within the waiting period.
WITH steps AS (
    SELECT
        c.key_arn,
        c.principal,
        c.principal_type,
        c.key_account_id,
        c.key_region,
        c.event_name,
        c.event_time,
        c.event_id,
        last_value(CASE WHEN c.event_name <> 'PutKeyPolicy' THEN c.event_name END) IGNORE NULLS OVER before AS state_call,
        last_value(CASE WHEN c.event_name <> 'PutKeyPolicy' THEN c.principal END) IGNORE NULLS OVER before AS scheduler
    FROM calls AS c
    LEFT JOIN key_changes AS k ON k.key_arn = c.key_arn AND k.event_id = c.event_id
    WHERE c.event_name IN ('PutKeyPolicy', 'ScheduleKeyDeletion', 'CancelKeyDeletion')
      AND c.outcome = 'ok'
      AND c.key_arn IS NOT NULL
      AND c.event_time >= $since - CAST(concat($lookback_days, ' days') AS INTERVAL)
      AND c.event_time < $until
    -- A change of the policy in the second of another change comes last; the others in the order of a key's life.
    WINDOW before AS (
        PARTITION BY c.key_arn
        ORDER BY c.event_time, coalesce(k.step, 9), c.event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    concat('It was scheduled for deletion by ', coalesce(max(scheduler), 'an unknown principal'), ' before.') AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM steps
WHERE event_name = 'PutKeyPolicy'
  AND state_call = 'ScheduleKeyDeletion'
  AND event_time >= $since
  AND coalesce(principal_type, '') <> 'AWSService'
  AND coalesce(principal, '') NOT LIKE 'service:%'
  AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
GROUP BY key_arn, principal
