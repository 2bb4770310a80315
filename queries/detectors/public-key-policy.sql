-- ---
-- title    = "A key policy lets anyone use a KMS key"
-- severity = "high"
-- attack   = ["T1098", "T1537"]
-- needs    = []
-- message  = "The policy of {key_arn} is open to anyone: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
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
            WHEN event_name = 'ReplicateKey' AND replica_region <> ''
            THEN concat(
                'arn:', split_part(key_arn, ':', 2), ':kms:', replica_region, ':',
                split_part(key_arn, ':', 5), ':', split_part(key_arn, ':', 6)
            )
            ELSE key_arn
        END AS key_arn,
        principal,
        key_account_id,
        CASE WHEN event_name = 'ReplicateKey' AND replica_region <> '' THEN replica_region ELSE key_region END AS key_region,
        event_name,
        event_time,
        event_id,
        is_aws,
        -- The policy is JSON in a JSON string. A doubled backslash is set aside while the other escapes are undone.
        replace(replace(replace(replace(replace(replace(replace(
            (regexp_match(request_parameters, '"policy":"((?:[^"\\]|\\.)*)"'))[1],
            '\\', chr(1)), '\"', '"'), '\n', ' '), '\r', ' '), '\t', ' '), '\/', '/'), chr(1), '\') AS policy
    FROM (
        SELECT
            key_arn, principal, key_account_id, key_region, event_name, event_time, event_id, request_parameters,
            (regexp_match(request_parameters, '"replicaRegion":"([a-z0-9-]+)"'))[1] AS replica_region,
            coalesce(principal_type, '') = 'AWSService'
                OR coalesce(principal, '') LIKE 'service:%'
                OR coalesce(principal, '') LIKE '%:role/aws-service-role/%' AS is_aws
        FROM calls
        WHERE event_name IN ('PutKeyPolicy', 'CreateKey', 'ReplicateKey')
          AND outcome = 'ok'
          AND key_arn IS NOT NULL
          AND request_parameters LIKE '%"policy":"%'
          AND event_time >= $since
          AND event_time < $until
    )
),
-- `as_of`: when the policy was as it is here.
policies AS (
    SELECT
        key_arn, principal, key_account_id AS account_id, key_region AS region, event_name, event_time, event_id,
        event_time AS as_of, is_aws, policy
    FROM set_policies
    UNION ALL
    SELECT
        key_arn, NULL, account_id, region, NULL, arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))'), NULL,
        taken_at, false, policy
    FROM key_inventory
    WHERE NOT gone
      AND coalesce(key_manager, '') <> 'AWS'
      AND policy IS NOT NULL
),
-- Every operation that a key's policy can allow, what matters most first. The last stands for all that are not here: who
-- may do that has been allowed kms:* or all but some.
tried AS (
    SELECT
        *,
        unnest(make_array(
            'Decrypt', 'PutKeyPolicy', 'CreateGrant', 'ReEncryptFrom', 'ScheduleKeyDeletion',
            'DisableKey', 'DeleteImportedKeyMaterial', 'RevokeGrant', 'RetireGrant', 'ReplicateKey', 'UpdatePrimaryRegion',
            'UpdateAlias', 'CreateAlias', 'DeleteAlias', 'ImportKeyMaterial', 'GetParametersForImport',
            'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyPair',
            'GenerateDataKeyPairWithoutPlaintext', 'DeriveSharedSecret', 'Sign', 'GenerateMac', 'Encrypt', 'ReEncryptTo',
            'Verify', 'VerifyMac', 'CancelKeyDeletion', 'EnableKey', 'EnableKeyRotation', 'DisableKeyRotation',
            'RotateKeyOnDemand', 'SynchronizeMultiRegionKey', 'UpdateKeyDescription', 'TagResource', 'UntagResource',
            'DescribeKey', 'GetKeyPolicy', 'GetKeyRotationStatus', 'GetKeyLastUsage', 'GetPublicKey', 'ListGrants',
            'ListKeyPolicies', 'ListKeyRotations', 'ListResourceTags', 'AnyOtherOperation'
        )) AS operation,
        unnest(generate_series(1, 46)) AS place
    FROM policies
),
answered AS (
    SELECT *, array_has(policy_allows(policy, concat('kms:', operation)), '*') AS is_open
    FROM tried
),
-- Where a policy is none that can be read, nothing of it is known to be closed.
judged AS (
    SELECT
        key_arn, principal, account_id, region, event_name, event_time, event_id, as_of, is_aws,
        bool_or(is_open) AS is_open,
        bool_or(is_open AND place <= 5) AS is_grave,
        CASE
            WHEN bool_and(is_open) THEN 'do anything (kms:*)'
            ELSE concat(
                array_to_string(array_slice(array_agg(operation ORDER BY place) FILTER (WHERE is_open AND place < 46), 1, 5), ', '),
                CASE
                    WHEN count(*) FILTER (WHERE is_open AND place < 46) > 5
                    THEN concat(' and ', count(*) FILTER (WHERE is_open AND place < 46) - 5, ' more operations')
                    ELSE ''
                END,
                CASE
                    WHEN bool_or(is_open AND place = 46) THEN ', and whatever else the policy does not leave out'
                    ELSE ''
                END
            )
        END AS allowed
    FROM answered
    GROUP BY key_arn, principal, account_id, region, event_name, event_time, event_id, as_of, is_aws
),
closed AS (
    SELECT
        *,
        max(CASE WHEN event_name = 'PutKeyPolicy' AND NOT is_open THEN event_time END) OVER (PARTITION BY key_arn) AS closed_at
    FROM judged
),
opened AS (
    SELECT
        key_arn,
        principal,
        max(account_id) AS account_id,
        max(region) AS region,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen,
        count(event_id) AS events,
        coalesce(
            array_slice(array_agg(event_id ORDER BY event_time, event_id) FILTER (WHERE event_id IS NOT NULL), 1, 10),
            arrow_cast(make_array(), 'List(Utf8)')
        ) AS evidence,
        array_to_string(array_sort(array_agg(DISTINCT event_name)), ', ') AS event_names,
        last_value(allowed ORDER BY as_of, event_id) AS allowed,
        bool_or(is_grave) AS is_grave,
        max(closed_at) > max(as_of) AS is_closed
    FROM closed
    WHERE is_open
      AND NOT is_aws
    GROUP BY key_arn, principal
)
SELECT
    key_arn,
    principal,
    account_id,
    region,
    first_seen,
    last_seen,
    events,
    evidence,
    CAST(concat(
        CASE WHEN events = 0 THEN 'says the inventory: ' ELSE concat('set by ', event_names, ': ') END,
        'anyone may ', allowed, '.',
        CASE WHEN is_closed THEN ' A later PutKeyPolicy closed it.' ELSE '' END
    ) AS VARCHAR) AS detail,
    CASE WHEN is_closed THEN 'low' WHEN is_grave THEN 'critical' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM opened
