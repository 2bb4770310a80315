//! A second, deliberately naive opinion on what was written: principal, key, outcome and via from plain JSON.
//!
//! It refuses to share code with the writers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use serde_json::Value;

use super::super::{Call, LogObject, TRUTH_VERSION, Truth};

pub(super) fn records(object: &LogObject) -> Vec<Value> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&object.gzip[..]).read_to_end(&mut text).unwrap();
    let text = std::str::from_utf8(&text).unwrap().trim_start_matches('\u{feff}').trim();
    if text.starts_with("{\"eventVersion\"") || !text.contains("Records") {
        if let Some(list) = text.strip_prefix('[') {
            return serde_json::from_str(&format!("[{list}")).unwrap();
        }
        return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut body)) if body.contains_key("Records") => {
            body["Records"].take().as_array().unwrap().clone()
        }
        Ok(Value::Array(list)) => list,
        Ok(single) => vec![single],
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    }
}

pub(super) fn text<'a>(record: &'a Value, pointer: &str) -> Option<&'a str> {
    record.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn is_kept(record: &Value) -> bool {
    let (source, name) = (text(record, "/eventSource").unwrap(), text(record, "/eventName").unwrap());
    let names: &[&str] = match source {
        "kms.amazonaws.com" => return true,
        "sts.amazonaws.com" => {
            &["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetFederationToken", "GetSessionToken"]
        }
        "s3.amazonaws.com" => &["PutBucketEncryption", "CreateBucket"],
        "rds.amazonaws.com" => &["CreateDBInstance", "CopyDBSnapshot"],
        "ec2.amazonaws.com" => &["ModifyEbsDefaultKmsKeyId"],
        "secretsmanager.amazonaws.com" => &["CreateSecret", "UpdateSecret"],
        _ => &[],
    };
    names.contains(&name)
}

fn principal(identity: &Value) -> String {
    let arn = text(identity, "/arn").unwrap_or("");
    if arn.contains(":assumed-role/aws:ec2-infrastructure/") {
        return "service:ec2-infrastructure".to_owned();
    }
    if arn.contains(":assumed-role/") {
        return text(identity, "/sessionContext/sessionIssuer/arn").unwrap().to_owned();
    }
    match text(identity, "/type") {
        Some("FederatedUser") => format!("{arn}|{}", text(identity, "/sessionContext/sessionIssuer/arn").unwrap()),
        Some("AWSAccount") => {
            let id = text(identity, "/principalId").unwrap().split(':').next().unwrap();
            format!("acct:{}/{id}", text(identity, "/accountId").unwrap())
        }
        Some("AWSService") => format!("service:{}", text(identity, "/invokedBy").unwrap()),
        Some("IdentityCenterUser") => {
            let store = text(identity, "/onBehalfOf/identityStoreArn").unwrap();
            format!("idc:{store}/{}", text(identity, "/onBehalfOf/userId").unwrap())
        }
        Some("Directory" | "Unknown") => text(identity, "/principalId").unwrap().to_owned(),
        None => "service:kms-internal".to_owned(),
        _ => arn.to_owned(),
    }
}

fn is_key_arn(text: &&str) -> bool {
    text.starts_with("arn:") && text.contains(":key/")
}

pub(super) fn key_arn(record: &Value) -> Option<String> {
    let empty = Vec::new();
    let resources = record["resources"].as_array().unwrap_or(&empty);
    if let Some(arn) = resources.iter().filter_map(|r| text(r, "/ARN")).find(is_key_arn) {
        return Some(arn.to_owned());
    }
    if let Some(id) = text(record, "/requestParameters/keyId") {
        if is_key_arn(&id) {
            return Some(id.to_owned());
        }
        if !id.starts_with("alias/") && !id.starts_with("arn:") {
            let (region, account) = (text(record, "/awsRegion")?, text(record, "/recipientAccountId")?);
            return Some(format!("arn:aws:kms:{region}:{account}:key/{id}"));
        }
    }
    let message = text(record, "/errorMessage")?;
    let word = |from: &str| -> String {
        from.chars().take_while(|c| c.is_ascii_alphanumeric() || ":/_-".contains(*c)).collect()
    };
    message.match_indices("arn:").map(|(at, _)| word(&message[at..])).find(|arn| arn.contains(":key/"))
}

