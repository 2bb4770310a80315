-- ---
-- title    = "A key of which nothing says what it is for"
-- severity = "low"
-- attack   = []
-- needs    = ["inventory"]
-- message  = "{key_arn} is unexplained: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.days  = { type = "days", default = 90, doc = "how many days before `until` are searched for use" }
-- params.lag_hours = { type = "integer", default = 24, doc = "how many hours before `until` the logs may end, the rest being still on its way" }
-- params.owner_tags = { type = "text", default = "owners?|owned|teams?|services?|apps?|applications?|projects?|products?|contacts?|maintain(er|ers|ed)|costs?|cost-?cent(er|re)|stack", doc = "a regular expression in lower case: a whole word in the name of a tag that tells whose the key is; words end at - _ : . / and where lower case turns to upper" }
-- ---
-- ## What it does
-- Finds customer-managed keys that have no alias, no description, no tag which tells whose they are, and no entry in
-- the expectations file. When such a key was used in the last `days` somebody depends on it and nobody can tell:
-- medium, with who used it. When it was not, it is dead weight; that is said only when every hour of those days is
-- proven or observed in `coverage`, until the end of the logs at most `lag_hours` before `until`; an hour that is only
-- observed counts on days of which the lake has a read of KMS in the key's account and Region. Keys that are pending
-- deletion are left out. Finds as well keys that a principal of the organization used with success though a later
-- listing of their account and Region from AWS does not have them and no event tells of their deletion (medium).
-- ## Why it matters
-- A key that no one knows is deleted by mistake, or kept for ever. Each costs about 1 USD a month.
-- ## False positives
-- Keys of tools that know them by their id. A multi-Region key is judged without its siblings.
-- ## What to do next
-- Ask those who use it, or who made it. Give it an alias, a description and an owner's tag, or declare it with a
-- `[[key]]` entry. Before it is deleted see unused-key.

-- Keys that nothing explains, and those that the last listing of their place does not have.
WITH nameless AS (
    SELECT
        k.key_arn, k.account_id, k.region, i.key_arn IS NOT NULL AS is_listed, i.creation_date, i.unknown_fields, l.listed_at,
        i.key_arn IS NOT NULL AND (i.aliases IS NULL OR i.tags IS NULL OR i.key_manager IS NULL) AS is_half_known
    FROM known_keys AS k
    LEFT JOIN key_inventory AS i ON i.key_arn = k.key_arn
    LEFT JOIN key_listings AS l ON l.account_id = k.account_id AND l.region = k.region
    LEFT ANTI JOIN expected_keys AS e ON e.key_arn = k.key_arn
    WHERE (i.key_arn IS NULL AND l.listed_at IS NOT NULL)
       OR (
           NOT i.gone
           AND coalesce(i.key_manager, 'CUSTOMER') = 'CUSTOMER'
           AND coalesce(i.state, '') NOT IN ('PendingDeletion', 'PendingReplicaDeletion')
           AND coalesce(i.aliases, '[]') = '[]'
           AND coalesce(trim(i.description), '') = ''
           -- The names of tags are cut into words before case is dropped: CostCenter, AWSTeam.
           AND coalesce(NOT regexp_like(
               lower(regexp_replace(regexp_replace(i.tags, '([a-z0-9])([A-Z])', '\1-\2', 'g'), '([A-Z])([A-Z][a-z])', '\1-\2', 'g')),
               concat('[{,]"([^"]*[-_:./ ])?(', $owner_tags, ')([-_:./ ][^"]*)?":"[^"]')
           ), true)
       )
),
used AS (
    SELECT
        n.key_arn, count(*) AS calls, min(u.event_time) AS first_seen, max(u.event_time) AS last_seen,
        evidence(u.event_id, u.event_time) AS samples, most_often(u.principal, 1) AS users, bool_or(o.account_id IS NOT NULL) AS is_ours
    FROM nameless AS n
    JOIN usage AS u ON u.key_arn = n.key_arn
    LEFT JOIN own_accounts AS o ON o.account_id = u.principal_account_id
    WHERE u.outcome = 'ok' AND u.event_time >= $until - days($days) AND u.event_time < $until
    GROUP BY n.key_arn
),
lives AS (
    SELECT
        key_arn, max(principal) FILTER (WHERE event_name = 'CreateKey') AS maker, bool_or(event_name = 'DeleteKey') AS is_deleted
    FROM control_calls
    WHERE event_name IN ('CreateKey', 'DeleteKey') AND event_time >= $until - days($days)
    GROUP BY key_arn
),
hours AS (
    SELECT
        account_id, region,
        count(*) FILTER (WHERE state IN ('proven', 'observed')) AS known, count(*) FILTER (WHERE state = 'unread') AS unread,
        count(DISTINCT CASE WHEN state = 'unread' THEN day END) AS unread_days,
        max(CASE WHEN state IN ('proven', 'observed', 'unread') THEN hour END) + hours(1) AS known_until
    FROM use_coverage
    WHERE hour >= date_trunc('hour', $until - days($days)) AND hour < $until
    GROUP BY account_id, region
),
judged AS (
    SELECT
        n.*, coalesce(u.calls, 0) AS calls, u.first_seen, u.last_seen, u.samples, u.users, l.maker,
        coalesce(h.unread, 0) AS unread, coalesce(h.unread_days, 0) AS unread_days,
        CAST(ceil(24 * days_between(date_trunc('hour', window_until() - days($days)), $until)) AS BIGINT) - coalesce(h.known, 0)
        -- What is behind the end of the logs may yet come, if they end late enough.
        - CASE
            WHEN h.known_until >= $until - hours($lag_hours) AND h.known_until < $until
            THEN CAST(ceil(24 * days_between(h.known_until, $until)) AS BIGINT)
            ELSE 0
        END AS lacking
    FROM nameless AS n
    LEFT JOIN used AS u ON u.key_arn = n.key_arn
    LEFT JOIN lives AS l ON l.key_arn = n.key_arn
    LEFT JOIN hours AS h ON h.account_id = n.account_id AND h.region = n.region
    -- What was not listed has to have been used before the list was made.
    WHERE n.is_listed OR (u.is_ours AND n.listed_at > u.last_seen AND NOT coalesce(l.is_deleted, false))
)
SELECT
    key_arn, account_id, region, first_seen, last_seen, calls AS events, samples AS evidence,
    concat(
        CASE
            WHEN is_listed THEN 'no alias, no description, no owner''s tag'
            ELSE 'a later inventory of its account and Region does not have it'
        END,
        CASE
            WHEN calls > 0
            THEN concat('; used ', counted(calls, 'time'), ' in ', $days, ' days by ', users)
            WHEN lacking > 0 AND lacking <= unread
            THEN concat(
                '; no use seen in ', $days, ' days, but nothing shows that the use of KMS was recorded on ',
                counted(unread_days, 'day'), ' of them'
            )
            WHEN lacking > 0 THEN concat('; no use seen in ', $days, ' days, logs incomplete (', lacking, ' hours lack)')
            ELSE concat('; no successful use in ', $days, ' days; about 1 USD a month')
        END,
        coalesce(concat('; made ' || CAST(creation_date AS VARCHAR)), ''),
        coalesce(' by ' || maker, '')
    ) AS detail,
    CASE WHEN calls > 0 THEN 'medium' END AS severity,
    CASE WHEN is_half_known THEN concat('the inventory could not read all that may explain it: ', unknown_fields) END AS not_evaluated
FROM judged
