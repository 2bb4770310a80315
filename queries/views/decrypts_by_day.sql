-- ---
-- title = "Who decrypted with which key on which day, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- The rows of `decrypts`, counted by key, principal, way and day. While detectors run it reaches from the window's end back
-- to the time that tells what is usual: as many days before the window as any of their parameters of the type `days` says.
-- `is_past` is true for what happened before the window began, and `is_before_hour` for what happened before the hour in
-- which it began. In other statements it is about all of the logs, and
-- nothing is past. `key_set` is the same for a key and its multi-Region siblings, which read each other's data.
SELECT
    key_arn,
    principal,
    principal_id,
    principal_account_id,
    home,
    is_aws,
    account_id,
    region,
    via,
    CAST(half AS DATE) AS day,
    is_past,
    half < date_trunc('hour', window_since()) AS is_before_hour,
    CAST(sum(calls) AS BIGINT) AS calls,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    concat(split_part(key_arn, ':', 5), split_part(key_arn, ':key', 2)) AS key_set
FROM call_counts
WHERE is_call
  AND usage_class = 'decrypt'
  AND outcome = 'ok'
  AND half >= date_trunc('day', window_from())
GROUP BY ALL
