-- ---
-- title    = "A principal looked over many keys, or tried out what it may do"
-- severity = "medium"
-- attack   = ["T1580", "T1069.003"]
-- needs    = ["baseline"]
-- message  = "{principal} probed keys: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
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

-- Whoever looked at few keys in each hour of the window need not be compared with the past.
WITH looks AS (
    SELECT
        principal, outcome = 'dry_run' AS is_trial, key_arn, event_id, event_time,
        date_bin(INTERVAL '30 minutes', event_time) AS half, coalesce(principal_account_id, account_id) AS home
    FROM calls
    WHERE (
            outcome = 'dry_run'
            OR (
                event_name IN ('DescribeKey', 'GetKeyPolicy', 'ListGrants', 'GetKeyRotationStatus', 'ListResourceTags')
                AND outcome IN ('ok', 'denied')
            )
        )
      AND NOT is_aws
      AND via IS NULL
      AND event_time >= $since - days($baseline_days) AND event_time < $until
),
busy AS (
    SELECT principal
    FROM (
        SELECT principal, hour
        FROM (SELECT *, unnest(hours_of(half)) AS hour FROM looks WHERE event_time >= $since - hours(1))
        GROUP BY principal, hour
        HAVING count(DISTINCT CASE WHEN NOT is_trial THEN key_arn END) >= $keys
            OR sum(CASE WHEN is_trial THEN 1 ELSE 0 END) >= $dry_runs
    )
    GROUP BY principal
),
hours AS (
    SELECT
        *,
        max(CASE WHEN is_past THEN keys ELSE 0 END) OVER (PARTITION BY principal) AS past_keys,
        max(CASE WHEN is_past THEN trials ELSE 0 END) OVER (PARTITION BY principal) AS past_trials
    FROM (
        SELECT
            principal, is_past, hour, min(home) AS home, max(event_time) AS last_seen,
            count(DISTINCT CASE WHEN NOT is_trial THEN key_arn END) AS keys,
            sum(CASE WHEN is_trial THEN 1 ELSE 0 END) AS trials
        FROM (
            SELECT l.*, l.event_time + hours(1) < $since AS is_past, unnest(hours_of(l.half)) AS hour
            FROM busy AS b
            JOIN looks AS l ON l.principal = b.principal
        )
        GROUP BY principal, is_past, hour
    )
),
probes AS (
    SELECT principal, hour, home, keys, trials, is_survey, is_trial
    FROM (
        SELECT
            *,
            keys >= $keys AND keys > 2 * past_keys AS is_survey,
            trials >= $dry_runs AND trials > 2 * past_trials AS is_trial
        FROM hours
    )
    WHERE NOT is_past
      AND last_seen >= $since
      AND (is_survey OR is_trial)
),
history AS (
    SELECT account_id, count(DISTINCT day) AS days
    FROM logged_days
    WHERE is_past AND day >= CAST($since - days($baseline_days) AS DATE)
    GROUP BY account_id
),
-- What is in two of the hours counts once.
found AS (
    SELECT
        l.principal, l.event_id, l.event_time, l.key_arn, min(p.home) AS home,
        max(CASE WHEN p.is_survey THEN p.keys END) AS keys, max(CASE WHEN p.is_trial THEN p.trials END) AS trials
    FROM (
        SELECT *, bool_or(is_survey) OVER (PARTITION BY principal) AS surveys, bool_or(is_trial) OVER (PARTITION BY principal) AS tries
        FROM probes
    ) AS p
    JOIN looks AS l ON l.principal = p.principal AND l.event_time >= p.hour AND l.event_time < p.hour + hours(1)
    WHERE ((p.tries AND l.is_trial) OR (p.surveys AND NOT l.is_trial))
      AND l.event_time + hours(1) >= $since
    GROUP BY l.principal, l.event_id, l.event_time, l.key_arn
)
SELECT
    f.principal, min(f.home) AS account_id, min(f.event_time) AS first_seen, max(f.event_time) AS last_seen,
    count(*) AS events, evidence(f.event_id, f.event_time) AS evidence,
    concat(
        CASE WHEN max(f.keys) IS NULL THEN '' ELSE concat('It looked at ', max(f.keys), ' keys within one hour. ') END,
        CASE WHEN max(f.trials) IS NULL THEN '' ELSE concat('It made ', max(f.trials), ' dry runs within one hour. ') END,
        'It never did half as much on the ', coalesce(max(h.days), 0), ' days before that have events.',
        coalesce(' Keys: ' || listed(f.key_arn) || '.', '')
    ) AS detail,
    CASE
        WHEN coalesce(max(h.days), 0) < $baseline_min_days
        THEN concat(
            'its account has events on ', coalesce(max(h.days), 0), ' days before, ',
            $baseline_min_days, ' are needed to learn who looks at keys'
        )
    END AS not_evaluated
FROM found AS f
LEFT JOIN history AS h ON h.account_id = f.home
GROUP BY f.principal
