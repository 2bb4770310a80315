-- ---
-- title    = "A principal looked over many keys, or tried out what it may do"
-- severity = "medium"
-- attack   = ["T1580", "T1069.003"]
-- needs    = ["baseline"]
-- message  = "{principal} probed keys: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_min_days = { type = "integer", default = 7, doc = "days of the baseline on which its account must have events" }
-- params.keys = { type = "integer", default = 10, doc = "so many keys looked at within an hour are many" }
-- params.dry_runs = { type = "integer", default = 8, doc = "so many dry runs within an hour are many" }
-- ---
-- ## What it does
-- Looks for a principal that described, or read the policy, grants, rotation or tags of, at least `keys` different
-- keys within one hour, whether it was let or not; or that made at least `dry_runs` calls with `DryRun`, which change
-- nothing and tell whether the call is allowed. It must be more than twice as many as in any hour of the baseline. AWS
-- services and service-linked roles are left out. Hours begin at every half hour, from the one before `since` on, so that
-- nothing is cut in two by it. There is one finding per principal, under its own account.
-- ## When it does not judge
-- Where the account has events on fewer than `baseline_min_days` days of the baseline.
-- ## Why it matters
-- Who has come into an account first looks at what there is. Reading a key's policy or making a dry run touches
-- nothing and stops nobody's work, so nobody notices.
-- ## False positives
-- A new scanner for security or cost, an administrator who pages through the keys in the console, Terraform's first
-- run over an account, tests of permissions. `keytrail inventory` looks at every key, too: accept the role that it runs
-- as with an `[[accept]]` entry in keytrail.toml. It is not known by its user agent, which every caller chooses.
-- ## What to do next
-- Ask the principal's owner. If nobody knows of it, see what the same session did besides (`keytrail timeline
-- --principal`).

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH looks AS (
    SELECT
        principal,
        date_bin(INTERVAL '30 minutes', event_time) AS half,
        CASE WHEN outcome <> 'dry_run' THEN key_arn END AS key_arn,
        event_time + INTERVAL '1 hour' < $since AS is_past,
        count(*) FILTER (WHERE outcome = 'dry_run') AS dry_runs,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        min(coalesce(principal_account_id, account_id)) AS account_id
    FROM calls
    WHERE (
            outcome = 'dry_run'
            OR (
                event_name IN ('DescribeKey', 'GetKeyPolicy', 'ListGrants', 'GetKeyRotationStatus', 'ListResourceTags')
                AND outcome IN ('ok', 'denied')
            )
        )
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/%'
      AND via IS NULL
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4
),
-- Each half hour is in two hours, so that nothing of half an hour is cut in two.
hours AS (
    SELECT
        principal,
        is_past,
        hour,
        count(DISTINCT key_arn) AS keys,
        sum(dry_runs) AS dry_runs,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        min(account_id) AS account_id
    FROM (SELECT *, unnest(make_array(half, half - INTERVAL '30 minutes')) AS hour FROM looks)
    GROUP BY principal, is_past, hour
),
weighed AS (
    SELECT
        *,
        keys >= $keys AND keys > 2 * max(CASE WHEN is_past THEN keys ELSE 0 END) OVER (PARTITION BY principal)
            AS is_survey,
        dry_runs >= $dry_runs AND dry_runs > 2 * max(CASE WHEN is_past THEN dry_runs ELSE 0 END) OVER (PARTITION BY principal)
            AS is_trial
    FROM hours
),
probes AS (
    SELECT
        principal,
        min(account_id) AS account_id,
        max(CASE WHEN is_survey THEN keys ELSE 0 END) AS keys,
        max(CASE WHEN is_trial THEN dry_runs ELSE 0 END) AS dry_runs,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        array_agg(DISTINCT hour) AS probed_hours
    FROM weighed
    WHERE NOT is_past
      AND last_seen >= $since
      AND (is_survey OR is_trial)
    GROUP BY principal
),
history AS (
    SELECT account_id, count(DISTINCT event_date) AS days
    FROM events
    WHERE event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $since
    GROUP BY account_id
),
judged AS (
    SELECT p.*, coalesce(h.days, 0) AS past_days
    FROM probes AS p
    LEFT JOIN history AS h ON h.account_id = p.account_id
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    p.principal,
    p.account_id,
    CAST(NULL AS VARCHAR) AS region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
    concat_ws(
        ' ',
        CASE WHEN p.keys > 0 THEN concat('It looked at ', p.keys, ' keys within one hour.') END,
        CASE WHEN p.dry_runs > 0 THEN concat('It made ', p.dry_runs, ' dry runs within one hour.') END,
        concat('It never did half as much on the ', p.past_days, ' days before that have events.'),
        CASE
            WHEN count(c.key_arn) > 0
            THEN concat(
                'Keys: ', array_to_string(array_slice(array_sort(array_agg(DISTINCT c.key_arn)
                    FILTER (WHERE c.key_arn IS NOT NULL)), 1, 5), ', '),
                CASE WHEN count(DISTINCT c.key_arn) > 5 THEN concat(' and ', count(DISTINCT c.key_arn) - 5, ' more') ELSE '' END,
                '.'
            )
        END
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN p.past_days < $baseline_min_days
        THEN concat(
            'its account has events on ', p.past_days, ' days before, ',
            $baseline_min_days, ' are needed to learn who looks at keys'
        )
    END AS not_evaluated
FROM judged AS p
JOIN calls AS c
    ON c.principal = p.principal
    AND c.event_time >= p.first_seen
    AND c.event_time <= p.last_seen
    AND (
        array_has(p.probed_hours, date_bin(INTERVAL '30 minutes', c.event_time))
        OR array_has(p.probed_hours, date_bin(INTERVAL '30 minutes', c.event_time) - INTERVAL '30 minutes')
    )
    AND (
        (p.dry_runs > 0 AND c.outcome = 'dry_run')
        OR (
            p.keys > 0
            AND c.event_name IN ('DescribeKey', 'GetKeyPolicy', 'ListGrants', 'GetKeyRotationStatus', 'ListResourceTags')
            AND c.outcome IN ('ok', 'denied')
        )
    )
WHERE c.via IS NULL
  AND c.event_time >= $since - INTERVAL '1 hour'
  AND c.event_time < $until
GROUP BY p.principal, p.account_id, p.keys, p.dry_runs, p.past_days
ORDER BY p.principal
