-- ---
-- title = "Where the record of an event lies, and what digests say of that object"
-- params.event_id = { type = "text", required = true, doc = "the event's id" }
-- ---
-- ## What it answers
-- The log object that the event was read from and the record's place in it, the state in which the object was read
-- (`version_tag`, `ingested_at`), and what the latest `verify` said of the object and of the digest that names it.
-- `keytrail event ID` reads the record again and compares it with all of this.
WITH read AS (
    SELECT uri, version_tag, ingested_at, row_number() OVER (PARTITION BY uri ORDER BY ingested_at DESC) AS place
    FROM objects
)
SELECT
    e.event_id,
    e.event_time,
    e.event_name,
    e.account_id,
    e.region,
    e.source_object,
    e.record_index,
    o.version_tag,
    o.ingested_at,
    f.digest_uri,
    f.state AS object_state,
    f.version_tag AS checked_version,
    f.reason AS object_reason,
    d.state AS digest_state,
    f.checked_at
FROM events AS e
LEFT JOIN read AS o ON o.uri = e.source_object AND o.place = 1
LEFT JOIN verified_files AS f ON f.uri = e.source_object
LEFT JOIN verified_digests AS d ON d.uri = f.digest_uri
WHERE e.event_id = $event_id
ORDER BY e.account_id, e.region, f.digest_uri
