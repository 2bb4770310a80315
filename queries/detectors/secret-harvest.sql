-- ---
-- title    = "One principal had many secrets decrypted within an hour"
-- severity = "high"
-- attack   = ["T1555.006"]
-- needs    = []
-- message  = "{principal} harvested secrets: {detail}"
-- params.since   = { type = "timestamp", required = true, doc = "only what went on at or after it, begun up to an hour before" }
-- params.until   = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.secrets = { type = "integer", default = 25, doc = "so many different secrets within an hour are too many" }
-- ---
-- ## What it does
-- Looks for a principal for whom at least `secrets` different secrets of Secrets Manager or parameters of Systems
-- Manager were decrypted within one hour. Versions of one secret are one secret. It is critical when it was three
-- times as many, and when any of them was decrypted by a direct call to KMS: only the service should do that. There is
-- one finding per principal, under one key: of those that half of `secrets` were read with, the one whose ARN comes
-- first. Hours begin at every half hour, from the one before `since` on, so that no harvest is cut in two by it.
-- ## Why it matters
-- Who has got hold of an application's credentials reads all the secrets that they open, at once. An application reads
-- its own few when it starts.
-- ## False positives
-- Operators that copy secrets into a cluster, backups, rotation jobs and deployments that read the secrets of all
-- applications. Accept those by principal and key, or raise `secrets` above what they need.
-- ## What to do next
-- Ask whoever owns the principal. Look at its sessions of that hour (`keytrail timeline --principal`) and at who
-- assumed the role. If nobody can explain them, revoke the role's sessions, then rotate every secret that was read.

-- Whoever has few such calls in each hour has few secrets: only what the others read is looked at one by one.
WITH busy AS (
    SELECT principal
    FROM (
        SELECT principal, hour, sum(secret_calls) AS calls, max(last_seen) AS last_seen
        FROM (SELECT *, unnest(hours_of(half)) AS hour FROM decrypts_by_half_hour WHERE NOT is_aws AND secret_calls > 0)
        GROUP BY principal, hour
    )
    WHERE calls >= $secrets AND last_seen >= $since
    GROUP BY principal
),
opened AS (
    SELECT
        c.principal, c.key_arn, c.via, date_bin(INTERVAL '30 minutes', c.event_time) AS half,
        coalesce(c.key_account_id, c.account_id) AS account_id, coalesce(c.key_region, c.region) AS region,
        -- A parameter may be named with its version.
        CASE WHEN c.asset_type = 'ssm-parameter' THEN regexp_replace(c.asset, ':[0-9]+$', '') ELSE c.asset END AS secret,
        count(*) AS calls, min(c.event_time) AS first_seen, max(c.event_time) AS last_seen,
        first_value(c.event_id ORDER BY c.event_time, c.event_id) AS event_id
    FROM busy AS b
    JOIN decrypts AS c ON c.principal = b.principal
    WHERE c.asset_type IN ('secret', 'ssm-parameter')
      AND c.event_time >= $since - hours(1) AND c.event_time < $until
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
harvests AS (
    SELECT principal, hour, count(DISTINCT secret) AS secrets
    FROM (SELECT *, unnest(hours_of(half)) AS hour FROM opened)
    GROUP BY principal, hour
    HAVING count(DISTINCT secret) >= $secrets AND max(last_seen) >= $since
),
taken AS (
    SELECT o.*, o.secrets AS most, count(DISTINCT o.secret) OVER (PARTITION BY o.principal, o.key_arn) AS key_secrets
    FROM (
        SELECT
            o.principal, o.key_arn, o.via, o.half, o.account_id, o.region, o.secret, o.calls, o.first_seen, o.last_seen, o.event_id,
            max(h.secrets) AS secrets
        FROM opened AS o
        JOIN harvests AS h ON h.principal = o.principal AND array_has(hours_of(o.half), h.hour)
        GROUP BY ALL
    ) AS o
)
SELECT
    -- Which key was used most may change from run to run, and the finding must not. Few records lack their key.
    first_value(key_arn ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn) AS key_arn,
    principal,
    first_value(account_id ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn, account_id) AS account_id,
    first_value(region ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn, account_id, region) AS region,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(calls) AS events,
    evidence(event_id, first_seen) AS evidence,
    concat(
        max(most), ' different secrets were decrypted within one hour, by way of ', listed(coalesce(via, 'direct calls')),
        CASE WHEN count(DISTINCT secret) > max(most) THEN concat('; ', count(DISTINCT secret), ' in all such hours') ELSE '' END,
        CASE WHEN count(DISTINCT key_arn) > 1 THEN concat('; with ', count(DISTINCT key_arn), ' keys') ELSE '' END,
        '.'
    ) AS detail,
    CASE WHEN bool_or(via IS NULL) OR max(most) >= 3 * $secrets THEN 'critical' END AS severity
FROM taken
GROUP BY principal
