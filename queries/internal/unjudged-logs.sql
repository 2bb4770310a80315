-- ---
-- title = "What the runs of the detectors until now have not seen"
-- params.detectors = { type = "text", required = true, doc = "the detectors of the next run, with blanks in between" }
-- params.since     = { type = "timestamp", required = true, doc = "where the next run is to begin" }
-- params.earliest  = { type = "timestamp", required = true, doc = "how far back the next run may look" }
-- ---
-- ## What it answers
-- One row, or none where there was no run: until when runs have looked (`seen_until`), and of the logs that came after a run over
-- their time, and that no later run looked at: how many have events of before `since` (`logs`), and the time of their first event
-- (`late_from`). A run counts if at least half of these detectors were evaluated in it. What lies before `earliest` is left out.
WITH runs AS (
    SELECT run_at, min(coalesce(looked_from, since)) AS since, max(least(until, run_at)) AS until
    FROM detections
    WHERE is_evaluated
      AND array_has(string_to_array($detectors, ' '), detector)
    GROUP BY run_at
    HAVING 2 * count(*) >= array_length(string_to_array($detectors, ' '))
),
late AS (
    SELECT o.uri, o.ingested_at, min(greatest(o.first_event_time, r.since, $earliest)) AS late_from
    FROM runs AS r
    JOIN objects AS o ON o.ingested_at > r.run_at AND o.first_event_time < r.until AND o.last_event_time >= r.since
    WHERE r.since < $since
      AND r.until > $earliest
      AND o.records_kept > 0
      AND o.first_event_time < $since
      AND o.last_event_time >= $earliest
    GROUP BY o.uri, o.ingested_at
),
unjudged AS (
    SELECT l.uri, l.late_from
    FROM late AS l
    LEFT JOIN runs AS r ON r.run_at >= l.ingested_at AND r.since <= l.late_from AND r.until > l.late_from
    GROUP BY l.uri, l.ingested_at, l.late_from
    HAVING count(r.run_at) = 0
)
SELECT s.seen_until, u.logs, u.late_from
FROM (SELECT max(until) AS seen_until FROM runs HAVING count(*) > 0) AS s
CROSS JOIN (SELECT count(*) AS logs, min(late_from) AS late_from FROM unjudged WHERE late_from < $since) AS u
