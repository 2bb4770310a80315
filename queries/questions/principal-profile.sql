-- ---
-- title = "What a principal is like: when, with which keys, through which services, from where"
-- params.principal = { type = "text", required = true, doc = "the principal; `*` stands for any characters" }
-- params.since     = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until     = { type = "timestamp", doc = "only calls before this instant" }
-- params.limit     = { type = "integer", default = 20, doc = "at most so many values of a trait, the most frequent ones" }
-- ---
-- ## What it answers
-- One row per trait and value (see the view `call_traits`): how many calls of the principal had it, how many of these failed,
-- were denied, and the first and last. The row `all` is the principal as a whole; `distinct_values` says how many values the trait has
-- in all, when `limit` leaves some out. `by_hour` of a weekday has its calls in each hour, 0 to 23 UTC. Cross-account calls count
-- once, and dry runs are no calls.
-- ## Why
-- Before an alert is dismissed or believed: is this key, address or hour usual for them?
WITH counted AS (
    SELECT
        trait,
        value,
        max(detail) AS detail,
        count(*) FILTER (WHERE (outcome IS DISTINCT FROM 'dry_run')) AS calls,
        count(*) FILTER (WHERE failed AND (outcome IS DISTINCT FROM 'dry_run')) AS failures,
        count(*) FILTER (WHERE outcome = 'denied') AS denied,
        count(*) FILTER (WHERE outcome = 'dry_run') AS dry_runs,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM call_traits
    WHERE (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
    GROUP BY trait, value
),
week AS (
    SELECT
        'weekday' AS trait,
        d.name AS value,
        sum(c.calls) AS calls,
        sum(c.failures) AS failures,
        sum(c.denied) AS denied,
        sum(c.dry_runs) AS dry_runs,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        min(d.day) AS place,
        array_agg(coalesce(c.calls, 0) ORDER BY h.hour) AS by_hour
    FROM (VALUES (1, 'Mon'), (2, 'Tue'), (3, 'Wed'), (4, 'Thu'), (5, 'Fri'), (6, 'Sat'), (7, 'Sun')) AS d (day, name)
    CROSS JOIN (SELECT unnest(range(0, 24)) AS hour) AS h
    LEFT JOIN counted AS c ON c.trait = 'hour' AND c.value = concat(d.day, ' ', lpad(CAST(h.hour AS VARCHAR), 2, '0'))
    GROUP BY d.name
    HAVING count(c.calls) > 0
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY trait ORDER BY calls DESC, value) AS place,
        count(*) OVER (PARTITION BY trait) AS distinct_values
    FROM counted
    WHERE trait <> 'hour'
),
listed AS (
    SELECT
        trait, value, detail, calls, failures, denied, dry_runs, first_seen, last_seen, distinct_values, place,
        CAST(NULL AS BIGINT[]) AS by_hour
    FROM placed
    WHERE place <= $limit
    UNION ALL
    SELECT
        trait, value, NULL, calls, failures, denied, dry_runs, first_seen, last_seen, count(*) OVER (), place, by_hour
    FROM week
)
SELECT trait, value, detail, calls, failures, denied, dry_runs, first_seen, last_seen, distinct_values, by_hour
FROM listed
ORDER BY
    array_position(
        make_array('all', 'principal', 'key', 'operation', 'service', 'asset', 'address', 'agent', 'error', 'weekday'), trait
    ),
    place
