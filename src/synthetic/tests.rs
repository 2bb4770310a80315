//! The generator against itself: what was written is read back as plain JSON and counted anew.
//!
//! The reading here is a second, deliberately naive opinion on principal, key, outcome and via. It refuses to share code
//! with the writers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use serde_json::Value;

use super::*;

struct Run {
    objects: Vec<LogObject>,
    truth: Truth,
}

fn run(plan: &Plan) -> Run {
    let mut objects = Vec::new();
    let truth = generate(plan, &mut |object| {
        objects.push(object);
        Ok(())
    })
    .unwrap();
    Run { objects, truth }
}

fn records(object: &LogObject) -> Vec<Value> {
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

fn text<'a>(record: &'a Value, pointer: &str) -> Option<&'a str> {
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

fn key_arn(record: &Value) -> Option<String> {
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

const OPERATIONS: [&str; 15] = [
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
fn recount(objects: &[LogObject]) -> Truth {
    let mut unique: HashMap<String, Value> = HashMap::new();
    let mut again = Truth {
        version: 1,
        seed: 7,
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

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    let plan = Plan { events: 3_000, ..Plan::default() };
    let (first, second) = (run(&plan), run(&plan));
    assert_eq!(first.objects, second.objects);
    assert_eq!(first.truth, second.truth);
    assert_ne!(first.objects, run(&Plan { seed: 8, ..plan }).objects);
}

#[test]
fn the_truth_is_what_was_written() {
    let plans = [
        Plan::default(),
        Plan { events: 3_000, duplicate_share: 0.4, ..Plan::default() },
        Plan { events: 3_000, accounts: 1, regions: 1, keys: 1, principals: 1, kms_share: 1.0, ..Plan::default() },
        Plan { events: 500, days: 30, incidents: false, hostile: false, odd_shapes: false, ..Plan::default() },
    ];
    for plan in plans {
        let Run { objects, truth } = run(&plan);
        let again = recount(&objects);
        let expected = Truth { incidents: vec![], ..truth.clone() };
        for (ours, theirs) in expected.calls.iter().zip(&again.calls) {
            assert_eq!(ours, theirs, "{plan:?}");
        }
        assert_eq!(expected, again, "{plan:?}");
        assert_eq!(truth.records, truth.kept + truth.other + truth.duplicates);
    }
}

#[test]
fn as_many_unique_events_as_asked_for() {
    let truth = run(&Plan { duplicate_share: 0.0, ..Plan::default() }).truth;
    assert_eq!(truth.kept + truth.other, 20_000);
    assert_eq!(truth.duplicates, 0);
    let doubled = run(&Plan { duplicate_share: 1.0, events: 3_000, ..Plan::default() }).truth;
    assert_eq!(doubled.records, 6_000);
    assert_eq!(doubled.duplicates, doubled.kept);
}

#[test]
fn nothing_to_do_is_done() {
    let truth = run(&Plan { events: 0, incidents: false, ..Plan::default() }).truth;
    assert!(truth.records <= 10, "{truth:?}");
}

#[test]
fn every_kind_of_identity_and_every_context_appears() {
    let Run { objects, .. } = run(&Plan::default());
    let (mut types, mut contexts, mut operations) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for record in objects.iter().flat_map(records) {
        types.insert(text(&record, "/userIdentity/type").unwrap_or("missing").to_owned());
        if let Some(context) = record.pointer("/requestParameters/encryptionContext").and_then(Value::as_object) {
            contexts.extend(context.keys().cloned());
        }
        operations.insert(text(&record, "/eventName").unwrap().to_owned());
    }
    let expected = "AWSAccount AWSService AssumedRole Directory FederatedUser IAMUser IdentityCenterUser Role Root SAMLUser \
                    Unknown WebIdentityUser missing";
    assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>().join(" "), expected);
    for name in [
        "PARAMETER_ARN",
        "SecretARN",
        "SecretVersionId",
        "aws:acm:arn",
        "aws:appconfig:deployment:arn",
        "aws:appfabric:appbundle:arn",
        "aws:backup:backup-vault",
        "aws:bedrock:arn",
        "aws:cassandra:tableName",
        "aws:cloudtrail:arn",
        "aws:dsql:ClusterId",
        "aws:dynamodb:tableName",
        "aws:ebs:id",
        "aws:ecr:arn",
        "aws:elasticfilesystem:filesystem:id",
        "aws:elasticloadbalancing:arn",
        "aws:es:arn",
        "aws:events:event-bus:arn",
        "kms:EncryptionContext:aws:events:event-bus:arn",
        "aws:kinesis:arn",
        "aws:lambda:EventSourceArn",
        "aws:lambda:FunctionArn",
        "aws:logs:arn",
        "aws:rds:db-id",
        "aws:rds:dbc-id",
        "aws:redshift:arn",
        "aws:s3:arn",
        "aws:ses:message-id",
        "aws:sns:topicArn",
        "aws:sqs:arn",
        "aws:states:activityArn",
        "aws:states:stateMachineArn",
        "aws:voiceid:domain:arn",
        "aws:workmail:arn",
        "aws:workspaces:sid-directoryid",
        "aws:x-amz-cek-alg",
        "aws-crypto-public-key",
        "glue_catalog_id",
    ] {
        assert!(contexts.contains(name), "no context with {name}");
    }
    for name in OPERATIONS.iter().chain(&["DescribeKey", "CreateGrant", "AssumeRole", "CreateAlias", "RetireGrant"]) {
        assert!(operations.contains(*name), "no {name}");
    }
}

#[test]
fn objects_are_named_as_cloudtrail_names_them_and_vary_in_size() {
    let Run { objects, .. } = run(&Plan { events: 60_000, ..Plan::default() });
    let paths: BTreeSet<&str> = objects.iter().map(|object| object.path.as_str()).collect();
    assert_eq!(paths.len(), objects.len(), "no two objects have the same name");
    for path in &paths {
        let parts: Vec<&str> = path.split('/').collect();
        let at = parts.iter().position(|part| *part == "CloudTrail").unwrap();
        let (account, region) = (parts[at - 1], parts[at + 1]);
        assert!(account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()), "{path}");
        let day = parts[at + 2..at + 5].concat();
        assert!(parts[at + 5].starts_with(&format!("{account}_CloudTrail_{region}_{day}T")), "{path}");
        assert!(path.ends_with("Z_") || parts[at + 5].split('Z').nth(1).is_some(), "{path}");
        assert!(path.starts_with("AWSLogs/") || path.starts_with("org-trail/AWSLogs/o-"), "{path}");
    }
    assert!(paths.iter().any(|path| path.starts_with("org-trail/")));
    let sizes: Vec<u32> = objects.iter().map(|object| object.records).collect();
    assert!(sizes.iter().any(|size| *size > 3_000) && sizes.iter().filter(|size| **size < 50).count() > 5, "{sizes:?}");
}

#[test]
fn incidents_are_where_the_truth_says() {
    let Run { objects, truth } = run(&Plan::default());
    let all: HashMap<String, Value> =
        objects.iter().flat_map(records).map(|r| (text(&r, "/eventID").unwrap().to_owned(), r)).collect();
    let mut names: Vec<&str> = truth.incidents.iter().map(|incident| incident.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["key-scheduled-for-deletion", "outsider-decrypt", "secret-harvest"]);
    for incident in &truth.incidents {
        assert_eq!(incident.event_ids.len(), 10);
        let first = &all[&incident.event_ids[0]];
        assert_eq!(text(first, "/eventTime"), Some(incident.first_seen.as_str()));
        assert!(incident.event_ids.iter().all(|id| key_arn(&all[id]).as_deref() == Some(&incident.key_arn)));
    }
    let harvest = truth.incidents.iter().find(|incident| incident.name == "secret-harvest").unwrap();
    assert_eq!(harvest.events, 60);
    assert_session_has_a_beginning(&all, &all[&harvest.event_ids[0]]);
    let named = |r: &Value| text(r, "/requestParameters/aliasName") == Some("alias/payroll");
    assert!(all.values().any(|r| named(r) && key_arn(r).as_deref() == Some(&harvest.key_arn)));
    let by_alias = |r: &Value| text(r, "/requestParameters/keyId") == Some("alias/payroll");
    assert!(all.values().any(|r| by_alias(r) && key_arn(r).as_deref() == Some(&harvest.key_arn)));
}

/// Two links back: the role that decrypts, the role before it, the user.
fn assert_session_has_a_beginning(all: &HashMap<String, Value>, call: &Value) {
    let mut step = call;
    for _ in 0..2 {
        let access_key = text(step, "/userIdentity/accessKeyId").unwrap();
        let begins = |r: &&Value| {
            text(r, "/responseElements/credentials/accessKeyId") == Some(access_key)
                && text(r, "/userIdentity/type") != Some("AWSAccount")
        };
        let beginning = all.values().find(begins).unwrap();
        assert_eq!(text(beginning, "/responseElements/assumedRoleUser/arn"), text(step, "/userIdentity/arn"));
        let started = "/userIdentity/sessionContext/attributes/creationDate";
        assert_eq!(text(beginning, "/eventTime"), text(step, started));
        assert!(text(beginning, "/responseElements/credentials/sessionToken").is_some());
        step = beginning;
    }
    assert_eq!(text(step, "/userIdentity/type"), Some("IAMUser"));
}

#[test]
fn records_are_as_big_as_real_ones_and_compress_like_them() {
    let plan = Plan { kms_share: 1.0, odd_shapes: false, hostile: false, events: 30_000, ..Plan::default() };
    let Run { objects, truth } = run(&plan);
    let gzip: usize = objects.iter().map(|object| object.gzip.len()).sum();
    let each = gzip as u64 / truth.records;
    assert!((120..=230).contains(&each), "{each} bytes each");
}

#[test]
fn a_folder_holds_the_objects_and_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    let plan = Plan { events: 1_000, ..Plan::default() };
    let truth = write_folder(&plan, folder.path(), &mut |records| last = records).unwrap();
    assert_eq!(last, truth.records);
    let read: Truth = serde_json::from_slice(&fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    assert_eq!(read, truth);
    assert!(folder.path().join("AWSLogs").is_dir());
}
