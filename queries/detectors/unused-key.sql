-- ---
-- title    = "A key that nobody used, in logs that lack no hour"
-- severity = "low"
-- attack   = []
-- needs    = ["inventory"]
-- message  = "{key_arn} was not used: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.days  = { type = "integer", default = 90, doc = "how many days before `until` a key must have gone unused" }
-- ---
-- ## What it does
-- Finds customer-managed keys that are enabled, are older than `days`, and had no successful cryptographic use in those
-- days by anyone, in any account. It says so only where every hour of them is `proven` or `observed` in `coverage` for the
-- key's account and Region; for other keys it says how many hours are missing. A multi-Region key is one with its
-- siblings: use of any key of its id in any Region counts, and the Regions of all of them that are known must be covered.
-- A key that GetKeyLastUsage knows to have been used in those days is no finding here; see coverage-contradicted.
-- ## Why it matters
-- Each key costs about 1 USD a month, and 1 USD more for each of its first two rotations. A key that nobody needs can
-- still be used by whoever its policy lets.
-- ## False positives
-- Data may be at rest under the key all the same: an attached EBS volume, a running database or a cached data key asks
-- KMS for nothing, and backups are read when they are needed. The public key of a pair is used outside of AWS without a
-- log. Hours that are only `observed` may lack events.
-- ## What to do next
-- Ask the key's owner, and look for what names the key: volumes, snapshots, backups, databases, secrets, log groups.
-- Disable it and watch for calls that fail for a month or more. Only then schedule its deletion, with 30 days to wait.
WITH candidates AS (
    SELECT
        i.key_arn,
        i.key_id,
        i.account_id,
        i.region,
        i.enabled,
        i.creation_date,
        i.rotation_enabled,
        i.key_usage,
        i.key_spec,
        k.aliases,
        k.key_id LIKE 'mrk-%' AS is_multi_region
    FROM key_inventory AS i
    JOIN known_keys AS k ON k.key_arn = i.key_arn
    WHERE k.key_manager = 'CUSTOMER'
      AND NOT i.gone
      AND i.enabled IS NOT FALSE
      AND (i.creation_date IS NULL OR i.creation_date < $until - CAST(concat($days, ' days') AS INTERVAL))
      AND (i.last_usage_time IS NULL OR i.last_usage_time < $until - CAST(concat($days, ' days') AS INTERVAL))
),
used AS (
    SELECT key_arn, max(event_time) AS last_used
    FROM usage
    WHERE failed = false
      AND event_time < $until
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY key_arn
),
-- The siblings of a multi-Region key have its id, in its account; any other key is its own and only sibling.
siblings AS (
    SELECT c.key_arn, s.key_arn AS sibling_arn, s.account_id, s.region
    FROM candidates AS c
    JOIN known_keys AS s ON s.key_id = c.key_id AND s.account_id = c.account_id
    WHERE s.key_arn = c.key_arn OR c.is_multi_region
),
last_uses AS (
    SELECT
        s.key_arn,
        max(u.last_used) AS last_used,
        count(DISTINCT s.region) AS regions
    FROM siblings AS s
    LEFT JOIN used AS u ON u.key_arn = s.sibling_arn
    GROUP BY s.key_arn
),
hours AS (
    SELECT
        account_id,
        region,
        count(*) FILTER (WHERE state = 'proven') AS proven,
        count(*) FILTER (WHERE state = 'observed') AS observed,
        count(*) FILTER (WHERE state = 'blind') AS blind
    FROM coverage
    WHERE day >= CAST(CAST($until AS TIMESTAMP) - CAST(concat($days, ' days') AS INTERVAL) AS DATE)
      AND day <= CAST(CAST($until AS TIMESTAMP) AS DATE)
      AND hour >= date_trunc('hour', $until - CAST(concat($days, ' days') AS INTERVAL))
      AND hour < $until
    GROUP BY account_id, region
),
-- An hour without a row is unknown, so what is wanted is counted from the parameters.
covered AS (
    SELECT
        l.key_arn,
        coalesce(sum(h.proven), 0) AS proven,
        coalesce(sum(h.observed), 0) AS observed,
        coalesce(sum(h.blind), 0) AS blind,
        count(*) * CAST(
            ceil((
                date_part('epoch', CAST($until AS TIMESTAMP))
                - date_part('epoch', date_trunc('hour', CAST($until AS TIMESTAMP) - CAST(concat($days, ' days') AS INTERVAL)))
            ) / 3600) AS BIGINT
        ) AS wanted
    FROM (SELECT DISTINCT key_arn, account_id, region FROM siblings) AS l
    LEFT JOIN hours AS h ON h.account_id = l.account_id AND h.region = l.region
    GROUP BY l.key_arn
),
judged AS (
    SELECT
        c.*,
        l.last_used,
        l.regions,
        h.proven,
        h.observed,
        h.blind,
        h.wanted,
        h.wanted - h.proven - h.observed - h.blind AS unknown
    FROM candidates AS c
    JOIN last_uses AS l ON l.key_arn = c.key_arn
    JOIN covered AS h ON h.key_arn = c.key_arn
    WHERE l.last_used IS NULL OR l.last_used < $until - CAST(concat($days, ' days') AS INTERVAL)
)
SELECT
    key_arn,
    CAST(NULL AS VARCHAR) AS principal,
    account_id,
    region,
    arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS first_seen,
    arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS last_seen,
    0 AS events,
    arrow_cast(make_array(), 'List(Utf8)') AS evidence,
    concat(
        'no successful use in ', $days, ' days',
        CASE WHEN is_multi_region THEN concat(', nor of any sibling (', regions, ' Regions known)') ELSE '' END,
        '; last use seen: ', coalesce(CAST(date_trunc('second', last_used) AS VARCHAR), 'none'),
        '; of ', wanted, ' hours ', proven, ' are proven and ', observed, ' observed',
        '; about 1 USD a month', CASE WHEN rotation_enabled THEN ', and more once it has rotated' ELSE '' END,
        CASE
            WHEN array_length(aliases) > 0
            THEN concat('; aliases: ', array_to_string(array_slice(aliases, 1, 5), ', '))
            ELSE '; no alias'
        END,
        CASE WHEN array_length(aliases) > 5 THEN concat(' and ', array_length(aliases) - 5, ' more') ELSE '' END,
        CASE
            WHEN key_usage IN ('SIGN_VERIFY', 'KEY_AGREEMENT', 'ENCAPSULATE_DECAPSULATE') OR key_spec LIKE 'RSA%'
            THEN '; use of its public key outside of AWS is in no log'
            ELSE ''
        END
    ) AS detail,
    CAST(NULL AS VARCHAR) AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN enabled IS NULL OR creation_date IS NULL
        THEN 'the inventory could not read whether it is enabled and when it was created'
        WHEN unknown > 0 OR blind > 0
        THEN concat(
            'no use was seen, but of the ', wanted, ' hours of ', $days, ' days ', unknown, ' are unknown and ', blind,
            ' blind in its account and Region', CASE WHEN regions > 1 THEN 's' ELSE '' END
        )
    END AS not_evaluated
FROM judged
ORDER BY key_arn
