-- ---
-- title = "Every cryptographic use of a key, failed attempts included, each once per key"
-- ---
-- ## What it holds
-- The rows of `calls` that use key material (`usage_class` decrypt, encrypt, generate, sign, mac, or other: an operation
-- that keytrail does not know may be a use), without dry runs. `failed` is true when the outcome is not `ok`.
-- ## A key's role
-- ReEncrypt uses two keys, so it is two rows: `key_role = 'source'` under the key that decrypted and
-- `key_role = 'destination'` under the key that encrypted. When both are one key it is one row, the source. For every
-- other operation `key_role` is null. To count calls over all keys, leave the second row out:
-- `WHERE (key_role IS DISTINCT FROM 'destination')`.
WITH used AS (
    SELECT *
    FROM calls
    WHERE is_use(usage_class)
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
        -- Both belong to the source key or to neither; the record does not say.
        NULL AS key_alias,
        NULL AS key_material_id
    ),
    'destination' AS key_role
FROM used
WHERE dest_key_arn IS NOT NULL
  AND (dest_key_arn IS DISTINCT FROM key_arn)
