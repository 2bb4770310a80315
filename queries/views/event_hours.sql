-- ---
-- title = "In which hours each account and Region has events"
-- ---
-- ## What it holds
-- One row per account, Region and hour of the kept events (`hour` is its begin and `day` its date in UTC; a null hour stands for all
-- impossible times of a day, those outside the `horizon`). `last_event` is the time of the last one and `has_reads` says whether one of them read from KMS, both without the
-- events of VPC endpoints, which are another log: null where there are no others.
-- ## Why
-- It is small, and several answers need no more of the events of other services: whoever needs it more than once keeps it, and reads
-- all events once.
SELECT
    account_id,
    region,
    event_date AS day,
    CASE
        WHEN event_time >= horizon_from() AND event_time < horizon_until()
        THEN hour_of(event_time)
    END AS hour,
    max(event_time) FILTER (WHERE coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')) AS last_event,
    bool_or(event_source = 'kms.amazonaws.com' AND read_only)
        FILTER (WHERE coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')) AS has_reads
FROM events
GROUP BY 1, 2, 3, 4
