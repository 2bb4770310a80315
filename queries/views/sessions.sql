-- ---
-- title = "Sessions: who was given credentials, by whom, and what use of KMS was made of them"
-- ---
-- ## What it holds
-- The rows of `session_starts`, and beside each the calls to KMS that were made in the session: `calls`, of which
-- `failures`, `decrypts` that succeeded, and the first and last of all. Where `calls` is 0 the lake has none of them; what a
-- session did in other services is not kept.
-- ## How use is joined to its session
-- By the access key that signed the call (`calls_by_key`). A service that forwards a session, as Lambda does, signs with a key
-- of its own, and keeps the session's id (or ARN, where STS tells no id) and the second at which it began: such calls are
-- joined by these (`calls_by_start`). Where two sessions of one id began in the same second, which of them it was is not
-- known, and both have the calls.
-- ## How it counts
-- Dry runs never; a call across accounts once, by the caller's identity in full; see `calls`. What only the key owner's log
-- has names no access key and no second, and is joined to no session.
WITH used AS (
    SELECT
        access_key_id,
        CASE WHEN session_name IS NULL THEN principal_id ELSE concat(principal_id, ':', session_name) END AS session_id,
        session_arn,
        session_start,
        via IS NOT NULL AS is_forwarded,
        count(*) AS calls,
        count(*) FILTER (WHERE failed) AS failures,
        count(*) FILTER (WHERE usage_class = 'decrypt' AND outcome = 'ok') AS decrypts,
        min(event_time) AS first_used,
        max(event_time) AS last_used
    FROM calls
    WHERE (access_key_id IS NOT NULL OR session_start IS NOT NULL)
      AND (outcome IS DISTINCT FROM 'dry_run')
    GROUP BY 1, 2, 3, 4, 5
),
-- What STS's own keys did not sign.
forwarded AS (
    SELECT u.*
    FROM used AS u
    LEFT ANTI JOIN session_starts AS s ON s.access_key_id = u.access_key_id
    WHERE u.session_start IS NOT NULL AND (u.is_forwarded OR coalesce(u.access_key_id, '') = '')
),
joined AS (
    SELECT s.event_id, 'key' AS joined_by, u.calls, u.failures, u.decrypts, u.first_used, u.last_used
    FROM session_starts AS s
    JOIN used AS u ON u.access_key_id = s.access_key_id
    UNION ALL
    SELECT s.event_id, 'start', u.calls, u.failures, u.decrypts, u.first_used, u.last_used
    FROM forwarded AS u
    JOIN session_starts AS s
        ON s.session_id = u.session_id AND date_trunc('second', s.started_at) = date_trunc('second', u.session_start)
    UNION ALL
    SELECT s.event_id, 'start', u.calls, u.failures, u.decrypts, u.first_used, u.last_used
    FROM forwarded AS u
    JOIN session_starts AS s
        ON s.session_arn = u.session_arn AND date_trunc('second', s.started_at) = date_trunc('second', u.session_start)
    WHERE s.session_id IS NULL
),
summed AS (
    SELECT
        event_id,
        sum(calls) AS calls,
        sum(CASE WHEN joined_by = 'key' THEN calls ELSE 0 END) AS calls_by_key,
        sum(CASE WHEN joined_by = 'start' THEN calls ELSE 0 END) AS calls_by_start,
        sum(failures) AS failures,
        sum(decrypts) AS decrypts,
        min(first_used) AS first_used,
        max(last_used) AS last_used
    FROM joined
    GROUP BY event_id
)
SELECT
    s.*,
    coalesce(u.calls, 0) AS calls,
    coalesce(u.calls_by_key, 0) AS calls_by_key,
    coalesce(u.calls_by_start, 0) AS calls_by_start,
    coalesce(u.failures, 0) AS failures,
    coalesce(u.decrypts, 0) AS decrypts,
    u.first_used,
    u.last_used
FROM session_starts AS s
LEFT JOIN summed AS u ON u.event_id = s.event_id
