-- ---
-- title    = "KMS tells of a use that the logs should have and lack"
-- severity = "high"
-- attack   = ["T1562.008"]
-- needs    = ["inventory"]
-- message  = "The logs lack a use of {key_arn}: {detail}"
-- params.since   = { type = "timestamp", required = true, doc = "only last uses at or after this instant" }
-- params.until   = { type = "timestamp", required = true, doc = "only last uses before this instant" }
-- params.minutes = { type = "integer", default = 5, doc = "how many minutes before the told time an event may be that is taken for the use" }
-- ---
-- ## What it does
-- Compares what GetKeyLastUsage told the inventory with the lake. When KMS tells of a last use in an hour that is
-- `proven` or `observed` for the key's account and Region, the lake must have a successful use of the key from then,
-- or later, and where the hour is proven the very event that KMS names. An hour that is only observed counts once the
-- lake has logs of two hours after it. A use whose event the lake has is there, whatever its time. What lies in other
-- hours is known to be lacking already (see coverage-gap), and no finding. Last uses in the last `minutes` of the window are left
-- to the next run, since their event may lie behind its end.
-- ## Why it matters
-- KMS counts uses by itself, and no one can edit that. When the logs have fewer, they are not complete: selectors left
-- something out, files were removed or not read, or a log was forged. All that rests on them, such as that a key is
-- unused, is in doubt for that account and Region.
-- ## False positives
-- A file that CloudTrail delivered late, or that has not been ingested yet. The inventory may have been read from a
-- file about another time.
-- ## What to do next
-- Look the event up by its id in CloudTrail's event history of that Region, which lasts 90 days. Ingest that day
-- again, then run `keytrail verify` and `keytrail coverage`. Look at kms-logging-blinded.
WITH told AS (
    SELECT
        key_arn, account_id, region, last_usage_time, last_usage_operation, last_usage_event_id,
        date_trunc('hour', last_usage_time) AS hour
    FROM key_inventory
    WHERE last_usage_time >= $since - minutes($minutes) AND last_usage_time < $until - minutes($minutes)
),
-- The few ids come first in the join.
found AS (
    SELECT e.event_id
    FROM (SELECT last_usage_event_id FROM told WHERE last_usage_event_id IS NOT NULL GROUP BY last_usage_event_id) AS t
    JOIN kms_events AS e ON e.event_id = t.last_usage_event_id
    WHERE e.event_time >= date_trunc('day', $since - INTERVAL '1 day')
    GROUP BY e.event_id
),
known AS (
    SELECT account_id, region, hour, state, max(hour) OVER (PARTITION BY account_id, region) AS last_hour
    FROM coverage
    WHERE state IN ('proven', 'observed') AND hour > $since - hours(1) AND hour < $until + days(1)
)
SELECT
    t.key_arn, t.account_id, t.region,
    concat(
        'KMS tells of ', coalesce(t.last_usage_operation, 'a use'), ' at ', t.last_usage_time,
        CASE WHEN t.last_usage_event_id IS NULL THEN '' ELSE concat(' (event ', t.last_usage_event_id, ')') END,
        ', in an hour that is ', k.state, '; ',
        CASE WHEN t.last_usage_event_id IS NULL THEN '' ELSE 'the lake does not have that event, and ' END,
        'the last use in the lake is ', coalesce('of ' || CAST(u.last_used AS VARCHAR), 'unknown')
    ) AS detail
FROM told AS t
JOIN known AS k ON k.account_id = t.account_id AND k.region = t.region AND k.hour = t.hour
LEFT JOIN known_keys AS u ON u.key_arn = t.key_arn
LEFT JOIN found AS f ON f.event_id = t.last_usage_event_id
WHERE f.event_id IS NULL
  AND (
      (k.state = 'proven' AND t.last_usage_event_id IS NOT NULL)
      OR u.last_used IS NULL
      OR u.last_used < t.last_usage_time - minutes($minutes)
  )
  AND (k.state = 'proven' OR k.last_hour >= t.hour + hours(2))
