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
WITH pairs AS (
    SELECT
        e.key_arn, e.principal, e.key_account_id AS owner, min(e.principal_account_id) AS account_id, min(e.region) AS region,
        min(e.event_time) AS first_seen, max(e.event_time) AS last_seen, count(*) AS calls,
        evidence(e.event_id, e.event_time) AS evidence, listed(e.event_name) AS operations,
        listed(coalesce(e.via, 'direct calls')) AS ways, max(theirs.doubt) AS doubt
    FROM usage AS e
    JOIN own_accounts AS ours ON ours.account_id = e.principal_account_id
    LEFT JOIN own_accounts AS theirs ON theirs.account_id = e.key_account_id
    WHERE (e.event_name = 'Encrypt' OR e.event_name LIKE 'GenerateDataKey%' OR e.key_role = 'destination')
      AND e.outcome = 'ok'
      AND e.principal NOT LIKE 'service:%'
      AND e.principal_account_id <> e.key_account_id
      AND split_part(coalesce(e.via, 'direct'), '.amazonaws.com', 1) IN (
          'direct', 'AWS Internal', 's3', 'ec2', 'ebs', 'rds', 'dynamodb', 'secretsmanager', 'ssm', 'sqs', 'sns', 'kinesis',
          'firehose', 'logs', 'backup', 'elasticfilesystem', 'redshift', 'lambda'
      )
      AND e.event_time >= $since AND e.event_time < $until
      AND (theirs.account_id IS NULL OR NOT theirs.is_declared)
    GROUP BY e.key_arn, e.principal, e.key_account_id
),
parties AS (
    SELECT
        p.key_arn, p.principal, max(t.name) AS party, max(t.name) FILTER (WHERE is_within(p.principal, t.principals)) AS trusted_as
    FROM pairs AS p JOIN trusted_parties AS t ON t.account_id = p.owner
    GROUP BY p.key_arn, p.principal
)
SELECT
    p.key_arn, p.principal, p.account_id, p.region, p.first_seen, p.last_seen, p.calls AS events, p.evidence,
    concat(
        counted(p.calls, 'call'), ' (', p.operations, '), by way of ', p.ways, ', with a key of account ', p.owner,
        CASE
            WHEN t.trusted_as IS NOT NULL THEN concat(', which is trusted as ', t.trusted_as, '.')
            WHEN t.party IS NOT NULL THEN concat(', which is of ', t.party, ', but for other principals.')
            ELSE ', which is not one of ours.'
        END
    ) AS detail,
    CASE WHEN t.trusted_as IS NOT NULL THEN 'low' END AS severity,
    'it belongs to account ' || p.account_id || ', and the key''s account ' || p.owner || ' ' || p.doubt AS not_evaluated
FROM pairs AS p LEFT JOIN parties AS t ON t.key_arn = p.key_arn AND t.principal = p.principal
