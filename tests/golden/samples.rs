//! What each record of `kms-operation-samples.json.gz` means, by its index in the file.
//!
//! Worked out by hand from the records and the facts page; a decoder that disagrees is wrong, or a row here is, and
//! then the row's correction says why.

/// The file of the corpus that the rows are about.
pub const FILE: &str = "kms-operation-samples.json.gz";

/// How many records it holds.
pub const RECORDS: usize = 69;

/// Records that are not about KMS: the EC2 calls beside an EBS volume's key.
pub const OTHER: [usize; 2] = [23, 25];

/// What a record means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub index: usize,
    pub event_name: &'static str,
    pub usage_class: &'static str,
    pub outcome: &'static str,
    pub key_arn: Option<&'static str>,
    pub dest_key_arn: Option<&'static str>,
    pub key_alias: Option<&'static str>,
    pub principal: Option<&'static str>,
    pub principal_type: &'static str,
    pub via: Option<&'static str>,
    pub asset: Option<&'static str>,
    pub asset_type: Option<&'static str>,
}

const KEY: Option<&str> = Some("arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab");
const KEY_IN_IRELAND: Option<&str> =
    Some("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab");
const OTHER_KEY: Option<&str> = Some("arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321");
/// The record's response names another key than its resources do, in another region and account: the latter count.
const KEY_OF_ANOTHER: Option<&str> =
    Some("arn:aws:kms:us-east-1:227179770375:key/39c5eb22-f37c-4956-92ca-89e8f8b57ab2");
const MULTI_REGION_KEY: Option<&str> =
    Some("arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab");
const ITS_REPLICA: Option<&str> =
    Some("arn:aws:kms:ap-northeast-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab");
const WORKMAIL_KEY: Option<&str> = Some("arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d");

/// Alice, an IAM user, calling KMS herself about [`KEY`] and succeeding: what most of the samples show.
const fn alice(index: usize, event_name: &'static str, usage_class: &'static str) -> Expected {
    Expected {
        index,
        event_name,
        usage_class,
        outcome: "ok",
        key_arn: KEY,
        dest_key_arn: None,
        key_alias: None,
        principal: Some("arn:aws:iam::111122223333:user/Alice"),
        principal_type: "IAMUser",
        via: None,
        asset: None,
        asset_type: None,
    }
}

/// Alice's call about no key in particular.
const fn keyless(index: usize, event_name: &'static str, usage_class: &'static str) -> Expected {
    Expected { key_arn: None, ..alice(index, event_name, usage_class) }
}

/// What KMS does of itself. Such records have no identity type.
const fn kms_itself(index: usize, event_name: &'static str) -> Expected {
    Expected {
        principal: Some("service:kms-internal"),
        principal_type: "AWSService",
        via: Some("AWS Internal"),
        ..alice(index, event_name, "internal")
    }
}

/// S3 using the key for a role, as `internal.amazonaws.com`.
const fn s3_for_admins(index: usize, event_name: &'static str, usage_class: &'static str) -> Expected {
    Expected {
        principal: Some("arn:aws:iam::111122223333:role/Admins"),
        principal_type: "AssumedRole",
        via: Some("s3.amazonaws.com"),
        asset: Some("arn:aws:s3:::example_bucket/example_object"),
        asset_type: Some("s3-object"),
        ..alice(index, event_name, usage_class)
    }
}

/// EBS making a data key for a volume. The records are of 2014 and lack `invokedBy`.
const fn ebs_volume(index: usize, volume: &'static str) -> Expected {
    Expected {
        key_alias: Some("alias/aws/ebs"),
        asset: Some(volume),
        asset_type: Some("ebs-volume"),
        ..alice(index, "GenerateDataKeyWithoutPlaintext", "generate")
    }
}

const fn workmail(index: usize, event_name: &'static str, usage_class: &'static str) -> Expected {
    Expected {
        key_arn: WORKMAIL_KEY,
        principal: Some("service:workmail.eu-west-1.amazonaws.com"),
        principal_type: "AWSService",
        via: Some("workmail.eu-west-1.amazonaws.com"),
        asset: Some("arn:aws:workmail:eu-west-1:111122223333:organization/m-c6981ff7642446fa8772ba99c690e455"),
        asset_type: Some("workmail-organization"),
        ..alice(index, event_name, usage_class)
    }
}

