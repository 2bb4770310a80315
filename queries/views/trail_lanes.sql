-- ---
-- title = "Which accounts and Regions each changed trail records"
-- ---
-- ## What it holds
-- One row per trail of `trail_states` and account and Region that it records, so far as is known. The answer of a call
-- that made or changed it, or digests, tell whether it is of one Region and whether it is an organization's; where
-- nothing tells, a trail is taken for one of every Region of its account, so that a change of it is not overlooked.
-- ## How digests of the same name are told apart
-- A member account may have a trail named as the organization's. An account's change is about its own trail when there
-- are digests of one.
WITH trails AS (
    -- What is known of a trail's kind is carried to its last state.
    SELECT account_id, home_region, trail, was_multi_region OR is_multi_region AS is_multi_region, is_organization
    FROM trail_states
    WHERE until_time IS NULL
),
signed AS (
    SELECT account_id, region, trail, home_region, is_organization
    FROM digests
    GROUP BY account_id, region, trail, home_region, is_organization
),
owned AS (
    SELECT DISTINCT account_id, trail, home_region FROM signed WHERE NOT is_organization
),
shared AS (
    SELECT DISTINCT trail, home_region FROM signed WHERE is_organization
),
known AS (
    SELECT
        t.account_id,
        t.home_region,
        t.trail,
        t.is_multi_region,
        CASE
            WHEN t.is_organization IS NOT NULL THEN t.is_organization
            WHEN o.trail IS NULL AND s.trail IS NOT NULL THEN true
        END AS is_organization,
        s.trail AS shared_trail
    FROM trails AS t
    LEFT JOIN owned AS o ON o.account_id = t.account_id AND o.trail = t.trail AND o.home_region = t.home_region
    LEFT JOIN shared AS s ON s.trail = t.trail AND s.home_region = t.home_region
)
SELECT account_id, region, owner_account_id, home_region, trail, is_organization
FROM (
    -- Of its own account: all Regions, unless it is known to be of one.
    SELECT l.account_id, l.region, k.account_id AS owner_account_id, k.home_region, k.trail, k.is_organization
    FROM known AS k
    JOIN lanes AS l ON l.account_id = k.account_id
    WHERE coalesce(k.is_multi_region, true) OR l.region = k.home_region
    UNION ALL
    -- Of other accounts: where its digests are.
    SELECT d.account_id, d.region, k.account_id, k.home_region, k.trail, k.is_organization
    FROM known AS k
    JOIN signed AS d ON d.trail = k.trail AND d.home_region = k.home_region AND d.is_organization
    WHERE k.is_organization
    UNION ALL
    -- An organization's trail without digests: any account may be a member.
    SELECT l.account_id, l.region, k.account_id, k.home_region, k.trail, k.is_organization
    FROM known AS k
    CROSS JOIN lanes AS l
    WHERE k.is_organization
      AND k.shared_trail IS NULL
      AND (coalesce(k.is_multi_region, true) OR l.region = k.home_region)
)
GROUP BY account_id, region, owner_account_id, home_region, trail, is_organization
