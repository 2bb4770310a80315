-- ---
-- title = "ARNs of a key and its siblings"
-- params.key_id  = { type = "text", required = true, doc = "the key's id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", required = true, doc = "the account that owns it" }
-- ---
-- ## What it answers
-- One row per ARN with this id and account that an event or an inventory names. Files are in order of the keys' ARNs, so what is
-- asked by them, not by the id, is answered from a few pages.
SELECT CAST(key_arn AS VARCHAR) AS key_arn
FROM (
    SELECT key_arn FROM events WHERE key_id = $key_id AND key_account_id = $account
    UNION ALL
    SELECT dest_key_arn
    FROM events
    WHERE dest_key_arn IS NOT NULL
      AND split_part(dest_key_arn, ':key/', 2) = $key_id
      AND split_part(dest_key_arn, ':', 5) = $account
    UNION ALL
    SELECT key_arn
    FROM keys
    WHERE split_part(key_arn, ':key/', 2) = $key_id
      AND split_part(key_arn, ':', 5) = $account
)
WHERE key_arn IS NOT NULL
GROUP BY 1
ORDER BY 1
