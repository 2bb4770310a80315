-- ---
-- title = "Every key that an inventory found, as the latest one saw it"
-- ---
-- ## What it holds
-- One row per key with all columns of `keys`: the row of the latest inventory that found the key. `gone` is true when a
-- later listing of its account and Region from AWS no longer had it; the row then says what the key was at last. A file
-- may hold some keys only, so its silence means nothing.
-- ## What null means
-- Where a part could not be read, its columns are null and `unknown_fields` says why, as a JSON object. A part that is
-- there and empty is an empty list: `grants = '[]'` is a key without grants.
WITH ranked AS (
    -- If two rows have the same time and source, the one with fewer unknown fields comes first.
    SELECT
        *,
        row_number() OVER (
            PARTITION BY key_arn
            ORDER BY
                taken_at DESC,
                source,
                length(coalesce(unknown_fields, '')) - length(replace(coalesce(unknown_fields, ''), '":"', '')),
                length(coalesce(grants, '')) DESC,
                last_usage_time DESC NULLS LAST,
                grants, state, aliases, policy, unknown_fields
        ) AS place
    FROM keys
)
SELECT
    ranked.* EXCEPT (place),
    coalesce(listings.listed_at > ranked.taken_at, false) AS gone
FROM ranked
LEFT JOIN key_listings AS listings ON listings.account_id = ranked.account_id AND listings.region = ranked.region
WHERE ranked.place = 1
