-- ---
-- title = "On which days the lake has events of an account and Region, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- One row per account, Region and day that has events, those of VPC endpoints left out. `reads_kms` says whether a read of KMS such as Decrypt is among them: then
-- the log of that day did not leave out the use of keys. `is_past` is true for events before the window. It reaches as far
-- as `decrypts_by_day`.
SELECT account_id, region, day, is_past, coalesce(bool_or(has_reads AND last_event < window_until()), false) AS reads_kms
FROM (
    -- The window may begin within an hour.
    SELECT *, unnest(make_array(first_event < window_since(), last_event < window_since())) AS is_past
    FROM event_hours
    WHERE hour >= date_trunc('day', window_from())
      AND first_event < window_until()
)
GROUP BY account_id, region, day, is_past
