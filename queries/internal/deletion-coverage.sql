-- ---
-- title = "What the logs are worth in each hour of a look-back"
-- params.account = { type = "text", doc = "only this account" }
-- params.since   = { type = "timestamp", required = true, doc = "where the look-back begins" }
-- params.until   = { type = "timestamp", default = "now", doc = "where it ends" }
-- ---
-- ## What it answers
-- The rows of the view `coverage` in the look-back, with the reason where an hour is not proven. An hour without a row is
-- unknown; `keytrail coverage` counts them per day.
SELECT
    account_id,
    region,
    hour,
    state,
    is_doubtful,
    CASE WHEN state <> 'proven' THEN reason END AS reason
FROM coverage
WHERE ($account IS NULL OR account_id = $account)
  AND day >= CAST(CAST($since AS TIMESTAMP) AS DATE)
  AND day <= CAST(CAST($until AS TIMESTAMP) AS DATE)
  AND hour >= date_trunc('hour', CAST($since AS TIMESTAMP))
  AND hour < $until
ORDER BY account_id, region, hour
