-- ---
-- title = "Who made a call, or who holds an access key, as a chain of sessions begins"
-- params.id = { type = "text", required = true, doc = "an event id, or an access key id" }
-- ---
-- ## What it answers
-- The identity of the event with its copy in another account's log, which may know more (`rank` 1 is who knows most), or every
-- identity that signed with the access key, with the first event of each. `keytrail chain` asks it.
WITH told_of AS (
    SELECT
        event_id, event_time, event_date, event_name, account_id, region, shared_event_id, principal, principal_type, principal_id,
        principal_account_id, session_name, session_arn, access_key_id, session_start, source_identity, mfa, via, source_ip,
        user_agent, source_object
    FROM events
),
named AS (
    SELECT *
    FROM told_of
    WHERE event_id = $id
),
logged AS (
    SELECT *
    FROM named
    UNION ALL
    -- The few come first in a join.
    SELECT e.*
    FROM (
        SELECT shared_event_id, event_time, event_date
        FROM named
        WHERE shared_event_id IS NOT NULL
        GROUP BY shared_event_id, event_time, event_date
    ) AS n
    JOIN told_of AS e
        ON e.shared_event_id = n.shared_event_id AND e.event_time = n.event_time AND e.event_date = n.event_date
    WHERE (e.event_id IS DISTINCT FROM $id)
    UNION ALL
    SELECT *
    FROM told_of
    WHERE access_key_id = $id
),
told AS (
    SELECT
        *,
        CASE
            WHEN principal_account_id = account_id AND principal NOT LIKE 'acct:%' THEN 1
            WHEN principal_account_id = account_id OR principal NOT LIKE 'acct:%' THEN 2
            ELSE 3
        END AS rank,
        row_number() OVER (
            PARTITION BY principal, principal_id, session_name, access_key_id, session_start, access_key_id = $id
            ORDER BY event_time, event_id
        ) AS place
    FROM logged
)
SELECT
    event_id,
    event_time,
    event_name,
    account_id,
    region,
    principal,
    principal_type,
    principal_id,
    principal_account_id,
    session_name,
    session_arn,
    access_key_id,
    session_start,
    source_identity,
    mfa,
    via,
    source_ip,
    user_agent,
    source_object,
    rank
FROM told
WHERE place = 1
ORDER BY rank, event_time, event_id
