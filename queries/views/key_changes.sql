-- ---
-- title = "Every change of a key's state, in the order in which it took effect"
-- ---
-- ## What it holds
-- One row per successful EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion and DeleteKey that names its key, with
-- `step`, its position among the changes of the same second. Order by `event_time, step` to follow a key.
-- ## Order within one second
-- Timestamps are whole seconds and event ids are random, so the key's lifecycle decides. A key pending deletion can be neither
-- disabled nor enabled, so ScheduleKeyDeletion follows DisableKey. CancelKeyDeletion precedes ScheduleKeyDeletion if the key
-- was already pending deletion, and follows it otherwise. Nothing follows DeleteKey. EnableKey and DisableKey in the same
-- second are taken to leave the key in its earlier state.
WITH changes AS (
    SELECT
        key_arn,
        key_id,
        key_account_id,
        event_time,
        event_date,
        event_name,
        event_id,
        coalesce(original_event_id, shared_event_id, event_id) AS original,
        principal,
        request_parameters,
        response_elements,
        -- As for a key that was enabled before.
        array_position(
            make_array('DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'EnableKey', 'DeleteKey'),
            CAST(event_name AS VARCHAR)
        ) AS usual_step
    FROM control_events
    WHERE event_name IN ('EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
),
-- More schedulings than cancellations in a second leave the key pending, and the reverse; as many of each leave it as it was,
-- which is null here. An event may be delivered more than once.
seconds AS (
    SELECT
        key_arn,
        event_time,
        nullif(
            count(DISTINCT CASE WHEN event_name = 'ScheduleKeyDeletion' THEN original END)
                - count(DISTINCT CASE WHEN event_name = 'CancelKeyDeletion' THEN original END),
            0
        ) AS scheduled,
        coalesce(
            nullif(
                count(DISTINCT CASE WHEN event_name = 'DisableKey' THEN original END)
                    - count(DISTINCT CASE WHEN event_name = 'EnableKey' THEN original END),
                0
            ),
            max(CASE WHEN event_name = 'CancelKeyDeletion' THEN 1 END)
        ) AS disabled
    FROM changes
    GROUP BY key_arn, event_time
),
after_others AS (
    SELECT
        key_arn,
        event_time,
        coalesce(scheduled, last_value(scheduled) IGNORE NULLS OVER before) > 0 AS ends_pending,
        last_value(disabled) IGNORE NULLS OVER before > 0 AS was_disabled
    FROM seconds
    WINDOW before AS (PARTITION BY key_arn ORDER BY event_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    c.key_arn,
    c.key_id,
    c.key_account_id,
    c.event_time,
    c.event_date,
    CAST(CASE
        WHEN a.ends_pending THEN array_position(
            make_array('CancelKeyDeletion', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'DeleteKey'),
            CAST(c.event_name AS VARCHAR)
        )
        WHEN a.was_disabled THEN array_position(
            make_array('EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey'),
            CAST(c.event_name AS VARCHAR)
        )
        ELSE c.usual_step
    END AS BIGINT) AS step,
    c.event_name,
    c.event_id,
    c.principal,
    c.request_parameters,
    c.response_elements
FROM changes AS c
JOIN after_others AS a ON a.key_arn = c.key_arn AND a.event_time = c.event_time
