-- ---
-- title    = "Hours that no log vouches for"
-- severity = "low"
-- attack   = ["T1562.008"]
-- needs    = []
-- message  = "The logs of {account_id} in {region} have a gap: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only hours at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only hours before this instant" }
-- params.baseline_days = { type = "integer", default = 7, doc = "how many days before `since` the hour may be that a gap follows" }
-- params.long_hours = { type = "integer", default = 24, doc = "a gap of more than this many hours in a row has medium severity, if some are blind or the lane has digests" }
-- params.lag_hours = { type = "integer", default = 24, doc = "how many hours the logs of an account and Region may lag behind the rest of the lake" }
-- ---
-- ## What it does
-- Finds, for each account and Region, hours in the window that are unknown or blind in `coverage` though hours
-- before and after them are proven or observed. One finding is of one account and Region. Where no hour was ever
-- proven or observed there is no gap: such a lane was never in the lake. After an account and Region's last known
-- hour there is a gap only where others of the lake have known hours more than `lag_hours` later; it ends with the
-- latest of these. What is later may yet come.
-- ## Why it matters
-- What happened in those hours is not in the lake. That nobody used a key in a span with a gap cannot be said.
-- ## False positives
-- Without digests only events and files show that an hour was logged, so an hour in which an account did nothing is
-- unknown too, and such a gap stays low; so does that of a Region in which nothing happens any more. Read the
-- digests (`keytrail verify`): then a quiet hour is known to be quiet.
-- ## What to do next
-- `keytrail coverage` says why an hour is not known. Ingest the missing days again, or see kms-logging-blinded when
-- the trail did not record.
WITH told AS (
    SELECT
        account_id,
        region,
        hour,
        state = 'blind' AS is_blind,
        state IN ('proven', 'observed') AS is_known,
        max(CASE WHEN state IN ('proven', 'observed') THEN hour END) OVER () AS lake_hour
    FROM coverage
    WHERE day >= CAST(CAST($since AS TIMESTAMP) - CAST(concat($baseline_days, ' days') AS INTERVAL) AS DATE)
      AND day <= CAST(CAST($until AS TIMESTAMP) AS DATE)
      AND hour >= date_trunc('hour', $since - CAST(concat($baseline_days, ' days') AS INTERVAL))
      AND hour < $until
),
counted AS (
    SELECT
        *,
        count(*) FILTER (WHERE is_blind AND hour >= date_trunc('hour', $since) AND hour < lake_hour) OVER (
            PARTITION BY account_id, region ORDER BY hour
        ) AS blind_so_far,
        count(*) FILTER (WHERE is_blind AND hour >= date_trunc('hour', $since) AND hour < lake_hour) OVER (
            PARTITION BY account_id, region
        ) AS blind_at_last
    FROM told
),
known AS (
    SELECT
        account_id,
        region,
        hour,
        lake_hour,
        blind_so_far,
        blind_at_last,
        max(hour) OVER (PARTITION BY account_id, region) AS last_known,
        lag(hour) OVER (PARTITION BY account_id, region ORDER BY hour) AS previous,
        lag(blind_so_far) OVER (PARTITION BY account_id, region ORDER BY hour) AS blind_before
    FROM counted
    WHERE is_known
),
-- From the first hour that lacks to the next that does not, as far as they are in the window; and from the last hour
-- that is known to the last of the lake. Each row is read as both, so that coverage is worked out once.
gaps AS (
    SELECT
        account_id,
        region,
        is_dark,
        greatest(
            CASE WHEN is_dark THEN hour + INTERVAL '1 hour' ELSE previous + INTERVAL '1 hour' END,
            date_trunc('hour', $since)
        ) AS from_hour,
        CASE WHEN is_dark THEN lake_hour ELSE hour END AS to_hour,
        CASE WHEN is_dark THEN blind_at_last - blind_so_far ELSE blind_so_far - blind_before END AS blind
    FROM (SELECT *, unnest(make_array(false, true)) AS is_dark FROM known)
    WHERE (
            NOT is_dark
            AND hour > date_trunc('hour', $since)
            AND hour > previous + INTERVAL '1 hour'
        )
        OR (
            is_dark
            AND hour = last_known
            AND lake_hour > date_trunc('hour', $since)
            AND lake_hour > hour + INTERVAL '1 hour'
            AND lake_hour > hour + CAST(concat($lag_hours, ' hours') AS INTERVAL)
        )
),
measured AS (
    SELECT
        *,
        CAST((date_part('epoch', to_hour) - date_part('epoch', from_hour)) / 3600 AS BIGINT) AS hours
    FROM gaps
),
-- Where there are digests, a quiet hour has one too.
signed AS (
    SELECT account_id, region FROM digests GROUP BY account_id, region
),
lanes_with_gaps AS (
    SELECT
        account_id,
        region,
        min(from_hour) AS first_hour,
        max(to_hour) - INTERVAL '1 hour' AS last_hour,
        sum(hours) AS hours,
        max(hours) AS longest,
        bool_or(is_dark) AS is_dark,
        sum(blind) AS blind
    FROM measured
    GROUP BY account_id, region
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    CAST(NULL AS VARCHAR) AS principal,
    g.account_id,
    g.region,
    first_hour AS first_seen,
    last_hour AS last_seen,
    0 AS events,
    arrow_cast(make_array(), 'List(Utf8)') AS evidence,
    concat(
        'no log to rely on for ', hours, CASE WHEN hours = 1 THEN ' hour' ELSE ' hours' END,
        ' (', hours - blind, ' unknown, ', blind, ' blind), the first ', first_hour, ', the last ', last_hour,
        '; at most ', longest, ' in a row',
        CASE WHEN is_dark THEN '; nothing of it is known since, though the lake goes on elsewhere' ELSE '' END
    ) AS detail,
    CASE WHEN longest > $long_hours AND (blind > 0 OR s.account_id IS NOT NULL) THEN 'medium' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM lanes_with_gaps AS g
LEFT JOIN signed AS s ON s.account_id = g.account_id AND s.region = g.region
ORDER BY g.account_id, g.region
