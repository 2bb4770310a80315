//! `CloudTrail` records out of thin air, for properties to hold over.
//!
//! Every record is valid JSON, and about that much is certain: any field may be missing, be there twice, or hold
//! something else, and the same record may be spelled in many ways. Most are events that are kept, for those have the
//! most to get wrong.
//!
//! Not made here, for what they mean is not settled: numbers beyond a double's range, a leap second, records over 256 KiB.

mod identity;
mod payload;
mod spelling;
mod values;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use spelling::Node;
use values::{
    ACCOUNTS, KEY_IDS, Members, Nodes, REGIONS, anything, extras, half_a_character, instant, member, object, odd_text,
    one_of, rare, text, vital,
};

const KMS: &str = "kms.amazonaws.com";
const KMS_EVENTS: &[&str] = &[
    "Decrypt",
    "ReEncrypt",
    "ReEncrypt",
    "ReEncrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateRandom",
    "Sign",
    "GenerateMac",
    "DescribeKey",
    "GetKeyLastUsage",
    "ListAliases",
    "CreateKey",
    "ScheduleKeyDeletion",
    "ReplicateKey",
    "RotateKeyOnDemand",
    "ImportKeyMaterial",
    "PutKeyPolicy",
    "CreateGrant",
    "RetireGrant",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
    "ConnectCustomKeyStore",
    "RotateKey",
    "DeleteKey",
    "SynchronizeMultiRegionKey",
    "DescribeSomethingNew",
    "SomethingNew",
    "decrypt",
];
/// Where calls come from, and what only looks like a service.
const ADDRESSES: &[&str] = &[
    "192.0.2.0",
    "192.0.2.1",
    "2001:db8::1",
    "AWS Internal",
    "AWS Internal/7",
    "AWS Internally",
    "internal.amazonaws.com",
    "rds.amazonaws.com",
    "ec2.cn-north-1.amazonaws.com.cn",
    "x .amazonaws.com",
];
/// Categories of records that are not, or not always, of calls that reached the service.
const CATEGORIES: &[&str] = &["NetworkActivity", "Insight"];
const OTHER_EVENTS: &[(&str, &str)] = &[
    ("sts.amazonaws.com", "AssumeRole"),
    ("sts.amazonaws.com", "GetSessionToken"),
    ("sts.amazonaws.com", "GetCallerIdentity"),
    ("cloudtrail.amazonaws.com", "PutEventSelectors"),
    ("cloudtrail.amazonaws.com", "LookupEvents"),
    ("s3.amazonaws.com", "PutBucketEncryption"),
    ("s3.amazonaws.com", "GetObject"),
    ("rds.amazonaws.com", "RestoreDBClusterFromSnapshot"),
    ("ec2.amazonaws.com", "ModifyEbsDefaultKmsKeyId"),
    ("ec2.amazonaws.com", "CreateVolume"),
    ("secretsmanager.amazonaws.com", "CreateSecret"),
    ("secretsmanager.amazonaws.com", "Decrypt"),
    ("KMS.amazonaws.com", "Decrypt"),
    ("kms.amazonaws.com ", "Decrypt"),
];
const ERROR_CODES: &[&str] = &[
    "DryRunOperationException",
    "DisabledException",
    "KMSInvalidStateException",
    "KeyUnavailableException",
    "AccessDenied",
    "AccessDeniedException",
    "VpceAccessDenied",
    "Client.UnauthorizedOperation",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InvalidCiphertextException",
    "accessdenied",
    "",
];

/// One record, as it would stand in a log object.
pub fn record() -> impl Strategy<Value = String> {
    (event(), any::<u64>()).prop_map(|(event, seed)| event.spell(seed))
}

/// A document of several records.
pub fn document() -> impl Strategy<Value = Vec<u8>> {
    document_of_records().prop_map(|(document, _)| document)
}

