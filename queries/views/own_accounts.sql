-- ---
-- title = "The organization's accounts"
-- ---
-- ## What it holds
-- One row per account: those that the expectations file declares (`accounts`), or, when it declares none, every account
-- whose log is in the lake. Whose log one has is not always one's own: declare them.
SELECT account_id
FROM expected_accounts
UNION
SELECT account_id
FROM events
WHERE account_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM expected_accounts)
GROUP BY account_id
