-- ---
-- title = "For which hours the lake would have the use of keys, in the time that a run of the detectors looks at"
-- ---
-- ## What it holds
-- The hours of `coverage`, with one more `state`: an hour that is only observed is `unread` on days without any read of KMS such as
-- Decrypt in the account and Region, since the events may come from a trail that leaves those out. It reaches as far back
-- as `logged_days`.
SELECT
    c.account_id,
    c.region,
    c.day,
    c.hour,
    CASE WHEN c.state = 'observed' AND r.account_id IS NULL THEN 'unread' ELSE c.state END AS state
FROM coverage AS c
LEFT JOIN (SELECT account_id, region, day FROM logged_days WHERE reads_kms GROUP BY account_id, region, day) AS r
    ON r.account_id = c.account_id AND r.region = c.region AND r.day = c.day
WHERE c.hour >= date_trunc('day', window_from())
  AND c.hour < window_until()
