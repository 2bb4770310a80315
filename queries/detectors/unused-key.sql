-- ---
-- title    = "A key that nobody used, in logs that lack no hour"
-- severity = "low"
-- attack   = []
-- needs    = ["inventory", "coverage"]
-- message  = "{key_arn} was not used: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.days  = { type = "days", default = 90, doc = "how many days before `until` a key must have gone unused" }
-- params.lag_hours = { type = "integer", default = 24, doc = "how many hours before `until` the logs may end, the rest being still on its way" }
-- ---
-- ## What it does
-- Finds customer-managed keys that are enabled, are older than `days`, and had no successful cryptographic use in those
-- days by anyone, in any account. It says so only where every hour of them is `proven` or `observed` in `coverage` for
-- the key's account and Region, until the end of its logs at most `lag_hours` before `until`; for other keys it says
-- how many hours are missing. An hour that is only observed counts on days of which the lake has a read of KMS, such as
-- Decrypt, in that account and Region: other events may come from a trail that leaves those out. A multi-Region key is
-- one with its siblings: use of any key of its id in any Region counts, and the Regions of all of them that are known
-- must be covered. A key that GetKeyLastUsage knows to have been used in those days is no finding here; see
-- coverage-contradicted.
-- ## Why it matters
-- Each key costs about 1 USD a month, and 1 USD more for each of its first two rotations. A key that nobody needs can
-- still be used by whoever its policy lets.
-- ## False positives
-- Data may be at rest under the key all the same: an attached EBS volume, a running database or a cached data key asks
-- KMS for nothing, and backups are read when they are needed. The public key of a pair is used outside of AWS without
-- a log. Hours that are only `observed` may lack events.
-- ## What to do next
-- Ask the key's owner, and look for what names the key: volumes, snapshots, backups, databases, secrets, log groups.
-- Disable it and watch for calls that fail for a month or more. Only then schedule its deletion, with 30 days to wait.

-- Siblings of a multi-Region key have one id, in one account: their places are one row each, and what is known of all of them counts.
WITH places AS (
    SELECT k.account_id, k.region, k.key_id, max(greatest(k.last_used, i.last_usage_time)) AS last_used
    FROM known_keys AS k
    LEFT JOIN key_inventory AS i ON i.key_arn = k.key_arn
    -- A call that failed may have named a Region without the key.
    WHERE k.in_inventory OR k.last_used IS NOT NULL
    GROUP BY k.account_id, k.region, k.key_id
),
hours AS (
    SELECT
        account_id, region,
        count(*) FILTER (WHERE state = 'proven') AS proven, count(*) FILTER (WHERE state = 'observed') AS observed,
        count(*) FILTER (WHERE state = 'unread') AS unread, count(*) FILTER (WHERE state = 'blind') AS blind,
        count(DISTINCT CASE WHEN state = 'unread' THEN day END) AS unread_days,
        max(CASE WHEN state IN ('proven', 'observed', 'unread') THEN hour END) + hours(1) AS known_until
    FROM use_coverage
    WHERE hour >= date_trunc('hour', $until - days($days)) AND hour < $until
    GROUP BY account_id, region
),
sets AS (
    SELECT
        p.account_id, p.key_id, max(p.last_used) AS last_used, count(*) AS regions,
        coalesce(sum(h.proven), 0) AS proven, coalesce(sum(h.observed), 0) AS observed, coalesce(sum(h.unread), 0) AS unread,
        coalesce(sum(h.unread_days), 0) AS unread_days, coalesce(sum(h.blind), 0) AS blind,
        -- An hour without a row is unknown, so what is wanted is counted from the parameters. Where the logs end late enough,
        -- what is behind their end may yet come.
        count(*) * CAST(ceil(24 * days_between(date_trunc('hour', window_until() - days($days)), $until)) AS BIGINT)
            - CAST(sum(
                CASE
                    WHEN h.known_until >= $until - hours($lag_hours) AND h.known_until < $until
                    THEN ceil(24 * days_between(h.known_until, $until))
                    ELSE 0
                END
            ) AS BIGINT) AS wanted
    FROM places AS p
    LEFT JOIN hours AS h ON h.account_id = p.account_id AND h.region = p.region
    GROUP BY p.account_id, p.key_id
),
judged AS (
    SELECT
        i.*, s.last_used, s.regions, s.proven, s.observed, s.unread, s.unread_days, s.blind, s.wanted,
        -- A JSON list of names, none of which has a quote in it.
        string_to_array(nullif(trim(BOTH '"' FROM trim(BOTH '[]' FROM i.aliases)), ''), '","') AS names
    FROM key_inventory AS i
    JOIN sets AS s ON s.account_id = i.account_id AND s.key_id = i.key_id
    WHERE NOT i.gone
      AND (i.key_manager IS DISTINCT FROM 'AWS')
      AND (i.aliases IS NULL OR i.aliases NOT LIKE '%"alias/aws/%')
      AND i.enabled IS NOT FALSE
      AND (i.creation_date IS NULL OR i.creation_date < $until - days($days))
      AND (s.last_used IS NULL OR s.last_used < $until - days($days))
)
SELECT
    key_arn, account_id, region,
    concat(
        'no successful use in ', $days, ' days',
        CASE WHEN key_id LIKE 'mrk-%' THEN concat(', nor of any sibling (', regions, ' Regions known)') ELSE '' END,
        '; last use seen: ', coalesce(CAST(last_used AS VARCHAR), 'none'),
        '; of ', wanted, ' hours ', proven, ' are proven and ', observed, ' observed',
        '; about 1 USD a month', CASE WHEN rotation_enabled THEN ', and more once it has rotated' ELSE '' END,
        coalesce('; aliases: ' || some_of(names, ', '), '; no alias'),
        CASE
            WHEN key_usage IN ('SIGN_VERIFY', 'KEY_AGREEMENT', 'ENCAPSULATE_DECAPSULATE') OR key_spec LIKE 'RSA%'
            THEN '; use of its public key outside of AWS is in no log'
            ELSE ''
        END
    ) AS detail,
    CASE
        WHEN enabled IS NULL OR key_manager IS NULL OR creation_date IS NULL
        THEN concat(
            'the inventory does not say ',
            concat_ws(
                ', ', CASE WHEN key_manager IS NULL THEN 'who manages it' END, CASE WHEN enabled IS NULL THEN 'whether it is enabled' END,
                CASE WHEN creation_date IS NULL THEN 'when it was created' END
            )
        )
        WHEN proven + observed < wanted
        THEN concat(
            'no use was seen, but ',
            concat_ws(
                '; ',
                CASE
                    WHEN proven + observed + unread < wanted
                    THEN concat(
                        'of the ', wanted, ' hours of ', $days, ' days ', wanted - proven - observed - unread - blind,
                        ' are unknown and ', blind, ' blind in its account and Region', CASE WHEN regions > 1 THEN 's' ELSE '' END
                    )
                END,
                CASE
                    WHEN unread > 0
                    THEN concat(
                        'nothing shows that the use of KMS was recorded on ', counted(unread_days, 'day')
                    )
                END
            )
        )
    END AS not_evaluated
FROM judged
