-- ---
-- title = "Records that could not be read and name a key, as they were found"
-- params.key_id = { type = "text", required = true, doc = "the key's id" }
-- params.limit  = { type = "integer", default = 100, doc = "at most so many records" }
-- ---
-- ## What it answers
-- One row per rejected record in whose text the key's id occurs: where it lies, what is wrong with it, and the text itself. No other
-- answer counts these records. `in_all` is how many there are, when `limit` leaves some out.
SELECT
    object,
    record_index,
    reason,
    TRY_CAST(raw AS VARCHAR) AS text,
    rejected_at,
    count(*) OVER () AS in_all
FROM rejects
WHERE strpos(TRY_CAST(raw AS VARCHAR), $key_id) > 0
ORDER BY object, record_index, rejected_at
LIMIT $limit
