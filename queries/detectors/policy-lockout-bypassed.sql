-- ---
-- title    = "A key policy was set without the check against locking oneself out"
-- severity = "high"
-- attack   = ["T1531"]
-- needs    = []
-- message  = "{principal} set a policy of {key_arn} without the lockout check: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
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
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    concat('By ', array_to_string(array_sort(array_agg(DISTINCT event_name)), ', '), '.') AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM calls
WHERE event_name IN ('PutKeyPolicy', 'CreateKey', 'ReplicateKey')
  AND outcome = 'ok'
  AND key_arn IS NOT NULL
  -- In a text inside the request, such as the policy, the quotation marks would have a backslash before them.
  AND request_parameters LIKE '%"bypassPolicyLockoutSafetyCheck":true%'
  AND coalesce(principal_type, '') <> 'AWSService'
  AND coalesce(principal, '') NOT LIKE 'service:%'
  AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
  AND event_time >= $since
  AND event_time < $until
GROUP BY key_arn, principal
