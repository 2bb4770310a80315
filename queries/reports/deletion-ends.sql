-- ---
-- title = "Time of the last event in each account and Region"
-- params.account = { type = "text", doc = "only this account" }
-- params.until   = { type = "timestamp", default = "now", doc = "only events before this instant" }
-- ---
-- ## What it answers
-- One row per account and Region of the log: `last_event`, without the events of VPC endpoints, which no trail of management
-- events records. Logs may extend beyond it if nothing else happened, but seldom by much, since some service is always
-- making calls.
SELECT account_id, region, max(event_time) AS last_event
FROM timely_events
WHERE account_id IS NOT NULL
  AND region IS NOT NULL
  AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
  AND ($account IS NULL OR account_id = $account) IS TRUE
  AND event_time < $until
GROUP BY account_id, region
ORDER BY account_id, region
