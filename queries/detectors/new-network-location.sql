-- ---
-- title    = "A principal decrypted from a network that it had never called from"
-- severity = "medium"
-- attack   = ["T1078.004"]
-- needs    = ["baseline"]
-- message  = "{principal} decrypted with {key_arn} from elsewhere: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
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

-- By address first: addresses are many times fewer than calls.
WITH visits AS (
    SELECT *, coalesce(vpc_endpoint_id, address_block(source_ip)) AS network
    FROM (
        SELECT
            key_arn, principal, vpc_endpoint_id, CASE WHEN vpc_endpoint_id IS NULL THEN source_ip END AS source_ip,
            min(account_id) AS account_id, min(region) AS region, count(*) AS calls, min(event_time) AS first_seen,
            max(event_time) AS last_seen, evidence(event_id, event_time) AS evidence
        FROM decrypts
        WHERE via IS NULL
          AND NOT is_aws
          AND key_arn IS NOT NULL
          AND event_time >= $since AND event_time < $until
        GROUP BY 1, 2, 3, 4
    )
    WHERE vpc_endpoint_id IS NOT NULL OR address_block(source_ip) IS NOT NULL
),
past AS (
    SELECT principal, day, coalesce(vpc_endpoint_id, address_block(source_ip)) AS network
    FROM (
        SELECT
            d.principal, d.event_date AS day, d.vpc_endpoint_id, CASE WHEN d.vpc_endpoint_id IS NULL THEN d.source_ip END AS source_ip
        FROM (SELECT principal FROM visits GROUP BY principal) AS v
        JOIN decrypts AS d ON d.principal = v.principal
        WHERE d.via IS NULL
          AND d.key_arn IS NOT NULL
          AND d.event_time >= $since - days($baseline_days) AND d.event_time < $since
        GROUP BY 1, 2, 3, 4
    )
    WHERE vpc_endpoint_id IS NOT NULL OR address_block(source_ip) IS NOT NULL
),
habits AS (
    SELECT principal, count(DISTINCT day) AS days, count(DISTINCT network) AS networks
    FROM past
    GROUP BY principal
)
SELECT
    v.key_arn, v.principal, min(v.account_id) AS account_id, min(v.region) AS region, min(v.first_seen) AS first_seen,
    max(v.last_seen) AS last_seen, sum(v.calls) AS events,
    array_slice(flatten(array_agg(v.evidence ORDER BY v.first_seen, v.network, v.source_ip)), 1, 10) AS evidence,
    concat(
        sum(v.calls), ' direct calls from ', listed(v.network), '; on ', h.days, ' days before it came from ',
        counted(h.networks, 'other network'), '.'
    ) AS detail,
    CASE
        WHEN h.days < $often_days OR 2 * h.networks >= h.days THEN 'low'
        -- As many days as two windows: a network that comes now and then would have been seen.
        WHEN h.days < 2 * days_between($since, $until) THEN 'low'
        WHEN sum(v.calls) < $calls OR v.principal LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'low'
    END AS severity,
    CASE
        WHEN h.days < $baseline_min_days
        THEN concat(
            'it used the key from a new network, but had decrypted directly on only ', h.days, ' days before, ',
            $baseline_min_days, ' are needed to learn its usual networks'
        )
    END AS not_evaluated
FROM visits AS v
JOIN habits AS h ON h.principal = v.principal
LEFT ANTI JOIN past AS p ON p.principal = v.principal AND p.network = v.network
GROUP BY v.key_arn, v.principal, h.days, h.networks