/// Every record that is kept.
pub const ROWS: &[Expected] = &[
    // The type says IAMUser, the ARN is a role's: the ARN decides.
    Expected {
        key_alias: Some("alias/project-key"),
        principal: Some("arn:aws:iam::111122223333:role/ProjectDev"),
        principal_type: "Role",
        ..alice(0, "GenerateDataKey", "generate")
    },
    alice(1, "CancelKeyDeletion", "lifecycle"),
    keyless(2, "ConnectCustomKeyStore", "keystore"),
    keyless(3, "CreateCustomKeyStore", "keystore"),
    Expected { key_alias: Some("alias/ExampleAlias"), ..alice(4, "CreateAlias", "access") },
    alice(5, "CreateGrant", "access"),
    alice(6, "CreateKey", "lifecycle"),
    Expected { key_arn: OTHER_KEY, ..alice(7, "CreateKey", "lifecycle") },
    Expected { key_arn: KEY_OF_ANOTHER, ..alice(8, "CreateKey", "lifecycle") },
    alice(9, "Decrypt", "decrypt"),
    alice(10, "Decrypt", "decrypt"),
    // Their address is `AWS Internal`, which no caller has.
    Expected { key_arn: OTHER_KEY, via: Some("AWS Internal"), ..alice(11, "Decrypt", "decrypt") },
    Expected {
        key_arn: OTHER_KEY,
        outcome: "key_unusable",
        via: Some("AWS Internal"),
        ..alice(12, "Decrypt", "decrypt")
    },
    kms_itself(13, "DeleteKey"),
    kms_itself(14, "DeleteKey"),
    keyless(15, "DeleteCustomKeyStore", "keystore"),
    // The alias comes before the key in its resources.
    Expected { key_alias: Some("alias/my_alias"), ..alice(16, "DeleteAlias", "access") },
    kms_itself(17, "DeleteExpiredKeyMaterial"),
    keyless(18, "DescribeCustomKeyStores", "read"),
    alice(19, "DescribeKey", "read"),
    alice(20, "DisableKeyRotation", "rotation"),
    alice(21, "DisableKey", "lifecycle"),
    keyless(22, "DisconnectCustomKeyStore", "keystore"),
    ebs_volume(24, "vol-13439757"),
    // The volume is in the grant's constraints, which are no encryption context.
    alice(26, "CreateGrant", "access"),
    ebs_volume(27, "vol-f67bafb2"),
    // The role `aws:ec2-infrastructure` does not exist, though the record names it as the issuer.
    Expected {
        principal: Some("service:ec2-infrastructure"),
        principal_type: "AssumedRole",
        via: Some("ec2.amazonaws.com"),
        asset: Some("vol-f67bafb2"),
        asset_type: Some("ebs-volume"),
        ..alice(28, "Decrypt", "decrypt")
    },
    alice(29, "EnableKey", "lifecycle"),
    alice(30, "EnableKeyRotation", "rotation"),
    alice(31, "GenerateDataKey", "generate"),
    keyless(32, "GenerateRandom", "generate"),
    alice(33, "GenerateDataKey", "generate"),
    alice(34, "GenerateDataKeyPair", "generate"),
    alice(35, "GenerateDataKeyPairWithoutPlaintext", "generate"),
    Expected { outcome: "error", ..alice(36, "GenerateDataKeyWithoutPlaintext", "generate") },
    alice(37, "GenerateMac", "mac"),
    keyless(38, "GenerateRandom", "generate"),
    alice(39, "GetKeyPolicy", "read"),
    alice(40, "GetParametersForImport", "read"),
    alice(41, "ImportKeyMaterial", "rotation"),
    keyless(42, "ListAliases", "read"),
    alice(43, "ListGrants", "read"),
    alice(44, "PutKeyPolicy", "access"),
    Expected { dest_key_arn: OTHER_KEY, ..alice(45, "ReEncrypt", "decrypt") },
    alice(46, "RetireGrant", "access"),
    alice(47, "RevokeGrant", "access"),
    kms_itself(48, "RotateKey"),
    alice(49, "ScheduleKeyDeletion", "lifecycle"),
    Expected { key_arn: MULTI_REGION_KEY, ..alice(50, "ScheduleKeyDeletion", "lifecycle") },
    Expected { key_arn: OTHER_KEY, ..alice(51, "ScheduleKeyDeletion", "lifecycle") },
    Expected { key_arn: OTHER_KEY, ..alice(52, "Sign", "sign") },
    kms_itself(53, "SynchronizeMultiRegionKey"),
    alice(54, "TagResource", "access"),
    alice(55, "UntagResource", "access"),
    alice(56, "UpdateKeyDescription", "lifecycle"),
    keyless(57, "UpdateCustomKeyStore", "keystore"),
    Expected { key_arn: MULTI_REGION_KEY, ..alice(58, "UpdatePrimaryRegion", "lifecycle") },
    // The second of the two events of one call: no resources, and KMS calls itself for Alice.
    Expected { key_arn: ITS_REPLICA, via: Some("kms.amazonaws.com"), ..alice(59, "UpdatePrimaryRegion", "lifecycle") },
    Expected { key_alias: Some("alias/my_alias"), ..alice(60, "UpdateAlias", "access") },
    Expected { key_arn: OTHER_KEY, ..alice(61, "Verify", "sign") },
    alice(62, "VerifyMac", "mac"),
    s3_for_admins(63, "GenerateDataKey", "generate"),
    s3_for_admins(64, "Decrypt", "decrypt"),
    Expected { key_arn: KEY_IN_IRELAND, ..kms_itself(65, "DeleteKey") },
    Expected { key_arn: KEY_IN_IRELAND, ..alice(66, "GenerateDataKey", "generate") },
    workmail(67, "Encrypt", "encrypt"),
    workmail(68, "Decrypt", "decrypt"),
];
