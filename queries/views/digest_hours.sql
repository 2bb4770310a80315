-- ---
-- title = "What each trail's digests say of each hour of events"
-- ---
-- ## What it holds
-- One row per trail, account, Region, place (`root`: the address of what stands before the account) and hour that a digest
-- bears on. Digests are of deliveries, and an event may be delivered late: an hour of events is borne on by the digests of
-- the hour and of the two after it. Copies of one trail in two places are two chains, and either is enough.
-- ## Columns
-- `is_signed`: the window of a valid digest overlaps the hour, so that the trail was logging. `is_chained`: from the begin of the hour to
-- the end of the second hour after it, digests are valid and name each other without a gap, and every log that they name
-- is valid and was ingested as it was checked. `doubt`: what is wrong with a digest, or a log that it names, that bears on
-- the hour; backfill digests count here. `has_read`: its verified logs hold a call of the hour that read from KMS, later than
-- its first quarter: a change of the trail in the hour before may take that long to show.
-- ## Times
-- A window is at most two days long and within the `horizon`, whatever a digest that nobody signed says of itself.
WITH ingested AS (
    SELECT uri, version_tag FROM objects WHERE state = 'ingested' GROUP BY uri, version_tag
),
reads AS (
    SELECT uri, min(first_kms_read) AS first_read, max(first_kms_read) AS last_read
    FROM objects
    WHERE first_kms_read IS NOT NULL
    GROUP BY uri
),
files AS (
    SELECT
        f.digest_uri,
        min(CASE
            WHEN f.state <> 'valid' THEN concat('log ', f.state, ': ', f.uri)
            WHEN i.uri IS NULL THEN concat('log not ingested as it was verified: ', f.uri)
        END) AS doubt,
        min(r.first_read) AS first_read,
        max(r.last_read) AS last_read
    FROM verified_files AS f
    LEFT JOIN ingested AS i ON i.uri = f.uri AND i.version_tag = f.version_tag
    LEFT JOIN reads AS r ON r.uri = f.uri
    WHERE f.digest_uri IS NOT NULL
    GROUP BY f.digest_uri
),
bounded AS (
    SELECT
        d.* EXCEPT (start_time, end_time, gap_from),
        split_part(d.uri, concat('/', d.account_id, '/CloudTrail-Digest/'), 1) AS root,
        greatest(d.start_time, horizon_from(), least(d.end_time, horizon_until()) - INTERVAL '48 hours') AS start_time,
        least(d.end_time, horizon_until()) AS end_time,
        CASE
            WHEN d.gap_from IS NULL THEN d.gap_from
            WHEN d.state = 'valid' THEN greatest(d.gap_from, horizon_from())
            ELSE greatest(d.gap_from, horizon_from(), least(d.end_time, horizon_until()) - INTERVAL '48 hours')
        END AS gap_from
    FROM verified_digests AS d
),
checked AS (
    SELECT
        d.*,
        CASE WHEN d.state = 'valid' THEN f.doubt ELSE concat('digest ', d.state, ': ', d.uri) END AS doubt,
        CASE WHEN d.gap_from IS NOT NULL THEN concat('no digests between ', d.gap_from, ' and ', d.start_time) END AS gap,
        f.first_read,
        f.last_read
    FROM bounded AS d
    LEFT JOIN files AS f ON f.digest_uri = d.uri
),
ordered AS (
    SELECT
        *,
        lag(CASE WHEN doubt IS NULL THEN uri END) OVER (
            PARTITION BY account_id, region, trail, home_region, root, is_backfill ORDER BY end_time, start_time, uri
        ) AS before_uri,
        lag(end_time) OVER (
            PARTITION BY account_id, region, trail, home_region, root, is_backfill ORDER BY end_time, start_time, uri
        ) AS before_end
    FROM checked
),
-- A run of sound digests that name each other has one number.
numbered AS (
    SELECT
        *,
        sum(CASE
            WHEN doubt IS NULL AND previous_uri = before_uri AND start_time <= before_end AND chain IN ('linked', 'outside')
            THEN 0
            ELSE 1
        END) OVER (
            PARTITION BY account_id, region, trail, home_region, root, is_backfill ORDER BY end_time, start_time, uri
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM ordered
),
runs AS (
    SELECT
        *,
        min(start_time) OVER (
            PARTITION BY account_id, region, trail, home_region, root, is_backfill, run
        ) AS run_start,
        max(end_time) OVER (
            PARTITION BY account_id, region, trail, home_region, root, is_backfill, run
        ) AS run_end
    FROM numbered
),
hours AS (
    SELECT
        *,
        arrow_cast(
            unnest(generate_series(
                -- A read that was delivered later than that still shows what the trail recorded then.
                least(
                    date_trunc('hour', least(coalesce(gap_from, start_time), start_time)) - INTERVAL '2 hours',
                    CASE
                        WHEN doubt IS NULL AND first_read IS NOT NULL
                        THEN date_trunc('hour', greatest(first_read, start_time - INTERVAL '48 hours'))
                    END
                ),
                date_trunc('hour', end_time - INTERVAL '1 microsecond'),
                INTERVAL '1 hour'
            )),
            'Timestamp(Microsecond, Some("UTC"))'
        ) AS hour
    FROM runs
)
SELECT
    account_id,
    region,
    trail,
    home_region,
    root,
    is_organization,
    hour,
    bool_or(
        NOT is_backfill
        AND state = 'valid'
        AND start_time < hour + INTERVAL '1 hour'
        AND end_time > hour
    ) AS is_signed,
    bool_or(
        NOT is_backfill AND doubt IS NULL AND run_start <= hour AND run_end >= hour + INTERVAL '3 hours'
    ) AND bool_and(doubt IS NULL) AS is_chained,
    coalesce(min(doubt), min(CASE WHEN start_time > hour THEN gap END)) AS doubt,
    bool_or(
        doubt IS NULL
        AND (
            (first_read >= hour + INTERVAL '15 minutes' AND first_read < hour + INTERVAL '1 hour')
            OR (last_read >= hour + INTERVAL '15 minutes' AND last_read < hour + INTERVAL '1 hour')
        )
    ) AS has_read
FROM hours
GROUP BY account_id, region, trail, home_region, root, is_organization, hour
