-- ---
-- title = "What changed some keys, and what moved any alias"
-- params.key_id  = { type = "text", required = true, doc = "the keys' id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", required = true, doc = "the account that owns them" }
-- ---
-- ## What it answers
-- The rows of `control_events` of these keys, and those about aliases of all keys, since a key may be known by one that was moved. A
-- verdict about one key asks it once, and reads its rows wherever it would read the view.
SELECT *
FROM control_events
WHERE (key_id = $key_id AND key_account_id = $account)
   OR event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias')
