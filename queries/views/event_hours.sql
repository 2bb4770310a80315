-- ---
-- title = "In which hours each account and Region has events"
-- ---
-- ## What it holds
-- One row per account, Region and hour of the kept events (`hour` is its begin and `day` its date in UTC; a null hour stands for all
-- impossible times of a day, those outside the `horizon`). `first_event` and `last_event` are the times of the first and last of them, and
-- `has_reads` says whether one of them read from KMS, all without the events of VPC endpoints, which are another log: null where there
-- are no others.
-- ## Why
-- Several answers need no more of the events of other services. The hours of settled days are in the lake already, and no event is read.
SELECT account_id, region, event_date AS day, hour, first_event, last_event, has_reads
FROM settled_hours
WHERE (event_date < CAST(horizon_from() AS DATE) OR event_date >= CAST(horizon_until() AS DATE)) IS NOT TRUE
UNION ALL
-- The horizon may end within an hour.
SELECT
    account_id,
    region,
    event_date AS day,
    CASE
        WHEN event_time >= horizon_from() AND event_time < horizon_until()
        THEN hour_of(event_time)
    END AS hour,
    min(event_time) FILTER (WHERE coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')) AS first_event,
    max(event_time) FILTER (WHERE coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')) AS last_event,
    bool_or(event_source = 'kms.amazonaws.com' AND read_only)
        FILTER (WHERE coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')) AS has_reads
FROM events
WHERE event_date < CAST(horizon_from() AS DATE)
   OR event_date >= CAST(horizon_until() AS DATE)
GROUP BY 1, 2, 3, 4
