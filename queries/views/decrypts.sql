-- ---
-- title = "Every successful decryption"
-- ---
-- ## What it holds
-- The rows of `calls` in which a key decrypted something (`usage_class = 'decrypt'`, `outcome = 'ok'`): Decrypt, ReEncrypt under
-- the key that it reads with, DeriveSharedSecret. `home` is the account that the principal belongs to, or the account that
-- logged the call if the record does not say.
SELECT *, coalesce(principal_account_id, account_id) AS home
FROM calls
WHERE usage_class = 'decrypt'
  AND outcome = 'ok'
