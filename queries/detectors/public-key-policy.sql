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
-- critical when anyone may decrypt, which `kms:*` includes. Statements that deny are not weighed against those that
-- allow.
-- ## Why it matters
-- A key policy that names everyone opens the key to every AWS account there is.
-- ## False positives
-- Public keys of signatures that are meant to be verified by anyone; policies whose Deny statements leave only a few.
-- ## What to do next
-- Put a policy that names accounts or roles, or a condition such as `kms:CallerAccount`. Then look for use by accounts
-- that are not yours since the first event named here.
WITH set_policies AS (
    SELECT
        key_arn, principal, key_account_id, key_region, event_name, event_time, event_id,
        -- The policy is JSON in a JSON string. A doubled backslash is set aside while the other escapes are undone.
        replace(replace(replace(replace(replace(replace(replace(
            (regexp_match(request_parameters, '"policy":"((?:[^"\\]|\\.)*)"'))[1],
            '\\', chr(1)), '\"', '"'), '\n', ' '), '\r', ' '), '\t', ' '), '\/', '/'), chr(1), '\') AS policy
    FROM calls
    WHERE event_name IN ('PutKeyPolicy', 'CreateKey', 'ReplicateKey')
      AND outcome = 'ok'
      AND key_arn IS NOT NULL
      AND request_parameters LIKE '%"policy":"%'
      AND coalesce(principal_type, '') <> 'AWSService'
      AND coalesce(principal, '') NOT LIKE 'service:%'
      AND coalesce(principal, '') NOT LIKE '%:role/aws-service-role/%'
      AND event_time >= $since
      AND event_time < $until
      AND event_date >= CAST(CAST($since AS TIMESTAMP) AS DATE)
      AND event_date <= CAST(CAST($until AS TIMESTAMP) AS DATE)
),
policies AS (
    SELECT key_arn, principal, key_account_id AS account_id, key_region AS region, event_name, event_time, event_id, policy
    FROM set_policies
    UNION ALL
    SELECT
        key_arn, NULL, account_id, region, NULL, arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))'), NULL, policy
    FROM key_inventory
    WHERE NOT gone
      AND coalesce(key_manager, '') <> 'AWS'
      AND policy IS NOT NULL
),
judged AS (
    SELECT
        *,
        array_has(policy_allows(policy, 'kms:Decrypt'), '*') AS is_decryptable,
        array_to_string(make_array(
            CASE WHEN array_has(policy_allows(policy, 'kms:Decrypt'), '*') THEN 'Decrypt' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:ReEncryptFrom'), '*') THEN 'ReEncryptFrom' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:Encrypt'), '*') THEN 'Encrypt' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:GenerateDataKey'), '*') THEN 'GenerateDataKey' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:Sign'), '*') THEN 'Sign' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:GenerateMac'), '*') THEN 'GenerateMac' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:CreateGrant'), '*') THEN 'CreateGrant' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:PutKeyPolicy'), '*') THEN 'PutKeyPolicy' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:ScheduleKeyDeletion'), '*') THEN 'ScheduleKeyDeletion' END,
            CASE WHEN array_has(policy_allows(policy, 'kms:DescribeKey'), '*') THEN 'DescribeKey' END
        ), ', ') AS allowed
    FROM policies
)
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
    CAST(concat(
        CASE
            WHEN count(event_id) = 0 THEN 'says the inventory: '
            ELSE concat('set by ', array_to_string(array_sort(array_agg(DISTINCT event_name)), ', '), ': ')
        END,
        'of the operations looked at, anyone may ', max(allowed), '.'
    ) AS VARCHAR) AS detail,
    CASE WHEN bool_or(is_decryptable) THEN 'critical' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CAST(NULL AS VARCHAR) AS not_evaluated
FROM judged
WHERE allowed <> ''
GROUP BY key_arn, principal
