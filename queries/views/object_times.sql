-- ---
-- title = "Times of the first and last event in each log object"
-- ---
-- ## What it holds
-- One row per object with events: its `uri` and the times of its first and last event (`first_event_time`, `last_event_time`).
-- Events with a time outside the `horizon` do not count, and do not hide the others of their object. Objects of network activity
-- events are left out: they do not show how far the logs of a trail of management events reach.
WITH mixed AS (
    SELECT uri
    FROM objects
    WHERE (first_event_time < horizon_from() OR last_event_time >= horizon_until())
      AND kind <> 'CloudTrail-NetworkActivity'
    GROUP BY uri
)
SELECT uri, first_event_time, last_event_time
FROM objects
WHERE first_event_time >= horizon_from()
  AND last_event_time < horizon_until()
  AND kind <> 'CloudTrail-NetworkActivity'
UNION ALL
-- Nearly always there are none, and then the events are not read.
SELECT e.source_object AS uri, min(e.event_time) AS first_event_time, max(e.event_time) AS last_event_time
FROM mixed AS m
JOIN timely_events AS e ON e.source_object = m.uri
GROUP BY e.source_object
