-- ---
-- title = "Every event that AWS KMS logged, as it is in the lake"
-- ---
-- ## What it holds
-- One row per kept record whose `event_source` is `kms.amazonaws.com`, with all columns of `events`. A cross-account
-- call is here twice when both accounts' logs are in the lake, and so is an event that CloudTrail delivered again with
-- an addendum. What VPC endpoints logged of calls to KMS (`AwsVpceEvent`) is in `events` and, as far as nothing else tells
-- it, in `calls`. To count calls, read `calls`; to count cryptographic use, read `usage`.
-- What is of a time that cannot be is left out; see `untimely_events`.
-- ## Callers
-- `principal` is never null here, so that no question passes over a caller: it is the `principal_id` where a lake that is
-- older than the rule for such records has no more, and `unknown` where the record names nobody.
SELECT * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal)
FROM timely_events
WHERE event_source = 'kms.amazonaws.com'
  AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
