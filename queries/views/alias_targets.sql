-- ---
-- title = "Which key each alias named, and from when until when"
-- ---
-- ## What it holds
-- One row per alias (with its account and Region) and period in which it is known to have pointed at one key: after `from_time`
-- (null: no known start) and before `until_time` (null: no known end). An alias can be moved to another key at any time, so
-- its current target says nothing about its earlier ones.
-- ## Sources
-- A successful CreateAlias or UpdateAlias sets the target from then on, a DeleteAlias names the target until then, and an
-- inventory shows the target at that moment. Between two of these, the earlier one holds unless the later one contradicts it.
-- `is_later` is true if only a later source names the target: that holds only if no change of the alias is missing from the
-- logs in between.
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
    FROM kms_events
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
        named_after IS NULL AS is_later
    FROM ordered
    UNION ALL
    SELECT account_id, region, alias, NULL, at, named_before, true
    FROM ordered
    WHERE place = 1
)
SELECT account_id, region, alias, key_arn, from_time, until_time, is_later
FROM spans
WHERE key_arn <> ''
