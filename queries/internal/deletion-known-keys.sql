-- ---
-- title = "What calls and inventories say of keys"
-- params.key_arns = { type = "text", required = true, doc = "these keys, by their ARNs with blanks in between" }
-- ---
-- ## What it answers
-- The rows of the view `known_keys` of these keys. A verdict about one key asks it once, and reads its rows wherever it would read the
-- view.
SELECT *
FROM known_keys
WHERE array_has(string_to_array($key_arns, ' '), key_arn)
ORDER BY key_arn
