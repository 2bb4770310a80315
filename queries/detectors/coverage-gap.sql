-- ---
-- title    = "Hours that no log vouches for"
-- severity = "low"
-- attack   = ["T1562.008"]
-- needs    = []
-- message  = "The logs of {account_id} in {region} have a gap: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only hours at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only hours before this instant" }
-- params.baseline_days = { type = "days", default = 7, doc = "how many days before `since` the hour may be that a gap follows" }
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
        account_id, region, hour, state = 'blind' AS is_blind, state IN ('proven', 'observed') AS is_known,
        max(CASE WHEN state IN ('proven', 'observed') THEN hour END) OVER () AS lake_hour
    FROM coverage
    WHERE hour >= date_trunc('hour', $since - days($baseline_days)) AND hour < $until
),
-- Between an hour that is known and the next one that is, or else the last of the lake.
gaps AS (
    SELECT
        account_id, region, next_hour IS NULL AS is_dark,
        greatest(hour + hours(1), date_trunc('hour', $since)) AS from_hour, coalesce(next_hour, lake_hour) AS to_hour
    FROM (SELECT *, lead(hour) OVER (PARTITION BY account_id, region ORDER BY hour) AS next_hour FROM told WHERE is_known)
    WHERE coalesce(next_hour, lake_hour) > hour + hours(1) AND (next_hour IS NOT NULL OR lake_hour > hour + hours($lag_hours))
),
measured AS (
    SELECT
        g.account_id, g.region, g.is_dark, g.from_hour, g.to_hour, count(t.hour) FILTER (WHERE t.is_blind) AS blind,
        CAST(round(24 * days_between(g.from_hour, g.to_hour)) AS BIGINT) AS hours
    FROM gaps AS g
    LEFT JOIN told AS t
        ON t.account_id = g.account_id AND t.region = g.region AND t.hour >= g.from_hour AND t.hour < g.to_hour
    WHERE g.to_hour > g.from_hour
    GROUP BY g.account_id, g.region, g.is_dark, g.from_hour, g.to_hour
)
SELECT
    g.account_id, g.region, min(g.from_hour) AS first_seen, max(g.to_hour) - hours(1) AS last_seen,
    concat(
        'no log to rely on for ', counted(sum(g.hours), 'hour'),
        ' (', sum(g.hours) - sum(g.blind), ' unknown, ', sum(g.blind), ' blind), the first ', min(g.from_hour), ', the last ',
        max(g.to_hour) - hours(1), '; at most ', max(g.hours), ' in a row',
        CASE WHEN bool_or(g.is_dark) THEN '; nothing of it is known since, though the lake goes on elsewhere' ELSE '' END
    ) AS detail,
    CASE WHEN max(g.hours) > $long_hours AND (sum(g.blind) > 0 OR count(s.account_id) > 0) THEN 'medium' END AS severity
FROM measured AS g
-- Where there are digests, a quiet hour has one too.
LEFT JOIN (SELECT account_id, region FROM digests GROUP BY account_id, region) AS s ON s.account_id = g.account_id AND s.region = g.region
GROUP BY g.account_id, g.region
