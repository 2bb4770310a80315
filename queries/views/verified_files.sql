-- ---
-- title = "What the latest check said of each log object"
-- ---
-- ## What it holds
-- One row per log object and digest that names it, and one per object that no digest names, with all columns of
-- `digest_files`. `uri` and `version_tag` are those of `objects`: where both agree, what was read into the lake is what
-- was checked. That an object is extra or was moved holds until a later check finds it named.
SELECT * EXCEPT (latest, latest_of_object)
FROM (
    SELECT
        *,
        max(checked_at) OVER (PARTITION BY account_id, region, uri, digest_uri) AS latest,
        max(checked_at) OVER (PARTITION BY account_id, region, uri) AS latest_of_object
    FROM digest_files
)
WHERE checked_at = CASE WHEN digest_uri IS NULL THEN latest_of_object ELSE latest END
