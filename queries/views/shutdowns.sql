-- ---
-- title = "Keys that somebody disabled or scheduled for deletion, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- One row per key, principal and `event_name` (DisableKey, ScheduleKeyDeletion), without what AWS itself did. `is_undone` says
-- that the key was enabled, or its deletion cancelled, later in the window; times are whole seconds, and what is of the same
-- second is not later. `waiting_days` is the shortest waiting period that a call asked for, null if none did.
SELECT
    s.event_name,
    s.key_arn,
    s.principal,
    max(s.account_id) AS account_id,
    max(s.region) AS region,
    min(s.event_time) AS first_seen,
    max(s.event_time) AS last_seen,
    count(*) AS events,
    evidence(s.event_id, s.event_time) AS evidence,
    max(s.via) AS via,
    min(CAST((regexp_match(s.request_parameters, '"pendingWindowInDays":([0-9]{1,4})[^0-9]'))[1] AS BIGINT)) AS waiting_days,
    coalesce(max(u.at) > max(s.event_time), false) AS is_undone
FROM control_calls AS s
LEFT JOIN (
    SELECT
        key_arn,
        CASE event_name WHEN 'EnableKey' THEN 'DisableKey' ELSE 'ScheduleKeyDeletion' END AS event_name,
        max(event_time) AS at
    FROM control_calls
    WHERE event_name IN ('EnableKey', 'CancelKeyDeletion') AND NOT is_past
    GROUP BY 1, 2
) AS u ON u.key_arn = s.key_arn AND u.event_name = s.event_name
WHERE s.event_name IN ('DisableKey', 'ScheduleKeyDeletion')
  AND NOT s.is_past
  AND NOT s.is_aws
GROUP BY s.event_name, s.key_arn, s.principal
