-- ---
-- title    = "A trail was made blind to KMS"
-- severity = "high"
-- attack   = ["T1562.008"]
-- needs    = []
-- message  = "{principal} blinded trail {asset}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Finds calls that kept a trail from recording the use of keys: event selectors that exclude KMS or record only writes
-- (Decrypt counts as a read), StopLogging, DeleteTrail, and UpdateTrail that took the other Regions away or made an
-- organization's trail one of its own account only. It is critical when the trail is still so at the end of the window
-- and other trails are not known to record KMS then in every account and Region of the lake that it recorded. A new
-- bucket or KMS key for a trail, and log file validation switched off, are told with medium severity: the trail goes
-- on, but its files go elsewhere or prove less. Calls that failed changed nothing and are left out.
-- ## Why it matters
-- Who wants to use a key unseen begins here. What a trail did not record cannot be had from it afterwards, and no
-- finding about that time can be relied on.
-- ## False positives
-- KMS is often excluded for its cost, and trails are replaced by organization trails. A trail that is deleted and made
-- anew by a tool was blind for a moment only; the detail says from when it recorded again.
-- ## What to do next
-- Ask the principal. Let the trail record KMS again. CloudTrail's event history cannot leave KMS out: look there for
-- what happened meanwhile, Region by Region, before its 90 days are over.
WITH did AS (
    SELECT
        account_id, home_region, trail, principal, min(event_time) AS first_seen, max(event_time) AS last_seen,
        max(event_time) FILTER (WHERE blinds) AS blinded_at, bool_or(loses_regions) AS loses_regions,
        bool_or(loses_members) AS loses_members, count(*) AS events, evidence(event_id, event_time) AS evidence,
        some_of(array_agg(DISTINCT act ORDER BY act), '; ') AS acts
    FROM trail_losses
    WHERE event_time >= $since AND event_time < $until
    GROUP BY account_id, home_region, trail, principal
),
-- Where each of those trails recorded: what it lost is not in `trail_lanes`, which knows what it is now.
places AS (
    SELECT d.account_id, d.home_region, d.trail, d.principal, l.account_id AS lane_account_id, l.region AS lane_region
    FROM did AS d
    JOIN trail_lanes AS l ON l.owner_account_id = d.account_id AND l.home_region = d.home_region AND l.trail = d.trail
    UNION
    SELECT d.account_id, d.home_region, d.trail, d.principal, l.account_id, l.region
    FROM did AS d
    CROSS JOIN lanes AS l
    WHERE d.loses_members OR (d.loses_regions AND l.account_id = d.account_id)
),
-- Where each trail is known to record KMS at the end of the window. A trail of which nothing tells that it is of more
-- Regions or accounts than its own is taken to be of those.
recording AS (
    SELECT s.account_id, s.home_region, s.trail, l.account_id AS lane_account_id, l.region AS lane_region
    FROM trail_states AS s
    JOIN trail_lanes AS l ON l.owner_account_id = s.account_id AND l.home_region = s.home_region AND l.trail = s.trail
    WHERE s.from_time < $until
      AND (s.until_time IS NULL OR s.until_time >= $until)
      AND s.logging = 'on'
      AND s.captures = 'yes'
      AND (s.is_multi_region OR l.region = s.home_region)
      AND (l.is_organization OR l.account_id = s.account_id)
),
-- Whether another trail records in each of its places.
replaced AS (
    SELECT account_id, home_region, trail, principal, bool_and(others > 0) AS is_replaced
    FROM (
        SELECT
            p.account_id, p.home_region, p.trail, p.principal, p.lane_account_id, p.lane_region,
            count(*) FILTER (
                WHERE r.trail <> p.trail OR r.account_id <> p.account_id OR r.home_region <> p.home_region
            ) AS others
        FROM places AS p
        LEFT JOIN recording AS r ON r.lane_account_id = p.lane_account_id AND r.lane_region = p.lane_region
        GROUP BY p.account_id, p.home_region, p.trail, p.principal, p.lane_account_id, p.lane_region
    )
    GROUP BY account_id, home_region, trail, principal
),
ended AS (
    SELECT
        d.account_id, d.home_region, d.trail, d.principal, d.first_seen, d.last_seen, d.blinded_at, d.events, d.evidence, d.acts,
        bool_or(s.is_last AND s.is_blind) AS is_still,
        min(s.from_time) FILTER (WHERE NOT s.is_blind AND s.from_time > d.blinded_at AND s.from_time < $until) AS mended_at
    FROM did AS d
    LEFT JOIN (
        SELECT
            d.principal, t.account_id, t.home_region, t.trail, t.from_time,
            t.from_time < $until AND (t.until_time IS NULL OR t.until_time >= $until) AS is_last,
            t.is_blind
                OR (d.loses_regions AND NOT coalesce(t.is_multi_region, false))
                OR (d.loses_members AND NOT coalesce(t.is_organization, false)) AS is_blind
        FROM did AS d
        JOIN trail_states AS t ON t.account_id = d.account_id AND t.home_region = d.home_region AND t.trail = d.trail
    ) AS s
        ON s.account_id = d.account_id
        AND s.home_region = d.home_region
        AND s.trail = d.trail
        AND (s.principal IS NOT DISTINCT FROM d.principal)
    GROUP BY d.account_id, d.home_region, d.trail, d.principal, d.first_seen, d.last_seen, d.blinded_at, d.events, d.evidence, d.acts
)
SELECT
    e.principal, e.account_id, e.home_region AS region, e.first_seen, e.last_seen, e.events, e.evidence,
    concat(
        e.acts,
        CASE
            WHEN e.blinded_at IS NULL THEN ''
            WHEN e.is_still AND r.is_replaced
            THEN '; still so at the end of the window, and other trails record KMS wherever it did'
            WHEN e.is_still THEN '; still so at the end of the window'
            ELSE coalesce(concat('; recording again from ' || CAST(e.mended_at AS VARCHAR)), '')
        END
    ) AS detail,
    CASE
        WHEN e.blinded_at IS NULL THEN 'medium'
        WHEN e.is_still AND NOT coalesce(r.is_replaced, false) THEN 'critical'
    END AS severity,
    concat('arn:', aws_partition(e.principal, e.home_region), ':cloudtrail:', e.home_region, ':', e.account_id, ':trail/', e.trail) AS asset
FROM ended AS e
LEFT JOIN replaced AS r
    ON r.account_id = e.account_id
    AND r.home_region = e.home_region
    AND r.trail = e.trail
    AND (r.principal IS NOT DISTINCT FROM e.principal)
