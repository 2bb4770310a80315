-- ---
-- title = "What each trail recorded from one change of it to the next, as far as the logs tell"
-- ---
-- ## What it holds
-- One row per change of a trail: from `from_time` until `until_time` (null: to this day) it was `logging` (on, off or new)
-- and its selectors did or did not record the use of KMS keys (`captures`: yes, no or unknown). Null is what no event
-- in the lake says. `is_blind` is true where an event shows that calls to KMS were not recorded, in any Region; `cause` names
-- it, or else the change that the row begins with. `was_multi_region` is true once a change said that the trail is of all
-- Regions: where `is_multi_region` is false then, the other Regions have lost it.
-- Before a trail's first change there is no row: nothing is known of it.
WITH carried AS (
    SELECT
        account_id,
        home_region,
        trail,
        event_time AS from_time,
        lead(event_time) OVER (PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id)
            AS until_time,
        last_value(logging) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS logging,
        last_value(captures) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS captures,
        last_value(is_multi_region) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS is_multi_region,
        bool_or(is_multi_region) OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS was_multi_region,
        last_value(is_organization) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS is_organization,
        last_value(CASE WHEN logging IS NOT NULL THEN concat(event_name, ' ', event_id) END) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS logging_cause,
        last_value(CASE WHEN captures IS NOT NULL THEN concat(event_name, ' ', event_id) END) IGNORE NULLS OVER (
            PARTITION BY account_id, home_region, trail ORDER BY event_time, step, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS captures_cause,
        concat(event_name, ' ', event_id) AS last_cause
    FROM trail_changes
)
SELECT
    account_id,
    home_region,
    trail,
    from_time,
    until_time,
    logging,
    captures,
    is_multi_region,
    was_multi_region,
    is_organization,
    coalesce(logging = 'off', false) OR coalesce(captures = 'no', false) AS is_blind,
    CASE WHEN logging = 'off' THEN logging_cause WHEN captures = 'no' THEN captures_cause ELSE last_cause END AS cause
FROM carried
