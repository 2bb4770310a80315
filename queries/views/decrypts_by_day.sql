-- ---
-- title = "Who decrypted with which key on which day, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- The rows of `decrypts`, counted by key, principal, way and day. While detectors run it reaches from the window's end back
-- to the time that tells what is usual: as many days before the window as any of their parameters of the type `days` says.
-- `is_past` is true for what happened before the window began, and `is_before_hour` for what happened before the hour in
-- which it began. In other statements it is about all of the logs, and
-- nothing is past. `key_set` is the same for a key and its multi-Region siblings, which read each other's data.
SELECT *, concat(split_part(key_arn, ':', 5), split_part(key_arn, ':key', 2)) AS key_set
FROM (
    SELECT
        key_arn, principal, principal_id, principal_account_id, home, is_aws, account_id, region, via, event_date AS day,
        event_time < window_since() AS is_past, event_time < date_trunc('hour', window_since()) AS is_before_hour,
        count(*) AS calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM decrypts
    WHERE event_time >= date_trunc('day', window_from())
      AND event_time < window_until()
    GROUP BY key_arn, principal, principal_id, principal_account_id, home, is_aws, account_id, region, via, event_date, 11, 12
)
