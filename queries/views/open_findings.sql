-- ---
-- title = "Every finding that is open, as each detector's latest run left it"
-- ---
-- ## What it holds
-- The rows of `findings` of the latest run in which the detector was evaluated, without those that were resolved or have
-- aged. A run that could not evaluate a detector says nothing of what it found before. `since` and `until` are that run's
-- window.
WITH latest AS (
    SELECT
        detector,
        max(run_at) AS run_at,
        last_value(since ORDER BY run_at) AS since,
        last_value(until ORDER BY run_at) AS until
    FROM detections
    WHERE is_evaluated
    GROUP BY detector
)
SELECT f.*, l.since, l.until
FROM findings AS f
JOIN latest AS l ON l.detector = f.detector AND l.run_at = f.run_at
WHERE f.status NOT IN ('resolved', 'aged')
