-- ---
-- title    = "A KMS key does not rotate as it should"
-- severity = "medium"
-- attack   = []
-- needs    = []
-- message  = "{key_arn} does not rotate as it should: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.lag_hours = { type = "integer", default = 24, doc = "how many hours before `until` the logs may end, the rest being still on its way" }
-- ---
-- ## What it does
-- Reports a successful DisableKeyRotation; low when rotation was enabled again later in the window (what is of the
-- same second is not later). Where an inventory is there, also customer managed symmetric keys that are enabled and
-- do not rotate by themselves (low). Where the expectations file has `rotation_days` for a key, also a key that was
-- neither made nor rotated in so many days before the end of the window. A key that rotates by itself at least as
-- often, as the inventory says (every 365 days where it gives no period), is trusted to, unless rotation was
-- disabled since.
-- ## When it does not judge
-- Where the lake does not reach back so many days, or lacks hours of them in `coverage` for the key's account and
-- Region, but for the last `lag_hours` at the end: a rotation may be in what is not there.
-- ## Why it matters
-- Rotation limits how much one generation of key material protects. Rules such as CIS and PCI DSS ask for it.
-- ## False positives
-- Keys that are rotated by making a new key and moving the alias.
-- ## What to do next
-- `aws kms enable-key-rotation`. Old data stays readable; nothing has to be encrypted again.
WITH switches AS (
    SELECT
        key_arn, principal, principal_type, key_account_id, key_region, event_name, event_time, event_id,
        max(CASE WHEN event_name = 'EnableKeyRotation' THEN event_time END) OVER (PARTITION BY key_arn) AS enabled_at
    FROM calls
    WHERE event_name IN ('DisableKeyRotation', 'EnableKeyRotation')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND event_time >= $since
      AND event_time < $until
),
expected AS (
    SELECT key_arn, min(rotation_days) AS rotation_days
    FROM expected_keys
    WHERE rotation_days IS NOT NULL
    GROUP BY key_arn
),
-- The last new material that the log tells of, and when rotation was last disabled.
renewed AS (
    SELECT
        key_arn,
        max(event_time) FILTER (WHERE event_name <> 'DisableKeyRotation') AS renewed_at,
        max(event_time) FILTER (WHERE event_name = 'DisableKeyRotation') AS disabled_at
    FROM calls
    WHERE event_name IN ('CreateKey', 'RotateKey', 'RotateKeyOnDemand', 'ImportKeyMaterial', 'DisableKeyRotation')
      AND outcome = 'ok'
      AND event_time < $until
    GROUP BY key_arn
),
-- How far back the lake reaches.
reach AS (
    SELECT account_id, region, min(event_time) AS begins_at
    FROM timely_events
    GROUP BY account_id, region
),
-- How many hours are known of the days in which a key should have been rotated.
hours AS (
    SELECT s.account_id, s.region, s.rotation_days, count(*) AS known, max(c.hour) + INTERVAL '1 hour' AS known_until
    FROM (
        SELECT split_part(key_arn, ':', 5) AS account_id, split_part(key_arn, ':', 4) AS region, rotation_days
        FROM expected
        GROUP BY 1, 2, 3
    ) AS s
    JOIN coverage AS c ON c.account_id = s.account_id AND c.region = s.region
    WHERE c.state IN ('proven', 'observed')
      AND c.hour > $until - CAST(concat(s.rotation_days, ' days') AS INTERVAL) - INTERVAL '1 hour'
      AND c.hour < $until
      AND c.day <= CAST(CAST($until AS TIMESTAMP) AS DATE)
    GROUP BY s.account_id, s.region, s.rotation_days
),
due AS (
    SELECT
        e.key_arn,
        CAST(
            ceil(date_part('epoch', $until) / 3600)
            - floor(date_part('epoch', $until - CAST(concat(e.rotation_days, ' days') AS INTERVAL)) / 3600) AS BIGINT
        ) - coalesce(h.known, 0)
        -- What is behind the end of the logs may yet come, if they end late enough.
        - CASE
            WHEN h.known_until >= $until - CAST(concat($lag_hours, ' hours') AS INTERVAL) AND h.known_until < $until
            THEN CAST(ceil((date_part('epoch', $until) - date_part('epoch', h.known_until)) / 3600) AS BIGINT)
            ELSE 0
        END AS lacking,
        e.rotation_days,
        $until - CAST(concat(e.rotation_days, ' days') AS INTERVAL) AS due_from,
        greatest(r.renewed_at, i.creation_date) AS renewed_at,
        reach.begins_at
    FROM expected AS e
    LEFT JOIN renewed AS r ON r.key_arn = e.key_arn
    LEFT JOIN key_inventory AS i ON i.key_arn = e.key_arn
    LEFT JOIN reach
        ON reach.account_id = split_part(e.key_arn, ':', 5) AND reach.region = split_part(e.key_arn, ':', 4)
    LEFT JOIN hours AS h
        ON h.account_id = split_part(e.key_arn, ':', 5)
        AND h.region = split_part(e.key_arn, ':', 4)
        AND h.rotation_days = e.rotation_days
    WHERE NOT coalesce(i.gone, false)
      AND coalesce(i.state, '') <> 'PendingDeletion'
      AND NOT coalesce(
          i.rotation_enabled
              AND coalesce(i.rotation_period_days, 365) <= e.rotation_days
              AND coalesce(r.disabled_at <= i.taken_at, true),
          false
      )
),
overdue AS (
    SELECT
        key_arn,
        concat(
            'it is expected to rotate every ', rotation_days, ' days, and ',
            CASE
                WHEN renewed_at IS NULL THEN 'no rotation is known'
                ELSE concat('was last rotated or made on ', CAST(CAST(renewed_at AS DATE) AS VARCHAR))
            END
        ) AS detail,
        CASE
            WHEN begins_at <= due_from AND lacking <= 0 THEN NULL
            WHEN begins_at <= due_from
            THEN concat(
                'it is expected to rotate every ', rotation_days, ' days, and of so many days before the end of the window ',
                lacking, CASE WHEN lacking = 1 THEN ' hour lacks' ELSE ' hours lack' END, ' in the logs'
            )
            ELSE concat('it is expected to rotate every ', rotation_days, ' days, and the lake does not reach back so far')
        END AS not_evaluated
    FROM due
    WHERE coalesce(renewed_at < due_from, true)
),
-- A key that does not rotate and is overdue is one finding.
standing AS (
    SELECT
        key_arn,
        string_agg(detail, '; ' ORDER BY detail) FILTER (WHERE not_evaluated IS NULL) AS detail,
        CASE WHEN bool_or(is_overdue AND not_evaluated IS NULL) THEN 'medium' ELSE 'low' END AS severity,
        CASE WHEN bool_and(not_evaluated IS NOT NULL) THEN max(not_evaluated) END AS not_evaluated
    FROM (
        SELECT key_arn, detail, not_evaluated, true AS is_overdue
        FROM overdue
        UNION ALL
        SELECT key_arn, 'automatic rotation is off, says the inventory', NULL, false
        FROM key_inventory
        WHERE NOT gone
          AND key_manager = 'CUSTOMER'
          AND key_spec = 'SYMMETRIC_DEFAULT'
          AND origin = 'AWS_KMS'
          AND enabled
          AND rotation_enabled = false
          -- A replica rotates with its primary.
          AND coalesce(multi_region_type, '') <> 'REPLICA'
    )
    GROUP BY key_arn
)
SELECT
    key_arn,
    principal,
    max(key_account_id) AS account_id,
    max(key_region) AS region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS events,
    array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 10) AS evidence,
    concat(
        'automatic rotation was disabled by ', coalesce(principal, 'an unknown principal'),
        CASE WHEN max(enabled_at) > max(event_time) THEN ', and enabled again later.' ELSE '.' END
    ) AS detail,
    CASE WHEN max(enabled_at) > max(event_time) THEN 'low' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM switches
WHERE event_name = 'DisableKeyRotation'
  AND coalesce(principal_type, '') <> 'AWSService'
  AND coalesce(principal, '') NOT LIKE 'service:%'
  AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
GROUP BY key_arn, principal
UNION ALL
SELECT
    key_arn,
    NULL,
    split_part(key_arn, ':', 5),
    split_part(key_arn, ':', 4),
    NULL,
    NULL,
    0,
    arrow_cast(make_array(), 'List(Utf8)'),
    concat(detail, '.'),
    severity,
    NULL,
    not_evaluated
FROM standing
