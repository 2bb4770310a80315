-- ---
-- title = "Uses of keys at a time that cannot be"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- ---
-- ## What it answers
-- One row per account, Region and key (null where the record names none) that the view `untimely_uses` has a use of which succeeded, or failed because
-- the key cannot be used: it may have been in any look-back.
SELECT
    coalesce(key_account_id, account_id) AS account_id,
    coalesce(key_region, region) AS region,
    key_arn,
    count(*) AS calls,
    min(event_id) AS event_id
FROM untimely_uses
WHERE outcome IN ('ok', 'key_unusable')
  AND event_name <> 'GenerateRandom'
  AND ($key_id IS NULL OR key_arn IS NULL OR key_id = $key_id)
  AND ($account IS NULL OR coalesce(key_account_id, account_id) = $account) IS TRUE
GROUP BY coalesce(key_account_id, account_id), coalesce(key_region, region), key_arn
ORDER BY account_id, region, key_arn
