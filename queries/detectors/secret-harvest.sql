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

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
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
        max(event_time) AS last_seen,
        first_value(event_id ORDER BY event_time, event_id) AS event_id
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND asset_type IN ('secret', 'ssm-parameter')
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since - INTERVAL '1 hour'
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
-- Each half hour is in two hours, so that no harvest of half an hour is cut in two.
hours AS (
    SELECT *, unnest(make_array(half, half - INTERVAL '30 minutes')) AS hour
    FROM opened
),
counted AS (
    SELECT
        *,
        sum(is_new) OVER (PARTITION BY principal, hour) AS secrets,
        max(last_seen) OVER (PARTITION BY principal, hour) AS hour_end
    FROM (
        SELECT
            *,
            CASE row_number() OVER (PARTITION BY principal, hour, secret ORDER BY first_seen) WHEN 1 THEN 1 ELSE 0 END
                AS is_new
        FROM hours
    )
),
taken AS (
    SELECT *, count(DISTINCT secret) OVER (PARTITION BY principal, key_arn) AS key_secrets
    FROM (
        SELECT
            principal, key_arn, account_id, region, secret, via, half, calls, first_seen, last_seen, event_id,
            max(secrets) AS secrets
        FROM counted
        WHERE secrets >= $secrets
          AND hour_end >= $since
        GROUP BY principal, key_arn, account_id, region, secret, via, half, calls, first_seen, last_seen, event_id
    )
),
harvests AS (
    SELECT
        principal,
        -- Which key was used most may change from run to run, and the finding must not. Few records lack their key.
        first_value(key_arn ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn) AS key_arn,
        first_value(account_id ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn, account_id) AS account_id,
        first_value(region ORDER BY key_arn IS NULL, 2 * key_secrets < $secrets, key_arn, account_id, region) AS region,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        sum(calls) AS events,
        array_slice(array_agg(event_id ORDER BY first_seen, event_id), 1, 10) AS evidence,
        max(secrets) AS most,
        count(DISTINCT secret) AS secrets,
        count(DISTINCT key_arn) AS keys,
        bool_or(via IS NULL) AS is_direct,
        array_to_string(array_sort(array_agg(DISTINCT coalesce(via, 'direct calls'))), ', ') AS ways
    FROM taken
    GROUP BY principal
)
SELECT
    key_arn,
    principal,
    account_id,
    region,
    first_seen,
    last_seen,
    CAST(events AS BIGINT) AS events,
    evidence,
    concat(
        most, ' different secrets were decrypted within one hour, by way of ', ways,
        CASE WHEN secrets > most THEN concat('; ', secrets, ' in all such hours') ELSE '' END,
        CASE WHEN keys > 1 THEN concat('; with ', keys, ' keys') ELSE '' END,
        '.'
    ) AS detail,
    CASE WHEN is_direct OR most >= 3 * $secrets THEN 'critical' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM harvests
ORDER BY principal
