-- ---
-- title = "What resources were encrypted with when they were made or set"
-- ---
-- ## What it holds
-- One row per successful call that chooses an encryption: for buckets, databases (RDS, DocumentDB, Neptune), the EBS default and
-- secrets. `asset` is the resource as KMS calls name it, `name` and `engine` what the call says of it, and `chosen_key` the key that it
-- names. `lack` says what the resource has instead of a key of the account's own: it is empty where such a key was chosen, and null
-- where the call says nothing of it.
WITH asked AS (
    SELECT
        event_id, event_time, event_name, account_id, region, principal, coalesce(request_parameters, '') AS request,
        coalesce(response_elements, '') AS response,
        concat('arn:', aws_partition(principal, region), ':') AS arn,
        (regexp_match(request_parameters, '"(?:KMSMasterKeyID|[Kk]msKeyId)":"([^"]*)"'))[1] AS chosen_key,
        (regexp_match(coalesce(response_elements, request_parameters), '"storageEncrypted":(true|false)'))[1] AS is_encrypted,
        coalesce(
            -- A member names its cluster, too.
            CASE
                WHEN event_name NOT LIKE '%Cluster%'
                THEN (regexp_match(request_parameters, '"(?:dBInstanceIdentifier|targetDBInstanceIdentifier)":"([^"]*)"'))[1]
            END,
            (regexp_match(request_parameters, '"(?:bucketName|name|secretId|dBClusterIdentifier)":"([^"]*)"'))[1]
        ) AS name,
        (regexp_match(response_elements, '"engine":"([^"]*)"'))[1] AS engine
    FROM timely_events
    WHERE event_source IN ('s3.amazonaws.com', 'rds.amazonaws.com', 'ec2.amazonaws.com', 'secretsmanager.amazonaws.com')
      AND event_name IN (
          'CreateBucket', 'PutBucketEncryption', 'DeleteBucketEncryption',
          'CreateDBCluster', 'CreateDBInstance', 'RestoreDBClusterFromSnapshot', 'RestoreDBClusterToPointInTime',
          'RestoreDBClusterFromS3', 'RestoreDBInstanceFromDBSnapshot', 'RestoreDBInstanceToPointInTime',
          'RestoreDBInstanceFromS3', 'EnableEbsEncryptionByDefault', 'ModifyEbsDefaultKmsKeyId',
          'ResetEbsDefaultKmsKeyId', 'CreateSecret', 'UpdateSecret'
      )
      AND outcome = 'ok'
)
SELECT
    a.event_id, a.event_time, a.event_name, a.account_id, a.region, a.principal, a.chosen_key, a.name, a.engine,
    CASE
        WHEN a.event_name LIKE '%Bucket%' THEN concat(a.arn, 's3:::', a.name)
        WHEN a.event_name LIKE '%Ebs%' THEN concat('ebs-default:', a.account_id, ':', a.region)
        -- A database goes by its resource id, as KMS calls name it.
        ELSE coalesce(
            (regexp_match(a.response, '"(?:dbiResourceId|dbClusterResourceId)":"([^"]*)"'))[1],
            (regexp_match(a.response, '"(?:dBInstanceArn|dBClusterArn|arn|aRN)":"([^"]*)"'))[1],
            CASE WHEN a.name LIKE 'arn:%' THEN a.name END,
            concat(
                a.arn,
                CASE WHEN a.event_name LIKE '%DB%' THEN 'rds:' ELSE 'secretsmanager:' END, a.region, ':', a.account_id,
                CASE
                    WHEN a.event_name LIKE '%Cluster%' THEN ':cluster:'
                    WHEN a.event_name LIKE '%DB%' THEN ':db:'
                    ELSE ':secret:'
                END,
                a.name
            )
        )
    END AS asset,
    CASE
        WHEN a.event_name LIKE '%DB%' AND a.is_encrypted = 'false' THEN 'not encrypted'
        WHEN a.chosen_key LIKE '%alias/aws/%' OR i.key_arn IS NOT NULL THEN 'a key that AWS manages'
        WHEN a.chosen_key <> '' THEN ''
        WHEN a.event_name IN ('CreateBucket', 'DeleteBucketEncryption') THEN 'S3''s own keys (SSE-S3)'
        WHEN a.event_name = 'PutBucketEncryption' AND a.request LIKE '%"AES256"%' THEN 'S3''s own keys (SSE-S3)'
        WHEN a.event_name = 'PutBucketEncryption' THEN 'alias/aws/s3'
        -- A member of a cluster and what is restored have the key of where they come from.
        WHEN a.event_name IN ('CreateDBCluster', 'CreateDBInstance') AND a.is_encrypted = 'true'
            AND NOT (a.event_name = 'CreateDBInstance' AND a.request LIKE '%"dBClusterIdentifier":%')
        THEN 'alias/aws/rds'
        -- Encryption by default uses AWS's key until one is chosen.
        WHEN a.event_name = 'EnableEbsEncryptionByDefault' THEN 'alias/aws/ebs, unless a key was chosen before'
        WHEN a.event_name = 'ResetEbsDefaultKmsKeyId' THEN 'alias/aws/ebs'
        WHEN a.event_name = 'CreateSecret' OR (a.event_name = 'UpdateSecret' AND a.chosen_key = '')
        THEN 'alias/aws/secretsmanager'
    END AS lack
FROM asked AS a
LEFT JOIN key_inventory AS i ON i.key_arn = a.chosen_key AND i.key_manager = 'AWS'
