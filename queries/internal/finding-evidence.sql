-- ---
-- title = "The first decryptions that findings are about"
-- params.rows       = { type = "text", required = true, doc = "numbers of the findings; these and the lists below are divided by U+001F" }
-- params.keys       = { type = "text", required = true, doc = "the key of each, empty for any" }
-- params.principals = { type = "text", required = true, doc = "the principal of each" }
-- params.firsts     = { type = "text", required = true, doc = "when the first event of each was, in microseconds since 1970" }
-- params.lasts      = { type = "text", required = true, doc = "when the last event of each was" }
-- params.since      = { type = "timestamp", required = true, doc = "no first event is before it" }
-- params.until      = { type = "timestamp", required = true, doc = "every last event is before it" }
-- ---
-- ## What it answers
-- The ids of the first ten successful decryptions by each finding's principal, with its key if it names one, from its first to its
-- last event. Detectors count what they find in `decrypts_by_day` and the like, which hold no ids; this is asked once for all
-- that they found.
WITH wanted AS (
    SELECT
        CAST(row AS BIGINT) AS row,
        nullif(key_arn, '') AS key_arn,
        principal,
        arrow_cast(CAST(first_seen AS BIGINT), 'Timestamp(Microsecond, Some("UTC"))') AS first_seen,
        arrow_cast(CAST(last_seen AS BIGINT), 'Timestamp(Microsecond, Some("UTC"))') AS last_seen
    FROM (
        SELECT
            unnest(string_to_array($rows, chr(31))) AS row,
            unnest(string_to_array($keys, chr(31))) AS key_arn,
            unnest(string_to_array($principals, chr(31))) AS principal,
            unnest(string_to_array($firsts, chr(31))) AS first_seen,
            unnest(string_to_array($lasts, chr(31))) AS last_seen
    )
)
SELECT w.row, evidence(c.event_id, c.event_time) AS evidence
FROM (SELECT * FROM wanted WHERE key_arn IS NOT NULL) AS w
JOIN decrypts AS c ON c.key_arn = w.key_arn AND c.principal = w.principal
WHERE c.event_time >= w.first_seen
  AND c.event_time <= w.last_seen
  AND c.event_time >= $since
  AND c.event_time < $until
GROUP BY w.row
UNION ALL
SELECT w.row, evidence(c.event_id, c.event_time) AS evidence
FROM (SELECT * FROM wanted WHERE key_arn IS NULL) AS w
JOIN decrypts AS c ON c.principal = w.principal
WHERE c.key_arn IS NOT NULL
  AND c.event_time >= w.first_seen
  AND c.event_time <= w.last_seen
  AND c.event_time >= $since
  AND c.event_time < $until
GROUP BY w.row
