-- ---
-- title    = "Data under a key that AWS manages, or under none"
-- severity = "low"
-- attack   = []
-- needs    = []
-- message  = "{asset} is not under a key of your own: {detail}"
-- params.since  = { type = "timestamp", required = true, doc = "only what happened at or after this instant" }
-- params.until  = { type = "timestamp", required = true, doc = "only what happened before this instant" }
-- params.assets = { type = "integer", default = 200, doc = "at most this many assets per account, those with the most calls first" }
-- ---
-- ## What it does
-- Finds assets that a service encrypted or decrypted with an AWS-managed key (`alias/aws/…`), as KMS calls show; and
-- assets for which the last choice in the window was no key of the account's own: buckets made or set to SSE-S3 or to
-- aws:kms without a key, databases (RDS, DocumentDB, Neptune) that are not encrypted or under `alias/aws/rds`, the EBS
-- default put back to `alias/aws/ebs`, and secrets without a key. The objects of a bucket are one asset, the bucket;
-- the EBS default of an account and Region is one, too. There is one finding per asset,
-- and what keys there were is in the detail. Where an account has more than
-- `assets`, it says how many it left out.
-- ## Why it matters
-- No one can write the policy of an AWS-managed key, disable it or share it: whoever may read the service's data may
-- decrypt it, and in an emergency there is no key to turn off. Uses of keys that AWS owns are in no log at all.
-- ## False positives
-- Data that need not be guarded so well. A bucket that is made without a key may get one later than the window, and
-- where EBS encryption was switched on a key may have been chosen before. Snapshots are told only by their use,
-- single mail messages not at all.
-- ## What to do next
-- Where the data matters choose a customer-managed key: a bucket's default, a copy of a snapshot, a secret's update.
-- What is there already stays under the old key until it is written again.
WITH aws_keys AS (
    SELECT key_arn FROM known_keys WHERE key_manager = 'AWS'
),
-- A key of AWS's cannot be used across accounts, so no call with it was logged by two. The few keys come first in the
-- join, so that they are what is held in memory and what the scan is pruned by.
traffic AS (
    SELECT
        u.key_arn,
        CASE WHEN u.asset_type = 's3-object' THEN split_part(u.asset, '/', 1) ELSE u.asset END AS asset,
        max(u.via) AS via,
        count(*) AS calls,
        min(u.event_time) AS first_seen,
        max(u.event_time) AS last_seen,
        first_value(u.event_id ORDER BY u.event_time, u.event_id) AS sample
    FROM aws_keys AS k
    JOIN kms_events AS u ON u.key_arn = k.key_arn
    WHERE u.outcome = 'ok'
      AND u.usage_class IN ('decrypt', 'encrypt', 'generate')
      AND u.asset IS NOT NULL
      AND u.via IS NOT NULL
      AND coalesce(u.asset_type, '') NOT IN ('secret-key-check', 'ses-message')
      AND u.original_event_id IS NULL
      AND u.event_time >= $since
      AND u.event_time < $until
    GROUP BY u.key_arn, 2
),
asked AS (
    SELECT
        event_id, event_time, event_name, account_id, region, principal,
        aws_partition(principal, region) AS partition,
        request_parameters,
        response_elements,
        CASE
            WHEN event_source = 's3.amazonaws.com' THEN (regexp_match(request_parameters, '"KMSMasterKeyID":"([^"]*)"'))[1]
            WHEN event_source = 'ec2.amazonaws.com' THEN (regexp_match(request_parameters, '"[Kk]msKeyId":"([^"]*)"'))[1]
            ELSE (regexp_match(request_parameters, '"kmsKeyId":"([^"]*)"'))[1]
        END AS chosen_key,
        (regexp_match(coalesce(response_elements, request_parameters), '"storageEncrypted":(true|false)'))[1] AS is_encrypted
    FROM events
    WHERE event_source IN ('s3.amazonaws.com', 'rds.amazonaws.com', 'ec2.amazonaws.com', 'secretsmanager.amazonaws.com')
      AND event_name IN (
          'CreateBucket', 'PutBucketEncryption', 'DeleteBucketEncryption',
          'CreateDBCluster', 'CreateDBInstance', 'RestoreDBClusterFromSnapshot', 'RestoreDBClusterToPointInTime',
          'RestoreDBClusterFromS3', 'RestoreDBInstanceFromDBSnapshot', 'RestoreDBInstanceToPointInTime',
          'RestoreDBInstanceFromS3', 'EnableEbsEncryptionByDefault', 'ModifyEbsDefaultKmsKeyId',
          'ResetEbsDefaultKmsKeyId', 'CreateSecret', 'UpdateSecret'
      )
      AND outcome = 'ok'
      AND event_time >= $since
      AND event_time < $until
),
-- `lack` says what is missing, '' that a key of the account's own was chosen, null that the event says nothing of it.
choices AS (
    SELECT
        a.event_id, a.event_time, a.event_name, a.account_id, a.region, a.principal,
        CASE
            WHEN a.event_name LIKE '%Bucket%'
            THEN concat('arn:', a.partition, ':s3:::', (regexp_match(a.request_parameters, '"bucketName":"([^"]*)"'))[1])
            -- By its resource id, as KMS calls name it.
            WHEN a.event_name LIKE '%DB%'
            THEN coalesce(
                (regexp_match(a.response_elements, '"(?:dbiResourceId|dbClusterResourceId)":"([^"]*)"'))[1],
                (regexp_match(a.response_elements, '"(?:dBInstanceArn|dBClusterArn)":"([^"]*)"'))[1],
                concat(
                    'arn:', a.partition, ':rds:', a.region, ':', a.account_id,
                    CASE WHEN a.event_name LIKE '%Cluster%' THEN ':cluster:' ELSE ':db:' END,
                    CASE
                        WHEN a.event_name LIKE '%Cluster%'
                        THEN (regexp_match(a.request_parameters, '"dBClusterIdentifier":"([^"]*)"'))[1]
                        ELSE (regexp_match(a.request_parameters, '"(?:dBInstanceIdentifier|targetDBInstanceIdentifier)":"([^"]*)"'))[1]
                    END
                )
            )
            WHEN a.event_name LIKE '%Ebs%' THEN concat('ebs-default:', a.account_id, ':', a.region)
            ELSE coalesce(
                (regexp_match(a.response_elements, '"(?:arn|aRN)":"([^"]*)"'))[1],
                (regexp_match(a.request_parameters, '"secretId":"(arn:[^"]*)"'))[1],
                concat(
                    'arn:', a.partition, ':secretsmanager:', a.region, ':', a.account_id, ':secret:',
                    (regexp_match(a.request_parameters, '"(?:name|secretId)":"([^"]*)"'))[1]
                )
            )
        END AS asset,
        CASE
            WHEN a.event_name LIKE '%DB%' AND a.is_encrypted = 'false' THEN 'not encrypted'
            WHEN a.chosen_key LIKE '%alias/aws/%' OR i.key_arn IS NOT NULL THEN 'a key that AWS manages'
            WHEN a.chosen_key <> '' THEN ''
            WHEN a.event_name IN ('CreateBucket', 'DeleteBucketEncryption') THEN 'S3''s own keys (SSE-S3)'
            WHEN a.event_name = 'PutBucketEncryption' AND a.request_parameters LIKE '%"AES256"%' THEN 'S3''s own keys (SSE-S3)'
            WHEN a.event_name = 'PutBucketEncryption' THEN 'alias/aws/s3'
            -- A member of a cluster and what is restored have the key of where they come from.
            WHEN a.event_name IN ('CreateDBCluster', 'CreateDBInstance') AND a.is_encrypted = 'true'
                AND NOT (a.event_name = 'CreateDBInstance' AND a.request_parameters LIKE '%"dBClusterIdentifier":%')
            THEN 'alias/aws/rds'
            WHEN a.event_name = 'ResetEbsDefaultKmsKeyId' THEN 'alias/aws/ebs'
            WHEN a.event_name = 'CreateSecret' OR (a.event_name = 'UpdateSecret' AND a.chosen_key = '')
            THEN 'alias/aws/secretsmanager'
        END AS lack,
        concat_ws(
            ' ',
            (regexp_match(a.response_elements, '"engine":"([^"]*)"'))[1],
            (regexp_match(a.request_parameters, '"(?:dBInstanceIdentifier|dBClusterIdentifier)":"([^"]*)"'))[1]
        ) AS database
    FROM asked AS a
    LEFT JOIN key_inventory AS i ON i.key_arn = a.chosen_key AND i.key_manager = 'AWS'
),
decided AS (
    SELECT
        account_id,
        region,
        asset,
        -- Encryption by default uses AWS's key until one is chosen. If two choices fall in the same second, a creation came
        -- first, and of others the one without a key of the account's own counts, because their order is unknown.
        CASE
            WHEN bool_and(event_name = 'EnableEbsEncryptionByDefault') THEN 'alias/aws/ebs, unless a key was chosen before'
            ELSE last_value(lack ORDER BY event_time, event_name NOT LIKE 'Create%', lack, event_id) FILTER (WHERE lack IS NOT NULL)
        END AS lack,
        last_value(event_name ORDER BY event_time, event_name NOT LIKE 'Create%', coalesce(lack, ''), event_id) FILTER (WHERE lack IS NOT NULL OR event_name LIKE 'Enable%') AS event_name,
        last_value(principal ORDER BY event_time, event_name NOT LIKE 'Create%', coalesce(lack, ''), event_id) FILTER (WHERE lack IS NOT NULL OR event_name LIKE 'Enable%') AS principal,
        last_value(event_id ORDER BY event_time, event_name NOT LIKE 'Create%', coalesce(lack, ''), event_id) FILTER (WHERE lack IS NOT NULL OR event_name LIKE 'Enable%') AS event_id,
        max(event_time) FILTER (WHERE lack IS NOT NULL OR event_name LIKE 'Enable%') AS event_time,
        max(database) AS database
    FROM choices
    WHERE asset IS NOT NULL
    GROUP BY account_id, region, asset
),
told AS (
    SELECT
        split_part(key_arn, ':', 5) AS account_id,
        split_part(key_arn, ':', 4) AS region,
        asset,
        calls,
        first_seen,
        last_seen,
        sample,
        concat(calls, ' uses through ', via, ' with a key that AWS manages (', key_arn, ')') AS what
    FROM traffic
    UNION ALL
    SELECT
        account_id,
        region,
        asset,
        1,
        event_time AS first_seen,
        event_time AS last_seen,
        event_id,
        concat(event_name, ' by ', principal, ': ', lack, CASE WHEN database = '' THEN '' ELSE concat(' (', database, ')') END)
    FROM decided
    WHERE lack <> ''
),
merged AS (
    SELECT
        account_id,
        region,
        asset,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        sum(calls) AS events,
        array_agg(sample ORDER BY first_seen, sample) AS evidence,
        string_agg(what, '; ' ORDER BY what) AS detail
    FROM told
    GROUP BY account_id, region, asset
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY account_id ORDER BY events DESC, asset, region) <= $assets AS is_told
    FROM merged
),
-- What is told is a group of its own; the rest of an account is one.
capped AS (
    SELECT
        account_id,
        CASE WHEN is_told THEN region END AS region,
        CASE WHEN is_told THEN asset END AS asset,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        sum(events) AS events,
        first_value(evidence ORDER BY first_seen, asset) AS evidence,
        CASE WHEN bool_or(is_told) THEN max(detail) ELSE '' END AS detail,
        count(*) FILTER (WHERE NOT is_told) AS untold
    FROM ranked
    GROUP BY 1, 2, 3
)
SELECT
    CAST(NULL AS VARCHAR) AS key_arn,
    CAST(NULL AS VARCHAR) AS principal,
    account_id,
    region,
    first_seen,
    last_seen,
    events,
    evidence,
    detail,
    CAST(NULL AS VARCHAR) AS severity,
    asset,
    CASE
        WHEN untold > 0
        THEN concat(untold, ' more assets are not under a key of the account''s own: raise the parameter `assets` to see them')
    END AS not_evaluated
FROM capped
ORDER BY account_id, region, asset
