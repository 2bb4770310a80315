-- ---
-- title    = "A principal decrypted from a network that it had never called from"
-- severity = "medium"
-- attack   = ["T1078.004"]
-- needs    = ["baseline"]
-- message  = "{principal} decrypted with {key_arn} from elsewhere: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_min_days = { type = "integer", default = 7, doc = "days of the baseline on which it must have decrypted" }
-- params.calls = { type = "integer", default = 2, doc = "fewer calls than that from a new network are low" }
-- params.often_days = { type = "integer", default = 14, doc = "with fewer such days, a new network is low" }
-- ---
-- ## What it does
-- Looks at successful decryptions by direct calls to KMS, and at the network of each caller: the VPC endpoint that it
-- came through, whatever the address behind it, or else that of its address: 256 neighbouring addresses of IPv4, or a
-- site's share of IPv6 (`address_block()`). It reports a principal, and the key that it used, that called from a
-- network of which none of its direct decryptions in the baseline came. It is low where the principal decrypted on
-- fewer than `often_days` days before, or on fewer than twice as many as the window has; where it came from a new network
-- on every other day; where it was a single call (`calls`); and where it is a role of IAM Identity Center (`AWSReservedSSO_…`), behind which there are several
-- people, who go home and travel.
-- ## When it does not judge
-- A principal with direct decryptions on fewer than `baseline_min_days` days of the baseline tells nothing of where it
-- usually is: the keys that it used from a new network are not evaluated. One without any is `unexpected-decryptor`'s.
-- ## Why it matters
-- Credentials that are stolen from a server, a laptop or a build are used elsewhere: at the thief's. That may be a VPC
-- of the thief's own, with an endpoint and any private address.
-- ## False positives
-- A new subnet, NAT gateway, VPC endpoint or office; people who travel; build runners of a provider.
-- ## What to do next
-- Find out whose address it is. If it is none of yours, revoke the principal's sessions and see what else the access
-- key did (`keytrail timeline --principal`). Condition the role's policy on your networks or VPC endpoints.

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH by_address AS (
    SELECT
        key_arn,
        principal,
        vpc_endpoint_id,
        CASE WHEN vpc_endpoint_id IS NULL THEN source_ip END AS source_ip,
        event_date,
        event_time < $since AS is_past,
        min(account_id) AS account_id,
        min(region) AS region
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND via IS NULL
      AND key_arn IS NOT NULL
      AND (vpc_endpoint_id IS NOT NULL OR source_ip IS NOT NULL)
      AND principal NOT LIKE 'service:%'
      AND principal NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5, 6
),
visits AS (
    SELECT *
    FROM (SELECT *, coalesce(vpc_endpoint_id, address_block(source_ip)) AS block FROM by_address)
    WHERE block IS NOT NULL
),
weighed AS (
    SELECT
        *,
        bool_or(is_past) OVER (PARTITION BY principal, block) AS is_known,
        count(DISTINCT CASE WHEN is_past THEN event_date END) OVER (PARTITION BY principal) AS past_days,
        count(DISTINCT CASE WHEN is_past THEN block END) OVER (PARTITION BY principal) AS past_blocks
    FROM visits
),
news AS (
    SELECT
        key_arn,
        principal,
        min(account_id) AS account_id,
        min(region) AS region,
        max(past_days) AS past_days,
        max(past_blocks) AS past_blocks,
        array_sort(array_agg(DISTINCT block)) AS blocks
    FROM weighed
    WHERE NOT is_past
      AND NOT is_known
      AND past_days > 0
    GROUP BY key_arn, principal
)
SELECT
    n.key_arn,
    n.principal,
    n.account_id,
    n.region,
    min(c.event_time) AS first_seen,
    max(c.event_time) AS last_seen,
    count(c.event_id) AS events,
    coalesce(
        array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id) FILTER (WHERE c.event_id IS NOT NULL), 1, 10),
        make_array()
    ) AS evidence,
    concat(
        count(c.event_id), ' direct calls from ', array_to_string(array_slice(n.blocks, 1, 5), ', '),
        CASE WHEN cardinality(n.blocks) > 5 THEN concat(' and ', cardinality(n.blocks) - 5, ' more') ELSE '' END,
        '; on ', n.past_days, ' days before it came from ', n.past_blocks,
        CASE WHEN n.past_blocks = 1 THEN ' other network.' ELSE ' other networks.' END
    ) AS detail,
    CASE
        WHEN n.past_days < $baseline_min_days THEN NULL
        WHEN n.past_days < $often_days OR 2 * n.past_blocks >= n.past_days THEN 'low'
        -- As many days as two windows: a network that comes now and then would have been seen.
        WHEN n.past_days < 2 * (date_part('epoch', CAST($until AS TIMESTAMP)) - date_part('epoch', CAST($since AS TIMESTAMP))) / 86400
        THEN 'low'
        WHEN count(c.event_id) < $calls THEN 'low'
        WHEN n.principal LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'low'
    END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN n.past_days < $baseline_min_days
        THEN concat(
            'it used the key from a new network, but had decrypted directly on only ', n.past_days, ' days before, ',
            $baseline_min_days, ' are needed to learn its usual networks'
        )
    END AS not_evaluated
FROM news AS n
LEFT JOIN calls AS c
    ON c.key_arn = n.key_arn
    AND c.principal = n.principal
    AND n.past_days >= $baseline_min_days
    AND array_has(n.blocks, coalesce(c.vpc_endpoint_id, address_block(c.source_ip)))
    AND c.usage_class = 'decrypt'
    AND c.outcome = 'ok'
    AND c.via IS NULL
    AND c.event_time >= $since
    AND c.event_time < $until
GROUP BY n.key_arn, n.principal, n.account_id, n.region, n.past_days, n.past_blocks, n.blocks
ORDER BY n.key_arn, n.principal
