-- ---
-- title    = "A key policy was set without the check against locking oneself out"
-- severity = "high"
-- attack   = ["T1531"]
-- needs    = []
-- message  = "{principal} set a policy of {key_arn} without the lockout check: {detail}"
-- ---
-- ## What it does
-- Reports a successful PutKeyPolicy, CreateKey or ReplicateKey with `bypassPolicyLockoutSafetyCheck` true.
-- ## Why it matters
-- The check makes sure that the caller can change the policy again. Without it a key can be made that nobody in the
-- account may manage, not even root: a way to hold data to ransom.
-- ## False positives
-- Roles that set policies of keys that they are not meant to manage afterwards, such as a deployment pipeline.
-- ## What to do next
-- Read the policy (`keytrail event` with the event id). Make sure that someone in the account may still call
-- PutKeyPolicy.
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen, count(*) AS events, evidence(event_id, event_time) AS evidence,
    concat('By ', listed(event_name), '.') AS detail
FROM control_calls
WHERE event_name IN ('PutKeyPolicy', 'CreateKey', 'ReplicateKey')
  -- In a text inside the request, such as the policy, the quotation marks would have a backslash before them.
  AND request_parameters LIKE '%"bypassPolicyLockoutSafetyCheck":true%'
  AND NOT is_past
  AND NOT is_aws
GROUP BY key_arn, principal
