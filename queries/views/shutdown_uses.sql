-- ---
-- title = "What used the keys of `shutdowns` before they were shut down"
-- ---
-- ## What it holds
-- Successful uses of each key before the last DisableKey or ScheduleKeyDeletion (`event_name`), counted by principal, way, asset and
-- by how many days before they were: `days_before` is 1 for the last 24 hours, 2 for those before. It reaches as far back
-- as `control_calls`.
SELECT
    s.event_name,
    u.key_arn,
    u.principal,
    coalesce(u.via, 'direct calls') AS via,
    u.asset,
    CAST(ceil(days_between(u.event_time, s.at)) AS BIGINT) AS days_before,
    count(*) AS calls
FROM (SELECT event_name, key_arn, max(last_seen) AS at FROM shutdowns GROUP BY event_name, key_arn) AS s
JOIN usage AS u ON u.key_arn = s.key_arn
WHERE u.outcome = 'ok'
  AND u.event_time < s.at
  AND u.event_time >= window_from()
  AND u.event_time < window_until()
GROUP BY s.event_name, u.key_arn, u.principal, u.via, u.asset, 6
