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
    let resources: Vec<String> = record.resource_arns().into_iter().filter(|arn| arn.contains(":key/")).collect();
    if record.is_re_encrypt() {
        match resources.as_slice() {
            [] => {}
            [only] => return one_key_of_re_encrypt(record, only),
            [source, destination, ..] => {
                return Keys { source: Some(source.clone()), destination: Some(destination.clone()) };
            }
        }
    }
    let source = (resources.into_iter().next())
        .or_else(|| key_arn_at(record, "responseElements.keyId"))
        .or_else(|| key_arn_at(record, "responseElements.keyMetadata.arn"))
        .or_else(|| key_arn_at(record, requested_key(record)))
        .or_else(|| bare_id(record, "requestParameters.keyId"))
        .or_else(|| bare_id(record, "requestParameters.targetKeyId"))
        .or_else(|| key_arn_at(record, "serviceEventDetails.keyId"))
        .or_else(|| bare_id(record, "serviceEventDetails.keyId"))
        .or_else(|| in_message(&record.filled("errorMessage")?))
        .or_else(|| record.is_re_encrypt().then(|| key_arn_at(record, "requestParameters.sourceKeyId"))?);
    Keys { source, destination: None }
}

/// `ReEncrypt` with a single key resource: it may be either of the two.
fn one_key_of_re_encrypt(record: &Record, only: &str) -> Keys {
    let names_it = |path: &str| {
        let name = record.text(path);
        name.is_some() && (name.as_deref() == Some(only) || name == key_id(only))
    };
    if names_it("requestParameters.destinationKeyId") && !names_it("requestParameters.sourceKeyId") {
        let source = key_arn_at(record, "requestParameters.sourceKeyId");
        Keys { source, destination: Some(only.to_owned()) }
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

fn requested_key(record: &Record) -> &'static str {
    match record.name.as_str() {
        "CreateAlias" | "UpdateAlias" => "requestParameters.targetKeyId",
        _ => "requestParameters.keyId",
    }
}

/// A bare key id, made an ARN of the log's own region and account.
fn bare_id(record: &Record, path: &str) -> Option<String> {
    let id = record.text(path).filter(|id| !id.starts_with("alias/") && !id.starts_with("arn:"))?;
    let (region, account) = (record.filled("awsRegion")?, log_account(record)?);
    let partition = match region.as_str() {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    Some(format!("arn:{partition}:kms:{region}:{account}:key/{id}"))
}

/// The first key ARN inside a message.
fn in_message(message: &str) -> Option<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || ":/_-".contains(c));
    let arns = message.match_indices("arn:").map(|(start, _)| {
        let rest = &message[start..];
        &rest[..rest.find(ends).unwrap_or(rest.len())]
    });
    arns.into_iter().find(|arn| arn.contains(":key/")).map(str::to_owned)
}

/// The account whose log this is, as far as the record says so itself.
pub fn log_account(record: &Record) -> Option<String> {
    record.filled("recipientAccountId").or_else(|| record.text("userIdentity.accountId"))
}

/// What follows `:key/`.
pub fn key_id(arn: &str) -> Option<String> {
    arn.split_once(":key/").map(|(_, id)| id.to_owned())
}

/// A colon field of an ARN, counted from 0; nothing where it is empty.
pub fn arn_field(arn: &str, index: usize) -> Option<String> {
    arn.split(':').nth(index).filter(|field| !field.is_empty()).map(str::to_owned)
}

/// The alias that an event names.
pub fn alias(record: &Record) -> Option<String> {
    if !record.is_kms() {
        return None;
    }
    let in_arn = |text: &str| text.find(":alias/").map(|colon| text[colon + 1..].to_owned());
    let key_id = record.text("requestParameters.keyId");
    let asked_for = key_id.and_then(|id| match id.as_str() {
        _ if id.starts_with("alias/") => Some(id),
        _ if id.starts_with("arn:") => in_arn(&id),
        _ => None,
    });
    (record.text("requestParameters.aliasName"))
        .or(asked_for)
        .or_else(|| record.resource_arns().iter().find_map(|arn| in_arn(arn)))
}

#[test]
fn a_key_is_found_in_a_message_and_not_a_role() {
    let message = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:Decrypt on resource: \
                   arn:aws:kms:eu-west-1:1:key/mrk-12_ab. Sorry";
    assert_eq!(in_message(message).as_deref(), Some("arn:aws:kms:eu-west-1:1:key/mrk-12_ab"));
    assert_eq!(in_message("arn:aws:kms:eu-west-1:1:alias/a"), None);
}
