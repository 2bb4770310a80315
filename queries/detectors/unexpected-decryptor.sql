-- ---
-- title    = "A principal decrypted with a key that it is not expected to use"
-- severity = "medium"
-- attack   = ["T1078.004", "T1530"]
-- needs    = []
-- evidence = "decrypts"
-- message  = "{principal} decrypted with {key_arn}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.baseline_days = { type = "days", default = 90, doc = "so many days before `since` tell what is usual" }
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
WITH declared AS (
    SELECT *, bool_or(assets IS NOT NULL) OVER (PARTITION BY key_arn) AS has_assets
    FROM expected_keys
    WHERE decryptors IS NOT NULL OR services IS NOT NULL OR assets IS NOT NULL
),
used AS (
    SELECT * FROM decrypts_by_day WHERE key_arn IS NOT NULL AND day >= CAST($since - days($baseline_days) AS DATE)
),
keys AS (
    SELECT *, days_between(first_day, $since) AS known_days
    FROM (
        SELECT
            key_arn, count(DISTINCT day) AS days, count(DISTINCT principal) AS principals, CAST(min(day) AS TIMESTAMP) AS first_day,
            count(*) FILTER (WHERE via IS NULL) = 0 AND sum(calls) >= $service_calls AS is_of_services
        FROM used
        WHERE is_past
        GROUP BY key_arn
    )
),
-- Those of the known who came in the second half of the time, or on one day only.
strangers AS (
    SELECT p.key_arn, count(*) AS strangers
    FROM (
        SELECT key_arn, principal, count(DISTINCT day) AS days, CAST(min(day) AS TIMESTAMP) AS first_day
        FROM used
        WHERE is_past AND NOT is_aws
        GROUP BY key_arn, principal
    ) AS p
    JOIN keys AS k ON k.key_arn = p.key_arn
    WHERE p.days = 1 OR 2 * days_between(k.first_day, p.first_day) > k.known_days
    GROUP BY p.key_arn
),
-- Who reads with a key is known to its siblings, too.
newcomers AS (
    SELECT
        n.key_arn, n.principal, min(n.account_id) AS account_id, min(n.region) AS region, bool_or(n.is_aws) AS is_aws,
        min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen, sum(n.calls) AS calls,
        coalesce(sum(n.calls) FILTER (WHERE n.via IS NULL), 0) AS direct_calls, listed(coalesce(n.via, 'direct calls')) AS ways
    FROM used AS n
    LEFT ANTI JOIN declared AS d ON d.key_arn = n.key_arn
    LEFT ANTI JOIN (SELECT * FROM used WHERE is_past) AS p ON p.key_set = n.key_set AND p.principal = n.principal
    LEFT JOIN (SELECT key_set, principal_id FROM used WHERE is_past GROUP BY 1, 2) AS i
        ON i.key_set = n.key_set AND i.principal_id = n.principal_id
    WHERE NOT n.is_past
    GROUP BY n.key_arn, n.principal
    HAVING count(i.key_set) = 0
),
-- Who wrote with a key reads what is its own.
writers AS (
    SELECT n.key_arn, n.principal
    FROM newcomers AS n
    JOIN call_counts AS e ON e.key_arn = n.key_arn AND e.principal = n.principal
    WHERE e.is_event
      AND e.usage_class IN ('encrypt', 'generate')
      AND e.outcome = 'ok'
      AND e.is_past AND e.last_seen >= $since - days($baseline_days)
    GROUP BY n.key_arn, n.principal
),
weighed AS (
    SELECT
        n.*, k.days AS key_days, k.principals, k.known_days, c.created_on, coalesce(l.days, 0) AS logged_days,
        coalesce(s.strangers, 0) AS strangers, w.principal IS NOT NULL AS is_writer,
        n.is_aws OR coalesce(i.key_manager = 'AWS', false) AS is_of_aws,
        coalesce(k.is_of_services, false) AND n.direct_calls > 0 AS is_direct,
        -- Of three windows' time one should have shown who comes now and then.
        k.known_days < 3 * days_between($since, $until) AS is_young,
        -- So many in half of the time: is another to be expected, rather than not, in as long as the window is?
        4 * s.strangers * days_between($since, $until) >= k.known_days
            AND count(*) FILTER (WHERE NOT n.is_aws) OVER (PARTITION BY n.key_arn)
                <= ceil(s.strangers * days_between($since, $until) / k.known_days) AS is_usual
    FROM newcomers AS n
    LEFT JOIN keys AS k ON k.key_arn = n.key_arn
    LEFT JOIN strangers AS s ON s.key_arn = n.key_arn
    LEFT JOIN key_inventory AS i ON i.key_arn = n.key_arn
    LEFT JOIN writers AS w ON w.key_arn = n.key_arn AND w.principal = n.principal
    LEFT JOIN (
        SELECT account_id, region, count(DISTINCT day) AS days
        FROM logged_days
        WHERE is_past AND day >= CAST($since - days($baseline_days) AS DATE)
        GROUP BY account_id, region
    ) AS l ON l.account_id = n.account_id AND l.region = n.region
    LEFT JOIN (
        SELECT key_arn, CAST(min(event_time) AS DATE) AS created_on
        FROM control_calls
        WHERE event_name = 'CreateKey' AND event_time >= $since - days($baseline_days)
        GROUP BY key_arn
    ) AS c ON c.key_arn = n.key_arn
),
-- Calls that match none of their key's rules, by principal, service and asset. A list that is not declared matches everything; assets
-- are kept apart only where a rule names any.
offences AS (
    SELECT
        s.key_arn, s.principal, s.is_aws, s.way, s.asset, max(s.account_id) AS account_id, max(s.region) AS region,
        max(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen, max(s.calls) AS calls, first_value(s.evidence) AS evidence,
        bool_or(is_within(s.principal, d.decryptors)) AS is_expected,
        bool_or(is_within(s.principal, d.decryptors) AND is_within(s.way, d.services)) AS is_expected_so
    FROM (
        SELECT
            d.key_arn, c.principal, c.is_aws, coalesce(c.via, 'direct') AS way,
            CASE WHEN d.has_assets THEN coalesce(c.asset, 'nothing that is named') END AS asset,
            min(c.account_id) AS account_id, min(c.region) AS region, min(c.event_time) AS first_seen, max(c.event_time) AS last_seen,
            count(*) AS calls, evidence(c.event_id, c.event_time) AS evidence
        FROM (SELECT key_arn, has_assets FROM declared GROUP BY key_arn, has_assets) AS d
        JOIN decrypts AS c ON c.key_arn = d.key_arn
        WHERE c.event_time >= $since AND c.event_time < $until
        GROUP BY 1, 2, 3, 4, 5
    ) AS s
    JOIN declared AS d ON d.key_arn = s.key_arn
    GROUP BY 1, 2, 3, 4, 5
    HAVING NOT bool_or(
        is_within(s.principal, d.decryptors) AND is_within(s.way, d.services) AND is_within(s.asset, d.assets)
    )
)
SELECT
    key_arn, principal, account_id, region, first_seen, last_seen, calls AS events, NULL AS evidence,
    concat(
        'it is not among the ', principals, ' that did on ', key_days, ' days before. ',
        CASE
            WHEN is_direct THEN concat(direct_calls, ' of its ', calls, ' calls were direct; all came through AWS services before.')
            ELSE concat('It made ', calls, ' calls, by way of ', ways, '.')
        END,
        CASE
            WHEN is_usual THEN concat(' Newcomers are usual: ', strangers, ' of those came lately, or on one day only.')
            WHEN is_writer THEN ' It encrypted with the key before.'
            WHEN is_young THEN ' The history is short: who comes now and then may not have been seen yet.'
            ELSE ''
        END
    ) AS detail,
    CASE WHEN is_of_aws THEN 'low' WHEN is_direct THEN 'high' WHEN is_usual OR is_young OR is_writer THEN 'low' END AS severity,
    CASE
        WHEN coalesce(key_days, 0) < $key_min_days AND created_on IS NOT NULL
        THEN concat('the key is new, it was created on ', created_on, ': who decrypts with it is still to be learned')
        WHEN logged_days < $baseline_min_days
        THEN concat(
            'its account and Region have events on ', logged_days, ' days before, ', $baseline_min_days,
            ' are needed to learn who decrypts: ingest earlier logs'
        )
        WHEN coalesce(key_days, 0) < $key_min_days
        THEN concat(
            'the key was decrypted with on ', coalesce(key_days, 0), ' days before, ', $key_min_days, ' are needed to learn who does'
        )
        WHEN floor(known_days) < days_between($since, $until)
        THEN concat(
            'decryption with the key is known for ', CAST(floor(known_days) AS BIGINT),
            ' days before the window, and for no longer than it: give a later --since, or ingest earlier logs'
        )
    END AS not_evaluated
FROM weighed
UNION ALL
SELECT
    key_arn, principal, min(account_id), min(region), min(first_seen), max(last_seen), sum(calls),
    array_slice(flatten(array_agg(evidence ORDER BY first_seen, way, asset)), 1, 10),
    CASE
        WHEN NOT bool_and(is_expected) THEN concat('it is none of the declared decryptors; it made ', sum(calls), ' such calls.')
        WHEN NOT bool_and(is_expected_so)
        THEN concat('it is declared, but not by way of ', listed(CASE WHEN NOT is_expected_so THEN way END), ', as in ', sum(calls), ' calls.')
        ELSE concat('it is declared, but not for ', listed(asset), ', as in ', sum(calls), ' calls.')
    END,
    CASE WHEN bool_or(is_aws) THEN 'low' ELSE 'high' END, NULL
FROM offences
GROUP BY key_arn, principal
