-- ---
-- title    = "A principal decrypted far more in an hour than it ever does"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- evidence = "decrypts"
-- message  = "{principal} decrypted with {key_arn} far more than usual: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_min_days = { type = "integer", default = 7, doc = "days of the baseline on which it must have decrypted" }
-- params.min_calls = { type = "integer", default = 200, doc = "fewer decryptions in an hour are no spike" }
-- params.deviations = { type = "integer", default = 10, doc = "so many deviations above the median are too many" }
-- params.times_share = { type = "integer", default = 3, doc = "so many times its share of an hour that is busy for all" }
-- ---
-- ## What it does
-- Counts the successful decryptions of each principal with each key by the hour, and compares the hours of the window
-- with those of the baseline in which it decrypted at all. A spike is an hour of at least `min_calls`, above the
-- median by more than `deviations` times the median absolute deviation, and above any hour of the baseline. An hour
-- that is busy for all is none: the calls must also be more than `times_share` times the principal's usual share of
-- what other principals of its account decrypted in the Region in that hour; where these have no past, that is not
-- asked. A spike is high when it is ten times the busiest
-- hour of the baseline. AWS itself and service-linked roles are left out.
-- ## When it does not judge
-- A principal that decrypted with the key on fewer than `baseline_min_days` days of the baseline, and now does so at
-- least `min_calls` times in an hour, is not evaluated.
-- ## Why it matters
-- Who copies a bucket or a table away with an application's own credentials looks like the application in all but the
-- number of calls.
-- ## False positives
-- Migrations, restores, reprocessing, load tests; a batch that runs less often than the baseline is long.
-- ## What to do next
-- `keytrail who KEY --by asset` for that hour tells what was read. Ask the principal's owner whether a job of theirs
-- did it; if not, look at its sessions and addresses (`keytrail timeline`).

-- Hours are those of the clock. The one in which `since` lies is judged as a whole, so that no burst is cut in two by it.
WITH past AS (
    SELECT
        *,
        sum(calls) OVER (PARTITION BY home, region) - sum(calls) OVER (PARTITION BY home, region, principal) AS calls_of_others
    FROM (
        SELECT
            key_arn, principal, min(home) AS home, min(region) AS region,
            sum(calls) AS calls, count(*) AS days, max(calls) AS busiest_day
        FROM (
            SELECT key_arn, principal, day, min(home) AS home, min(region) AS region, sum(calls) AS calls
            FROM decrypts_by_day
            WHERE is_before_hour AND NOT is_aws AND day >= CAST($since - days($baseline_days) AS DATE)
            GROUP BY key_arn, principal, day
        )
        GROUP BY key_arn, principal
    )
),
hours AS (
    SELECT
        *,
        sum(calls) OVER (PARTITION BY home, region, hour) - sum(calls) OVER (PARTITION BY home, region, hour, principal) AS calls_of_others
    FROM (
        SELECT
            key_arn, principal, date_trunc('hour', half) AS hour, min(account_id) AS account_id, min(region) AS region,
            min(home) AS home, sum(calls) AS calls, min(first_seen) AS first_seen, max(last_seen) AS last_seen
        FROM decrypts_by_half_hour
        WHERE NOT is_aws AND half >= date_trunc('hour', $since)
        GROUP BY 1, 2, 3
    )
),
-- Its own use of another key is no excuse, so only other principals are. The busiest hour of a day has a 24th of it at least.
busy AS (
    SELECT h.*, coalesce(p.days, 0) AS past_days
    FROM hours AS h
    LEFT JOIN past AS p ON p.key_arn = h.key_arn AND p.principal = h.principal
    WHERE h.key_arn IS NOT NULL
      AND h.last_seen >= $since
      AND h.calls >= $min_calls
      AND (
          p.days IS NULL
          OR p.days < $baseline_min_days
          OR (
              24 * h.calls > p.busiest_day
              AND (p.calls_of_others = 0 OR h.calls * p.calls_of_others > $times_share * p.calls * h.calls_of_others)
          )
      )
),
usual AS (
    SELECT key_arn, principal, median(CAST(calls AS DOUBLE)) AS calls, median_deviation(calls) AS deviation, max(calls) AS most
    FROM (
        SELECT c.key_arn, c.principal, count(*) AS calls
        FROM (SELECT key_arn, principal FROM busy WHERE past_days >= $baseline_min_days GROUP BY key_arn, principal) AS b
        JOIN decrypts AS c ON c.key_arn = b.key_arn AND c.principal = b.principal
        WHERE c.event_time >= date_trunc('day', $since - days($baseline_days)) AND c.event_time < date_trunc('hour', $since)
        GROUP BY c.key_arn, c.principal, date_trunc('hour', c.event_time)
    )
    GROUP BY key_arn, principal
)
SELECT
    b.key_arn, b.principal, min(b.account_id) AS account_id, min(b.region) AS region, min(b.first_seen) AS first_seen,
    max(b.last_seen) AS last_seen, sum(b.calls) AS events,
    concat(
        max(b.calls), ' decryptions in an hour, where it made ', max(u.most), ' at most and ', CAST(round(max(u.calls)) AS BIGINT),
        ' usually, on ', max(b.past_days), ' days before', CASE WHEN count(*) > 1 THEN concat('; in ', count(*), ' hours') ELSE '' END, '.'
    ) AS detail,
    CASE WHEN max(b.calls) >= 10 * max(u.most) THEN 'high' END AS severity,
    CASE
        WHEN max(b.past_days) < $baseline_min_days
        THEN concat(
            'it had decrypted with the key on ', max(b.past_days), ' days before, ',
            $baseline_min_days, ' are needed to learn how much is usual'
        )
    END AS not_evaluated
FROM busy AS b
LEFT JOIN usual AS u ON u.key_arn = b.key_arn AND u.principal = b.principal
WHERE b.past_days < $baseline_min_days
   OR (b.calls > u.most AND b.calls > u.calls + $deviations * u.deviation)
GROUP BY b.key_arn, b.principal
