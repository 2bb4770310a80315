-- ---
-- title    = "A principal decrypted with many keys, or many things, within an hour"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- evidence = "decrypts"
-- message  = "{principal} decrypted far and wide: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_min_days = { type = "integer", default = 7, doc = "days of the baseline on which its account must have decrypted" }
-- params.keys = { type = "integer", default = 10, doc = "so many keys within an hour are many" }
-- params.assets = { type = "integer", default = 200, doc = "so many assets within an hour, by direct calls, are many" }
-- ---
-- ## What it does
-- Counts, for each principal and hour, the keys that it decrypted with, and the assets that it decrypted by direct
-- calls to KMS. It reports who reached `keys` keys or `assets` assets within one hour, and more than twice as many as
-- in any hour of the baseline. Hours begin at every half hour, from the one before `since` on, so that nothing is cut
-- in two by it. There is one finding per principal, under its own account. AWS services and service-linked roles are
-- left out.
-- ## When it does not judge
-- Where the principal's account has decrypted on fewer than `baseline_min_days` days of the baseline.
-- ## Why it matters
-- An application uses the keys of its own data. One that goes through all keys in reach is somebody's harvest, even
-- where the number of calls is modest.
-- ## False positives
-- Backups, scanners for sensitive data, migrations; an administrator at work in many places.
-- ## What to do next
-- `keytrail query principal-usage` shows what the principal used and when. Ask its owner; look at who assumed the
-- role.

-- Whoever has few keys and few calls in each hour of the window need not be compared with the past.
WITH busy AS (
    SELECT principal
    FROM (
        SELECT principal, hour, count(DISTINCT key_arn) AS keys, sum(named_calls) AS calls, max(last_seen) AS last_seen
        FROM (SELECT *, unnest(hours_of(half)) AS hour FROM decrypts_by_half_hour WHERE NOT is_aws AND key_arn IS NOT NULL)
        GROUP BY principal, hour
    )
    WHERE last_seen >= $since AND (keys >= $keys OR calls >= $assets)
    GROUP BY principal
),
opened AS (
    SELECT
        c.principal, c.key_arn, CASE WHEN c.via IS NULL THEN c.asset END AS asset,
        c.event_time + hours(1) < $since AS is_past, date_bin(INTERVAL '30 minutes', c.event_time) AS half,
        min(c.home) AS home, count(*) AS calls, min(c.event_time) AS first_seen, max(c.event_time) AS last_seen
    FROM busy AS b
    JOIN decrypts AS c ON c.principal = b.principal
    WHERE c.key_arn IS NOT NULL
      AND c.event_time >= $since - days($baseline_days) AND c.event_time < $until
    GROUP BY 1, 2, 3, 4, 5
),
reached AS (
    SELECT *, unnest(hours_of(half)) AS hour FROM opened
),
hours AS (
    SELECT
        *,
        max(CASE WHEN is_past THEN keys ELSE 0 END) OVER (PARTITION BY principal) AS past_keys,
        max(CASE WHEN is_past THEN assets ELSE 0 END) OVER (PARTITION BY principal) AS past_assets
    FROM (
        SELECT principal, is_past, hour, max(last_seen) AS last_seen, count(DISTINCT key_arn) AS keys, count(DISTINCT asset) AS assets
        FROM reached
        GROUP BY principal, is_past, hour
    )
),
wide AS (
    SELECT
        r.principal, r.key_arn, r.asset, r.half, max(r.home) AS home, max(r.calls) AS calls,
        max(r.first_seen) AS first_seen, max(r.last_seen) AS last_seen,
        max(h.keys) AS keys, max(h.past_keys) AS past_keys, max(h.assets) AS assets, max(h.past_assets) AS past_assets
    FROM hours AS h
    JOIN reached AS r ON r.principal = h.principal AND r.hour = h.hour AND r.is_past = h.is_past
    WHERE NOT h.is_past
      AND h.last_seen >= $since
      AND ((h.keys >= $keys AND h.keys > 2 * h.past_keys) OR (h.assets >= $assets AND h.assets > 2 * h.past_assets))
    GROUP BY r.principal, r.key_arn, r.asset, r.half
)
SELECT
    w.principal, min(w.home) AS account_id, min(w.first_seen) AS first_seen, max(w.last_seen) AS last_seen,
    sum(w.calls) AS events,
    concat(
        CASE
            WHEN max(w.keys) >= $keys AND max(w.keys) > 2 * max(w.past_keys)
            THEN concat(max(w.keys), ' keys within one hour, where it used ', max(w.past_keys), ' at most before. ')
            ELSE ''
        END,
        CASE
            WHEN max(w.assets) >= $assets AND max(w.assets) > 2 * max(w.past_assets)
            THEN concat(
                max(w.assets), ' assets within one hour by direct calls, where there were ', max(w.past_assets), ' at most before. '
            )
            ELSE ''
        END,
        'With ', listed(w.key_arn), '.'
    ) AS detail,
    CASE
        WHEN coalesce(max(d.days), 0) < $baseline_min_days
        THEN concat(
            'its account had decrypted on ', coalesce(max(d.days), 0), ' days before, ',
            $baseline_min_days, ' are needed to learn what is usual'
        )
    END AS not_evaluated
FROM wide AS w
LEFT JOIN (
    SELECT home, count(DISTINCT day) AS days
    FROM decrypts_by_day
    WHERE is_past AND NOT is_aws AND day >= CAST($since - days($baseline_days) AS DATE)
    GROUP BY home
) AS d ON d.home = w.home
GROUP BY w.principal
