-- ---
-- title = "Every event by which AWS KMS changes a key: its life, its rotation, who may use it and by which names"
-- ---
-- ## What it holds
-- The rows of `kms_events` that neither use a key nor only look at it: few, as often as they were logged, whether the call succeeded or
-- not. `control_calls` has each call once, for the time of a run.
SELECT
    event_time, event_date, event_id, event_name, usage_class, outcome, original_event_id, shared_event_id, account_id, region,
    key_arn, key_id, key_account_id, key_region, key_alias, grant_id, coalesce(principal, principal_id, 'unknown') AS principal, via, request_parameters, response_elements
FROM uncommon_events
WHERE event_source = 'kms.amazonaws.com'
  AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
  AND (is_use(usage_class) OR usage_class = 'read') IS NOT TRUE
