-- ---
-- title = "The span of time that the lake can tell of"
-- ---
-- ## What it holds
-- One row: from before there was CloudTrail (`from_time`) until a day after the lake was last added to (`until_time`). What
-- is said to be of another time (names and contents of objects that nobody signed may say so) bears on no hour of it.
SELECT
    arrow_cast('2013-01-01T00:00:00Z', 'Timestamp(Microsecond, Some("UTC"))') AS from_time,
    max(at) + INTERVAL '1 day' AS until_time
FROM (
    SELECT max(ingested_at) AS at FROM objects
    UNION ALL
    SELECT max(checked_at) FROM digests
    UNION ALL
    SELECT max(taken_at) FROM trails
)
