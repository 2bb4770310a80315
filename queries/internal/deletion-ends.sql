-- ---
-- title = "Time of the last event in each account and Region"
-- params.account = { type = "text", doc = "only this account" }
-- params.until   = { type = "timestamp", default = "now", doc = "only events before this instant" }
-- ---
-- ## What it answers
-- One row per account and Region of the log: `last_event`, without the events of VPC endpoints, which no trail of management
-- events records. Logs may extend beyond it if nothing else happened, but seldom by much, since some service is always
-- making calls.
SELECT account_id, region, max(at) AS last_event
FROM (
    SELECT account_id, region, last_event AS at
    FROM event_hours
    WHERE hour IS NOT NULL AND last_event < $until
    UNION ALL
    -- Of the hour that the instant is in, only the events before it count.
    SELECT account_id, region, event_time
    FROM timely_events
    WHERE event_date >= CAST(CAST($until AS TIMESTAMP) AS DATE)
      AND event_time >= date_trunc('hour', CAST($until AS TIMESTAMP))
      AND event_time < $until
      AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
)
WHERE account_id IS NOT NULL
  AND region IS NOT NULL
  AND ($account IS NULL OR account_id = $account) IS TRUE
GROUP BY account_id, region
ORDER BY account_id, region
