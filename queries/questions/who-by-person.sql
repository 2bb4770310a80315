-- ---
-- title = "Which people used a key through shared roles"
-- params.key_arn     = { type = "text", doc = "only this key, by its ARN" }
-- params.key_id      = { type = "text", doc = "only keys with this id, in any account and Region" }
-- params.alias       = { type = "text", doc = "only calls that name this alias, such as alias/orders, and no key" }
-- params.alias_owner = { type = "text", doc = "only aliases of this account and Region, such as 111122223333/eu-west-1" }
-- params.principal   = { type = "text", doc = "only this principal; `*` stands for any characters" }
-- params.since       = { type = "timestamp", doc = "only calls at or after this instant" }
-- params.until       = { type = "timestamp", doc = "only calls before this instant" }
-- ---
-- ## What it answers
-- The calls of `who`, split by the person for whom they were made. `person_by` says how the person is known, from strong to
-- weak: `on_behalf_of`, the user id of IAM Identity Center that AWS put into the record (`identity_store` is the directory);
-- `source_identity`, which stays with a session through all roles that it assumes; `session`, the session's name of a role of
-- IAM Identity Center, which is the user's name there. If the record identifies no person, `person` is null: callers choose the
-- names of all other sessions freely. `keytrail chain` may show who opened such a session.
-- ## How it counts
-- Cross-account calls once, dry runs never (see the view `usage`); `calls` holds successes and failures. A ReEncrypt counts
-- for its source key and for its destination key. A call that names only an alias has a row without `key_arn`.
WITH told AS (
    SELECT
        *,
        CASE
            WHEN on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN source_identity IS NOT NULL THEN 'source_identity'
            WHEN principal LIKE '%:role/aws-reserved/sso.amazonaws.com/%' AND session_name IS NOT NULL THEN 'session'
        END AS person_by
    FROM usage
    WHERE ($key_arn IS NULL OR key_arn = $key_arn)
      AND ($key_id IS NULL OR key_id = $key_id)
      AND ($alias IS NULL OR ((key_arn IS NULL) IS TRUE AND (key_alias = $alias) IS TRUE))
      AND ($alias_owner IS NULL OR (concat(key_account_id, '/', key_region) = $alias_owner) IS TRUE)
      AND ($principal IS NULL OR (principal LIKE replace(replace(replace(replace(CAST($principal AS VARCHAR), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) IS TRUE)
      AND ($since IS NULL OR event_time >= $since)
      AND ($until IS NULL OR event_time < $until)
),
named AS (
    SELECT
        *,
        CASE person_by
            WHEN 'on_behalf_of' THEN on_behalf_of
            WHEN 'source_identity' THEN source_identity
            WHEN 'session' THEN session_name
        END AS person
    FROM told
)
SELECT
    person,
    person_by,
    principal,
    event_name AS operation,
    via,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS failures,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    min(event_id) AS sample_event_id,
    identity_store,
    key_arn
FROM named
GROUP BY key_arn, person, person_by, identity_store, principal, event_name, via
ORDER BY calls DESC, last_seen DESC, key_arn, person, person_by, identity_store, principal, operation, via
