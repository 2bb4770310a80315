-- ---
-- title = "Keys that are named in records which could not be read"
-- params.key_id = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.since  = { type = "timestamp", required = true, doc = "only records that were delivered at or after this instant; where that is not known, read" }
-- ---
-- ## What it answers
-- One row per key id: how many rejected records name it, with the place and the fault of one of them. Such a record may tell of a
-- use; what it says is in the column `raw` of `rejects`. Without `key_id`, only the first key that a record names is seen.
WITH broken AS (
    SELECT r.object, r.record_index, r.reason, TRY_CAST(r.raw AS VARCHAR) AS text
    FROM rejects AS r
    LEFT JOIN (SELECT uri, max(delivered_at) AS delivered_at FROM objects GROUP BY uri) AS o ON o.uri = r.object
    WHERE r.raw IS NOT NULL
      AND coalesce(o.delivered_at, r.rejected_at) >= $since
),
named AS (
    SELECT
        object,
        record_index,
        reason,
        CASE
            WHEN strpos(text, $key_id) > 0 THEN $key_id
            ELSE (regexp_match(text, '(?:key/|"keyId"\s*:\s*")((?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))'))[1]
        END AS key_id
    FROM broken
)
SELECT
    key_id,
    count(DISTINCT concat(object, '#', record_index)) AS records,
    min(object) AS object,
    first_value(record_index ORDER BY object, record_index) AS record_index,
    first_value(reason ORDER BY object, record_index) AS reason
FROM named
WHERE key_id IS NOT NULL
  AND ($key_id IS NULL OR key_id = $key_id)
GROUP BY key_id
ORDER BY key_id
