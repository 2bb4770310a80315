//! Which events are kept, what kind of use each is, and how it ended.

use super::Record;

/// The event source of KMS.
pub const KMS: &str = "kms.amazonaws.com";

/// Events beside KMS's own that are kept, by source.
const CONTEXT: &[(&str, &[&str])] = &[
    (
        "sts.amazonaws.com",
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "AssumeRoot",
            "GetFederationToken",
            "GetSessionToken",
        ],
    ),
    (
        "cloudtrail.amazonaws.com",
        &[
            "CreateTrail",
            "UpdateTrail",
            "DeleteTrail",
            "StartLogging",
            "StopLogging",
            "PutEventSelectors",
            "PutInsightSelectors",
        ],
    ),
    ("s3.amazonaws.com", &["PutBucketEncryption", "DeleteBucketEncryption", "CreateBucket"]),
    (
        "rds.amazonaws.com",
        &[
            "CreateDBCluster",
            "CreateDBInstance",
            "CreateDBInstanceReadReplica",
            "CreateDBSnapshot",
            "CreateDBClusterSnapshot",
            "RestoreDBClusterFromSnapshot",
            "RestoreDBClusterToPointInTime",
            "RestoreDBClusterFromS3",
            "RestoreDBInstanceFromDBSnapshot",
            "RestoreDBInstanceToPointInTime",
            "RestoreDBInstanceFromS3",
            "CopyDBSnapshot",
            "CopyDBClusterSnapshot",
        ],
    ),
    (
        "ec2.amazonaws.com",
        &[
            "EnableEbsEncryptionByDefault",
            "DisableEbsEncryptionByDefault",
            "ModifyEbsDefaultKmsKeyId",
            "ResetEbsDefaultKmsKeyId",
        ],
    ),
    ("secretsmanager.amazonaws.com", &["CreateSecret", "UpdateSecret"]),
];

/// Whether any event of a source is kept.
pub fn may_be_kept(source: &str) -> bool {
    source == KMS || CONTEXT.iter().any(|(host, _)| *host == source)
}

/// The usage class of a kept event; nothing for an event that is not kept.
pub fn class(source: &str, name: &str) -> Option<&'static str> {
    if source == KMS {
        return Some(kms_class(name));
    }
    CONTEXT.iter().any(|(host, names)| *host == source && names.contains(&name)).then_some("context")
}

fn kms_class(name: &str) -> &'static str {
    match name {
        "Decrypt" | "ReEncrypt" | "DeriveSharedSecret" | "Decapsulate" => "decrypt",
        "Encrypt" => "encrypt",
        "GenerateRandom" | "Encapsulate" => "generate",
        _ if name.starts_with("GenerateDataKey") => "generate",
        "Sign" | "Verify" => "sign",
        "GenerateMac" | "VerifyMac" => "mac",
        "CreateKey"
        | "EnableKey"
        | "DisableKey"
        | "ScheduleKeyDeletion"
        | "CancelKeyDeletion"
        | "ReplicateKey"
        | "UpdatePrimaryRegion"
        | "UpdateKeyDescription" => "lifecycle",
        "EnableKeyRotation"
        | "DisableKeyRotation"
        | "RotateKeyOnDemand"
        | "ImportKeyMaterial"
        | "DeleteImportedKeyMaterial" => "rotation",
        "PutKeyPolicy" | "CreateGrant" | "RetireGrant" | "RevokeGrant" | "TagResource" | "UntagResource"
        | "CreateAlias" | "UpdateAlias" | "DeleteAlias" => "access",
        "CreateCustomKeyStore"
        | "UpdateCustomKeyStore"
        | "DeleteCustomKeyStore"
        | "ConnectCustomKeyStore"
        | "DisconnectCustomKeyStore" => "keystore",
        "DeleteKey" | "RotateKey" | "DeleteExpiredKeyMaterial" | "SynchronizeMultiRegionKey" => "internal",
        _ if ["Describe", "Get", "List"].iter().any(|prefix| name.starts_with(prefix)) => "read",
        _ => "other",
    }
}

/// How the call ended.
pub fn outcome(record: &Record) -> &'static str {
    let (code, message) = (record.filled("errorCode"), record.filled("errorMessage"));
    if code.is_none() && message.is_none() {
        return "ok";
    }
    let message = message.unwrap_or_default().to_ascii_lowercase();
    match code.unwrap_or_default().as_str() {
        "DryRunOperationException" => "dry_run",
        "AccessDenied"
        | "AccessDeniedException"
        | "VpceAccessDenied"
        | "UnauthorizedOperation"
        | "Client.UnauthorizedOperation" => "denied",
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "TooManyRequestsException" => "throttled",
        "DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException" => "key_unusable",
        _ if message.contains("is pending deletion") || message.contains("is disabled") => "key_unusable",
        _ => "error",
    }
}