fn outcome(record: &Value) -> &'static str {
    let message = text(record, "/errorMessage").unwrap_or("");
    match text(record, "/errorCode") {
        None => "ok",
        Some("DryRunOperationException") => "dry_run",
        Some("AccessDenied") => "denied",
        Some("ThrottlingException") => "throttled",
        Some("DisabledException" | "KMSInvalidStateException") => "key_unusable",
        Some(_) if message.contains("is pending deletion") => "key_unusable",
        Some(_) => "error",
    }
}

fn via(record: &Value) -> Option<String> {
    let arn = text(record, "/userIdentity/arn").unwrap_or("");
    let Some(host) = text(record, "/userIdentity/invokedBy") else {
        return arn.contains("aws:ec2-infrastructure").then(|| "ec2.amazonaws.com".to_owned());
    };
    if !matches!(host, "AWS Internal" | "internal.amazonaws.com") {
        return Some(host.to_owned());
    }
    let parameters = &record["requestParameters"];
    let context = parameters.get("encryptionContext").or_else(|| parameters.get("sourceEncryptionContext"));
    let host = match context {
        Some(context) if context.get("PARAMETER_ARN").is_some() => "ssm.amazonaws.com",
        Some(context) if context.get("aws:s3:arn").is_some() => "s3.amazonaws.com",
        _ => "AWS Internal",
    };
    Some(host.to_owned())
}

pub(super) const OPERATIONS: [&str; 15] = [
    "Decrypt",
    "ReEncrypt",
    "DeriveSharedSecret",
    "Decapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateRandom",
    "Encapsulate",
    "Sign",
    "Verify",
    "GenerateMac",
    "VerifyMac",
];

/// Counts what was written, from scratch.
pub(super) fn recount(objects: &[LogObject]) -> Truth {
    let mut unique: HashMap<String, Value> = HashMap::new();
    let mut again = Truth {
        version: TRUTH_VERSION,
        seed: 7,
        accounts: vec![],
        records: 0,
        kept: 0,
        other: 0,
        duplicates: 0,
        objects: 0,
        calls: vec![],
        incidents: vec![],
    };
    for object in objects {
        let records = records(object);
        assert_eq!(records.len(), object.records as usize, "{}", object.path);
        again.objects += 1;
        for record in records {
            again.records += 1;
            if !is_kept(&record) {
                again.other += 1;
            } else if let Some(earlier) = unique.get(text(&record, "/eventID").unwrap()) {
                assert_eq!(*earlier, record);
                again.duplicates += 1;
            } else {
                again.kept += 1;
                unique.insert(text(&record, "/eventID").unwrap().to_owned(), record);
            }
        }
    }
    again.calls = recount_calls(&unique);
    again
}

fn recount_calls(unique: &HashMap<String, Value>) -> Vec<Call> {
    let mut callers: HashMap<&str, &Value> = HashMap::new();
    for record in unique.values() {
        if let Some(shared) =
            text(record, "/sharedEventID").filter(|_| text(record, "/userIdentity/type") != Some("AWSAccount"))
        {
            callers.insert(shared, record);
        }
    }
    let mut calls: BTreeMap<Call, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for record in unique.values() {
        let name = text(record, "/eventName").unwrap();
        let kms = text(record, "/eventSource") == Some("kms.amazonaws.com");
        let once = text(record, "/sharedEventID").is_none_or(|shared| seen.insert(shared));
        if !kms || !OPERATIONS.contains(&name) || !once {
            continue;
        }
        let full = text(record, "/sharedEventID").map_or(record, |shared| callers[shared]);
        let call = Call {
            key_arn: key_arn(record),
            principal: principal(&full["userIdentity"]),
            operation: name.to_owned(),
            outcome: outcome(record).to_owned(),
            via: via(record),
            count: 0,
        };
        *calls.entry(call).or_default() += 1;
    }
    calls.into_iter().map(|(call, count)| Call { count, ..call }).collect()
}
