-- ---
-- title = "What the expectations file says of each key"
-- ---
-- ## What it holds
-- One row per key of `known_keys` and `[[key]]` entry that names it, by its ARN, its id, one of its aliases or one of its tags
-- (`tag:name=value`), with `*` and `?` in patterns. A list that is null was not declared: anything goes. Several entries may
-- name one key; what any of them allows is expected.
WITH names AS (
    SELECT key_arn, key_arn AS name FROM known_keys WHERE EXISTS (SELECT 1 FROM expectations)
    UNION ALL
    SELECT key_arn, key_id FROM known_keys WHERE EXISTS (SELECT 1 FROM expectations)
    UNION ALL
    SELECT key_arn, unnest(aliases) FROM known_keys WHERE EXISTS (SELECT 1 FROM expectations)
    UNION ALL
    SELECT key_arn, unnest(tag_names(tags)) FROM known_keys WHERE EXISTS (SELECT 1 FROM expectations)
),
named AS (
    SELECT DISTINCT n.key_arn, e.rule
    FROM names AS n
    CROSS JOIN expectations AS e
    WHERE matches_any(n.name, e.keys)
)
SELECT
    n.key_arn,
    e.rule,
    e.line,
    e.owner,
    e.purpose,
    e.decryptors,
    e.services,
    e.assets,
    e.rotation_days
FROM named AS n
JOIN expectations AS e ON e.rule = n.rule
