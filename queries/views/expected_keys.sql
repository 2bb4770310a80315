-- ---
-- title = "What the expectations file says of each key"
-- ---
-- ## What it holds
-- One row per key of `known_keys` and `[[key]]` entry that names it, by its ARN, its id, one of its aliases or one of its tags
-- (`tag:name=value`), with `*` and `?` in patterns. A list that is null was not declared: anything goes. Several entries may
-- name one key; what any of them allows is expected.
-- ## Which entries count
-- Where an entry names a key by its id, alone or in an ARN, those that match it by an alias, a tag, or a pattern without the id
-- are left out for that key: whoever may give a key an alias or a tag must not widen who may decrypt with it.

-- One pass over the keys, which are found in the whole of the logs.
WITH names AS (
    SELECT
        key_arn,
        CAST(key_id AS VARCHAR) AS id,
        unnest(array_concat(
            make_array(CAST(key_arn AS VARCHAR), CAST(key_id AS VARCHAR)),
            aliases,
            coalesce(tag_names(tags), arrow_cast(make_array(), 'List(Utf8)'))
        )) AS name
    FROM known_keys
),
named AS (
    SELECT
        n.key_arn,
        e.rule,
        bool_or(
            n.name IN (n.key_arn, n.id)
            AND strpos(array_to_string(e.keys, ' '), n.id) > 0
        ) AS is_by_id
    FROM expectations AS e
    CROSS JOIN names AS n
    WHERE matches_any(n.name, e.keys)
    GROUP BY n.key_arn, e.rule
),
chosen AS (
    SELECT key_arn, rule
    FROM (SELECT *, bool_or(is_by_id) OVER (PARTITION BY key_arn) AS has_id FROM named)
    WHERE is_by_id OR NOT has_id
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
FROM chosen AS n
JOIN expectations AS e ON e.rule = n.rule
