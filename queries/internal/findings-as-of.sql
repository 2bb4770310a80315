-- ---
-- title = "The findings that were open at an instant"
-- params.at = { type = "timestamp", required = true, doc = "as the runs until then left them" }
-- ---
-- ## What it answers
-- What `findings` would have told then: per detector the latest run in which it was evaluated by that instant, without what it
-- resolved or what had aged. `keytrail report` compares with it what it finds.
WITH latest AS (
    SELECT
        detector,
        max(run_at) AS run_at,
        last_value(since ORDER BY run_at) AS since,
        last_value(until ORDER BY run_at) AS until
    FROM detections
    WHERE is_evaluated
      AND run_at <= $at
    GROUP BY detector
)
SELECT f.*, l.since, l.until
FROM findings AS f
JOIN latest AS l ON l.detector = f.detector AND l.run_at = f.run_at
WHERE f.status NOT IN ('resolved', 'aged')
ORDER BY f.fingerprint
