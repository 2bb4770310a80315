-- ---
-- title = "What is known of each trail in each hour: whether it recorded the use of KMS keys, and can prove it"
-- ---
-- ## What it holds
-- One row per trail, account, Region and hour that a digest or a change of the trail bears on.
-- ## Columns
-- `vouches`: see `is_chained` of `digest_hours`, which must hold in the trail's home Region too, in the account that owns
-- it, where a change of the trail would have been logged; and something shows that the trail records the use of KMS keys:
-- its selectors, as an event set them, or an inventory that found them so, or a call that read from KMS in its own logs. That
-- was in the hour, or in one from which the home Region is whole up to it, without a change of the selectors in between: what
-- was changed in an hour that nobody could see is not known. `lack` is what is missing of this.
-- `is_chained` is of the digests alone. `is_blind`: an event shows that in some part of the hour the trail was
-- stopped or deleted, wrote no read events, or excluded KMS; `cause` names it, and `is_settled` says that it was so for the
-- whole hour and a quarter of an hour before: a change takes effect with a delay. `is_logging`: digests, or the event that
-- started it, show that it was logging, and nothing that it was blind. `quiet_from`: when the last of what the trail recorded
-- in the hour had ended, as far as events tell; an event that is later came from elsewhere.
WITH latest AS (
    -- A trail that is blind to this day is blind for as long as the lake has anything.
    SELECT max(t.at) AS at
    FROM (
        SELECT delivered_at AS at FROM objects
        UNION ALL
        SELECT last_event_time FROM object_times
        UNION ALL
        SELECT end_time FROM digests
    ) AS t
    WHERE t.at < horizon_until()
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
    CROSS JOIN latest AS h
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
-- Who owns an organization's trail, where an event or an inventory says so, and all that do say the same.
owners AS (
    SELECT home_region, trail, min(account_id) AS owner_account_id
    FROM trail_states
    WHERE is_organization
    GROUP BY home_region, trail
    HAVING count(DISTINCT account_id) = 1
),
-- The hours in which the selectors were changed, or in which a change took effect, with what they were at the end; and
-- those in which an inventory found that they record KMS.
selected AS (
    SELECT
        account_id,
        home_region,
        trail,
        hour,
        bool_or(event_name <> 'inventory' OR captures = 'no') AS is_changed,
        last_value(captures ORDER BY event_time, step, event_id) = 'yes' AS is_right,
        bool_or(event_name = 'inventory' AND captures = 'yes') AS is_found
    FROM (
        SELECT *, date_trunc('hour', event_time) AS hour FROM trail_changes WHERE captures IS NOT NULL
        UNION ALL
        SELECT *, date_trunc('hour', event_time + INTERVAL '15 minutes')
        FROM trail_changes
        WHERE captures IS NOT NULL
          AND event_name <> 'inventory'
    )
    GROUP BY account_id, home_region, trail, hour
),
-- What one side does not say is null there, which no aggregate counts.
told AS (
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        is_signed, is_chained, doubt, has_read,
        arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS quiet_from,
        CAST(NULL AS BOOLEAN) AS is_blind, CAST(NULL AS BOOLEAN) AS is_settled, CAST(NULL AS BOOLEAN) AS is_on,
        CAST(NULL AS VARCHAR) AS captures, CAST(NULL AS VARCHAR) AS cause
    FROM digest_hours
    UNION ALL
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        NULL, NULL, NULL, NULL,
        CASE WHEN logging = 'off' THEN from_time + INTERVAL '15 minutes' ELSE until_time END,
        is_blind,
        CASE WHEN is_blind THEN from_time + INTERVAL '15 minutes' <= hour AND until_time >= hour + INTERVAL '1 hour' END,
        logging = 'on' AND from_time <= hour AND until_time >= hour + INTERVAL '1 hour',
        captures,
        CASE WHEN is_blind THEN cause END
    FROM state_hours
),
weighed AS (
    SELECT
        account_id, region, trail, home_region, is_organization, hour,
        bool_or(is_signed) AS is_signed,
        bool_or(is_chained) AS is_chained,
        bool_or(has_read) AS has_read,
        bool_or(is_blind) AS is_blind,
        bool_and(is_settled) AS is_settled,
        bool_or(is_on) AS is_on,
        bool_or(captures = 'unknown') AS is_unknown,
        max(quiet_from) AS quiet_from,
        min(cause) AS cause,
        min(doubt) AS doubt
    FROM told
    GROUP BY account_id, region, trail, home_region, is_organization, hour
),
owned AS (
    SELECT
        w.*,
        -- A trail of one account is its own.
        CASE WHEN w.is_organization THEN o.owner_account_id ELSE w.account_id END AS owner_account_id
    FROM weighed AS w
    LEFT JOIN owners AS o ON o.home_region = w.home_region AND o.trail = w.trail
),
-- Whether a change of the trail would have been seen: it is logged in the home Region, in the account that owns it.
seen_at_home AS (
    SELECT
        o.*,
        s.is_changed,
        s.is_right,
        s.is_found,
        coalesce(
            bool_or(o.is_chained AND o.region = o.home_region AND o.account_id = o.owner_account_id) OVER (
                PARTITION BY o.trail, o.home_region, o.is_organization, o.owner_account_id, o.hour
            ),
            false
        ) AS is_home_chained,
        max(CASE WHEN s.is_changed THEN o.hour END) OVER (
            PARTITION BY o.trail, o.home_region, o.is_organization, o.owner_account_id ORDER BY o.hour
        ) AS last_change
    FROM owned AS o
    LEFT JOIN selected AS s
        ON s.account_id = o.owner_account_id
        AND s.home_region = o.home_region
        AND s.trail = o.trail
        AND s.hour = o.hour
),
-- Hours that follow each other without a break have one begin: as many hours before as there are in the row.
islands AS (
    SELECT
        *,
        date_part('epoch', hour) - 3600 * dense_rank() OVER (
            PARTITION BY trail, home_region, is_organization, owner_account_id, is_home_chained ORDER BY hour
        ) AS island
    FROM seen_at_home
),
shown AS (
    SELECT
        *,
        bool_or(CASE WHEN is_changed THEN is_right ELSE has_read OR is_found END) OVER (
            PARTITION BY trail, home_region, is_organization, owner_account_id, is_home_chained, island, last_change
        ) AS shows_reads
    FROM islands
),
lacking AS (
    SELECT
        *,
        CASE
            WHEN owner_account_id IS NULL THEN 'the account that owns the organization''s trail is not known'
            WHEN NOT is_home_chained
            THEN 'its home Region is not whole then, in the account that owns it: a change of it would not be seen'
            WHEN is_changed THEN 'its selectors were changed in the hour or just before'
            WHEN shows_reads IS NOT TRUE
            THEN 'nothing shows that it records reads of KMS, between then and what its home Region lacks'
        END AS lack
    FROM shown
)
SELECT
    account_id,
    region,
    trail,
    home_region,
    is_organization,
    hour,
    is_chained IS TRUE AND is_blind IS NOT TRUE AND lack IS NULL AS vouches,
    is_chained IS TRUE AND is_blind IS NOT TRUE AS is_chained,
    (is_signed IS TRUE OR is_on IS TRUE) AND is_blind IS NOT TRUE AND is_unknown IS NOT TRUE AS is_logging,
    is_blind IS TRUE AS is_blind,
    is_settled,
    quiet_from,
    cause,
    doubt,
    lack
FROM lacking
