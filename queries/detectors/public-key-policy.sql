-- ---
-- title    = "A key policy lets anyone use a KMS key"
-- severity = "high"
-- attack   = ["T1098", "T1537"]
-- needs    = []
-- message  = "The policy of {key_arn} is open to anyone: {detail}"
-- ---
-- ## What it does
-- Reports a successful PutKeyPolicy, CreateKey or ReplicateKey whose policy allows something to any principal (`*`)
-- without a condition that narrows who that is, and, where an inventory is there, keys whose policy does so now. It is
-- critical when anyone may decrypt (also by ReEncryptFrom), give that right to others (PutKeyPolicy, CreateGrant) or
-- schedule the key's deletion, all of which `kms:*` includes. It is low when a later PutKeyPolicy in the window left
-- nothing open; what is of the same second is not later. The policy of a ReplicateKey is the replica's. Statements that
-- deny are not weighed against those that allow.
-- A condition narrows who that is when it names accounts, organizations, principals, networks, or AWS's own services
-- (`aws:PrincipalIsAWSService`). `kms:ViaService` alone does not: any account comes through the service. Nor does a
-- pattern that fits everyone, a value that is a variable of the caller's, or a test that also holds when the request lacks
-- the key (`…IfExists`, `ForAllValues:`), unless every request has it, as `kms:CallerAccount`.
-- ## Why it matters
-- A key policy that names everyone opens the key to every AWS account there is.
-- ## False positives
-- Public keys of signatures that are meant to be verified by anyone; policies whose Deny statements leave only a few.
-- ## What to do next
-- Put a policy that names accounts or roles, or a condition such as `kms:CallerAccount`. Then look for use by accounts
-- that are not yours since the first event named here.
WITH set_policies AS (
    SELECT
        CASE
            WHEN replica_region IS NULL THEN key_arn
            ELSE concat('arn:', split_part(key_arn, ':', 2), ':kms:', replica_region, ':', account_id, ':', split_part(key_arn, ':', 6))
        END AS key_arn,
        principal, account_id, coalesce(replica_region, region) AS region, event_name, event_time, event_id, is_aws, event_time AS as_of,
        json_member(request_parameters, 'policy') AS policy
    FROM (
        SELECT
            *,
            CASE
                WHEN event_name = 'ReplicateKey' THEN (regexp_match(request_parameters, '"replicaRegion":"([a-z0-9-]+)"'))[1]
            END AS replica_region
        FROM control_calls
        WHERE event_name IN ('PutKeyPolicy', 'CreateKey', 'ReplicateKey')
          AND request_parameters LIKE '%"policy":"%'
          AND NOT is_past
    )
    UNION ALL
    SELECT key_arn, NULL, account_id, region, NULL, NULL, NULL, false, taken_at, policy
    FROM key_inventory
    WHERE NOT gone
      AND coalesce(key_manager, '') <> 'AWS'
      AND policy IS NOT NULL
),
judged AS (
    SELECT
        *,
        max(CASE WHEN event_name = 'PutKeyPolicy' AND allowed = '' THEN event_time END) OVER (PARTITION BY key_arn) AS closed_at
    FROM (SELECT *, open_to_anyone(policy) AS allowed FROM set_policies)
)
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region, min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(event_id) AS events,
    evidence(event_id, event_time) AS evidence,
    concat(
        coalesce('set by ' || listed(event_name), 'says the inventory'), ': anyone may ',
        last_value(allowed ORDER BY as_of, event_id), '.',
        CASE WHEN max(closed_at) > max(as_of) THEN ' A later PutKeyPolicy closed it.' ELSE '' END
    ) AS detail,
    CASE
        WHEN max(closed_at) > max(as_of) THEN 'low'
        WHEN bool_or(
            array_has(policy_allows(policy, 'kms:Decrypt'), '*')
            OR array_has(policy_allows(policy, 'kms:ReEncryptFrom'), '*')
            OR array_has(policy_allows(policy, 'kms:PutKeyPolicy'), '*')
            OR array_has(policy_allows(policy, 'kms:CreateGrant'), '*')
            OR array_has(policy_allows(policy, 'kms:ScheduleKeyDeletion'), '*')
        ) THEN 'critical'
    END AS severity
FROM judged
WHERE allowed <> ''
  AND NOT is_aws
GROUP BY key_arn, principal
