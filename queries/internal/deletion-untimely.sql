-- ---
-- title = "Key uses with an impossible time"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- ---
-- ## What it answers
-- One row per account, Region and key (null where the record does not name it) with a use in the view `untimely_uses` that
-- succeeded, or failed because the key cannot be used: it may fall in any look-back. The key of a record that does not name it may
-- belong to any account that logged the call, or to the caller's account. A null account or Region may be any.
WITH uses AS (
    SELECT *
    FROM untimely_uses
    WHERE outcome IN ('ok', 'key_unusable')
      AND event_name <> 'GenerateRandom'
),
placed AS (
    SELECT key_account_id AS account_id, key_region AS region, key_arn, key_id, event_id
    FROM uses
    WHERE key_arn IS NOT NULL
    UNION ALL
    SELECT coalesce(key_account_id, account_id, principal_account_id), coalesce(key_region, region), NULL, NULL, event_id
    FROM uses
    WHERE key_arn IS NULL
    UNION ALL
    SELECT principal_account_id, coalesce(key_region, region), NULL, NULL, event_id
    FROM uses
    WHERE key_arn IS NULL
      AND key_account_id IS NULL
      AND principal_account_id <> account_id
    UNION ALL
    -- Of ReEncrypt, the key that is not named.
    SELECT unnest(make_array(account_id, principal_account_id)), region, NULL, NULL, event_id
    FROM uses
    WHERE event_name = 'ReEncrypt'
      AND dest_key_arn IS NULL
)
SELECT
    account_id,
    region,
    key_arn,
    count(DISTINCT event_id) AS calls,
    min(event_id) AS event_id
FROM placed
WHERE ($key_id IS NULL OR key_arn IS NULL OR key_id = $key_id)
  AND ($account IS NULL OR account_id IS NULL OR account_id = $account)
GROUP BY account_id, region, key_arn
ORDER BY account_id, region, key_arn
