-- ---
-- title    = "A principal decrypted with many keys, or many things, within an hour"
-- severity = "medium"
-- attack   = ["T1530"]
-- needs    = ["baseline"]
-- message  = "{principal} decrypted far and wide: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
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

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH opened AS (
    SELECT
        principal,
        key_arn,
        CASE WHEN via IS NULL THEN asset END AS asset,
        event_time + INTERVAL '1 hour' < $since AS is_past,
        date_bin(INTERVAL '30 minutes', event_time) AS half,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
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
-- Each half hour is in two hours, so that nothing of half an hour is cut in two. What is distinct is grouped, not
-- counted as such: for each group DataFusion would hold a set.
items AS (
    SELECT
        principal,
        is_past,
        hour,
        item,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        min(home) AS home
    FROM (
        SELECT
            principal,
            is_past,
            first_seen,
            last_seen,
            home,
            unnest(make_array(half, half - INTERVAL '30 minutes')) AS hour,
            item
        FROM (
            SELECT *, unnest(make_array('key ' || key_arn, 'asset ' || asset)) AS item FROM opened
        )
    )
    WHERE item IS NOT NULL
    GROUP BY principal, is_past, hour, item
),
hours AS (
    SELECT
        principal,
        is_past,
        hour,
        count(*) FILTER (WHERE item LIKE 'key %') AS keys,
        count(*) FILTER (WHERE item LIKE 'asset %') AS assets,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        min(home) AS home
    FROM items
    GROUP BY principal, is_past, hour
),
weighed AS (
    SELECT
        *,
        max(CASE WHEN is_past THEN keys ELSE 0 END) OVER (PARTITION BY principal) AS past_keys,
        max(CASE WHEN is_past THEN assets ELSE 0 END) OVER (PARTITION BY principal) AS past_assets,
        count(DISTINCT CASE WHEN is_past THEN CAST(first_seen AS DATE) END) OVER (PARTITION BY home) AS past_days
    FROM hours
),
wide AS (
    SELECT
        principal,
        home,
        max(keys) AS keys,
        max(assets) AS assets,
        max(past_keys) AS past_keys,
        max(past_assets) AS past_assets,
        max(past_days) AS past_days,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        array_agg(DISTINCT hour) AS wide_hours
    FROM weighed
    WHERE NOT is_past
      AND last_seen >= $since
      AND ((keys >= $keys AND keys > 2 * past_keys) OR (assets >= $assets AND assets > 2 * past_assets))
    GROUP BY principal, home
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    w.principal,
    w.home AS account_id,
    CAST(NULL AS VARCHAR) AS region,
    w.first_seen,
    w.last_seen,
    count(*) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat_ws(
        ' ',
        CASE
            WHEN w.keys >= $keys AND w.keys > 2 * w.past_keys
            THEN concat(w.keys, ' keys within one hour, where it used ', w.past_keys, ' at most before.')
        END,
        CASE
            WHEN w.assets >= $assets AND w.assets > 2 * w.past_assets
            THEN concat(w.assets, ' assets within one hour by direct calls, where there were ', w.past_assets, ' at most before.')
        END,
        concat(
            'With ', array_to_string(array_slice(array_sort(array_agg(DISTINCT c.key_arn)), 1, 5), ', '),
            CASE WHEN count(DISTINCT c.key_arn) > 5 THEN concat(' and ', count(DISTINCT c.key_arn) - 5, ' more') ELSE '' END,
            '.'
        )
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN w.past_days < $baseline_min_days
        THEN concat(
            'its account had decrypted on ', w.past_days, ' days before, ',
            $baseline_min_days, ' are needed to learn what is usual'
        )
    END AS not_evaluated
FROM wide AS w
JOIN calls AS c
    ON c.principal = w.principal
    AND c.event_time >= w.first_seen
    AND c.event_time <= w.last_seen
    AND (
        array_has(w.wide_hours, date_bin(INTERVAL '30 minutes', c.event_time))
        OR array_has(w.wide_hours, date_bin(INTERVAL '30 minutes', c.event_time) - INTERVAL '30 minutes')
    )
WHERE c.usage_class = 'decrypt'
  AND c.outcome = 'ok'
  AND c.key_arn IS NOT NULL
  AND c.event_time >= $since - INTERVAL '1 hour'
  AND c.event_time < $until
GROUP BY
    w.principal, w.home, w.first_seen, w.last_seen,
    w.keys, w.past_keys, w.assets, w.past_assets, w.past_days
ORDER BY w.principal
