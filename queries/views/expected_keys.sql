-- ---
-- title = "What the expectations file says of each key"
-- ---
-- ## What it holds
-- One row per key of `known_keys` and `[[key]]` entry that names it, by its ARN, its id, one of its aliases or one of its tags
-- (`tag:name=value`), with `*` and `?` in patterns. A list that is null was not declared: anything goes. Several entries may
-- name one key; what any of them allows is expected.

-- One pass over the keys, which are found in the whole of the logs.
WITH names AS (
    SELECT
        key_arn,
        unnest(array_concat(
            make_array(CAST(key_arn AS VARCHAR), CAST(key_id AS VARCHAR)),
            aliases,
            coalesce(tag_names(tags), arrow_cast(make_array(), 'List(Utf8)'))
        )) AS name
    FROM known_keys
),
named AS (
    SELECT n.key_arn, e.rule
    FROM expectations AS e
    CROSS JOIN names AS n
    WHERE matches_any(n.name, e.keys)
    GROUP BY n.key_arn, e.rule
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
