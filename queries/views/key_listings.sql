-- ---
-- title = "When the keys of each account and Region were listed last"
-- ---
-- ## What it holds
-- One row per account and Region of which an inventory from AWS could list the keys: `listed_at`, the time of the latest. A key that is
-- not in it was not there then.
SELECT account_id, region, max(taken_at) AS listed_at
FROM inventories
WHERE source = 'aws' AND keys IS NOT NULL
GROUP BY account_id, region
