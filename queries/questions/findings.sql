-- ---
-- title = "The findings that are open, and since when"
-- params.detector = { type = "text", doc = "only this detector's" }
-- params.key_arn  = { type = "text", doc = "only of this key, by its ARN" }
-- ---
-- ## What it answers
-- What the latest runs of `detect` found, the worst first, with the run that first told of it (`found_at`). A finding that is
-- found again after it was resolved keeps the time at which it was found first.
WITH begun AS (
    SELECT fingerprint, min(run_at) AS found_at FROM findings GROUP BY fingerprint
)
SELECT
    o.severity,
    o.status,
    o.detector,
    o.message,
    o.key_arn,
    o.principal,
    o.account_id,
    o.region,
    o.asset,
    o.first_seen,
    o.last_seen,
    o.events,
    b.found_at,
    o.evidence,
    o.detail,
    o.reason,
    o.fingerprint,
    o.since,
    o.until
FROM open_findings AS o
JOIN begun AS b ON b.fingerprint = o.fingerprint
WHERE ($detector IS NULL OR o.detector = $detector)
  AND ($key_arn IS NULL OR o.key_arn = $key_arn)
ORDER BY
    CASE o.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END,
    o.last_seen DESC,
    o.fingerprint
