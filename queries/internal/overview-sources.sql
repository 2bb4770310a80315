-- ---
-- title = "What a report rests on: log objects, digests and inventories"
-- params.since = { type = "timestamp", required = true, doc = "of objects with events at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "of objects with events before this instant" }
-- ---
-- ## What it answers
-- One row: how many log objects have events of the time, how many could not be read to their end (those of which nothing could be
-- read count when they were delivered or read since the beginning of the time), the first and last event in them; how many digests that end in the time were found valid and how many not, by their latest check; and when the
-- last inventory was taken.
WITH read AS (
    SELECT
        uri,
        last_value(state ORDER BY ingested_at) AS state,
        min(first_event_time) AS first_event_time,
        max(last_event_time) AS last_event_time,
        max(coalesce(delivered_at, ingested_at)) AS known_at
    FROM objects
    GROUP BY uri
),
logs AS (
    SELECT
        count(*) AS objects,
        count(*) FILTER (WHERE state NOT IN ('ingested', 'filtered')) AS damaged,
        min(CASE WHEN first_event_time >= horizon_from() THEN first_event_time END) AS first_event,
        max(CASE WHEN last_event_time < horizon_until() THEN last_event_time END) AS last_event
    FROM read
    WHERE (first_event_time < $until AND last_event_time >= $since)
       OR (first_event_time IS NULL AND state NOT IN ('ingested', 'filtered') AND known_at >= $since)
),
proofs AS (
    SELECT
        count(*) FILTER (WHERE state = 'valid') AS digests_valid,
        count(*) FILTER (WHERE state <> 'valid') AS digests_not_valid
    FROM verified_digests
    WHERE end_time >= $since AND end_time < $until
),
listed AS (SELECT max(taken_at) AS inventory_at FROM inventories)
SELECT
    objects,
    damaged,
    first_event,
    last_event,
    digests_valid,
    digests_not_valid,
    inventory_at
FROM logs
CROSS JOIN proofs
CROSS JOIN listed
