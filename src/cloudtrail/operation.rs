//! What an operation is: which events are kept, what class of use a KMS operation is, and how a call ended.
//!
//! The tables follow facts §3.1 (operations), §5.1 and §5.2 (errors). Everything here is a pure function of names and
//! codes; nothing looks at a key or a principal.

/// KMS's event source.
pub const KMS: &str = "kms.amazonaws.com";

/// The events kept besides KMS's own, by source: they tell how a session came to be, whether CloudTrail was looking,
/// and which key was chosen for data (design §4). This is the one list of them.
pub const CONTEXT_EVENTS: &[(&str, &[&str])] = &[
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
        // DocumentDB and Neptune log under the same source.
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

/// Whether the lake keeps an event.
#[must_use]
pub fn is_kept(source: &str, name: &str) -> bool {
    is_wanted_source(source.as_bytes()) && (source == KMS || is_context(source, name))
}

/// Whether an event of this source may be kept, whatever its name; on bytes, for the filter before parsing.
#[must_use]
pub fn is_wanted_source(source: &[u8]) -> bool {
    source == KMS.as_bytes() || CONTEXT_EVENTS.iter().any(|(kept, _)| kept.as_bytes() == source)
}

/// Whether an event is surely not kept, from the bytes of its source and name.
#[must_use]
pub fn is_context(source: &str, name: &str) -> bool {
    CONTEXT_EVENTS.iter().any(|(kept, names)| *kept == source && names.contains(&name))
}

/// What a call does with a key (facts §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageClass {
    /// Turns ciphertext into plaintext, or into ciphertext under another key.
    Decrypt,
    /// Encrypts what the caller sent.
    Encrypt,
    /// Makes data keys, key pairs, shared secrets or random bytes.
    Generate,
    /// Signs or verifies.
    Sign,
    /// Makes or verifies a MAC.
    Mac,
    /// Looks at keys without using them.
    Read,
    /// Makes, enables, disables, schedules or replicates keys.
    Lifecycle,
    /// Rotates or imports key material.
    Rotation,
    /// Policies, grants, tags, aliases: who may use a key, and by what name.
    Access,
    /// Custom key stores.
    Keystore,
    /// KMS's own events.
    Internal,
    /// An event of another service that is kept for context.
    Context,
    /// A KMS operation that this version does not know. It counts as use, so that no key looks idle because of us.
    Other,
}

/// The names of the classes that use key material, or may do so.
pub const USES: [&str; 6] = ["decrypt", "encrypt", "generate", "sign", "mac", "other"];

impl UsageClass {
    /// The class of a kept event.
    #[must_use]
    pub fn of(source: &str, name: &str) -> Self {
        if source == KMS { Self::of_kms(name) } else { Self::Context }
    }

