-- ---
-- title = "Keys that are known, with what a report tells of them"
-- ---
-- ## What it answers
-- One row per key of `known_keys`: its names, who manages it, and its state, with the day of a deletion that is pending. `aliases`
-- and `state` are null where nothing tells.
SELECT
    k.key_arn,
    k.key_manager,
    nullif(array_to_string(k.aliases, ', '), '') AS aliases,
    k.description,
    k.state,
    i.deletion_date,
    k.in_inventory,
    k.gone
FROM known_keys AS k
LEFT JOIN key_inventory AS i ON i.key_arn = k.key_arn
ORDER BY k.key_arn
