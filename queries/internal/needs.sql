-- ---
-- title = "What detectors need of the lake, and whether it is there"
-- params.since = { type = "timestamp", required = true, doc = "where the window begins; what is usual is learned from the time before" }
-- params.until = { type = "timestamp", default = "now", doc = "where it ends" }
-- ---
-- ## What it answers
-- One row per need of a detector's header, with why it is not met, or null where it is. What the expectations file gives is
-- not the lake's to say. `events` is what every detector needs: that the lake has any of the window.
-- ## baseline
-- There must be events from a week and more before the window; how much a key or a principal needs is for the detector
-- to say.
SELECT
    'inventory' AS need,
    CASE WHEN count(*) = 0 THEN 'no inventory of keys was taken: keytrail inventory --from aws' END AS why
FROM inventories
UNION ALL
SELECT
    'digests',
    CASE WHEN count(*) = 0 THEN 'no digest was verified: keytrail verify SOURCE' END
FROM digests
UNION ALL
SELECT
    'coverage',
    CASE WHEN count(*) = 0 THEN 'no log object and no event is in the lake: keytrail ingest SOURCE' END
FROM objects
UNION ALL
SELECT
    'events',
    CASE
        WHEN count(*) FILTER (WHERE first_event_time < $until AND last_event_time >= $since) = 0
        THEN concat(
            'the lake has no event of the window',
            CASE WHEN max(last_event_time) IS NULL THEN '' ELSE concat('; its logs end at ', max(last_event_time)) END,
            ': ingest what is newer'
        )
    END
FROM object_times
UNION ALL
SELECT
    'baseline',
    CASE
        WHEN min(first_event_time) <= $since - INTERVAL '7 days' THEN NULL
        ELSE 'the lake has no events from a week before the window: what is usual is not known; ingest earlier logs, or give a later --since'
    END
FROM object_times
ORDER BY need
