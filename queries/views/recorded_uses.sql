-- ---
-- title = "Every record of a cryptographic use, as often as it was logged"
-- ---
-- ## What it holds
-- The records that use key material, with `key_role` and `failed` as in `usage`, but of any time and without removing
-- duplicates: a cross-account call is here once per account that logged it, and CloudTrail's patches and the events of VPC
-- endpoints are here too. Whether a key was used at all must not depend on which of several records of one call is kept, so
-- that question is asked here. To count uses, read `usage`.
WITH used AS (
    SELECT * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal), (outcome IS DISTINCT FROM 'ok') AS failed
    FROM events
    WHERE event_source = 'kms.amazonaws.com'
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
        NULL AS key_alias,
        NULL AS key_material_id
    ),
    'destination' AS key_role
FROM used
WHERE dest_key_arn IS NOT NULL
  AND (dest_key_arn IS DISTINCT FROM key_arn)
