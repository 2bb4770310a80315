-- ---
-- title = "What is known of keys that may be deleted: state, names, inventory, and what names them"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.since   = { type = "timestamp", required = true, doc = "aliases count as called by since this instant" }
-- params.until   = { type = "timestamp", default = "now", doc = "only what happened before this instant" }
-- ---
-- ## What it answers
-- One row per key that a call, an inventory, or a sibling's inventory speaks of: what `check-deletion` knows of the key
-- apart from its use. Columns of the inventory are those of its latest row (`taken_at`), null where there is none.
-- ## From the logs
-- `last_change` is the last call that enabled, disabled, scheduled, cancelled or deleted; `unusable_since` is the first
-- one after which the key could no longer be used, null when that is not in the lake. `called_alias` is an alias by
-- which someone called the key with success since `since`, and `called_at` when last. `public_key_reads` counts
-- GetPublicKey: what is done with a public key outside of AWS is in no log. `trail` encrypts its log files with the key.
-- `rule_line` is the line of the `[[key]]` in the expectations file that names the key by ARN, id or alias, not by a
-- pattern or a tag. `is_own`: its account is one of `own_accounts`. `has_last_usage_event` says whether the lake has the event that GetKeyLastUsage names.
WITH changes AS (
    SELECT
        key_arn,
        event_time,
        event_name,
        event_id,
        max(CASE WHEN event_name = 'EnableKey' THEN event_time END) OVER (PARTITION BY key_arn) AS enabled_at
    FROM kms_events
    WHERE event_name IN ('EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time < $until
      AND ($key_id IS NULL OR key_id = $key_id)
),
changed AS (
    SELECT
        key_arn,
        last_value(event_name ORDER BY event_time, event_id) AS last_change,
        max(event_time) AS changed_at,
        min(CASE
            WHEN event_name IN ('DisableKey', 'ScheduleKeyDeletion') AND (enabled_at IS NULL OR event_time > enabled_at)
            THEN event_time
        END) AS unusable_since
    FROM changes
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
                max(CASE WHEN key_alias IS NOT NULL AND event_time >= $since THEN event_time END) AS called_at,
                count(*) FILTER (WHERE event_name = 'GetPublicKey') AS public_key_reads,
                max(CASE WHEN event_name = 'GetPublicKey' THEN event_time END) AS public_key_read_at
            FROM kms_events
            WHERE outcome = 'ok'
              AND (
                  event_name = 'GetPublicKey'
                  OR (
                      key_alias IS NOT NULL
                      AND usage_class IN ('read', 'decrypt', 'encrypt', 'generate', 'sign', 'mac', 'other')
                      AND event_time >= $since
                  )
              )
              AND key_arn IS NOT NULL
              AND event_time < $until
              AND ($key_id IS NULL OR key_id = $key_id)
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
    WHERE multi_region
),
members AS (
    SELECT key_arn, aliases, key_manager, first_seen, last_seen
    FROM known_keys
    UNION ALL
    SELECT s.key_arn, arrow_cast(make_array(), 'List(Utf8)'), CAST(NULL AS VARCHAR), NULL, NULL
    FROM (SELECT key_arn FROM siblings WHERE key_arn IS NOT NULL GROUP BY key_arn) AS s
    LEFT JOIN known_keys AS k ON k.key_arn = s.key_arn
    WHERE k.key_arn IS NULL
),
kept AS (
    SELECT *
    FROM members
    WHERE ($key_id IS NULL OR split_part(key_arn, ':key/', 2) = $key_id)
      AND ($account IS NULL OR split_part(key_arn, ':', 5) = $account)
),
-- The last that is known of each trail's key, by event or by inventory; either may be the later.
trail_settings AS (
    SELECT trail_arn, kms_key_id
    FROM (
        SELECT trail_arn, kms_key_id, row_number() OVER (PARTITION BY trail_arn ORDER BY taken_at DESC, source) AS place
        FROM trails
    )
    WHERE place = 1 AND kms_key_id IS NOT NULL
    UNION ALL
    SELECT trail_arn, kms_key_id
    FROM (
        SELECT
            trail_arn,
            kms_key_id,
            event_name,
            row_number() OVER (PARTITION BY trail_arn ORDER BY event_time DESC, event_id DESC) AS place
        FROM (
            SELECT
                event_time,
                event_id,
                event_name,
                (regexp_match(response_elements, '"trailARN":"(arn:[^"]*)"'))[1] AS trail_arn,
                (regexp_match(response_elements, '"kmsKeyId":"([^"]*)"'))[1] AS kms_key_id
            FROM events
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
            AND array_has(k.aliases, concat('alias/', split_part(t.kms_key_id, 'alias/', 2)))
        )
    GROUP BY k.key_arn
),
named AS (
    SELECT k.key_arn, min(e.line) AS rule_line, min(e.owner) AS owner, min(e.purpose) AS purpose
    FROM expectations AS e
    CROSS JOIN kept AS k
    WHERE array_has_any(
        e.keys,
        array_concat(make_array(CAST(k.key_arn AS VARCHAR), CAST(split_part(k.key_arn, ':key/', 2) AS VARCHAR)), k.aliases)
    )
    GROUP BY k.key_arn
),
-- The few ids come first in the join.
vouched AS (
    SELECT e.event_id
    FROM (
        SELECT last_usage_event_id AS event_id FROM key_inventory WHERE last_usage_event_id IS NOT NULL GROUP BY 1
    ) AS i
    JOIN kms_events AS e ON e.event_id = i.event_id
    GROUP BY e.event_id
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
    c.unusable_since,
    a.called_alias,
    a.called_at,
    coalesce(a.public_key_reads, 0) AS public_key_reads,
    a.public_key_read_at,
    t.trail,
    n.rule_line,
    n.owner,
    n.purpose,
    o.account_id IS NOT NULL AS is_own
FROM kept AS k
LEFT JOIN key_inventory AS i ON i.key_arn = k.key_arn
LEFT JOIN changed AS c ON c.key_arn = k.key_arn
LEFT JOIN called AS a ON a.key_arn = k.key_arn
LEFT JOIN encrypted AS t ON t.key_arn = k.key_arn
LEFT JOIN named AS n ON n.key_arn = k.key_arn
LEFT JOIN own_accounts AS o ON o.account_id = split_part(k.key_arn, ':', 5)
LEFT JOIN vouched AS v ON v.event_id = i.last_usage_event_id
ORDER BY k.key_arn
