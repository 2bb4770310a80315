-- ---
-- title = "On which days the lake has events of an account and Region, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- One row per account, Region and day that has events. `reads_kms` says whether a read of KMS such as Decrypt is among them: then
-- the log of that day did not leave out the use of keys. `is_past` is true for events before the window. It reaches as far
-- as `decrypts_by_day`.
SELECT
    account_id,
    region,
    event_date AS day,
    event_time < window_since() AS is_past,
    bool_or(
        coalesce(read_only, false)
        AND event_source = 'kms.amazonaws.com'
        AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
    ) AS reads_kms
FROM timely_events
WHERE event_time >= date_trunc('day', window_from())
  AND event_time < window_until()
GROUP BY account_id, region, event_date, 4
