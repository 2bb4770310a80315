-- ---
-- title    = "A principal of ours encrypted with a key of another organization"
-- severity = "high"
-- attack   = ["T1486"]
-- needs    = []
-- message  = "{principal} encrypted with {key_arn}: {detail}"
-- params.since = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- ---
-- ## What it does
-- Reports each principal of ours that encrypted, made data keys or encrypted anew with a key of an account that is not
-- ours: directly, or through a service that stores data under a key of the caller's choice, such as S3 or EC2. Other
-- services may use keys of AWS's own accounts and are left out, as are AWS's own calls. It is low when the key is of a
-- trusted party's account of the expectations file; where the party's `principals` are declared, only for those: name
-- there who of ours may write to the party.
-- ## When it does not judge
-- If no `accounts` are declared, every account whose logs are in the lake counts as ours, although it may belong to someone
-- else. For that reason, use of its keys by another account's principals is not evaluated.
-- ## Why it matters
-- That is what ransom looks like in the cloud: stolen credentials write every object again under the thief's key,
-- which is then taken away. The calls are granted by the thief's key policy and look like any other write.
-- ## False positives
-- Accounts of your own whose logs are not in the lake: declare all of them as `accounts`. Writing to a partner's
-- bucket that asks for the partner's key: declare it as `[[trusted]]`.
-- ## What to do next
-- Revoke the principal's sessions. See what was written under that key (`keytrail who KEY --by asset`) and whether
-- older versions and backups are there. A policy can keep everyone from foreign keys (`kms:ResourceAccount`,
-- `aws:ResourceOrgID`).

-- DataFusion runs a CTE once for each mention of it: so each is mentioned once, and windows look at what is grouped.
WITH encrypts AS (
    SELECT
        key_arn,
        key_account_id,
        principal,
        principal_account_id,
        event_name,
        coalesce(via, 'direct calls') AS way,
        event_date,
        min(region) AS region,
        count(*) AS calls,
        min(event_time) AS first_seen,
        max(event_time) AS last_seen
    FROM usage
    WHERE (event_name = 'Encrypt' OR event_name LIKE 'GenerateDataKey%' OR key_role = 'destination')
      AND usage_class IN ('encrypt', 'generate', 'decrypt')
      AND outcome = 'ok'
      AND principal NOT LIKE 'service:%'
      AND principal_account_id <> key_account_id
      AND coalesce(via, 'direct') IN (
          'direct', 'AWS Internal', 's3.amazonaws.com', 'ec2.amazonaws.com', 'ebs.amazonaws.com', 'rds.amazonaws.com',
          'dynamodb.amazonaws.com', 'secretsmanager.amazonaws.com', 'ssm.amazonaws.com', 'sqs.amazonaws.com',
          'sns.amazonaws.com', 'kinesis.amazonaws.com', 'firehose.amazonaws.com', 'logs.amazonaws.com',
          'backup.amazonaws.com', 'elasticfilesystem.amazonaws.com', 'redshift.amazonaws.com', 'lambda.amazonaws.com'
      )
      AND event_time >= $since
      AND event_time < $until
    GROUP BY key_arn, key_account_id, principal, principal_account_id, event_name, coalesce(via, 'direct calls'), event_date
),
-- A day is looked at for evidence when there were fewer than ten calls before it.
foreign_keys AS (
    SELECT
        e.*,
        theirs.account_id IS NOT NULL AS is_presumed,
        sum(e.calls) OVER (
            PARTITION BY e.key_arn, e.principal ORDER BY e.event_date RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) - sum(e.calls) OVER (PARTITION BY e.key_arn, e.principal, e.event_date) AS calls_before
    FROM encrypts AS e
    JOIN own_accounts AS ours ON ours.account_id = e.principal_account_id
    LEFT JOIN own_accounts AS theirs ON theirs.account_id = e.key_account_id
    WHERE theirs.account_id IS NULL OR NOT theirs.is_declared
),
pairs AS (
    SELECT
        key_arn,
        principal,
        min(principal_account_id) AS account_id,
        min(region) AS region,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        bool_or(is_presumed) AS is_presumed,
        sum(calls) AS calls,
        array_to_string(array_sort(array_agg(DISTINCT event_name)), ', ') AS operations,
        array_to_string(array_sort(array_agg(DISTINCT way)), ', ') AS ways,
        max(CASE WHEN calls_before < 10 THEN event_date END) AS evidence_until
    FROM foreign_keys
    GROUP BY key_arn, principal
),
judged AS (
    SELECT
        p.key_arn, p.principal, p.account_id, p.region, p.first_seen, p.last_seen,
        p.calls, p.operations, p.ways, p.is_presumed, p.evidence_until,
        max(t.name) AS party,
        max(CASE WHEN t.principals IS NULL OR matches_any(p.principal, t.principals) THEN t.name END) AS trusted_as
    FROM pairs AS p
    LEFT JOIN trusted_parties AS t ON t.account_id = split_part(p.key_arn, ':', 5)
    GROUP BY
        p.key_arn, p.principal, p.account_id, p.region, p.first_seen, p.last_seen,
        p.calls, p.operations, p.ways, p.is_presumed, p.evidence_until
)
SELECT
    p.key_arn,
    p.principal,
    p.account_id,
    p.region,
    p.first_seen,
    p.last_seen,
    CAST(p.calls AS BIGINT) AS events,
    array_slice(array_agg(u.event_id ORDER BY u.event_time, u.event_id), 1, 10) AS evidence,
    concat(
        p.calls, CASE WHEN p.calls = 1 THEN ' call (' ELSE ' calls (' END, p.operations, '), by way of ', p.ways,
        ', with a key of account ', split_part(p.key_arn, ':', 5),
        CASE
            WHEN p.trusted_as IS NOT NULL THEN concat(', which is trusted as ', p.trusted_as, '.')
            WHEN p.party IS NOT NULL THEN concat(', which is of ', p.party, ', but for other principals.')
            ELSE ', which is not one of ours.'
        END
    ) AS detail,
    CASE WHEN p.trusted_as IS NOT NULL THEN 'low' END AS severity,
    CAST(NULL AS VARCHAR) AS asset,
    CASE
        WHEN p.is_presumed
        THEN concat(
            'it belongs to account ', p.account_id, ', and the key''s account ', split_part(p.key_arn, ':', 5),
            ' counts as ours only because its logs are in the lake: declare `accounts` in the expectations file'
        )
    END AS not_evaluated
FROM judged AS p
JOIN usage AS u
    ON u.key_arn = p.key_arn
    AND u.principal = p.principal
    AND u.event_date <= p.evidence_until
WHERE (u.event_name = 'Encrypt' OR u.event_name LIKE 'GenerateDataKey%' OR u.key_role = 'destination')
  AND u.usage_class IN ('encrypt', 'generate', 'decrypt')
  AND u.outcome = 'ok'
  AND u.event_time >= $since
  AND u.event_time < $until
GROUP BY
    p.key_arn, p.principal, p.account_id, p.region, p.first_seen, p.last_seen,
    p.calls, p.operations, p.ways, p.is_presumed, p.party, p.trusted_as
ORDER BY p.key_arn, p.principal
