-- ---
-- title = "Which key each alias pointed to, and when"
-- ---
-- ## What it holds
-- One row per alias (with its account and Region) and period in which it is known to have pointed at one key: after `from_time`
-- (null: no known start) and before `until_time` (null: no known end). An alias can be moved to another key at any time, so
-- its current target says nothing about its earlier ones.
-- ## Sources
-- A successful CreateAlias or UpdateAlias sets the target from then on, a DeleteAlias names the target until then, and an
-- inventory shows the target at that moment. Between two of these the target is assumed not to have changed, unless they
-- contradict each other: then there is no row. The assumption holds only if no change of the alias is missing from the logs in
-- between. `is_told_before`: the source at `from_time` names the target, so the logs must be complete from then until the time
-- in question. `is_told_after`: the source at `until_time` does, so they must be complete from the time in question until then.
-- Both are false if a change of the alias has an impossible time.
-- ## What is unknown
-- Any time without a row. This includes the second of a change itself, and the time after two different changes in the same
-- second: timestamps are whole seconds, so their order is unknown.

-- Null is not known; an empty text is no key, where the alias did not exist.
WITH told AS (
    SELECT
        key_account_id AS account_id,
        key_region AS region,
        CAST(key_alias AS VARCHAR) AS alias,
        event_time AS at,
        CAST(CASE event_name WHEN 'CreateAlias' THEN '' WHEN 'DeleteAlias' THEN key_arn END AS VARCHAR) AS named_before,
        CAST(CASE event_name WHEN 'DeleteAlias' THEN '' ELSE key_arn END AS VARCHAR) AS named_after
    FROM control_events
    WHERE event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias')
      AND outcome = 'ok'
      AND key_alias IS NOT NULL
    UNION ALL
    SELECT account_id, region, alias, taken_at, listed_arn AS named_before, listed_arn AS named_after
    FROM (
        SELECT
            account_id,
            region,
            taken_at,
            CAST(key_arn AS VARCHAR) AS listed_arn,
            unnest(string_to_array(nullif(trim(BOTH '"' FROM trim(BOTH '[]' FROM aliases)), ''), '","')) AS alias
        FROM keys
    )
),
points AS (
    SELECT
        account_id,
        region,
        alias,
        at,
        CASE WHEN count(named_before) = count(*) AND min(named_before) = max(named_before) THEN max(named_before) END
            AS named_before,
        CASE WHEN count(named_after) = count(*) AND min(named_after) = max(named_after) THEN max(named_after) END
            AS named_after
    FROM told
    GROUP BY account_id, region, alias, at
),
ordered AS (
    SELECT
        *,
        lead(at) OVER (PARTITION BY account_id, region, alias ORDER BY at) AS next_at,
        lead(named_before) OVER (PARTITION BY account_id, region, alias ORDER BY at) AS next_before,
        row_number() OVER (PARTITION BY account_id, region, alias ORDER BY at) AS place
    FROM points
),
spans AS (
    SELECT
        account_id,
        region,
        alias,
        at AS from_time,
        next_at AS until_time,
        CASE
            WHEN named_after IS NULL THEN next_before
            WHEN next_before IS NULL OR next_before = named_after THEN named_after
        END AS key_arn,
        named_after IS NOT NULL AS is_told_before,
        next_before IS NOT NULL AS is_told_after
    FROM ordered
    UNION ALL
    SELECT account_id, region, alias, NULL, at, named_before, false, true
    FROM ordered
    WHERE place = 1
),
untimely AS (
    SELECT key_account_id AS account_id, key_region AS region, CAST(key_alias AS VARCHAR) AS alias
    FROM untimely_events
    WHERE event_source = 'kms.amazonaws.com'
      AND event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias')
      AND outcome = 'ok'
      AND key_alias IS NOT NULL
    GROUP BY 1, 2, 3
)
SELECT
    s.account_id,
    s.region,
    s.alias,
    s.key_arn,
    s.from_time,
    s.until_time,
    s.is_told_before AND u.alias IS NULL AS is_told_before,
    s.is_told_after AND u.alias IS NULL AS is_told_after
FROM spans AS s
LEFT JOIN untimely AS u ON u.account_id = s.account_id AND u.region = s.region AND u.alias = s.alias
WHERE s.key_arn <> ''
