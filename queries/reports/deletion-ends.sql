-- ---
-- title = "When the last event of each account and Region happened"
-- params.account = { type = "text", doc = "only this account" }
-- params.until   = { type = "timestamp", default = "now", doc = "only events before this instant" }
-- ---
-- ## What it answers
-- One row per account and Region of the log: `last_event`, without the events of VPC endpoints, which no trail of management events
-- records. Logs may reach further, where nothing happened; they seldom reach much
-- further, since some service always calls.
SELECT account_id, region, max(event_time) AS last_event
FROM timely_events
WHERE account_id IS NOT NULL
  AND region IS NOT NULL
  AND coalesce(event_type, '') NOT IN ('AwsVpceEvent', 'AwsVpceEvents')
  AND ($account IS NULL OR account_id = $account) IS TRUE
  AND event_time < $until
GROUP BY account_id, region
ORDER BY account_id, region
