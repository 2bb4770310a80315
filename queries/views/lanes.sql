-- ---
-- title = "Every account and Region that the lake knows of"
-- ---
-- ## What it holds
-- One row per account and Region that any event, log object or digest is of.
SELECT account_id, region
FROM (
    SELECT account_id, region FROM event_hours GROUP BY account_id, region
    UNION ALL
    SELECT account_id, region FROM objects GROUP BY account_id, region
    UNION ALL
    SELECT account_id, region FROM digests GROUP BY account_id, region
)
WHERE account_id IS NOT NULL AND region IS NOT NULL
GROUP BY account_id, region
