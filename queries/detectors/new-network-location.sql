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

-- A network is new to a principal if its first direct call from there is in the window. By address first: addresses are many times
-- fewer than calls.
WITH networks AS (
    SELECT *, count(*) FILTER (WHERE first_seen < $since) OVER (PARTITION BY principal) AS past_networks
    FROM (
        SELECT principal, coalesce(vpc_endpoint_id, address_block(source_ip)) AS network, min(first_seen) AS first_seen
        FROM (
            SELECT
                principal, vpc_endpoint_id, CASE WHEN vpc_endpoint_id IS NULL THEN source_ip END AS source_ip,
                min(event_time) AS first_seen
            FROM decrypts
            WHERE via IS NULL AND key_arn IS NOT NULL AND event_time >= $since - days($baseline_days) AND event_time < $until
            GROUP BY 1, 2, 3
        )
        GROUP BY 1, 2
    )
    WHERE network IS NOT NULL
),
visits AS (
    SELECT
        d.key_arn, d.principal, n.past_networks AS networks, min(d.account_id) AS account_id, min(d.region) AS region,
        min(d.event_time) AS first_seen, max(d.event_time) AS last_seen, count(*) AS calls, listed(n.network) AS told,
        evidence(d.event_id, d.event_time) AS evidence
    FROM (SELECT * FROM networks WHERE first_seen >= $since AND past_networks > 0) AS n
    JOIN decrypts AS d ON d.principal = n.principal
    WHERE d.via IS NULL
      AND NOT d.is_aws
      AND d.key_arn IS NOT NULL
      AND d.event_time >= $since AND d.event_time < $until
      AND coalesce(d.vpc_endpoint_id, address_block(d.source_ip)) = n.network
    GROUP BY d.key_arn, d.principal, n.past_networks
)
SELECT
    v.key_arn, v.principal, v.account_id, v.region, v.first_seen, v.last_seen, v.calls AS events, v.evidence,
    concat(
        v.calls, ' direct calls from ', v.told, '; before, it came from ', counted(v.networks, 'other network'),
        ', and decrypted directly on ', counted(h.days, 'day'), '.'
    ) AS detail,
    CASE
        WHEN h.days < $often_days OR 2 * v.networks >= h.days THEN 'low'
        -- As many days as two windows: a network that comes now and then would have been seen.
        WHEN h.days < 2 * days_between($since, $until) THEN 'low'
        WHEN v.calls < $calls OR v.principal LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'low'
    END AS severity,
    CASE
        WHEN h.days < $baseline_min_days
        THEN concat(
            'it used the key from a new network, but had decrypted directly on only ', h.days, ' days before, ',
            $baseline_min_days, ' are needed to learn its usual networks'
        )
    END AS not_evaluated
FROM visits AS v
JOIN (
    SELECT principal, count(DISTINCT day) AS days
    FROM decrypts_by_day
    WHERE is_past AND via IS NULL AND key_arn IS NOT NULL AND day >= CAST($since - days($baseline_days) AS DATE)
    GROUP BY principal
) AS h ON h.principal = v.principal
