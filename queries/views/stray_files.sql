-- ---
-- title = "Logs that no digest names though digests cover their time, and logs that were moved"
-- ---
-- ## What it holds
-- The rows of `verified_files` that are extra or moved, or were so and are gone from the source but not from the lake, with
-- the hours of delivery that they are held against: that of the time in their name (`from_hour` and `to_hour` are the
-- same), or the day of their folder where the name has none. A time beyond the `horizon` is held against nothing.
WITH strays AS (
    SELECT
        f.account_id, f.region, f.uri, f.state, f.reason, f.delivered_at,
        -- A folder may have any name: one that is no day is none.
        arrow_cast(
            TRY_CAST(array_to_string(regexp_match(f.uri, '/([0-9]{4})/([0-9]{2})/([0-9]{2})/[^/]*$'), '-') AS DATE),
            'Timestamp(Microsecond, Some("UTC"))'
        ) AS day,
        o.uri AS ingested
    FROM verified_files AS f
    LEFT JOIN (SELECT uri FROM objects GROUP BY uri) AS o ON o.uri = f.uri
    WHERE f.digest_uri IS NULL
)
SELECT
    account_id,
    region,
    uri,
    state,
    reason,
    date_trunc('hour', least(greatest(coalesce(delivered_at, day), horizon_from()), horizon_until())) AS from_hour,
    date_trunc('hour', least(greatest(coalesce(delivered_at, day + INTERVAL '23 hours'), horizon_from()), horizon_until())) AS to_hour
FROM strays AS s
WHERE (state IN ('extra', 'moved') OR (state = 'gone' AND ingested IS NOT NULL))
  AND coalesce(delivered_at, day) >= horizon_from()
  AND coalesce(delivered_at, day) < horizon_until()
