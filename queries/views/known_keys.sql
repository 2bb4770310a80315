-- ---
-- title = "Every key that a call or an inventory speaks of, with what is known of it"
-- ---
-- ## What it holds
-- One row per key. `description`, `tags` (a JSON object), `enabled`, `state` and `origin` are those of the latest
-- inventory that found the key (see `key_inventory`), null where none did or could not read them. `in_inventory` says
-- whether one did; `gone` that a later listing had it no more (false where no inventory had it). `first_seen` and
-- `last_seen` are of any call about the key, whether it succeeded or not; `last_used` is the time of the last successful use of it,
-- also as the key that a ReEncrypt encrypted with. They are null when there is none. A run of the detectors knows no call after
-- its window.
-- ## Who manages a key
-- `key_manager` is CUSTOMER or AWS as the inventory says. Where it says nothing, aliases and calls tell: AWS creates
-- and names its own keys (`alias/aws/…`), and no one can name, tag, disable or delete one of those, or change its
-- policy. Null is not known.
-- ## Aliases
-- `aliases` holds those of the inventory and those by which a call named the key with success, in order. A key may
-- have lost some of them since: `key_inventory` has those that it had at last.

-- Grouped by alias first, since the keys' names are few.
WITH named AS (
    SELECT
        key_arn,
        -- A call that failed may have named anything.
        CASE WHEN bool_or(outcome = 'ok') THEN CAST(key_alias AS VARCHAR) END AS alias,
        bool_or(
            event_name IN (
                'CancelKeyDeletion', 'DeleteImportedKeyMaterial', 'DisableKey', 'DisableKeyRotation', 'EnableKey',
                'EnableKeyRotation', 'ImportKeyMaterial', 'PutKeyPolicy', 'ReplicateKey', 'RotateKeyOnDemand',
                'ScheduleKeyDeletion', 'TagResource', 'UntagResource', 'UpdateKeyDescription', 'UpdatePrimaryRegion'
            )
            AND outcome = 'ok'
        ) AS is_managed,
        NULL AS created_for,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        max(last_seen) FILTER (
            WHERE outcome = 'ok' AND is_use(usage_class)
        ) AS last_used
    FROM call_counts
    WHERE is_event AND key_arn IS NOT NULL
    GROUP BY key_arn, key_alias
    UNION ALL
    SELECT dest_key_arn, NULL, false, NULL, min(first_seen), max(last_seen), max(last_seen) FILTER (WHERE outcome = 'ok')
    FROM call_counts
    WHERE is_event AND dest_key_arn IS NOT NULL
    GROUP BY dest_key_arn
    UNION ALL
    SELECT
        key_arn, NULL, false, max((regexp_match(response_elements, '"keyManager":"(AWS|CUSTOMER)"'))[1]),
        NULL, NULL, NULL
    FROM control_events
    WHERE event_name = 'CreateKey' AND key_arn IS NOT NULL AND event_time < window_until()
    GROUP BY key_arn
),
seen AS (
    SELECT
        key_arn,
        array_agg(DISTINCT alias) FILTER (WHERE alias IS NOT NULL) AS aliases,
        CASE
            WHEN max(created_for) IS NOT NULL THEN max(created_for)
            WHEN bool_or(alias LIKE 'alias/aws/%') THEN 'AWS'
            WHEN bool_or(is_managed OR alias LIKE 'alias/%') THEN 'CUSTOMER'
        END AS key_manager,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        max(last_used) AS last_used
    FROM named
    GROUP BY key_arn
),
found AS (
    SELECT
        key_arn,
        CASE
            WHEN key_manager IS NOT NULL THEN key_manager
            WHEN aliases LIKE '%"alias/aws/%' THEN 'AWS'
            WHEN aliases LIKE '%"alias/%' THEN 'CUSTOMER'
        END AS key_manager,
        -- A JSON list of names, none of which has a quote in it. It may be empty, or unknown.
        string_to_array(nullif(trim(BOTH '"' FROM trim(BOTH '[]' FROM aliases)), ''), '","') AS aliases,
        description,
        tags,
        enabled,
        state,
        origin,
        gone
    FROM key_inventory
),
-- Together by a union, not a join: then a condition on the key reaches the scan.
told AS (
    SELECT
        key_arn, key_manager, arrow_cast(NULL, 'List(Utf8)') AS found_aliases, aliases AS seen_aliases,
        NULL AS description, NULL AS tags, NULL AS enabled, NULL AS state, NULL AS origin, false AS in_inventory, NULL AS gone,
        first_seen, last_seen, last_used
    FROM seen
    UNION ALL
    SELECT key_arn, key_manager, aliases, NULL, description, tags, enabled, state, origin, true, gone, NULL, NULL, NULL
    FROM found
),
joined AS (
    SELECT
        key_arn,
        coalesce(
            max(key_manager) FILTER (WHERE in_inventory),
            max(key_manager) FILTER (WHERE NOT in_inventory)
        ) AS key_manager,
        first_value(found_aliases) FILTER (WHERE found_aliases IS NOT NULL) AS found_aliases,
        first_value(seen_aliases) FILTER (WHERE seen_aliases IS NOT NULL) AS seen_aliases,
        max(description) AS description,
        max(tags) AS tags,
        bool_or(enabled) AS enabled,
        max(state) AS state,
        max(origin) AS origin,
        bool_or(in_inventory) AS in_inventory,
        coalesce(bool_or(gone), false) AS gone,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        max(last_used) AS last_used
    FROM told
    GROUP BY key_arn
)
SELECT
    key_arn,
    split_part(key_arn, ':key/', 2) AS key_id,
    split_part(key_arn, ':', 5) AS account_id,
    split_part(key_arn, ':', 4) AS region,
    CAST(key_manager AS VARCHAR) AS key_manager,
    array_sort(array_distinct(array_concat(
        coalesce(found_aliases, arrow_cast(make_array(), 'List(Utf8)')),
        coalesce(seen_aliases, arrow_cast(make_array(), 'List(Utf8)'))
    ))) AS aliases,
    description,
    tags,
    enabled,
    state,
    origin,
    in_inventory,
    gone,
    first_seen,
    last_seen,
    last_used
FROM joined
