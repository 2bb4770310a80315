-- ---
-- title = "Every event that AWS KMS logged, as it is in the lake"
-- ---
-- ## What it holds
-- One row per kept record whose `event_source` is `kms.amazonaws.com`, with all columns of `events`. A cross-account
-- call is here twice when both accounts' logs are in the lake, and so is an event that CloudTrail delivered again with
-- an addendum. Events of VPC endpoints (`AwsVpceEvent`) are in `events`; those that repeat no other event are in `calls`
-- too. To count calls, read `calls`; to count cryptographic use, read `usage`. Events with an impossible time are left out;
-- see `untimely_events`.
-- ## Callers
-- `principal` is never null here, so no query skips a caller: it falls back to `principal_id`, and to `unknown` if the
-- record names nobody.
SELECT * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal)
FROM timely_events
WHERE event_source = 'kms.amazonaws.com'
  AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
