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
        key_arn,
        principal,
        principal_type,
        key_account_id,
        key_region,
        event_name,
        event_time,
        event_id,
        last_value(CASE WHEN event_name <> 'PutKeyPolicy' THEN event_name END) IGNORE NULLS OVER before AS state_call,
        last_value(CASE WHEN event_name <> 'PutKeyPolicy' THEN principal END) IGNORE NULLS OVER before AS scheduler
    FROM calls
    WHERE event_name IN ('PutKeyPolicy', 'ScheduleKeyDeletion', 'CancelKeyDeletion')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since - CAST(concat($lookback_days, ' days') AS INTERVAL)
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) - CAST(concat($lookback_days, ' days') AS INTERVAL) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    WINDOW before AS (
        PARTITION BY key_arn
        ORDER BY event_time, CASE WHEN event_name = 'PutKeyPolicy' THEN 1 ELSE 0 END, event_id
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
