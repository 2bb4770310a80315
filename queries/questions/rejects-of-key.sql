-- ---
-- title = "Rejected records that name a key, with their text"
-- params.key_id = { type = "text", required = true, doc = "the key's id" }
-- params.limit  = { type = "integer", default = 100, doc = "at most this many records" }
-- ---
-- ## What it answers
-- One row per rejected record whose text contains the key's id: its location, why it was rejected, and the text. These records are
-- not in `events`, so queries over events do not count them; `check-deletion` does consider them. `in_all` is the total number,
-- before `limit`.
SELECT
    object,
    record_index,
    reason,
    -- Text that is not valid UTF-8 is shown in base64.
    coalesce(TRY_CAST(raw AS VARCHAR), encode(arrow_cast(raw, 'Binary'), 'base64')) AS text,
    rejected_at,
    count(*) OVER () AS in_all
FROM rejects
WHERE array_has(key_ids(arrow_cast(raw, 'Binary')), $key_id)
ORDER BY object, record_index, rejected_at
LIMIT $limit
