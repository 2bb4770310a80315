-- ---
-- title    = "The policy of a KMS key was changed while the key was pending deletion"
-- severity = "high"
-- attack   = ["T1531", "T1485"]
-- needs    = []
-- message  = "{principal} changed the policy of {key_arn}, which is pending deletion: {detail}"
-- params.since         = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.lookback_days = { type = "days", default = 31, doc = "look for the scheduling in so many days before the window" }
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
        c.*,
        last_value(CASE WHEN c.event_name <> 'PutKeyPolicy' THEN c.event_name END) IGNORE NULLS OVER before AS state_call,
        last_value(CASE WHEN c.event_name <> 'PutKeyPolicy' THEN c.principal END) IGNORE NULLS OVER before AS scheduler
    FROM control_calls AS c
    LEFT JOIN key_changes AS k ON k.key_arn = c.key_arn AND k.event_id = c.event_id
    WHERE c.event_name IN ('PutKeyPolicy', 'ScheduleKeyDeletion', 'CancelKeyDeletion')
      AND c.event_time >= $since - days($lookback_days)
    -- A change of the policy in the second of another change comes last; the others in the order of a key's life.
    WINDOW before AS (
        PARTITION BY c.key_arn
        ORDER BY c.event_time, coalesce(k.step, 9), c.event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen, count(*) AS events, evidence(event_id, event_time) AS evidence,
    concat('It was scheduled for deletion by ', max(scheduler), ' before.') AS detail
FROM steps
WHERE event_name = 'PutKeyPolicy'
  AND state_call = 'ScheduleKeyDeletion'
  AND NOT is_past
  AND NOT is_aws
GROUP BY key_arn, principal