    fn of_kms(name: &str) -> Self {
        match name {
            "Decrypt" | "ReEncrypt" | "DeriveSharedSecret" | "Decapsulate" => Self::Decrypt,
            "Encrypt" => Self::Encrypt,
            "GenerateRandom" | "Encapsulate" => Self::Generate,
            "Sign" | "Verify" => Self::Sign,
            "GenerateMac" | "VerifyMac" => Self::Mac,
            "CreateKey"
            | "EnableKey"
            | "DisableKey"
            | "ScheduleKeyDeletion"
            | "CancelKeyDeletion"
            | "ReplicateKey"
            | "UpdatePrimaryRegion"
            | "UpdateKeyDescription" => Self::Lifecycle,
            "EnableKeyRotation"
            | "DisableKeyRotation"
            | "RotateKeyOnDemand"
            | "ImportKeyMaterial"
            | "DeleteImportedKeyMaterial" => Self::Rotation,
            "PutKeyPolicy" | "CreateGrant" | "RetireGrant" | "RevokeGrant" | "TagResource" | "UntagResource"
            | "CreateAlias" | "UpdateAlias" | "DeleteAlias" => Self::Access,
            "CreateCustomKeyStore"
            | "UpdateCustomKeyStore"
            | "DeleteCustomKeyStore"
            | "ConnectCustomKeyStore"
            | "DisconnectCustomKeyStore" => Self::Keystore,
            "DeleteKey" | "RotateKey" | "DeleteExpiredKeyMaterial" | "SynchronizeMultiRegionKey" => Self::Internal,
            _ if name.starts_with("GenerateDataKey") => Self::Generate,
            _ if ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb)) => Self::Read,
            _ => Self::Other,
        }
    }

    /// The name in the `usage_class` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decrypt => "decrypt",
            Self::Encrypt => "encrypt",
            Self::Generate => "generate",
            Self::Sign => "sign",
            Self::Mac => "mac",
            Self::Read => "read",
            Self::Lifecycle => "lifecycle",
            Self::Rotation => "rotation",
            Self::Access => "access",
            Self::Keystore => "keystore",
            Self::Internal => "internal",
            Self::Context => "context",
            Self::Other => "other",
        }
    }

    /// Whether the lake keeps the event's parameters and answer as JSON: the low-volume classes, in which they are the
    /// point of the event.
    #[must_use]
    pub fn keeps_json(self) -> bool {
        matches!(
            self,
            Self::Lifecycle
                | Self::Rotation
                | Self::Access
                | Self::Keystore
                | Self::Internal
                | Self::Context
                | Self::Other
        )
    }
}

/// How a call ended, as the `outcome` column says it (facts §5).
///
/// A dry run is no failure and no use: KMS answers `DryRunOperationException` when the call *would* have succeeded.
/// The state of a key is read from the message as well as from the code, because KMS logs a pending deletion under two
/// codes.
#[must_use]
pub fn outcome(error_code: Option<&str>, error_message: Option<&str>) -> &'static str {
    if error_code.is_none() && error_message.is_none() {
        return "ok";
    }
    match error_code.unwrap_or_default() {
        "DryRunOperationException" => "dry_run",
        "AccessDenied"
        | "AccessDeniedException"
        | "VpceAccessDenied"
        | "UnauthorizedOperation"
        | "Client.UnauthorizedOperation" => "denied",
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "TooManyRequestsException" => "throttled",
        "DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException" => "key_unusable",
        _ if error_message.is_some_and(says_unusable) => "key_unusable",
        _ => "error",
    }
}

fn says_unusable(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("is pending deletion") || message.contains("is disabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_facts_page() {
        for (name, class) in [
            ("ReEncrypt", "decrypt"),
            ("GenerateDataKeyPairWithoutPlaintext", "generate"),
            ("VerifyMac", "mac"),
            ("GetKeyLastUsage", "read"),
            ("DescribeCustomKeyStores", "read"),
            ("ReplicateKey", "lifecycle"),
            ("DeleteImportedKeyMaterial", "rotation"),
            ("UntagResource", "access"),
            ("SynchronizeMultiRegionKey", "internal"),
            ("TransmogrifyKey", "other"),
        ] {
            assert_eq!(UsageClass::of(KMS, name).name(), class, "{name}");
        }
        assert!(is_kept("sts.amazonaws.com", "AssumeRole") && !is_kept("sts.amazonaws.com", "GetCallerIdentity"));
    }

    #[test]
    fn a_dry_run_is_neither_a_use_nor_a_denial() {
        assert_eq!(outcome(Some("DryRunOperationException"), Some("would have succeeded")), "dry_run");
        assert_eq!(outcome(None, None), "ok");
        assert_eq!(outcome(Some("KMSInvalidStateException"), Some("arn:… is pending deletion.")), "key_unusable");
        assert_eq!(outcome(Some("NewException"), Some("arn:… Is Pending Deletion.")), "key_unusable");
        assert_eq!(outcome(Some("AccessDenied"), Some("the policy is disabled")), "denied");
        assert_eq!(outcome(Some("NotFoundException"), None), "error");
    }
}
