//! Which KMS key an event is about.
//!
//! Facts §3.2: `resources[]` first, then whatever else names a key. A step that finds nothing hands on to the next.

use super::Record;

/// The key of an event, and for `ReEncrypt` the second.
#[derive(Debug, Default)]
pub struct Keys {
    /// The key; for `ReEncrypt` the one that the ciphertext came from.
    pub source: Option<String>,
    /// The key that `ReEncrypt` went to.
    pub destination: Option<String>,
}

/// Finds the keys of an event.
pub fn keys(record: &Record) -> Keys {
    if !record.is_kms() {
        return Keys::default();
    }
    let resources: Vec<String> = record.resource_arns().into_iter().filter(|arn| is_key_arn(arn)).collect();
    if record.is_re_encrypt() {
        return match resources.as_slice() {
            [] => denied_re_encrypt(record),
            [only] => one_key_of_re_encrypt(record, only),
            [source, destination, ..] => Keys { source: Some(source.clone()), destination: Some(destination.clone()) },
        };
    }
    let source = (resources.into_iter().next())
        .or_else(|| ARNS.into_iter().find_map(|path| key_arn_at(record, path)))
        .or_else(|| IDS.into_iter().find_map(|path| bare_id(record, path)).and_then(|id| completed(record, &id)))
        .or_else(|| in_message(record));
    Keys { source, destination: None }
}

/// Where a key's ARN may stand: what is certain comes before what must be completed.
const ARNS: [&str; 5] = [
    "responseElements.keyId",
    "responseElements.keyMetadata.arn",
    "requestParameters.keyId",
    "requestParameters.targetKeyId",
    "serviceEventDetails.keyId",
];

/// Where a key's id may stand.
const IDS: [&str; 3] = ["requestParameters.keyId", "requestParameters.targetKeyId", "serviceEventDetails.keyId"];

/// `ReEncrypt` without resources: IAM allows its two halves one by one (facts §3.2.3), and a denial names the half.
fn denied_re_encrypt(record: &Record) -> Keys {
    if record.filled("errorMessage").is_some_and(|message| message.contains("ReEncryptTo")) {
        Keys { source: source_key(record), destination: in_message(record) }
    } else {
        Keys { source: source_key(record).or_else(|| in_message(record)), destination: None }
    }
}

/// `ReEncrypt` with a single key resource: it may be either of the two.
fn one_key_of_re_encrypt(record: &Record, only: &str) -> Keys {
    let names_it = |path: &str| {
        let name = record.text(path);
        name.is_some() && (name.as_deref() == Some(only) || name == key_id(only))
    };
    if names_it("requestParameters.destinationKeyId") && !names_it("requestParameters.sourceKeyId") {
        Keys { source: source_key(record), destination: Some(only.to_owned()) }
    } else {
        Keys { source: Some(only.to_owned()), destination: None }
    }
}

fn is_key_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":key/")
}

fn key_arn_at(record: &Record, path: &str) -> Option<String> {
    record.text(path).filter(|text| is_key_arn(text))
}

fn source_key(record: &Record) -> Option<String> {
    key_arn_at(record, "requestParameters.sourceKeyId")
}

/// A bare key id: a GUID, or `mrk-` and 32 hexadecimal digits.
fn bare_id(record: &Record, path: &str) -> Option<String> {
    record.filled(path).filter(|id| {
        let digits = id.strip_prefix("mrk-").unwrap_or(id);
        digits.len() >= 32 && digits.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
    })
}

/// A bare key id, made an ARN of the log's own region and account.
fn completed(record: &Record, id: &str) -> Option<String> {
    let (region, account) = (record.filled("awsRegion")?, log_account(record)?);
    // The caller's own ARN, or the first resource's, is of the key's partition.
    let caller = record.caller_arn();
    let partition = partition_among(&[caller, record.first_resource_arn()], &region);
    Some(format!("arn:{partition}:kms:{region}:{account}:key/{id}"))
}

