-- ---
-- title = "What the last run of detectors has not seen"
-- params.detectors = { type = "text", required = true, doc = "these detectors, with blanks in between" }
-- params.since     = { type = "timestamp", required = true, doc = "where the next run is to begin" }
-- ---
-- ## What it answers
-- One row, or none where none of the detectors was ever evaluated: until when the last run of each looked (`seen_until`, the earliest of
-- them), and of the logs that came since, with events of before `since`: how many there are (`logs`), and the time of their first event
-- (`late_from`). What lies before the window of that last run is not counted: it did not look there.
WITH runs AS (
    SELECT
        max(run_at) AS run_at,
        last_value(since ORDER BY run_at) AS since,
        last_value(until ORDER BY run_at) AS until
    FROM detections
    WHERE is_evaluated
      AND array_has(string_to_array($detectors, ' '), detector)
    GROUP BY detector
),
last AS (
    SELECT min(run_at) AS run_at, max(since) AS since, min(until) AS seen_until
    FROM runs
    HAVING count(*) > 0
)
SELECT
    l.seen_until,
    count(o.uri) AS logs,
    min(CASE WHEN o.uri IS NOT NULL THEN greatest(o.first_event_time, l.since) END) AS late_from
FROM last AS l
LEFT JOIN objects AS o
    ON o.ingested_at > l.run_at
    AND o.records_kept > 0
    AND o.first_event_time < $since
    AND o.last_event_time >= l.since
GROUP BY l.seen_until
