-- ---
-- title = "The organization's accounts"
-- ---
-- ## What it holds
-- One row per account: those that the expectations file declares (`accounts`), or, when it declares none, every account
-- whose log is in the lake and that is no trusted party's. Having an account's logs does not mean that the account is yours:
-- if an account is not declared (`is_declared`), a detector may say that it counts as ours, but not that it is; `doubt` says so.
SELECT account_id, true AS is_declared, NULL AS doubt
FROM expected_accounts
GROUP BY account_id
UNION ALL
SELECT
    e.account_id,
    false AS is_declared,
    'counts as ours only because its logs are in the lake: declare `accounts` in the expectations file' AS doubt
FROM event_hours AS e
LEFT ANTI JOIN trusted_parties AS t ON t.account_id = e.account_id
WHERE e.account_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM expected_accounts)
GROUP BY e.account_id
