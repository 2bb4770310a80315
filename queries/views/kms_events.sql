-- ---
-- title = "Every event that AWS KMS logged, as it is in the lake"
-- ---
-- ## What it holds
-- One row per kept record whose `event_source` is `kms.amazonaws.com`, with all columns of `events`. A cross-account
-- call is here twice when both accounts' logs are in the lake, and so is an event that CloudTrail delivered again with
-- an addendum. To count calls, read `calls`; to count cryptographic use, read `usage`. What is of a time that cannot be
-- is left out; see `untimely_events`.
SELECT * FROM timely_events WHERE event_source = 'kms.amazonaws.com'
