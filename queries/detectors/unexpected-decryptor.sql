-- ---
-- title    = "A principal decrypted with a key that it is not expected to use"
-- severity = "medium"
-- attack   = ["T1078.004", "T1530"]
-- needs    = []
-- message  = "{principal} decrypted with {key_arn}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "integer", default = 90, doc = "so many days before `since` tell what is usual" }
-- params.baseline_min_days = { type = "integer", default = 14, doc = "days with events that a baseline needs" }
-- params.key_min_days = { type = "integer", default = 20, doc = "days on which the key must have been decrypted with" }
-- params.service_calls = { type = "integer", default = 50, doc = "decryptions, all through AWS services, that make a direct one high" }
-- ---
-- ## What it does
-- Knows a key's decryptors in one of two ways, and reports the others, by role or user and never by session.
-- *Declared*: where entries of the expectations file match the key and name `decryptors`, `services` or `assets`, each
-- successful decryption must fit one of them. One that fits none is high, and the finding says what does not fit; it is
-- low for AWS itself. *Learned*: for every other key, a principal that decrypts with it and did not in the
-- `baseline_days` before, neither with it nor with a sibling of its multi-Region set. It is medium; high when it calls
-- KMS directly, where everyone used to come through AWS services, at least `service_calls` times; low for service-
-- linked roles, for AWS itself, with AWS managed keys, and for who encrypted with the key in the baseline and reads
-- now. It is low too where newcomers are usual: where of the principals that are known so many came in the second half
-- of the baseline only, or on a single day, that as many as now was to be expected. With one more than that, all stay
-- medium. And it is low where the key is known for less than three times the window: who comes now and then may not
-- have been seen yet. AWS itself and service-linked roles count neither as these nor as those. A principal is known by
-- its unique id as well: the key owner's log calls a reader of another account by nothing else.
-- ## When it does not judge
-- Nothing is learned from a short history. A key is not evaluated when its account and Region have events on fewer
-- than `baseline_min_days` days of the baseline, or the key was decrypted with on fewer than `key_min_days` of them,
-- as is every new key; nor when the window is longer than the key has been known before it, since then who comes once
-- in a while would be new.
-- ## Why it matters
-- A key's policy tells who may decrypt, and that is often every administrator of the account. Who does it is a short
-- list that hardly changes. Whoever is new on it reads data that was none of their business before.
-- ## False positives
-- Deployments: a new service, a renamed role, a yearly job. Declare the key's decryptors, or accept the finding until
-- the baseline knows them.
-- ## What to do next
-- Ask the key's owner whether the principal is theirs. `keytrail who KEY --by asset` tells what it has read. If nobody
-- knows it, take away its access to the key, then find out who assumed the role.

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH used AS (
    SELECT
        key_arn,
        account_id,
        region,
        principal,
        principal_id,
        event_date,
        event_time < $since AS is_past,
        count(*) AS calls,
        count(*) FILTER (WHERE via IS NULL) AS direct_calls
    FROM calls
    WHERE usage_class = 'decrypt'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND principal IS NOT NULL
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
placed AS (
    SELECT
        *,
        bool_or(is_past) OVER (PARTITION BY key_set, principal)
            OR (principal_id IS NOT NULL AND bool_or(is_past) OVER (PARTITION BY key_set, principal_id)) AS is_known,
        principal LIKE 'service:%' OR principal LIKE '%:role/aws-service-role/%' AS is_aws,
        sum(CASE WHEN is_past THEN 1 ELSE 0 END) OVER (PARTITION BY key_arn, principal) AS days,
        date_part('epoch', min(event_date) OVER (PARTITION BY key_arn, principal)) AS first_day,
        date_part('epoch', min(event_date) OVER (PARTITION BY key_arn)) AS key_first_day,
        row_number() OVER (PARTITION BY key_arn, is_past, event_date ORDER BY principal, account_id, region, principal_id) AS place,
        row_number() OVER (PARTITION BY key_arn, is_past, principal ORDER BY event_date, account_id, region, principal_id) AS turn
    -- Siblings of a multi-Region key have one id, and read each other's data: who reads with one is known to all.
    FROM (SELECT *, concat(split_part(key_arn, ':', 5), split_part(key_arn, ':key', 2)) AS key_set FROM used)
),
weighed AS (
    SELECT
        *,
        sum(CASE WHEN is_past AND place = 1 THEN 1 ELSE 0 END) OVER (PARTITION BY key_arn) AS key_days,
        sum(CASE WHEN is_past AND turn = 1 THEN 1 ELSE 0 END) OVER (PARTITION BY key_arn) AS known_principals,
        sum(CASE WHEN is_past THEN direct_calls ELSE 0 END) OVER (PARTITION BY key_arn) AS key_direct_calls,
        sum(CASE WHEN is_past THEN calls ELSE 0 END) OVER (PARTITION BY key_arn) AS key_calls,
        sum(
            CASE
                WHEN is_past
                    AND turn = 1
                    AND NOT is_aws
                    AND (days = 1 OR first_day > (key_first_day + date_part('epoch', CAST($since AS TIMESTAMP))) / 2)
                THEN 1
                ELSE 0
            END
        ) OVER (PARTITION BY key_arn) AS strangers
    FROM placed
),
news AS (
    SELECT
        key_arn,
        principal,
        min(account_id) AS account_id,
        min(region) AS region,
        max(key_days) AS key_days,
        max(known_principals) AS known_principals,
        max(key_direct_calls) = 0 AND max(key_calls) >= $service_calls AS is_of_services,
        max(strangers) AS strangers,
        -- Of three windows' time one should have shown who comes now and then.
        date_part('epoch', CAST($since AS TIMESTAMP)) - max(key_first_day)
            < 3 * (date_part('epoch', CAST($until AS TIMESTAMP)) - date_part('epoch', CAST($since AS TIMESTAMP))) AS is_young,
        CAST((date_part('epoch', CAST($since AS TIMESTAMP)) - max(key_first_day)) / 86400 AS BIGINT) AS known_days,
        -- So many in half of the baseline: is another to be expected, rather than not, in as long as the window is?
        4 * max(strangers) * (date_part('epoch', CAST($until AS TIMESTAMP)) - date_part('epoch', CAST($since AS TIMESTAMP)))
            >= date_part('epoch', CAST($since AS TIMESTAMP)) - max(key_first_day) AS is_usual,
        ceil(
            max(strangers) * (date_part('epoch', CAST($until AS TIMESTAMP)) - date_part('epoch', CAST($since AS TIMESTAMP)))
            / (date_part('epoch', CAST($since AS TIMESTAMP)) - max(key_first_day))
        ) AS expected,
        bool_or(is_aws) AS is_aws,
        sum(direct_calls) AS direct_calls
    FROM weighed
    LEFT ANTI JOIN (
        SELECT key_arn FROM expected_keys WHERE decryptors IS NOT NULL OR services IS NOT NULL OR assets IS NOT NULL
    ) AS declared ON declared.key_arn = weighed.key_arn
    WHERE NOT is_past
    GROUP BY key_arn, principal
    HAVING NOT bool_or(is_known)
),
counted AS (
    SELECT
        * EXCLUDE (is_usual),
        is_usual AND sum(CASE WHEN is_aws THEN 0 ELSE 1 END) OVER (PARTITION BY key_arn) <= expected AS is_usual
    FROM news
),
lane_days AS (
    SELECT account_id, region, count(DISTINCT event_date) AS days
    FROM events
    WHERE event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $since
    GROUP BY account_id, region
),
created AS (
    SELECT key_arn, min(event_date) AS day
    FROM kms_events
    WHERE event_name = 'CreateKey'
      AND outcome = 'ok'
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $until
    GROUP BY key_arn
),
-- Who wrote with a key reads what is its own.
writers AS (
    SELECT key_arn, principal
    FROM kms_events
    WHERE usage_class IN ('encrypt', 'generate')
      AND outcome = 'ok'
      AND event_time >= $since - CAST(concat($baseline_days, ' days') AS INTERVAL)
      AND event_time < $since
    GROUP BY key_arn, principal
),
judged AS (
    SELECT
        n.*,
        w.principal IS NOT NULL AS is_writer,
        CASE
            WHEN n.key_days >= $key_min_days
                AND coalesce(l.days, 0) >= $baseline_min_days
                AND n.known_days < date_part('epoch', CAST($until AS TIMESTAMP) - CAST($since AS TIMESTAMP)) / 86400
            THEN concat(
                'decryption with the key is known for ', n.known_days, ' days before the window, and for no longer than it: ',
                'give a later --since, or ingest earlier logs'
            )
            WHEN n.key_days >= $key_min_days AND coalesce(l.days, 0) >= $baseline_min_days THEN NULL
            WHEN n.key_days < $key_min_days AND c.day IS NOT NULL
            THEN concat('the key is new, it was created on ', c.day, ': who decrypts with it is still to be learned')
            WHEN coalesce(l.days, 0) < $baseline_min_days
            THEN concat(
                'its account and Region have events on ', coalesce(l.days, 0), ' days before, ',
                $baseline_min_days, ' are needed to learn who decrypts: ingest earlier logs'
            )
            ELSE concat(
                'the key was decrypted with on ', n.key_days, ' days before, ',
                $key_min_days, ' are needed to learn who does'
            )
        END AS why,
        coalesce(i.key_manager = 'AWS', false) AS is_aws_managed
    FROM counted AS n
    LEFT JOIN lane_days AS l ON l.account_id = n.account_id AND l.region = n.region
    LEFT JOIN created AS c ON c.key_arn = n.key_arn
    LEFT JOIN key_inventory AS i ON i.key_arn = n.key_arn
    LEFT JOIN writers AS w ON w.key_arn = n.key_arn AND w.principal = n.principal
),
learned AS (
    SELECT
        j.key_arn,
        j.principal,
        min(j.account_id) AS account_id,
        min(j.region) AS region,
        min(c.event_time) AS first_seen,
        max(c.event_time) AS last_seen,
        count(c.event_id) AS events,
        array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id) FILTER (WHERE c.event_id IS NOT NULL), 1, 10)
            AS evidence,
        max(j.known_principals) AS known_principals,
        max(j.key_days) AS key_days,
        bool_or(j.is_of_services) AS is_of_services,
        max(j.direct_calls) AS direct_calls,
        max(j.strangers) AS strangers,
        bool_or(j.is_usual) AS is_usual,
        bool_or(j.is_young) AS is_young,
        bool_or(j.is_writer) AS is_writer,
        bool_or(j.is_aws_managed) AS is_aws_managed,
        array_to_string(array_sort(array_agg(DISTINCT coalesce(c.via, 'direct calls'))), ', ') AS ways,
        max(j.why) AS why
    FROM judged AS j
    LEFT JOIN calls AS c
        ON c.key_arn = j.key_arn
        AND c.principal = j.principal
        AND j.why IS NULL
        AND c.usage_class = 'decrypt'
        AND c.outcome = 'ok'
        AND c.event_time >= $since
        AND c.event_time < $until
    GROUP BY j.key_arn, j.principal
),
rules AS (
    SELECT
        key_arn,
        rule,
        decryptors,
        services,
        assets,
        bool_or(assets IS NOT NULL) OVER (PARTITION BY key_arn) AS has_assets
    FROM expected_keys
    WHERE decryptors IS NOT NULL OR services IS NOT NULL OR assets IS NOT NULL
),
-- Each sort of call, by each rule of its key. Assets are many; they are told apart where a rule speaks of them.
ruled AS (
    SELECT
        r.key_arn,
        r.rule,
        c.principal,
        coalesce(c.via, 'direct') AS way,
        CASE WHEN r.has_assets THEN coalesce(c.asset, 'nothing that is named') END AS asset,
        first_value(r.decryptors) AS decryptors,
        first_value(r.services) AS services,
        first_value(r.assets) AS assets
    FROM rules AS r
    JOIN calls AS c ON c.key_arn = r.key_arn
    WHERE c.usage_class = 'decrypt'
      AND c.outcome = 'ok'
      AND c.principal IS NOT NULL
      AND c.event_time >= $since
      AND c.event_time < $until
    GROUP BY 1, 2, 3, 4, 5
),
-- A list that is not declared lets anything pass.
matched AS (
    SELECT
        key_arn,
        principal,
        way,
        asset,
        coalesce(matches_any(principal, decryptors), true) AS fits_principal,
        coalesce(matches_any(way, services), true) AS fits_way,
        coalesce(matches_any(asset, assets), true) AS fits_asset
    FROM ruled
),
offences AS (
    SELECT
        key_arn,
        principal,
        way,
        asset,
        bool_or(fits_principal) AS is_expected,
        bool_or(fits_principal AND fits_way) AS is_expected_so
    FROM matched
    GROUP BY key_arn, principal, way, asset
    HAVING NOT bool_or(fits_principal AND fits_way AND fits_asset)
),
declared AS (
    SELECT
        o.key_arn,
        o.principal,
        min(c.account_id) AS account_id,
        min(c.region) AS region,
        min(c.event_time) AS first_seen,
        max(c.event_time) AS last_seen,
        count(*) AS events,
        array_slice(array_agg(c.event_id ORDER BY c.event_time, c.event_id), 1, 10) AS evidence,
        bool_and(o.is_expected) AS is_expected,
        array_sort(array_agg(DISTINCT o.way) FILTER (WHERE NOT o.is_expected_so)) AS ways,
        array_sort(array_agg(DISTINCT o.asset) FILTER (WHERE o.is_expected_so)) AS assets
    FROM offences AS o
    JOIN calls AS c
        ON c.key_arn = o.key_arn
        AND c.principal = o.principal
        AND coalesce(c.via, 'direct') = o.way
        AND (o.asset IS NULL OR coalesce(c.asset, 'nothing that is named') = o.asset)
    WHERE c.usage_class = 'decrypt'
      AND c.outcome = 'ok'
      AND c.event_time >= $since
      AND c.event_time < $until
    GROUP BY o.key_arn, o.principal
),
found AS (
    SELECT
        key_arn,
        principal,
        account_id,
        region,
        first_seen,
        last_seen,
        CAST(events AS BIGINT) AS events,
        coalesce(evidence, make_array()) AS evidence,
        CASE
            WHEN why IS NOT NULL THEN why
            ELSE concat(
                'it is not among the ', known_principals, ' that did on ', key_days, ' days before. ',
                CASE
                    WHEN direct_calls > 0 AND is_of_services
                    THEN concat(direct_calls, ' of its ', events, ' calls were direct; all came through AWS services before.')
                    ELSE concat('It made ', events, ' calls, by way of ', ways, '.')
                END,
                CASE
                    WHEN is_usual
                    THEN concat(' Newcomers are usual: ', strangers, ' of those came lately, or on one day only.')
                    WHEN is_writer THEN ' It encrypted with the key before.'
                    WHEN is_young
                    THEN ' The history is short: who comes now and then may not have been seen yet.'
                    ELSE ''
                END
            )
        END AS detail,
        CASE
            WHEN why IS NOT NULL THEN NULL
            WHEN principal LIKE 'service:%' OR principal LIKE '%:role/aws-service-role/%' THEN 'low'
            WHEN is_aws_managed THEN 'low'
            WHEN direct_calls > 0 AND is_of_services THEN 'high'
            WHEN is_usual OR is_young OR is_writer THEN 'low'
        END AS severity,
        CAST(NULL AS VARCHAR) AS asset,
        why AS not_evaluated
    FROM learned
    UNION ALL
    SELECT
        key_arn,
        principal,
        account_id,
        region,
        first_seen,
        last_seen,
        events,
        evidence,
        CASE
            WHEN NOT is_expected THEN concat('it is none of the declared decryptors; it made ', events, ' such calls.')
            WHEN cardinality(ways) > 0
            THEN concat('it is declared, but not by way of ', array_to_string(ways, ', '), ', as in ', events, ' calls.')
            ELSE concat(
                'it is declared, but not for ', array_to_string(array_slice(assets, 1, 5), ', '),
                CASE WHEN cardinality(assets) > 5 THEN concat(' and ', cardinality(assets) - 5, ' more') ELSE '' END,
                ', as in ', events, ' calls.'
            )
        END,
        CASE WHEN principal LIKE 'service:%' OR principal LIKE '%:role/aws-service-role/%' THEN 'low' ELSE 'high' END,
        NULL,
        NULL
    FROM declared
)
SELECT * FROM found ORDER BY key_arn, principal
