-- ---
-- title = "Every cryptographic use of a key whose time cannot be"
-- ---
-- ## What it holds
-- The rows of `untimely_events` that use key material, as `usage` has those of other times: ReEncrypt is two rows, one per
-- key, and `failed` is true when the outcome is not `ok`. Such a use is in no window, and yet it is one: whoever asks
-- whether a key is in use must count it as a use of unknown time. A call is here as often as it was logged.
WITH used AS (
    SELECT *, (outcome IS DISTINCT FROM 'ok') AS failed
    FROM untimely_events
    WHERE event_source = 'kms.amazonaws.com'
      AND usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
      AND (outcome IS DISTINCT FROM 'dry_run')
)
SELECT *, CASE WHEN dest_key_arn IS NOT NULL THEN 'source' END AS key_role
FROM used
UNION ALL
SELECT
    * REPLACE (
        dest_key_arn AS key_arn,
        split_part(dest_key_arn, ':key/', 2) AS key_id,
        split_part(dest_key_arn, ':', 5) AS key_account_id,
        split_part(dest_key_arn, ':', 4) AS key_region,
        NULL AS key_alias,
        NULL AS key_material_id
    ),
    'destination' AS key_role
FROM used
WHERE dest_key_arn IS NOT NULL
  AND (dest_key_arn IS DISTINCT FROM key_arn)
