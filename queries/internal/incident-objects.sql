-- ---
-- title = "What is known of log objects: as they were read, and what their digests say"
-- params.objects = { type = "text", required = true, doc = "the objects, a line each, as `source_object` names them" }
-- ---
-- ## What it answers
-- One row per object that the lake read: the version in which it was ingested (`version_tag`), and what the latest `verify` found of it
-- (`object_state`), of which version (`checked_version`), and of the digest that names it. Where several digests name it, a valid
-- one comes first.
WITH named AS (
    SELECT name
    FROM (SELECT unnest(string_to_array(CAST($objects AS VARCHAR), chr(10))) AS name)
    WHERE name <> ''
    GROUP BY name
),
read AS (
    SELECT uri, version_tag, ingested_at, row_number() OVER (PARTITION BY uri ORDER BY ingested_at DESC) AS place
    FROM objects
),
checked AS (
    SELECT
        f.uri,
        f.digest_uri,
        f.state AS object_state,
        f.version_tag AS checked_version,
        d.state AS digest_state,
        f.checked_at,
        row_number() OVER (PARTITION BY f.uri ORDER BY coalesce(d.state, '') = 'valid' DESC, f.checked_at DESC, f.digest_uri)
            AS place
    FROM verified_files AS f
    LEFT JOIN verified_digests AS d ON d.uri = f.digest_uri
)
SELECT
    n.name AS source_object,
    r.version_tag,
    r.ingested_at,
    c.digest_uri,
    c.object_state,
    c.checked_version,
    c.digest_state,
    c.checked_at
FROM named AS n
JOIN read AS r ON r.uri = n.name AND r.place = 1
LEFT JOIN checked AS c ON c.uri = n.name AND c.place = 1
ORDER BY n.name
