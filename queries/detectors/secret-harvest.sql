-- ---
-- title    = "One principal had many secrets decrypted within an hour"
-- severity = "high"
-- attack   = ["T1555.006"]
-- needs    = []
-- message  = "{principal} harvested secrets: {detail}"
-- params.since   = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until   = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.secrets = { type = "integer", default = 25, doc = "so many different secrets within an hour are too many" }
-- ---
-- ## What it does
-- Looks for a principal for whom at least `secrets` different secrets of Secrets Manager or parameters of Systems
-- Manager were decrypted within one hour. Versions of one secret are one secret. It is critical when it was three times
-- as many, and when any of them was decrypted by a direct call to KMS: only the service should do that.
-- There is one finding per principal, under the key that it used most. Hours begin at every half hour.
-- ## Why it matters
-- Who has got hold of an application's credentials reads all the secrets that they open, at once. An application reads
-- its own few when it starts.
-- ## False positives
-- Operators that copy secrets into a cluster, backups, rotation jobs and deployments that read the secrets of all
-- applications. Accept those by principal and key, or raise `secrets` above what they need.
-- ## What to do next
-- Ask whoever owns the principal. Look at its sessions of that hour (`keytrail timeline --principal`) and at who assumed
-- the role. If nobody can explain them, revoke the role's sessions, then rotate every secret that was read.
WITH opened AS (
    SELECT
        principal,
        key_arn,
        coalesce(key_account_id, account_id) AS account_id,
        coalesce(key_region, region) AS region,
        -- A parameter may be named with its version.
        CASE WHEN asset_type = 'ssm-parameter' THEN regexp_replace(asset, ':[0-9]+$', '') ELSE asset END AS secret,
        via,
        date_bin(INTERVAL '30 minutes', event_time) AS half,
        count(*) AS calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND asset_type IN ('secret', 'ssm-parameter')
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
-- Each half hour is in two hours, so that no harvest of half an hour is cut in two.
hours AS (
    SELECT principal, secret, unnest(make_array(half, half - INTERVAL '30 minutes')) AS hour
    FROM opened
    GROUP BY principal, secret, half
),
harvests AS (
    SELECT principal, hour, count(DISTINCT secret) AS secrets
    FROM hours
    GROUP BY principal, hour
    HAVING count(DISTINCT secret) >= $secrets
),
harvested AS (
    SELECT principal, half, max(secrets) AS secrets
    FROM (
        SELECT principal, secrets, unnest(make_array(hour, hour + INTERVAL '30 minutes')) AS half
        FROM harvests
    )
    GROUP BY principal, half
),
taken AS (
    SELECT o.*, h.secrets
    FROM opened AS o
    JOIN harvested AS h ON h.principal = o.principal AND h.half = o.half
),
by_key AS (
    SELECT
        *,
        -- Few records lack their key.
        row_number() OVER (PARTITION BY principal ORDER BY key_arn IS NULL, calls DESC, key_arn, account_id, region) AS place
    FROM (
        SELECT principal, key_arn, account_id, region, sum(calls) AS calls
        FROM taken
        GROUP BY principal, key_arn, account_id, region
    )
),
by_principal AS (
    SELECT
        principal,
        max(secrets) AS most,
        count(DISTINCT secret) AS secrets,
        count(DISTINCT key_arn) AS keys,
        sum(calls) AS calls,
        bool_or(via IS NULL) AS is_direct,
        array_to_string(array_sort(array_agg(DISTINCT coalesce(via, 'direct calls'))), ', ') AS ways,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM taken
    GROUP BY principal
),
-- The first harvest lies within an hour of its first call.
shown AS (
    SELECT
        c.principal,
        array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence
    FROM calls AS c
    JOIN by_principal AS p
        ON p.principal = c.principal
        AND c.event_time >= p.first_seen
        AND c.event_time < p.first_seen + INTERVAL '1 hour'
    WHERE c.usage_class = 'decrypt'
      AND c.outcome = 'ok'
      AND c.asset_type IN ('secret', 'ssm-parameter')
      AND c.event_time >= $since
      AND c.event_time < $until
      AND c.event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND c.event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY c.principal
)
SELECT
    k.key_arn,
    p.principal,
    k.account_id,
    k.region,
    p.first_seen,
    p.last_seen,
    CAST(p.calls AS BIGINT) AS events,
    s.evidence,
    concat(
        p.most, ' different secrets were decrypted within one hour, by way of ', p.ways,
        CASE WHEN p.secrets > p.most THEN concat('; ', p.secrets, ' in all such hours') ELSE '' END,
        CASE WHEN p.keys > 1 THEN concat('; with ', p.keys, ' keys') ELSE '' END,
        '.'
    ) AS detail,
    CASE WHEN p.is_direct OR p.most >= 3 * $secrets THEN 'critical' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM by_principal AS p
JOIN by_key AS k ON k.principal = p.principal AND k.place = 1
JOIN shown AS s ON s.principal = p.principal
ORDER BY p.principal, k.key_arn
