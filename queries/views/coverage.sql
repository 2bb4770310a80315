-- ---
-- title = "What the lake knows of each hour: proven, observed, blind or unknown"
-- ---
-- ## What it holds
-- One row per account, Region and hour (`hour` is its begin, `day` its date in UTC) of which anything is known, with its
-- `state` and a `reason`. An hour without a row is unknown.
-- ## proven
-- A trail that records the use of KMS keys vouches for the hour (see `trail_hours`), and no log that no digest names was
-- delivered in it or in the two hours after. An event of this hour that is not in the lake was not logged by AWS.
-- ## blind
-- An event shows that a trail did not record calls to KMS in some part of the hour, and no other trail is known to have been
-- logging then. What is not in the lake may have happened all the same. Where calls that read from KMS are in the lake
-- though the trail was blind for all of the hour, or events from after every known trail had stopped, something else has
-- recorded them, and the hour is observed.
-- ## observed
-- There are events of this hour, or objects delivered in it; nothing proves that there were no others. `reason` says what
-- a proof lacks. `is_doubtful` tells hours of which something is known to be missing, changed or added from those of which
-- nothing is known at all.
-- ## unknown
-- Digests bear on the hour, and nothing of it is there that can be relied on.
-- ## Times that cannot be
-- What is said to be of a time beyond the `horizon` has no row.
-- ## What it does not say
-- Coverage is of what CloudTrail delivers. AWS logs every successful call and only some of those that fail.
WITH told AS (
    SELECT
        account_id, region, CAST(hour AS DATE) AS day, hour,
        vouches, is_chained, is_logging, is_blind, is_settled,
        CASE
            WHEN vouches THEN concat('digests of trail ', trail, ' vouch for it')
            WHEN is_chained
            THEN concat('digests of trail ', trail, ' vouch for its files; ', lack)
        END AS proof,
        CASE WHEN is_blind THEN concat('trail ', trail, ' did not record KMS: ', cause) END AS blindness,
        doubt,
        quiet_from,
        CAST(NULL AS BOOLEAN) AS is_stray,
        CAST(NULL AS BOOLEAN) AS is_seen,
        CAST(NULL AS BOOLEAN) AS has_reads,
        arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS last_event
    FROM trail_hours
    UNION ALL
    SELECT
        account_id, region, CAST(hour AS DATE), hour,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, reason, NULL, true, NULL, NULL, NULL
    FROM (
        SELECT
            account_id, region, concat('log ', state, ': ', uri) AS reason,
            arrow_cast(
                unnest(generate_series(from_hour - INTERVAL '2 hours', to_hour, INTERVAL '1 hour')),
                'Timestamp(Microsecond, Some("UTC"))'
            ) AS hour
        FROM stray_files
        WHERE from_hour >= horizon_from() AND to_hour < horizon_until()
    )
    UNION ALL
    SELECT
        account_id, region, day, hour,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, has_reads, last_event
    FROM event_hours
    -- What VPC endpoints log is another log, and shows nothing of this one.
    WHERE account_id IS NOT NULL AND region IS NOT NULL AND hour IS NOT NULL AND last_event IS NOT NULL
    UNION ALL
    -- Of what could not be read to its end, something is known to be missing.
    SELECT
        account_id, region, CAST(hour AS DATE), hour,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, concat('log not read to its end: ', uri), NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT
            uri, account_id, region,
            date_trunc('hour', least(greatest(delivered_at, horizon_from()), horizon_until()) - INTERVAL '5 minutes') AS hour
        FROM (
            SELECT
                uri,
                max(account_id) AS account_id,
                max(region) AS region,
                max(delivered_at) AS delivered_at,
                last_value(state ORDER BY ingested_at) AS state
            FROM objects
            WHERE kind <> 'CloudTrail-NetworkActivity'
            GROUP BY uri
        )
        WHERE state <> 'ingested' AND account_id IS NOT NULL AND region IS NOT NULL
          AND delivered_at >= horizon_from() AND delivered_at < horizon_until()
    )
    UNION ALL
    -- Objects are delivered some minutes after their events. A time is held within the horizon before it is cut to its hour:
    -- the engine may do that ahead of the condition, and fails on year 1.
    SELECT
        account_id, region, CAST(hour AS DATE), hour,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL, NULL
    FROM (
        SELECT account_id, region, date_trunc('hour', least(greatest(delivered_at, horizon_from()), horizon_until()) - INTERVAL '5 minutes') AS hour
        FROM objects
        -- An object of which the bounds of a run left something out shows nothing of what else is in it.
        WHERE state NOT IN ('rejected', 'filtered') AND kind <> 'CloudTrail-NetworkActivity'
          AND account_id IS NOT NULL AND region IS NOT NULL
          AND delivered_at >= horizon_from() AND delivered_at < horizon_until()
        GROUP BY account_id, region, date_trunc('hour', least(greatest(delivered_at, horizon_from()), horizon_until()) - INTERVAL '5 minutes')
    )
),
weighed AS (
    SELECT
        account_id, region, day, hour,
        bool_or(is_blind) AS is_blind,
        bool_or(is_logging) AS is_logging,
        bool_or(has_reads) AS has_reads,
        bool_and(is_settled) AS is_settled,
        bool_or(vouches) AS vouches,
        bool_or(is_stray) AS is_stray,
        bool_or(is_seen) AS is_seen,
        bool_or(is_chained) AS is_chained,
        max(last_event) >= max(quiet_from) AS is_elsewhere,
        min(blindness) AS blindness,
        min(proof) FILTER (WHERE vouches) AS proof,
        min(doubt) AS doubt,
        min(proof) FILTER (WHERE is_chained AND NOT vouches) AS chained
    FROM told
    GROUP BY account_id, region, day, hour
),
judged AS (
    SELECT
        *,
        CASE
            WHEN is_blind
                AND is_logging IS NOT TRUE
                AND is_elsewhere IS NOT TRUE
                AND NOT (has_reads IS TRUE AND is_settled IS TRUE)
            THEN 'blind'
            WHEN vouches AND is_stray IS NOT TRUE THEN 'proven'
            WHEN is_seen OR is_chained THEN 'observed'
            ELSE 'unknown'
        END AS state
    FROM weighed
)
SELECT
    account_id,
    region,
    day,
    hour,
    state,
    CASE state
        WHEN 'blind' THEN blindness
        WHEN 'proven' THEN proof
        ELSE coalesce(
            doubt,
            chained,
            CASE
                WHEN is_blind AND is_logging IS NOT TRUE
                THEN concat(blindness, '; something else recorded events then, and nothing tells what it leaves out')
            END,
            -- A digest is delivered within the hour after its own.
            CASE
                WHEN hour + INTERVAL '28 hours' > horizon_until()
                THEN 'too recent: the digests of the two hours after it may not have been delivered when the lake was last added to'
            END,
            'no unbroken digests for it and the two hours after'
        )
    END AS reason,
    doubt IS NOT NULL OR is_stray IS TRUE AS is_doubtful
FROM judged
