-- ---
-- title = "What is known of each trail in each hour: whether it recorded the use of KMS keys, and can prove it"
-- ---
-- ## What it holds
-- One row per trail, account, Region and hour that a digest or a change of the trail bears on.
-- ## Columns
-- `vouches`: see `is_chained` of `digest_hours`, which must hold in the trail's home Region too, where a change of the trail
-- would have been logged; and something shows that the trail records the use of KMS keys: its
-- selectors, as an event set them, or calls that read from KMS in its own logs, before any change of the selectors. (What an
-- inventory of trails says of their selectors joins here, as one more side of `told`.)
-- `is_chained` is the same without the latter. `is_blind`: an event shows that in some part of the hour the trail was
-- stopped or deleted, wrote no read events, or excluded KMS; `cause` names it, and `is_settled` says that it was so for the
-- whole hour and a quarter of an hour before: a change takes effect with a delay. `is_logging`: digests, or the event that
-- started it, show that it was logging, and nothing that it was blind.
WITH horizon AS (
    -- A trail that is blind to this day is blind for as long as the lake has anything.
    SELECT max(at) AS at
    FROM (
        SELECT max(greatest(delivered_at, coalesce(last_event_time, delivered_at))) AS at FROM objects
        UNION ALL
        SELECT max(last_event_time) AS at FROM objects
        UNION ALL
        SELECT max(end_time) AS at FROM digests
    )
),
states AS (
    SELECT
        l.account_id,
        l.region,
        s.trail,
        s.home_region,
        l.is_organization IS TRUE AS is_organization,
        s.from_time,
        -- The hour of the horizon is looked at as a whole.
        coalesce(s.until_time, date_trunc('hour', greatest(h.at, s.from_time)) + INTERVAL '1 hour') AS until_time,
        -- Of one Region now, and of all before: the others have lost it.
        s.is_blind OR (s.was_multi_region AND NOT s.is_multi_region AND l.region <> s.home_region) IS TRUE AS is_blind,
        s.logging,
        s.captures,
        s.cause
    FROM trail_states AS s
    JOIN trail_lanes AS l
        ON l.owner_account_id = s.account_id AND l.home_region = s.home_region AND l.trail = s.trail
    CROSS JOIN horizon AS h
),
state_hours AS (
    SELECT
        *,
        arrow_cast(
            unnest(generate_series(
                date_trunc('hour', from_time),
                date_trunc('hour', until_time - INTERVAL '1 microsecond'),
                INTERVAL '1 hour'
            )),
            'Timestamp(Microsecond, Some("UTC"))'
        ) AS hour
    FROM states
    WHERE until_time > from_time
),
first_changes AS (
    SELECT account_id, home_region, trail, min(event_time) AS first_change
    FROM trail_changes
    WHERE captures IS NOT NULL
    GROUP BY account_id, home_region, trail
),
signed AS (
    SELECT
        d.account_id, d.region, d.trail, d.home_region, d.is_organization, d.hour,
        bool_or(d.is_signed) AS is_signed,
        bool_or(d.is_chained) AS is_chained,
        min(d.doubt) AS doubt,
        min(d.first_read) < min(coalesce(c.first_change, d.first_read + INTERVAL '1 second')) AS read_before_change
    FROM digest_hours AS d
    LEFT JOIN first_changes AS c
        ON c.trail = d.trail AND c.home_region = d.home_region AND (d.is_organization OR c.account_id = d.account_id)
    GROUP BY d.account_id, d.region, d.trail, d.home_region, d.is_organization, d.prefix, d.hour
),
-- What one side does not say is null there, which no aggregate counts.
told AS (
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        is_signed, is_chained, doubt, read_before_change,
        CAST(NULL AS BOOLEAN) AS is_blind, CAST(NULL AS BOOLEAN) AS is_settled, CAST(NULL AS BOOLEAN) AS is_on,
        CAST(NULL AS VARCHAR) AS captures, CAST(NULL AS BOOLEAN) AS is_selected, CAST(NULL AS VARCHAR) AS cause
    FROM signed
    UNION ALL
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        NULL, NULL, NULL, NULL,
        is_blind,
        CASE WHEN is_blind THEN from_time + INTERVAL '15 minutes' <= hour AND until_time >= hour + INTERVAL '1 hour' END,
        logging = 'on' AND from_time <= hour AND until_time >= hour + INTERVAL '1 hour',
        captures,
        captures = 'yes' AND from_time <= hour AND until_time >= hour + INTERVAL '1 hour',
        CASE WHEN is_blind THEN cause END
    FROM state_hours
),
weighed AS (
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        bool_or(is_signed) AS is_signed,
        bool_or(is_chained) AS is_chained,
        bool_or(read_before_change) AS read_before_change,
        bool_or(is_blind) AS is_blind,
        bool_and(is_settled) AS is_settled,
        bool_or(is_on) AS is_on,
        count(captures) AS states,
        bool_or(captures = 'unknown') AS is_unknown,
        bool_or(is_selected) AS is_selected,
        min(cause) AS cause,
        min(doubt) AS doubt
    FROM told
    GROUP BY account_id, region, trail, home_region, is_organization, hour
),
-- Whether a change of the trail would have been seen: it is logged in the home Region, of its account.
seen_at_home AS (
    SELECT
        *,
        bool_or(is_chained AND region = home_region) OVER (
            PARTITION BY trail, home_region, is_organization, CASE WHEN is_organization THEN '' ELSE account_id END, hour
        ) AS is_home_chained
    FROM weighed
)
SELECT
    account_id,
    region,
    trail,
    home_region,
    is_organization,
    hour,
    is_chained IS TRUE AND is_blind IS NOT TRUE
        AND is_home_chained IS TRUE
        AND (is_selected IS TRUE OR (states = 0 AND read_before_change IS TRUE)) AS vouches,
    is_chained IS TRUE AND is_blind IS NOT TRUE AS is_chained,
    (is_signed IS TRUE OR is_on IS TRUE) AND is_blind IS NOT TRUE AND is_unknown IS NOT TRUE AS is_logging,
    is_blind IS TRUE AS is_blind,
    is_settled,
    cause,
    doubt
FROM seen_at_home