/// A document, and the records that are in it, in order.
pub fn document_of_records() -> impl Strategy<Value = (Vec<u8>, Vec<String>)> {
    let other = || vec((select(&["records", "Other", "meta"]), anything(), any::<u64>()), 0..3);
    (vec(record(), 0..5), 0..3_u8, space(), other(), other()).prop_map(|(records, kind, space, before, after)| {
        if kind == 0 {
            let lines: Vec<String> = records.iter().map(|record| record.replace(['\n', '\r'], " ")).collect();
            return (lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect(), lines);
        }
        let list = format!("[{space}{}{space}]", records.join(&format!("{space},{space}")));
        if kind == 1 {
            return (format!("{space}{list}{space}").into_bytes(), records);
        }
        let spell = |(name, value, seed): (&str, Node, u64)| format!("\"{name}\":{space}{}", value.spell(seed));
        let mut members: Vec<String> = before.into_iter().map(spell).collect();
        members.push(format!("\"Records\"{space}:{space}{list}"));
        members.extend(after.into_iter().map(spell));
        (format!("{space}{{{space}{}{space}}}{space}", members.join(",")).into_bytes(), records)
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    select(&["", "", " ", "\n", "\r\n\t"])
}

fn event() -> Nodes {
    let mut members = vec![
        what_happened(),
        vital("eventTime", text(instant())),
        vital("userIdentity", identity::identity()),
        vital("requestParameters", payload::request_parameters()),
        member("responseElements", payload::response_elements()),
        rare("additionalEventData", payload::additional_event_data()),
        rare("serviceEventDetails", payload::service_event_details()),
        rare("resources", payload::resources()),
        rare("addendum", addendum()),
    ];
    members.extend(plain_members());
    object(members)
}

/// `eventSource` and `eventName`, which mostly go together.
fn what_happened() -> Members {
    let kms = prop_oneof![20 => one_of(KMS_EVENTS), 1 => odd_text()].prop_map(|name| (KMS.to_owned(), name));
    let other = select(OTHER_EVENTS).prop_map(|(source, name)| (source.to_owned(), name.to_owned()));
    let both = prop_oneof![30 => kms, 8 => other, 1 => (odd_text(), one_of(KMS_EVENTS))].prop_map(|(source, name)| {
        vec![("eventSource".to_owned(), Node::Text(source)), ("eventName".to_owned(), Node::Text(name))]
    });
    let wrong = (both.clone(), 0..3_usize, anything()).prop_map(|(mut both, which, value)| {
        match which {
            0 | 1 => both[which].1 = value,
            _ => both.push(("eventSource".to_owned(), value)),
        }
        both
    });
    let one = (both.clone(), 0..2_usize).prop_map(|(mut both, which)| vec![both.swap_remove(which)]);
    prop_oneof![80 => both, 2 => wrong, 1 => one].boxed()
}

/// The members that hold a single value.
fn plain_members() -> Vec<Members> {
    let read_only = prop_oneof![Just(Node::spelled("true")), Just(Node::spelled("false")), Just(Node::text("true"))];
    let tls = object(vec![member("tlsVersion", text(one_of(&["TLSv1.3", ""]))), extras()]);
    vec![
        member("eventID", text(one_of(&["4bd2a696-d833-48cc-b72c-05e61b608399", "e", ""]))),
        rare("sharedEventID", text(one_of(&["shared", ""]))),
        member("eventType", text(one_of(&["AwsApiCall", "AwsApiCall", "AwsServiceEvent", "AwsVpceEvent", ""]))),
        member("awsRegion", text(one_of(REGIONS))),
        member("recipientAccountId", text(one_of(ACCOUNTS))),
        member("readOnly", read_only.boxed()),
        rare("errorCode", text(prop_oneof![8 => one_of(ERROR_CODES), 1 => odd_text()])),
        rare("errorMessage", payload::error_message()),
        member("requestID", text(one_of(&["create-111122223333-1", "r", ""]))),
        member("sourceIPAddress", text(prop_oneof![3 => one_of(ADDRESSES), 1 => odd_text()])),
        member("userAgent", user_agent()),
        rare("eventCategory", text(prop_oneof![30 => one_of(&["Management", "Data", ""]), 1 => one_of(CATEGORIES)])),
        rare("vpcEndpointId", text(one_of(&["vpce-1234abcdf5678c90a", "AWS Internal", "s3.amazonaws.com", ""]))),
        rare("tlsDetails", tls),
        rare("keyId", text(one_of(KEY_IDS))),
        extras(),
    ]
}

fn user_agent() -> Nodes {
    let agent = prop_oneof![3 => one_of(&["aws-cli/1.18.89", "&AWS; Internal"]), 1 => odd_text()];
    prop_oneof![9 => text(agent), 1 => half_a_character()].boxed()
}

fn addendum() -> Nodes {
    object(vec![
        member("reason", text(one_of(&["UPDATED_DATA", "UPDATED_DATA", "DELIVERY_DELAY"]))),
        member("originalEventID", text(one_of(&["original", ""]))),
        extras(),
    ])
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

proptest! {
    #[test]
    fn every_record_is_json_on_its_own_and_in_its_document((document, records) in document_of_records()) {
        let text = String::from_utf8(document).unwrap();
        prop_assert!(records.iter().all(|record| is_json(record) && text.contains(record.as_str())));
        prop_assert!(is_json(&text) || text.lines().eq(&records));
    }

    #[test]
    fn every_document_is_json_or_lines_of_it(document in document()) {
        let text = String::from_utf8(document).unwrap();
        prop_assert!(is_json(&text) || text.lines().all(is_json));
    }
}
