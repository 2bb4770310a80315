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

-- Any copy of a call that two accounts logged shows the use; the account's own count and the most telling name are taken below.
-- The view `usage` would sort out every call of the lake for the few keys that this is about.
WITH used AS (
    SELECT
        key_arn,
        CASE WHEN sum(own_calls) > 0 THEN sum(own_calls) ELSE sum(calls) END AS calls,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        evidence(sample, first_seen) AS samples,
        -- The owner's log may know no more of a foreign caller than an opaque id, which another copy names.
        coalesce(most_often(CASE WHEN principal NOT LIKE 'acct:%' THEN principal END, calls), most_often(principal, calls)) AS users,
        bool_or(o.account_id IS NOT NULL) AS is_ours
    FROM (
        SELECT
            unnest(make_array(key_arn, dest_key_arn)) AS key_arn, principal, principal_account_id, own_calls, calls, first_seen,
            last_seen, sample
        FROM (
            SELECT
                key_arn, dest_key_arn, principal, principal_account_id,
                count(*) FILTER (WHERE account_id = split_part(key_arn, ':', 5)) AS own_calls, count(*) AS calls,
                min(event_time) AS first_seen, max(event_time) AS last_seen,
                first_value(event_id ORDER BY event_time, event_id) AS sample
            FROM kms_events
            WHERE outcome = 'ok'
              AND original_event_id IS NULL
              AND usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
              AND event_time >= $until - days($days)
              AND event_time < $until
            GROUP BY key_arn, dest_key_arn, principal, principal_account_id
        )
    ) AS u
    LEFT JOIN own_accounts AS o ON o.account_id = u.principal_account_id
    WHERE key_arn IS NOT NULL
    GROUP BY key_arn
),
lives AS (
    SELECT
        key_arn, max(principal) FILTER (WHERE event_name = 'CreateKey') AS maker, bool_or(event_name = 'DeleteKey') AS is_deleted
    FROM kms_events
    WHERE event_name IN ('CreateKey', 'DeleteKey')
      AND outcome = 'ok'
      AND event_time >= $until - days($days)
      AND event_time < $until
    GROUP BY key_arn
),
unexplained AS (
    SELECT
        j.*,
        split_part(j.key_arn, ':', 5) AS account_id,
        split_part(j.key_arn, ':', 4) AS region,
        l.maker,
        is_listed AND (aliases IS NULL OR tags IS NULL OR key_manager IS NULL) AS is_half_known
    FROM (
        SELECT
            coalesce(i.key_arn, u.key_arn) AS key_arn, i.key_arn IS NOT NULL AS is_listed,
            i.key_manager, i.state, i.gone, i.aliases, i.tags, i.description, i.creation_date, i.unknown_fields,
            coalesce(u.calls, 0) AS calls, u.first_seen, u.last_seen, u.samples, u.users, u.is_ours
        FROM key_inventory AS i
        FULL JOIN used AS u ON u.key_arn = i.key_arn
    ) AS j
    LEFT JOIN lives AS l ON l.key_arn = j.key_arn
    LEFT ANTI JOIN expected_keys AS e ON e.key_arn = j.key_arn
    WHERE (
            is_listed
            AND NOT gone
            AND coalesce(key_manager, 'CUSTOMER') = 'CUSTOMER'
            AND coalesce(state, '') NOT IN ('PendingDeletion', 'PendingReplicaDeletion')
            AND coalesce(aliases, '[]') = '[]'
            AND coalesce(trim(description), '') = ''
            AND NOT coalesce(
                -- The names of tags are cut into words before case is dropped: CostCenter, AWSTeam.
                regexp_like(
                    lower(regexp_replace(
                        regexp_replace(tags, '([a-z0-9])([A-Z])', '\1-\2', 'g'), '([A-Z])([A-Z][a-z])', '\1-\2', 'g'
                    )),
                    concat('[{,]"([^"]*[-_:./ ])?(', $owner_tags, ')([-_:./ ][^"]*)?":"[^"]')
                ),
                false
            )
        )
        OR (NOT is_listed AND is_ours AND calls > 0 AND NOT coalesce(l.is_deleted, false))
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
        u.*,
        coalesce(h.unread, 0) AS unread,
        coalesce(h.unread_days, 0) AS unread_days,
        CAST(ceil(24 * days_between(date_trunc('hour', window_until() - days($days)), $until)) AS BIGINT) - coalesce(h.known, 0)
        -- What is behind the end of the logs may yet come, if they end late enough.
        - CASE
            WHEN h.known_until >= $until - hours($lag_hours) AND h.known_until < $until
            THEN CAST(ceil(24 * days_between(h.known_until, $until)) AS BIGINT)
            ELSE 0
        END AS lacking
    FROM unexplained AS u
    LEFT JOIN hours AS h ON h.account_id = u.account_id AND h.region = u.region
    LEFT JOIN (
        SELECT account_id, region, max(taken_at) AS listed_at
        FROM inventories
        WHERE source = 'aws' AND keys IS NOT NULL
        GROUP BY account_id, region
    ) AS l ON l.account_id = u.account_id AND l.region = u.region
    -- What was not listed has to have been used before the list was made.
    WHERE u.is_listed OR l.listed_at > u.last_seen
)
SELECT
    key_arn,
    account_id,
    region,
    first_seen,
    last_seen,
    calls AS events,
    samples AS evidence,
    concat(
        CASE
            WHEN is_listed THEN 'no alias, no description, no owner''s tag'
            ELSE 'a later inventory of its account and Region does not have it'
        END,
        CASE
            WHEN calls > 0
            THEN concat('; used ', calls, CASE WHEN calls = 1 THEN ' time' ELSE ' times' END, ' in ', $days, ' days by ', users)
            WHEN lacking > 0 AND lacking <= unread
            THEN concat(
                '; no use seen in ', $days, ' days, but nothing shows that the use of KMS was recorded on ', unread_days,
                CASE WHEN unread_days = 1 THEN ' day' ELSE ' days' END, ' of them'
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