/// The partition of the first ARN that says one, else of the Region.
pub fn partition_among(arns: &[Option<String>], region: &str) -> String {
    let said = arns.iter().flatten().filter(|arn| arn.starts_with("arn:")).find_map(|arn| arn_field(arn, 1));
    said.unwrap_or_else(|| {
        let known = [
            ("cn-", "aws-cn"),
            ("eusc-", "aws-eusc"),
            ("us-gov-", "aws-us-gov"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
        ];
        known.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition).to_owned()
    })
}

/// The first key ARN inside the error message.
fn in_message(record: &Record) -> Option<String> {
    arn_inside(&record.filled("errorMessage")?)
}

fn arn_inside(message: &str) -> Option<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || ":/_-".contains(c));
    let arns = message.match_indices("arn:").map(|(start, _)| {
        let rest = &message[start..];
        &rest[..rest.find(ends).unwrap_or(rest.len())]
    });
    arns.into_iter().find(|arn| arn.contains(":key/") && arn.split(':').nth(2) == Some("kms")).map(str::to_owned)
}

/// The account whose log this is, as far as the record says so itself. An owner's log shows a caller of another account
/// with no more than an account and an opaque id (facts §2.2): there the caller's account is not the log's.
pub fn log_account(record: &Record) -> Option<String> {
    let is_outsider = record.text("userIdentity.type").as_deref() == Some("AWSAccount");
    record.filled("recipientAccountId").or_else(|| record.filled("userIdentity.accountId").filter(|_| !is_outsider))
}

/// What follows `:key/`.
pub fn key_id(arn: &str) -> Option<String> {
    arn.split_once(":key/").map(|(_, id)| id.to_owned())
}

/// A colon field of an ARN, counted from 0; nothing where it is empty.
pub fn arn_field(arn: &str, index: usize) -> Option<String> {
    arn.split(':').nth(index).filter(|field| !field.is_empty()).map(str::to_owned)
}

/// Account and Region of what an event names by alias only: those of the alias's ARN, else those that were called.
pub fn alias_place(record: &Record) -> (Option<String>, Option<String>) {
    let Some(alias) = alias(record) else { return (None, None) };
    let mut arns = vec![record.text("requestParameters.aliasName"), record.text("requestParameters.keyId")];
    arns.extend(record.resource_arns().into_iter().map(Some));
    let arn = arns.into_iter().flatten().find(|arn| arn.starts_with("arn:") && arn.ends_with(&format!(":{alias}")));
    match arn {
        Some(arn) => (arn_field(&arn, 4), arn_field(&arn, 3)),
        None => (log_account(record), record.filled("awsRegion")),
    }
}

/// The alias that an event names: a text that begins with `alias/`, or that part of an alias's ARN.
pub fn alias(record: &Record) -> Option<String> {
    if !record.is_kms() {
        return None;
    }
    let is_alias = |text: String| match text.as_str() {
        _ if text.starts_with("alias/") => Some(text),
        _ if text.starts_with("arn:") => text.find(":alias/").map(|colon| text[colon + 1..].to_owned()),
        _ => None,
    };
    let asked_for = |name: &str| record.text(&format!("requestParameters.{name}")).and_then(is_alias);
    asked_for("aliasName").or_else(|| asked_for("keyId")).or_else(|| {
        record.resource_arns().into_iter().filter(|arn| arn.starts_with("arn:") && !is_key_arn(arn)).find_map(is_alias)
    })
}

#[test]
fn a_key_is_found_in_a_message_and_not_a_role() {
    let message = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:Decrypt on resource: \
                   arn:aws:kms:eu-west-1:1:key/mrk-12_ab. Sorry";
    assert_eq!(arn_inside(message).as_deref(), Some("arn:aws:kms:eu-west-1:1:key/mrk-12_ab"));
    assert_eq!(arn_inside("arn:aws:kms:eu-west-1:1:alias/a"), None);
}
