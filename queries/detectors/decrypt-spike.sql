-- ---
-- title    = "A principal decrypted far more in an hour than it ever does"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- message  = "{principal} decrypted with {key_arn} far more than usual: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
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

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH hours AS (
    SELECT
        key_arn,
        principal,
        event_date,
        date_trunc('hour', event_time) AS hour,
        event_time < $since AS is_past,
        count(*) AS calls,
        min(account_id) AS account_id,
        min(region) AS region,
        min(coalesce(principal_account_id, account_id)) AS home
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5
),
-- What other principals of its account did in the Region in the same hour, and all along. Its own use of another key
-- is no excuse.
surrounded AS (
    SELECT
        *,
        sum(calls) OVER (PARTITION BY home, region, hour)
            - sum(calls) OVER (PARTITION BY home, region, hour, principal) AS others,
        sum(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY home, region)
            - sum(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY home, region, principal) AS past_of_others,
        sum(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY key_arn, principal) AS past_calls,
        max(CASE WHEN is_past THEN 0 ELSE calls END) OVER (PARTITION BY key_arn, principal) AS window_peak
    FROM hours
),
-- Most pairs have no hour that could be a spike; the medians are of the others.
centred AS (
    SELECT
        *,
        median(CASE WHEN is_past THEN CAST(calls AS DOUBLE) END) OVER (PARTITION BY key_arn, principal) AS middle,
        max(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY key_arn, principal) AS past_peak,
        count(DISTINCT CASE WHEN is_past THEN event_date END) OVER (PARTITION BY key_arn, principal) AS past_days
    FROM surrounded
    WHERE window_peak >= $min_calls
),
measured AS (
    SELECT
        *,
        median(CASE WHEN is_past THEN abs(calls - middle) END) OVER (PARTITION BY key_arn, principal) AS deviation
    FROM centred
),
spikes AS (
    SELECT
        key_arn,
        principal,
        min(account_id) AS account_id,
        min(region) AS region,
        max(middle) AS middle,
        max(past_peak) AS past_peak,
        max(past_days) AS past_days,
        max(calls) AS peak,
        count(*) AS hours,
        min(hour) AS first_hour,
        array_agg(hour) AS spike_hours
    FROM measured
    WHERE NOT is_past
      AND calls >= $min_calls
      AND (
          past_days < $baseline_min_days
          OR (
              calls > past_peak
              AND calls > middle + $deviations * deviation
              -- others / past_of_others is how busy the rest was against the baseline; times past_calls, it is what was to
              -- be expected of this one. Others without a past tell nothing.
              AND (past_of_others = 0 OR calls * past_of_others > $times_share * past_calls * others)
          )
      )
    GROUP BY key_arn, principal
)
SELECT
    s.key_arn,
    s.principal,
    s.account_id,
    s.region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat(
        s.peak, ' decryptions in an hour, where it made ', s.past_peak, ' at most and ', CAST(round(s.middle) AS BIGINT),
        ' usually, on ', s.past_days, ' days before',
        CASE WHEN s.hours > 1 THEN concat('; in ', s.hours, ' hours') ELSE '' END,
        '.'
    ) AS detail,
    CASE WHEN s.past_days >= $baseline_min_days AND s.peak >= 10 * s.past_peak THEN 'high' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN s.past_days < $baseline_min_days
        THEN concat(
            'it had decrypted with the key on ', s.past_days, ' days before, ',
            $baseline_min_days, ' are needed to learn how much is usual'
        )
    END AS not_evaluated
FROM spikes AS s
JOIN calls AS c
    ON c.key_arn = s.key_arn
    AND c.principal = s.principal
    AND c.event_time >= s.first_hour
    AND array_has(s.spike_hours, date_trunc('hour', c.event_time))
WHERE c.usage_class = 'decrypt'
  AND c.outcome = 'ok'
  AND c.event_time >= $since
  AND c.event_time < $until
GROUP BY s.key_arn, s.principal, s.account_id, s.region, s.peak, s.past_peak, s.middle, s.past_days, s.hours
ORDER BY s.key_arn, s.principal
