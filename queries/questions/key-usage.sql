-- ---
-- title = "How often each key was used, day by day"
-- params.key_arn   = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id    = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- For each key, operation and UTC day: calls, and how many of them failed. A day without a row is a day without a logged
-- call, which means no more than the logs of that day do.
-- ## How it counts
-- Cross-account calls once, dry runs never (see the view `usage`); `calls` holds successes and failures. A ReEncrypt
-- counts for its source key and for its destination key.
SELECT
    key_arn,
    event_name AS operation,
    event_date AS day,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS failures
FROM usage
WHERE ($key_arn IS NULL OR key_arn = $key_arn)
  AND ($key_id IS NULL OR key_id = $key_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key_arn, event_name, event_date
ORDER BY key_arn, day, operation
