-- ---
-- title = "What is known of keys that may be deleted: state, names, inventory, and what names them"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.since   = { type = "timestamp", required = true, doc = "aliases count as called by since this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only what happened before this instant" }
-- ---
-- ## What it answers
-- One row per key that a call, an inventory, or a sibling's inventory speaks of: what `check-deletion` knows of the key
-- apart from its use. Columns of the inventory are those of its latest row (`taken_at`), null where there is none.
-- ## From the logs
-- `last_change` is the last call that enabled, disabled, scheduled, cancelled or deleted, and `window_days` the waiting
-- period that it asked for. `called_alias` is an alias by which the key was used since `since`, or described by an AWS
-- service for someone, and `called_at` when last. `public_key_reads` counts GetPublicKey: what is done with a public
-- key outside of AWS is in no log. `trail` encrypts its log files with the key. `rule_line` is the line of the
-- `[[key]]` in the expectations file that names the key (an entry for every key names none). `trails_listed_at` is when
-- an inventory last listed the trails of its account and Region; null if AWS has refused that since. `is_own`: its account is one of `own_accounts`.
-- `has_last_usage_event` says whether the lake has the event that GetKeyLastUsage names.
WITH changed AS (
    SELECT
        key_arn,
        last_value(event_name ORDER BY event_time, step) AS last_change,
        max(event_time) AS changed_at,
        last_value(
            CASE
                WHEN event_name = 'ScheduleKeyDeletion'
                THEN coalesce(
                    (regexp_match(response_elements, '"pendingWindowInDays":([0-9]{1,3})[^0-9]'))[1],
                    (regexp_match(request_parameters, '"pendingWindowInDays":([0-9]{1,3})[^0-9]'))[1],
                    '30'
                )
            END
            ORDER BY event_time, step
        ) AS window_days
    FROM key_changes
    WHERE event_time < $until
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
    GROUP BY key_arn
),
called AS (
    SELECT
        key_arn,
        max(CASE WHEN alias_place = 1 THEN key_alias END) AS called_alias,
        max(called_at) AS called_at,
        sum(public_key_reads) AS public_key_reads,
        max(public_key_read_at) AS public_key_read_at
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY key_arn ORDER BY called_at DESC NULLS LAST, key_alias) AS alias_place
        FROM (
            SELECT
                key_arn,
                CAST(key_alias AS VARCHAR) AS key_alias,
                max(last_seen) FILTER (WHERE key_alias IS NOT NULL AND last_seen >= $since) AS called_at,
                CAST(coalesce(sum(calls) FILTER (WHERE event_name = 'GetPublicKey'), 0) AS BIGINT) AS public_key_reads,
                max(last_seen) FILTER (WHERE event_name = 'GetPublicKey') AS public_key_read_at
            FROM call_counts
            WHERE is_event
              AND outcome = 'ok'
              AND (
                  event_name = 'GetPublicKey'
                  OR (
                      key_alias IS NOT NULL
                      AND (
                          is_use(usage_class)
                          -- Who describes a key by hand only looks at it.
                          OR (usage_class = 'read' AND via IS NOT NULL)
                      )
                      AND last_seen >= $since
                  )
              )
              AND key_arn IS NOT NULL
              AND first_seen < $until
              AND ($key_id IS NULL OR key_id = $key_id)
              AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
            GROUP BY key_arn, key_alias
        )
    )
    GROUP BY key_arn
),
-- What an inventory says of a key's siblings, which may be in accounts' Regions that nobody listed.
siblings AS (
    SELECT unnest(array_concat(
        coalesce(
            string_to_array(nullif(trim(BOTH '"' FROM trim(BOTH '[]' FROM replica_key_arns)), ''), '","'),
            arrow_cast(make_array(), 'List(Utf8)')
        ),
        make_array(CAST(primary_key_arn AS VARCHAR))
    )) AS key_arn
    FROM key_inventory
    UNION ALL
    -- A replica is of the same account and id.
    SELECT concat(
        split_part(key_arn, ':', 1), ':', split_part(key_arn, ':', 2), ':kms:',
        (regexp_match(request_parameters, '"replicaRegion":"([a-z0-9-]*)"'))[1], ':',
        split_part(key_arn, ':', 5), ':', split_part(key_arn, ':', 6)
    )
    FROM control_events
    WHERE event_name = 'ReplicateKey'
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
      AND (regexp_match(request_parameters, '"replicaRegion":"([a-z0-9-]*)"'))[1] IS NOT NULL
),
members AS (
    SELECT
        key_arn,
        coalesce(
            first_value(aliases) FILTER (WHERE aliases IS NOT NULL),
            arrow_cast(make_array(), 'List(Utf8)')
        ) AS aliases,
        max(key_manager) AS key_manager,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM (
        SELECT key_arn, aliases, key_manager, first_seen, last_seen
        FROM known_keys
        WHERE ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
        UNION ALL
        SELECT key_arn, NULL, NULL, NULL, NULL
        FROM siblings
        WHERE key_arn IS NOT NULL
    )
    GROUP BY key_arn
),
kept AS (
    SELECT *
    FROM members
    WHERE ($key_id IS NULL OR split_part(key_arn, ':key/', 2) = $key_id)
      AND ($account IS NULL OR split_part(key_arn, ':', 5) = $account)
),
-- The last that is known of each trail's key, by event or by inventory, whichever is later; all that are of one instant. Null is none.
trail_settings AS (
    SELECT trail_arn, kms_key_id
    FROM (
        SELECT trail_arn, kms_key_id, rank() OVER (PARTITION BY trail_arn ORDER BY known_at DESC) AS place
        FROM (
            SELECT trail_arn, kms_key_id, taken_at AS known_at
            FROM trails
            UNION ALL
            SELECT
                (regexp_match(response_elements, '"trailARN":"(arn:[^"]*)"'))[1],
                (regexp_match(response_elements, '"kmsKeyId":"([^"]*)"'))[1],
                event_time
            FROM uncommon_events
            WHERE event_source = 'cloudtrail.amazonaws.com'
              AND event_name IN ('CreateTrail', 'UpdateTrail')
              AND error_code IS NULL
              AND event_time < $until
        )
        WHERE trail_arn IS NOT NULL
    )
    WHERE place = 1 AND kms_key_id IS NOT NULL
),
encrypted AS (
    SELECT k.key_arn, min(t.trail_arn) AS trail
    FROM trail_settings AS t
    JOIN kept AS k
        ON t.kms_key_id = k.key_arn
        OR t.kms_key_id = split_part(k.key_arn, ':key/', 2)
        OR (
            split_part(t.kms_key_id, 'alias/', 2) <> ''
            AND (
                t.kms_key_id NOT LIKE 'arn:%'
                OR (
                    split_part(t.kms_key_id, ':', 5) = split_part(k.key_arn, ':', 5)
                    AND split_part(t.kms_key_id, ':', 4) = split_part(k.key_arn, ':', 4)
                )
            )
            AND array_has(k.aliases, concat('alias/', split_part(t.kms_key_id, 'alias/', 2)))
        )
    GROUP BY k.key_arn
),
named AS (
    SELECT e.key_arn, min(e.line) AS rule_line, min(e.owner) AS owner, min(e.purpose) AS purpose
    FROM expected_keys AS e
    JOIN expectations AS r ON r.rule = e.rule
    WHERE NOT array_has(r.keys, '*')
      AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), e.key_arn))
    GROUP BY e.key_arn
),
-- The few ids come first in the join.
vouched AS (
    SELECT e.event_id
    FROM (
        SELECT last_usage_event_id AS event_id FROM key_inventory WHERE last_usage_event_id IS NOT NULL GROUP BY 1
    ) AS i
    JOIN kms_events AS e ON e.event_id = i.event_id
    GROUP BY e.event_id
),
-- Whether the trails of a place were listed, of which one may encrypt its logs with a key there.
listed AS (
    SELECT account_id, region, CASE WHEN refused_at > listed_at THEN NULL ELSE listed_at END AS trails_listed_at
    FROM (
        SELECT
            account_id,
            region,
            max(CASE WHEN trails IS NOT NULL THEN taken_at END) AS listed_at,
            max(CASE WHEN trails IS NULL AND source = 'aws' THEN taken_at END) AS refused_at
        FROM inventories
        GROUP BY account_id, region
    )
)
SELECT
    k.key_arn,
    split_part(k.key_arn, ':key/', 2) AS key_id,
    split_part(k.key_arn, ':', 5) AS account_id,
    split_part(k.key_arn, ':', 4) AS region,
    k.key_manager,
    k.aliases,
    k.first_seen,
    k.last_seen,
    i.taken_at,
    i.source,
    i.gone,
    i.state,
    i.enabled,
    i.key_usage,
    i.key_spec,
    i.origin,
    i.custom_key_store_id,
    i.creation_date,
    i.deletion_date,
    i.pending_window_days,
    i.valid_to,
    i.multi_region,
    i.multi_region_type,
    i.primary_key_arn,
    i.replica_key_arns,
    i.aliases AS inventory_aliases,
    i.rotation_enabled,
    i.rotation_period_days,
    i.grants,
    i.last_usage_time,
    i.last_usage_operation,
    i.last_usage_event_id,
    v.event_id IS NOT NULL AS has_last_usage_event,
    i.tracking_start,
    i.unknown_fields,
    c.last_change,
    c.changed_at,
    CAST(c.window_days AS BIGINT) AS window_days,
    a.called_alias,
    a.called_at,
    coalesce(a.public_key_reads, 0) AS public_key_reads,
    a.public_key_read_at,
    t.trail,
    n.rule_line,
    n.owner,
    n.purpose,
    -- An inventory is of one's own keys.
    o.account_id IS NOT NULL OR i.key_arn IS NOT NULL AS is_own,
    l.trails_listed_at
FROM kept AS k
LEFT JOIN key_inventory AS i ON i.key_arn = k.key_arn
LEFT JOIN changed AS c ON c.key_arn = k.key_arn
LEFT JOIN called AS a ON a.key_arn = k.key_arn
LEFT JOIN encrypted AS t ON t.key_arn = k.key_arn
LEFT JOIN named AS n ON n.key_arn = k.key_arn
LEFT JOIN own_accounts AS o ON o.account_id = split_part(k.key_arn, ':', 5)
LEFT JOIN listed AS l ON l.account_id = split_part(k.key_arn, ':', 5) AND l.region = split_part(k.key_arn, ':', 4)
LEFT JOIN vouched AS v ON v.event_id = i.last_usage_event_id
ORDER BY k.key_arn
