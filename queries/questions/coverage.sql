-- ---
-- title = "For which hours of each day the lake can vouch, and why not for the others"
-- params.account = { type = "text", doc = "only this account" }
-- params.region  = { type = "text", doc = "only this Region" }
-- params.since   = { type = "timestamp", doc = "only hours from this instant on; from the first that anything is known of, when not given" }
-- params.until   = { type = "timestamp", doc = "only hours that begin before this instant; to the last that anything is known of, when not given" }
-- ---
-- ## What it answers
-- One row per account, Region and day, with the hours of each state (see the view `coverage`). A count of uses is complete
-- for the hours that are `proven`; that nothing happened in the others, it does not say. Hours of which nothing is known
-- are `unknown`: every account and Region that the lake knows has a row for every day of the window.
-- ## What the reason is
-- `reason` is the most telling one of the hours that are not proven: why it is blind, else what a proof lacks.
WITH hours AS (
    SELECT account_id, region, day, hour, state, reason
    FROM coverage
    WHERE ($account IS NULL OR account_id = $account)
      AND ($region IS NULL OR region = $region)
      AND ($since IS NULL OR hour >= date_trunc('hour', CAST($since AS TIMESTAMP)))
      AND ($until IS NULL OR hour < $until)
      AND ($since IS NULL OR day >= CAST(CAST($since AS TIMESTAMP) AS DATE))
      AND ($until IS NULL OR day <= CAST(CAST($until AS TIMESTAMP) AS DATE))
),
-- Of what is said to be of another time (see `horizon`), nothing is asked.
told AS (
    SELECT unnest(make_array(first_event_time, last_event_time)) AS at FROM object_times
    UNION ALL
    SELECT delivered_at FROM objects
    UNION ALL
    SELECT start_time FROM digests
    UNION ALL
    SELECT end_time FROM digests
),
known AS (
    SELECT min(t.at) AS first_time, max(t.at) AS last_time
    FROM told AS t
    WHERE t.at >= horizon_from() AND t.at < horizon_until()
),
-- The window as whole hours.
bounds AS (
    SELECT
        date_trunc('hour', CAST(coalesce($since, first_time) AS TIMESTAMP)) AS from_hour,
        date_trunc('hour', CAST(coalesce($until, last_time) AS TIMESTAMP) + INTERVAL '59 minutes 59.999999 seconds')
            AS to_hour
    FROM known
),
days AS (
    SELECT CAST(begins AS DATE) AS day, from_hour, to_hour, begins
    FROM (
        SELECT
            from_hour,
            to_hour,
            unnest(generate_series(date_trunc('day', from_hour), to_hour - INTERVAL '1 hour', INTERVAL '1 day')) AS begins
        FROM bounds
        WHERE from_hour < to_hour
    )
),
grid AS (
    SELECT
        l.account_id,
        l.region,
        d.day,
        CAST(
            (date_part('epoch', least(d.begins + INTERVAL '1 day', d.to_hour))
                - date_part('epoch', greatest(d.begins, d.from_hour))) / 3600
            AS BIGINT
        ) AS hours
    FROM lanes AS l
    CROSS JOIN days AS d
    WHERE ($account IS NULL OR l.account_id = $account)
      AND ($region IS NULL OR l.region = $region)
),
counted AS (
    SELECT
        h.account_id, h.region, h.day,
        count(*) FILTER (WHERE h.state = 'proven') AS proven,
        count(*) FILTER (WHERE h.state = 'observed') AS observed,
        count(*) FILTER (WHERE h.state = 'blind') AS blind,
        coalesce(
            min(h.reason) FILTER (WHERE h.state = 'blind'),
            min(h.reason) FILTER (WHERE h.state = 'unknown' OR h.state = 'observed')
        ) AS reason
    FROM hours AS h
    CROSS JOIN bounds AS b
    WHERE CAST(h.hour AS TIMESTAMP) >= b.from_hour AND CAST(h.hour AS TIMESTAMP) < b.to_hour
    GROUP BY h.account_id, h.region, h.day
)
SELECT
    g.account_id,
    g.region,
    g.day,
    coalesce(c.proven, 0) AS proven,
    coalesce(c.observed, 0) AS observed,
    g.hours - coalesce(c.proven, 0) - coalesce(c.observed, 0) - coalesce(c.blind, 0) AS unknown,
    coalesce(c.blind, 0) AS blind,
    CASE
        WHEN c.reason IS NOT NULL THEN c.reason
        WHEN c.proven IS NULL OR c.proven < g.hours THEN 'nothing in the lake is of these hours'
    END AS reason
FROM grid AS g
LEFT JOIN counted AS c ON c.account_id = g.account_id AND c.region = g.region AND c.day = g.day
ORDER BY g.account_id, g.region, g.day
