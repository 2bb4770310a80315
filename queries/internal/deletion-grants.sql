-- ---
-- title = "Grants on keys as the logs tell: when they were created, and when they were retired or revoked"
-- params.key_id  = { type = "text", doc = "only the keys with this id: a multi-Region key and its siblings share one" }
-- params.key_arns = { type = "text", doc = "only these keys, by their ARNs with blanks in between: with a key's own, other pages of the files are skipped" }
-- params.account = { type = "text", doc = "only keys that this account owns" }
-- params.until   = { type = "timestamp", default = "now", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- One row per key and grant, with when it was created and when it ended, where the lake has that. Grants never expire, so
-- one stays until someone retires or revokes it, which may be in a log that the lake does not have: an inventory that was
-- taken later knows better. If the log does not have the grant's id, `grant_id` is null.
WITH granted AS (
    SELECT
        key_arn,
        max(grant_id) AS grant_id,
        max(CASE WHEN event_name IN ('RetireGrant', 'RevokeGrant') THEN event_time END) AS ended_at,
        max(CASE
            WHEN event_name = 'CreateGrant'
            THEN coalesce(
                (regexp_match(request_parameters, '"granteePrincipal":"([^"]*)"'))[1],
                (regexp_match(request_parameters, '"granteeServicePrincipal":"([^"]*)"'))[1]
            )
        END) AS grantee,
        max(CASE WHEN event_name = 'CreateGrant' THEN event_time END) AS created_at,
        max(CASE WHEN event_name = 'CreateGrant' THEN event_id END) AS event_id
    FROM (
        SELECT
            *,
            -- A CreateGrant call made a grant even if its response is not in the log; another copy of the call may have it.
            coalesce(
                grant_id,
                max(grant_id) OVER (PARTITION BY key_arn, coalesce(original_event_id, shared_event_id, event_id)),
                concat('event ', coalesce(original_event_id, shared_event_id, event_id))
            ) AS of_grant
        FROM control_events
        WHERE event_name IN ('CreateGrant', 'RetireGrant', 'RevokeGrant')
          AND outcome = 'ok'
          AND (grant_id IS NOT NULL OR event_name = 'CreateGrant')
          AND key_arn IS NOT NULL
          AND event_time < $until
          AND ($key_id IS NULL OR key_id = $key_id)
          AND ($key_arns IS NULL OR array_has(string_to_array($key_arns, ' '), key_arn))
          AND ($account IS NULL OR key_account_id = $account)
    )
    GROUP BY key_arn, of_grant
)
SELECT key_arn, grant_id, grantee, created_at, ended_at, event_id
FROM granted
ORDER BY key_arn, created_at, grant_id
