-- ---
-- title = "Every use of a key without the key's ARN"
-- ---
-- ## What it holds
-- One row per call that succeeded, or failed because its key was unusable, and that has no key ARN (a ReEncrypt: lacks its source or
-- destination ARN). `key_alias`, and `key_account_id` and `key_region` if logged, describe the source key; all three are null if its
-- ARN is known. `is_of_two`: a ReEncrypt with neither key ARN.
SELECT
    event_id,
    event_time,
    shared_event_id,
    account_id,
    principal_account_id,
    region,
    CASE WHEN key_arn IS NULL THEN key_account_id END AS key_account_id,
    CASE WHEN key_arn IS NULL THEN key_region END AS key_region,
    CASE WHEN key_arn IS NULL THEN CAST(key_alias AS VARCHAR) END AS key_alias,
    event_name = 'ReEncrypt' AND key_arn IS NULL AND dest_key_arn IS NULL AS is_of_two
FROM uncommon_calls
WHERE is_use(usage_class)
  AND outcome IN ('ok', 'key_unusable')
  AND event_name <> 'GenerateRandom'
