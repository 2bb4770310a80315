-- ---
-- title    = "The root user of an account called AWS KMS"
-- severity = "high"
-- attack   = ["T1078.004"]
-- needs    = []
-- message  = "{principal} used root credentials with AWS KMS: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports successful calls to AWS KMS by a root user: for each key that it did more with than look at it, and one
-- finding for all the rest. That is low when it only described or listed, as the console does for whoever is signed in,
-- and not when it changed what is of no one key, such as a custom key store.
-- ## Why it matters
-- Root cannot be restricted within its account and should do nothing that another identity can do.
-- ## False positives
-- An account's first hours; mending a key policy that locked everyone else out.
-- ## What to do next
-- Find out who signed in as root, and why. If nobody knows, take the account as lost until shown otherwise.
SELECT
    used_key_arn AS key_arn, principal, coalesce(key_account_id, account_id) AS account_id, coalesce(key_region, region) AS region,
    min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events, evidence(event_id, event_time) AS evidence,
    concat(
        counted(count(*), 'call'),
        CASE
            WHEN used_key_arn IS NOT NULL THEN concat(' on ', used_key_arn)
            WHEN bool_and(is_read) THEN ' that only read'
            WHEN bool_or(is_read) THEN concat(', of which ', count(*) FILTER (WHERE NOT is_read), ' did more than read')
            ELSE ' that did more than read'
        END,
        ': ', listed(event_name), coalesce('; through ' || listed(via), ''), '.'
    ) AS detail,
    CASE WHEN bool_and(is_read) THEN 'low' END AS severity
FROM (
    SELECT
        *, coalesce(usage_class, '') = 'read' AS is_read,
        CASE WHEN bool_or(coalesce(usage_class, '') <> 'read') OVER (PARTITION BY key_arn, principal) THEN key_arn END AS used_key_arn
    FROM calls
    WHERE principal_type = 'Root' AND outcome = 'ok' AND event_time >= $since AND event_time < $until
)
GROUP BY 1, 2, 3, 4
