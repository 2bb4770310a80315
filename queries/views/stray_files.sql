-- ---
-- title = "Logs that no digest names though digests cover their time, and logs that were moved"
-- ---
-- ## What it holds
-- The rows of `verified_files` that are extra or moved, with the hours of delivery that they are held against: that of
-- the time in their name (`from_hour` and `to_hour` are the same), or the day of their folder where the name has none.
SELECT
    account_id,
    region,
    uri,
    state,
    reason,
    date_trunc('hour', coalesce(delivered_at, day)) AS from_hour,
    date_trunc('hour', coalesce(delivered_at, day + INTERVAL '23 hours')) AS to_hour
FROM (
    SELECT
        *,
        arrow_cast(
            array_to_string(regexp_match(uri, '/([0-9]{4})/([0-9]{2})/([0-9]{2})/[^/]*$'), '-') || 'T00:00:00Z',
            'Timestamp(Microsecond, Some("UTC"))'
        ) AS day
    FROM verified_files
    WHERE digest_uri IS NULL AND state IN ('extra', 'moved')
)
