-- ---
-- title = "Which keys each trusted party may use"
-- ---
-- ## What it holds
-- One row per account of a `[[trusted]]` entry of the expectations file and key of `known_keys` that its `keys` name, by ARN,
-- id, alias or tag (`tag:name=value`), with `*` and `?` in patterns. Where the entry has no `keys` there is one row per account
-- whose `key_arn` is null: any key. `principals` are the party's, null for any of them.
WITH names AS (
    SELECT
        key_arn,
        unnest(array_concat(
            make_array(CAST(key_arn AS VARCHAR), CAST(key_id AS VARCHAR)),
            aliases,
            coalesce(tag_names(tags), arrow_cast(make_array(), 'List(Utf8)'))
        )) AS name
    FROM known_keys
)
SELECT t.name, t.account_id, t.principals, n.key_arn
FROM trusted_parties AS t
CROSS JOIN names AS n
WHERE matches_any(n.name, t.keys)
GROUP BY t.name, t.account_id, t.principals, n.key_arn
UNION ALL
SELECT name, account_id, principals, CAST(NULL AS VARCHAR) AS key_arn
FROM trusted_parties
WHERE keys IS NULL
