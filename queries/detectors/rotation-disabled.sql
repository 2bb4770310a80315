-- ---
-- title    = "A KMS key does not rotate as it should"
-- severity = "medium"
-- attack   = []
-- needs    = []
-- message  = "{key_arn} does not rotate as it should: {detail}"
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
WITH switched_off AS (
    SELECT
        d.key_arn, d.principal, max(d.account_id) AS account_id, max(d.region) AS region, min(d.event_time) AS first_seen,
        max(d.event_time) AS last_seen, count(*) AS events, evidence(d.event_id, d.event_time) AS evidence,
        coalesce(max(e.at) > max(d.event_time), false) AS is_on_again
    FROM control_calls AS d
    LEFT JOIN (
        SELECT key_arn, max(event_time) AS at FROM control_calls WHERE event_name = 'EnableKeyRotation' GROUP BY key_arn
    ) AS e ON e.key_arn = d.key_arn
    WHERE d.event_name = 'DisableKeyRotation' AND NOT d.is_past AND NOT d.is_aws
    GROUP BY d.key_arn, d.principal
),
expected AS (
    SELECT
        key_arn, split_part(key_arn, ':', 5) AS account_id, split_part(key_arn, ':', 4) AS region,
        min(rotation_days) AS rotation_days, window_until() - days(min(rotation_days)) AS due_from
    FROM expected_keys
    WHERE rotation_days IS NOT NULL
    GROUP BY key_arn
),
renewed AS (
    SELECT
        c.key_arn,
        max(c.event_time) FILTER (WHERE c.event_name <> 'DisableKeyRotation') AS renewed_at,
        max(c.event_time) FILTER (WHERE c.event_name = 'DisableKeyRotation') AS disabled_at
    FROM expected AS e
    JOIN calls AS c ON c.key_arn = e.key_arn
    WHERE c.event_name IN ('CreateKey', 'RotateKey', 'RotateKeyOnDemand', 'ImportKeyMaterial', 'DisableKeyRotation')
      AND c.outcome = 'ok'
      AND c.event_time < $until
    GROUP BY c.key_arn
),
reach AS (
    SELECT t.account_id, t.region, min(t.event_time) AS begins_at
    FROM (SELECT account_id, region FROM expected GROUP BY account_id, region) AS e
    JOIN timely_events AS t ON t.account_id = e.account_id AND t.region = e.region
    GROUP BY t.account_id, t.region
),
hours AS (
    SELECT e.key_arn, count(*) AS known, max(c.hour) + hours(1) AS known_until
    FROM expected AS e
    JOIN coverage AS c ON c.account_id = e.account_id AND c.region = e.region
    WHERE c.state IN ('proven', 'observed')
      AND c.hour > e.due_from - hours(1)
      AND c.hour < $until
    GROUP BY e.key_arn
),
overdue AS (
    SELECT
        e.key_arn, e.rotation_days, greatest(r.renewed_at, i.creation_date) AS renewed_at,
        coalesce(b.begins_at <= e.due_from, false) AS reaches_back,
        CAST(ceil(24 * days_between(date_trunc('hour', e.due_from), $until)) AS BIGINT) - coalesce(h.known, 0)
        -- What is behind the end of the logs may yet come, if they end late enough.
        - CASE
            WHEN h.known_until >= $until - hours($lag_hours) AND h.known_until < $until
            THEN CAST(ceil(24 * days_between(h.known_until, $until)) AS BIGINT)
            ELSE 0
        END AS lacking
    FROM expected AS e
    LEFT JOIN renewed AS r ON r.key_arn = e.key_arn
    LEFT JOIN key_inventory AS i ON i.key_arn = e.key_arn
    LEFT JOIN reach AS b ON b.account_id = e.account_id AND b.region = e.region
    LEFT JOIN hours AS h ON h.key_arn = e.key_arn
    WHERE NOT coalesce(i.gone, false)
      AND coalesce(i.state, '') <> 'PendingDeletion'
      AND NOT coalesce(
          i.rotation_enabled
              AND coalesce(i.rotation_period_days, 365) <= e.rotation_days
              AND coalesce(r.disabled_at <= i.taken_at, true),
          false
      )
      AND coalesce(greatest(r.renewed_at, i.creation_date) < e.due_from, true)
),
standing AS (
    SELECT
        key_arn, reaches_back AND lacking <= 0 AS is_overdue,
        concat(
            'it is expected to rotate every ', rotation_days, ' days, and ',
            coalesce('was last rotated or made on ' || CAST(CAST(renewed_at AS DATE) AS VARCHAR), 'no rotation is known')
        ) AS told,
        CASE
            WHEN NOT reaches_back
            THEN concat('it is expected to rotate every ', rotation_days, ' days, and the lake does not reach back so far')
            WHEN lacking > 0
            THEN concat(
                'it is expected to rotate every ', rotation_days, ' days, and of so many days before the end of the window ',
                lacking, CASE WHEN lacking = 1 THEN ' hour lacks' ELSE ' hours lack' END, ' in the logs'
            )
        END AS not_evaluated
    FROM overdue
    UNION ALL
    SELECT key_arn, false, 'automatic rotation is off, says the inventory', NULL
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
SELECT
    key_arn, principal, account_id, region, first_seen, last_seen, events, evidence,
    concat('automatic rotation was disabled by ', principal, CASE WHEN is_on_again THEN ', and enabled again later.' ELSE '.' END)
        AS detail,
    CASE WHEN is_on_again THEN 'low' END AS severity,
    NULL AS not_evaluated
FROM switched_off
UNION ALL
-- A key that does not rotate and is overdue is one finding.
SELECT
    key_arn, NULL, split_part(key_arn, ':', 5), split_part(key_arn, ':', 4), NULL, NULL, 0, NULL,
    concat(string_agg(told, '; ' ORDER BY told) FILTER (WHERE not_evaluated IS NULL), '.'),
    CASE WHEN bool_or(is_overdue) THEN 'medium' ELSE 'low' END,
    CASE WHEN bool_and(not_evaluated IS NOT NULL) THEN max(not_evaluated) END
FROM standing
GROUP BY key_arn
