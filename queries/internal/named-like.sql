-- ---
-- title = "Principals and sessions that a bare name may refer to"
-- params.name = { type = "text", required = true, doc = "the last part of the name, whatever its case" }
-- ---
-- ## What it answers
-- One row per principal whose last part (behind the last `/` or `:`) is the name, and per session of that name, with how many
-- events there are of it and when the last was: `bert-jan` is a user, a role or a session of either, and an answer about
-- one is none about the others.
WITH seen AS (
    SELECT principal, session_name, count(*) AS events, max(event_time) AS last_seen
    FROM events
    GROUP BY principal, session_name
),
named AS (
    SELECT 'principal' AS kind, CAST(principal AS VARCHAR) AS name, sum(events) AS events, max(last_seen) AS last_seen
    FROM seen
    WHERE principal IS NOT NULL
    GROUP BY principal
    UNION ALL
    SELECT 'session' AS kind, CAST(session_name AS VARCHAR) AS name, sum(events) AS events, max(last_seen) AS last_seen
    FROM seen
    WHERE session_name IS NOT NULL
    GROUP BY session_name
)
SELECT kind, name, events, last_seen
FROM named
WHERE lower(regexp_replace(name, '^.*[/:]', '')) = lower($name)
ORDER BY kind, events DESC, name
