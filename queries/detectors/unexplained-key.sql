-- ---
-- title    = "A key of which nothing says what it is for"
-- severity = "low"
-- attack   = []
-- needs    = ["inventory"]
-- message  = "{key_arn} is unexplained: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.days  = { type = "integer", default = 90, doc = "how many days before `until` are searched for use" }
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

-- Any copy of a call that two accounts logged shows the use; the account's own count and the most telling name are
-- taken below. The view `usage` would sort out every call of the lake for the few keys that this is about.
WITH used_by AS (
    SELECT
        key_arn,
        dest_key_arn,
        principal,
        principal_account_id,
        count(*) FILTER (
            WHERE event_name NOT IN ('CreateKey', 'DeleteKey') AND account_id = split_part(key_arn, ':', 5)
        ) AS own_calls,
        count(*) FILTER (WHERE event_name NOT IN ('CreateKey', 'DeleteKey')) AS all_calls,
        min(event_time) FILTER (WHERE event_name NOT IN ('CreateKey', 'DeleteKey')) AS first_seen,
        max(event_time) FILTER (WHERE event_name NOT IN ('CreateKey', 'DeleteKey')) AS last_seen,
        first_value(event_id ORDER BY event_time, event_id)
            FILTER (WHERE event_name NOT IN ('CreateKey', 'DeleteKey')) AS sample,
        bool_or(event_name = 'CreateKey') AS is_maker,
        bool_or(event_name = 'DeleteKey') AS is_deletion
    FROM kms_events
    WHERE outcome = 'ok'
      AND original_event_id IS NULL
      AND (
          usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
          OR event_name IN ('CreateKey', 'DeleteKey')
      )
      AND event_time >= $until - CAST(concat($days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY key_arn, dest_key_arn, principal, principal_account_id
),
by_principal AS (
    SELECT
        u.key_arn,
        CAST(u.principal AS VARCHAR) AS principal,
        sum(u.own_calls) AS own_calls,
        sum(u.all_calls) AS all_calls,
        min(u.first_seen) AS first_seen,
        max(u.last_seen) AS last_seen,
        min(u.sample) AS sample,
        bool_or(u.is_maker) AS is_maker,
        bool_or(u.is_deletion) AS is_deletion,
        bool_or(o.account_id IS NOT NULL AND u.all_calls > 0) AS is_ours
    FROM (SELECT * REPLACE (unnest(make_array(key_arn, dest_key_arn)) AS key_arn) FROM used_by) AS u
    LEFT JOIN own_accounts AS o ON o.account_id = u.principal_account_id
    WHERE u.key_arn IS NOT NULL
    GROUP BY u.key_arn, u.principal
),
used AS (
    SELECT
        key_arn,
        CASE WHEN sum(own_calls) > 0 THEN sum(own_calls) ELSE sum(all_calls) END AS calls,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        array_agg(sample ORDER BY first_seen, sample) FILTER (WHERE all_calls > 0) AS samples,
        -- The owner's log may know no more of a foreign caller than an opaque id, which another copy names.
        coalesce(
            array_agg(principal ORDER BY all_calls DESC, principal) FILTER (WHERE all_calls > 0 AND principal NOT LIKE 'acct:%'),
            array_agg(principal ORDER BY all_calls DESC, principal) FILTER (WHERE all_calls > 0)
        ) AS users,
        arrow_cast(max(principal) FILTER (WHERE is_maker), 'Utf8') AS maker,
        bool_or(is_deletion) AS is_deleted,
        bool_or(is_ours) AS is_ours
    FROM by_principal
    GROUP BY key_arn
),
listings AS (
    SELECT account_id, region, max(taken_at) AS listed_at
    FROM inventories
    WHERE source = 'aws' AND keys IS NOT NULL
    GROUP BY account_id, region
),
joined AS (
    SELECT
        coalesce(i.key_arn, u.key_arn) AS key_arn,
        i.key_arn IS NOT NULL AS is_listed,
        i.key_manager, i.state, i.gone, i.aliases, i.tags, i.description, i.creation_date, i.unknown_fields,
        u.calls, u.first_seen, u.last_seen, u.samples, u.users, u.maker, u.is_deleted, u.is_ours
    FROM key_inventory AS i
    FULL JOIN used AS u ON u.key_arn = i.key_arn
),
unexplained AS (
    SELECT
        j.*,
        split_part(j.key_arn, ':', 5) AS account_id,
        split_part(j.key_arn, ':', 4) AS region,
        is_listed AND (aliases IS NULL OR tags IS NULL OR key_manager IS NULL) AS is_half_known
    FROM joined AS j
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
        OR (NOT is_listed AND is_ours AND calls > 0 AND NOT is_deleted)
),
-- Days of which the log has reads of KMS, and so has not left them out.
read_days AS (
    SELECT account_id, region, event_date AS day
    FROM kms_events
    WHERE read_only
      AND event_time >= date_trunc('day', $until - CAST(concat($days, ' days') AS INTERVAL))
      AND event_time < $until
    GROUP BY account_id, region, event_date
),
covered_days AS (
    SELECT
        account_id,
        region,
        day,
        count(*) FILTER (WHERE state = 'proven') AS proven,
        count(*) FILTER (WHERE state = 'observed') AS observed,
        max(hour) AS last_hour
    FROM coverage
    WHERE day >= CAST(CAST($until AS TIMESTAMP) - CAST(concat($days, ' days') AS INTERVAL) AS DATE)
      AND day <= CAST(CAST($until AS TIMESTAMP) AS DATE)
      AND hour >= date_trunc('hour', $until - CAST(concat($days, ' days') AS INTERVAL))
      AND hour < $until
      AND state IN ('proven', 'observed')
    GROUP BY account_id, region, day
),
hours AS (
    SELECT
        c.account_id,
        c.region,
        sum(c.proven) + sum(CASE WHEN r.day IS NOT NULL THEN c.observed ELSE 0 END) AS known,
        sum(CASE WHEN r.day IS NULL THEN c.observed ELSE 0 END) AS unread,
        count(*) FILTER (WHERE r.day IS NULL AND c.observed > 0) AS unread_days,
        max(c.last_hour) + INTERVAL '1 hour' AS known_until
    FROM covered_days AS c
    LEFT JOIN read_days AS r ON r.account_id = c.account_id AND r.region = c.region AND r.day = c.day
    GROUP BY c.account_id, c.region
),
judged AS (
    SELECT
        u.*,
        coalesce(u.calls, 0) > 0 AS is_used,
        CAST(
            ceil((
                date_part('epoch', CAST($until AS TIMESTAMP)) - date_part(
                    'epoch', date_trunc('hour', CAST($until AS TIMESTAMP) - CAST(concat($days, ' days') AS INTERVAL))
                )
            ) / 3600) AS BIGINT
        ) - coalesce(h.known, 0)
        -- What is behind the end of the logs may yet come, if they end late enough.
        - CASE
            WHEN h.known_until >= $until - CAST(concat($lag_hours, ' hours') AS INTERVAL) AND h.known_until < $until
            THEN CAST(ceil((date_part('epoch', CAST($until AS TIMESTAMP)) - date_part('epoch', h.known_until)) / 3600) AS BIGINT)
            ELSE 0
        END AS lacking,
        coalesce(h.unread, 0) AS unread,
        coalesce(h.unread_days, 0) AS unread_days
    FROM unexplained AS u
    LEFT JOIN hours AS h ON h.account_id = u.account_id AND h.region = u.region
    LEFT JOIN listings AS l ON l.account_id = u.account_id AND l.region = u.region
    -- What was not listed has to have been used before the list was made.
    WHERE u.is_listed OR l.listed_at > u.last_seen
)
SELECT
    key_arn,
    CAST(NULL AS VARCHAR) AS principal,
    account_id,
    region,
    first_seen,
    last_seen,
    CASE WHEN is_used THEN calls ELSE 0 END AS events,
    coalesce(array_slice(samples, 1, 10), arrow_cast(make_array(), 'List(Utf8)')) AS evidence,
    concat(
        CASE
            WHEN is_listed THEN 'no alias, no description, no owner''s tag'
            ELSE 'a later inventory of its account and Region does not have it'
        END,
        CASE
            WHEN is_used
            THEN concat(
                '; used ', calls, CASE WHEN calls = 1 THEN ' time' ELSE ' times' END, ' in ', $days, ' days by ',
                array_to_string(array_slice(users, 1, 5), ', '),
                CASE WHEN array_length(users) > 5 THEN concat(' and ', array_length(users) - 5, ' more') ELSE '' END
            )
            WHEN lacking > 0 AND lacking <= unread
            THEN concat(
                '; no use seen in ', $days, ' days, but nothing shows that the use of KMS was recorded on ', unread_days,
                CASE WHEN unread_days = 1 THEN ' day' ELSE ' days' END, ' of them'
            )
            WHEN lacking > 0 THEN concat('; no use seen in ', $days, ' days, logs incomplete (', lacking, ' hours lack)')
            ELSE concat('; no successful use in ', $days, ' days; about 1 USD a month')
        END,
        CASE WHEN creation_date IS NULL THEN '' ELSE concat('; made ', creation_date) END,
        CASE WHEN maker IS NULL THEN '' ELSE concat(' by ', maker) END
    ) AS detail,
    CASE WHEN is_used THEN 'medium' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE WHEN is_half_known THEN concat('the inventory could not read all that may explain it: ', unknown_fields) END AS not_evaluated
FROM judged
ORDER BY key_arn
