-- ---
-- title = "How often some keys were called"
-- params.key_arns = { type = "text", required = true, doc = "the keys, by their ARNs with blanks in between" }
-- ---
-- ## What it answers
-- The rows of `call_counts` that name one of these keys, also as the one that a ReEncrypt encrypts with.
SELECT *
FROM call_counts
WHERE array_has(string_to_array($key_arns, ' '), key_arn)
   OR array_has(string_to_array($key_arns, ' '), dest_key_arn)
