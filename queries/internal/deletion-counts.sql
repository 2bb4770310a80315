-- ---
-- title = "How often some keys were called"
-- params.key_id  = { type = "text", required = true, doc = "the keys' id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", required = true, doc = "the account that owns them" }
-- ---
-- ## What it answers
-- The rows of `call_counts` that name one of these keys, also as the one that a ReEncrypt encrypts with.
SELECT *
FROM call_counts
WHERE (key_id = $key_id AND key_account_id = $account)
   OR (split_part(dest_key_arn, ':key/', 2) = $key_id AND split_part(dest_key_arn, ':', 5) = $account)
