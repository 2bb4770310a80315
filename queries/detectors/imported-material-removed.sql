-- ---
-- title    = "Imported key material was removed from a KMS key, or is about to expire"
-- severity = "high"
-- attack   = ["T1485"]
-- needs    = []
-- message  = "Imported material of {key_arn}: {detail}"
-- params.since        = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until        = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.expires_days = { type = "integer", default = 30, doc = "material that expires within so many days after the window" }
-- ---
-- ## What it does
-- Reports every DeleteImportedKeyMaterial, and every DeleteExpiredKeyMaterial, by which AWS KMS itself removes
-- material that has expired. It is low when material was imported again later in the window; what is of the same
-- second is not later. Where an inventory is there, also keys whose material expires in the window or within
-- `expires_days` after it: these are medium.
-- ## Why it matters
-- Without its material a key is unusable at once; there is no waiting period. It can only be mended by importing the
-- very same material again.
-- ## False positives
-- Changing material on purpose, and keys meant to expire.
-- ## What to do next
-- Import the same material again. Before an expiry, import it with a later date or with none.
WITH steps AS (
    SELECT
        key_arn, principal, principal_type, event_name, key_account_id, key_region, event_time, event_id,
        max(CASE WHEN event_name = 'ImportKeyMaterial' THEN event_time END) OVER (PARTITION BY key_arn) AS imported_at
    FROM calls
    WHERE event_name IN ('DeleteImportedKeyMaterial', 'DeleteExpiredKeyMaterial', 'ImportKeyMaterial')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since
      AND event_time < $until
),
removed AS (
    SELECT
        key_arn,
        principal,
        max(key_account_id) AS account_id,
        max(key_region) AS region,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        count(*) AS events,
        array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
        max(event_name) = 'DeleteImportedKeyMaterial' AS is_asked_for,
        max(imported_at) > max(event_time) AS is_imported
    FROM steps
    WHERE event_name <> 'ImportKeyMaterial'
      AND (
          event_name = 'DeleteExpiredKeyMaterial'
          OR (
              coalesce(principal_type, '') <> 'AWSService'
              AND coalesce(principal, '') NOT LIKE 'service:%'
              AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
          )
      )
    GROUP BY key_arn, principal
)
SELECT
    key_arn,
    principal,
    account_id,
    region,
    first_seen,
    last_seen,
    events,
    evidence,
    concat(
        CASE
            WHEN is_asked_for THEN concat('it was deleted by ', coalesce(principal, 'an unknown principal'), '.')
            ELSE 'it expired, and AWS KMS removed it.'
        END,
        CASE WHEN is_imported THEN ' Material was imported again later.' ELSE '' END
    ) AS detail,
    CASE WHEN is_imported THEN 'low' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM removed
UNION ALL
SELECT
    key_arn,
    NULL,
    account_id,
    region,
    NULL,
    NULL,
    0,
    arrow_cast(make_array(), 'List(Utf8)'),
    concat('it expires on ', CAST(CAST(valid_to AS DATE) AS VARCHAR), ', says the inventory.'),
    'medium',
    NULL,
    NULL
FROM key_inventory
WHERE NOT gone
  AND origin = 'EXTERNAL'
  AND coalesce(state, '') NOT IN ('PendingImport', 'PendingDeletion')
  AND valid_to >= $since
  AND valid_to < $until + CAST(concat($expires_days, ' days') AS INTERVAL)
