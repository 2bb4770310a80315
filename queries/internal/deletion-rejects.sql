-- ---
-- title = "Keys named in rejected records"
-- params.key_id = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.since  = { type = "timestamp", required = true, doc = "only records delivered at or after this instant or, if the delivery time is unknown, rejected at or after it" }
-- ---
-- ## What it answers
-- One row per id that looks like a key's: how many rejected records name it, with the location of one of them and why it was
-- rejected. A rejected record may be evidence of use; its text is in the `raw` column of `rejects`. Records of an object that was
-- read completely later are left out.
WITH damaged AS (
    SELECT uri, max(delivered_at) AS delivered_at
    FROM objects
    GROUP BY uri
    HAVING last_value(state ORDER BY ingested_at) IS DISTINCT FROM 'ingested'
),
named AS (
    SELECT r.object, r.record_index, r.reason, unnest(key_ids(arrow_cast(r.raw, 'Binary'))) AS key_id
    FROM rejects AS r
    JOIN damaged AS d ON d.uri = r.object
    WHERE r.raw IS NOT NULL
      AND coalesce(d.delivered_at, r.rejected_at) >= $since
)
SELECT
    key_id,
    count(DISTINCT concat(object, '#', record_index)) AS records,
    first_value(object ORDER BY object, record_index) AS object,
    first_value(record_index ORDER BY object, record_index) AS record_index,
    first_value(reason ORDER BY object, record_index) AS reason
FROM named
WHERE $key_id IS NULL OR key_id = $key_id
GROUP BY key_id
ORDER BY key_id
