-- ---
-- title = "The accounts whose logs are in the lake"
-- ---
-- ## What it answers
-- One row per account: a first list of the organization's, for the expectations file.
SELECT account_id
FROM events
WHERE account_id IS NOT NULL
GROUP BY account_id
ORDER BY account_id
