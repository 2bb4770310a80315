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
WITH removed AS (
    SELECT
        r.key_arn, r.principal, max(r.account_id) AS account_id, max(r.region) AS region,
        min(r.event_time) AS first_seen, max(r.event_time) AS last_seen, count(*) AS events,
        evidence(r.event_id, r.event_time) AS evidence,
        bool_or(r.event_name = 'DeleteImportedKeyMaterial') AS is_asked_for,
        coalesce(max(i.at) > max(r.event_time), false) AS is_imported
    FROM control_calls AS r
    LEFT JOIN (
        SELECT key_arn, max(event_time) AS at FROM control_calls WHERE event_name = 'ImportKeyMaterial' GROUP BY key_arn
    ) AS i ON i.key_arn = r.key_arn
    WHERE NOT r.is_past
      AND (r.event_name = 'DeleteExpiredKeyMaterial' OR (r.event_name = 'DeleteImportedKeyMaterial' AND NOT r.is_aws))
    GROUP BY r.key_arn, r.principal
)
SELECT
    key_arn, principal, account_id, region, first_seen, last_seen, events, evidence,
    concat(
        CASE WHEN is_asked_for THEN concat('it was deleted by ', principal, '.') ELSE 'it expired, and AWS KMS removed it.' END,
        CASE WHEN is_imported THEN ' Material was imported again later.' ELSE '' END
    ) AS detail,
    CASE WHEN is_imported THEN 'low' END AS severity
FROM removed
UNION ALL
SELECT
    key_arn, NULL, account_id, region, NULL, NULL, 0, NULL,
    concat('it expires on ', CAST(valid_to AS DATE), ', says the inventory.'), 'medium'
FROM key_inventory
WHERE NOT gone
  AND origin = 'EXTERNAL'
  AND coalesce(state, '') NOT IN ('PendingImport', 'PendingDeletion')
  AND valid_to >= $since AND valid_to < $until + days($expires_days)
