-- ---
-- title = "How often keys were used, failed attempts included, by principal, kind and half hour"
-- ---
-- ## What it holds
-- The rows of `usage`, counted as in `call_counts`. `key_role` is as in `usage`: a ReEncrypt counts for both its keys.
WITH used AS (
    SELECT *
    FROM call_counts
    WHERE is_call
      AND is_use(usage_class)
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
        NULL AS key_alias
    ),
    'destination' AS key_role
FROM used
WHERE dest_key_arn IS NOT NULL
  AND (dest_key_arn IS DISTINCT FROM key_arn)
