//! Every shipped detector against its cases: hand-written records, and the findings that must come of them.
//!
//! A case is a JSON file in `testdata/detectors/<id>/`: `fires*` with the findings that are wanted, `quiet*` without any.
//! Its records are written as differences from a healthy Decrypt, with shorthands for the long-winded parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use keytrail::detect::Window;
use keytrail::query::Catalog;
use serde_json::{Map, Value, json};

use super::seams::lost;
use super::trial::{Trial, expectations, instant, read_logs, write_logs};
use crate::support::Dir;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";
const ACCOUNT: &str = "111122223333";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/detectors")
}

/// The identity of a session of a role: `name`, or `account:name`; a path may stand before the name.
fn role(spec: &str) -> Value {
    let (account, name) = spec.rsplit_once(':').unwrap_or((ACCOUNT, spec));
    let short = name.rsplit('/').next().unwrap();
    let letters: String = short.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let id = format!("AROA{:X<12}", letters.to_uppercase());
    json!({
        "type": "AssumedRole", "principalId": format!("{id}:s"), "accountId": account, "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "arn": format!("arn:aws:sts::{account}:assumed-role/{short}/s"),
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": id, "arn": format!("arn:aws:iam::{account}:role/{name}"),
                "accountId": account, "userName": short},
            "attributes": {"creationDate": "2026-01-05T00:00:00Z", "mfaAuthenticated": "false"},
        },
    })
}

fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (name, value) in over {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over.clone(),
    }
}

/// A record as a case writes it, in full.
fn record(over: &Value, at: &str, number: usize) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "userIdentity": role("app"), "eventTime": at, "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt", "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.113.10",
        "userAgent": "aws-sdk-java/2.20",
        "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {}},
        "responseElements": null, "requestID": format!("r-{number}"), "eventID": format!("e-{number:06}"), "readOnly": true,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY}], "eventType": "AwsApiCall",
        "managementEvent": true, "recipientAccountId": ACCOUNT, "eventCategory": "Management",
    });
    let mut over: Map<String, Value> = over.as_object().unwrap().clone();
    let mut take = |name: &str| over.remove(name).map(|value| value.as_str().map_or_else(String::new, str::to_owned));
    if let Some(spec) = take("@role") {
        record["userIdentity"] = role(&spec);
    }
    if let Some(name) = take("@user") {
        record["userIdentity"] = json!({"type": "IAMUser", "principalId": format!("AIDA{}", name.to_uppercase()),
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "accountId": ACCOUNT, "userName": name,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE"});
    }
    if take("@root").is_some() {
        record["userIdentity"] = json!({"type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT, "accessKeyId": "",
            "arn": format!("arn:aws:iam::{ACCOUNT}:root")});
    }
    if let Some(host) = take("@service") {
        record["userIdentity"] = json!({"type": "AWSService", "invokedBy": host});
        (record["sourceIPAddress"], record["userAgent"]) = (json!(host), json!(host));
    }
    if let Some(host) = take("@via") {
        record["userIdentity"]["invokedBy"] = json!(host);
        (record["sourceIPAddress"], record["userAgent"]) = (json!(host), json!(host));
    }
    if let Some(spec) = take("@key") {
        let parts: Vec<&str> = spec.split(':').collect();
        record["resources"] = match parts.as_slice() {
            [id] => key(ACCOUNT, "eu-west-1", id),
            [account, region, id] => key(account, region, id),
            _ => panic!("{spec}: a key is account:region:id, or an id"),
        };
    }
    if let Some(said) = take("@error") {
        let (code, message) = said.split_once(": ").unwrap_or((&said, ""));
        record["errorCode"] = json!(code);
        if !message.is_empty() {
            record["errorMessage"] = json!(message);
        }
    }
    if let Some(address) = take("@ip") {
        record["sourceIPAddress"] = json!(address);
    }
    if let Some(context) = over.remove("@context") {
        record["requestParameters"]["encryptionContext"] = context;
    }
    let unknown: Vec<&String> = over.keys().filter(|name| name.starts_with('@')).collect();
    assert!(unknown.is_empty(), "no shorthands: {unknown:?}");
    merge(&mut record, &Value::Object(over));
    record
}

fn key(account: &str, region: &str, id: &str) -> Value {
    json!([{"accountId": account, "type": "AWS::KMS::Key", "ARN": format!("arn:aws:kms:{region}:{account}:key/{id}")}])
}

/// `6h` and the like.
fn step(text: &str) -> TimeDelta {
    let (number, unit) = text.split_at(text.len() - 1);
    let number = number.parse().unwrap();
    match unit {
        "s" => TimeDelta::seconds(number),
        "m" => TimeDelta::minutes(number),
        "h" => TimeDelta::hours(number),
        "d" => TimeDelta::days(number),
        _ => panic!("{text} is no step"),
    }
}

pub fn records(case: &Value) -> Vec<Value> {
    let mut records = Vec::new();
    for entry in case["records"].as_array().unwrap() {
        let begin: DateTime<Utc> = entry["at"].as_str().unwrap().parse().unwrap();
        let each = step(entry["every"].as_str().unwrap_or("1h"));
        for time in 0..entry["times"].as_i64().unwrap_or(1) {
            let at = begin + each * i32::try_from(time).unwrap();
            records.push(record(&entry["record"], &keytrail::instant::plain(at), records.len()));
        }
    }
    records
}

/// A case: a detector's file, and what it says.
pub struct Case {
    detector: String,
    /// As it is written.
    pub value: Value,
}

impl Case {
    /// The case of a detector by its file's name.
    pub fn read(detector: &str, name: &str) -> Self {
        let text = fs::read_to_string(folder().join(detector).join(name)).unwrap();
        Self { detector: detector.to_owned(), value: serde_json::from_str(&text).unwrap() }
    }

    /// Its window.
    pub fn window(&self) -> Window {
        let at = |name: &str| instant(self.value[name].as_str().unwrap());
        Window { since: at("since"), until: at("until") }
    }

    /// Its records.
    pub fn records(&self) -> Vec<Value> {
        records(&self.value)
    }

    /// A lake of its records.
    pub fn trial(&self) -> Trial {
        self.trial_of(self.records())
    }

    /// A lake of these records.
    pub fn trial_of(&self, records: Vec<Value>) -> Trial {
        let dir = Dir::new();
        write_logs(&dir, records);
        read_logs(&dir);
        self.open(dir.into())
    }

    /// Opens a lake as the case wants it: with its inventory, expectations and parameters.
    pub fn open(&self, dir: Arc<Dir>) -> Trial {
        if let Some(inventory) = self.value.get("inventory") {
            fs::write(dir.join("inventory.json"), inventory.to_string()).unwrap();
            dir.keytrail(["inventory", "--from", "inventory.json"]).code_among(&[0, 3]);
        }
        let expected = self.value["expectations"].as_array();
        let expected = expected.map(|lines| expectations(&dir, lines)).unwrap_or_default();
        let params = self.value["params"].as_object().into_iter().flatten();
        let params = params.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        Trial::open(dir, expected).with_params(&self.detector, params.collect())
    }

    /// What its detector says of these records, as JSON.
    pub fn detected_in(&self, records: Vec<Value>) -> Value {
        serde_json::to_value(self.trial_of(records).detect(&self.detector, self.window())).unwrap()
    }
}

/// The names of the cases of a detector, in order.
fn files(detector: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(detector)).unwrap();
    let mut files: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// Whether what was found is as a case wants it: each member that it names, texts of prose by a part.
fn agrees(wanted: &Value, found: &Value) -> bool {
    wanted.as_object().unwrap().iter().all(|(name, value)| match name.as_str() {
        "detail" | "why" | "message" => found[name].as_str().is_some_and(|text| text.contains(value.as_str().unwrap())),
        _ => found[name] == *value,
    })
}

fn faults(detector: &str, file: &str) -> Vec<String> {
    let of = Case::read(detector, file);
    let (got, case) = (of.detected_in(of.records()), of.value);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (wanted, found) = (list(&case["findings"]), list(&got["findings"]));
    let (gaps, skipped) = (list(&case["not_evaluated"]), list(&got["not_evaluated"]));
    let mut faults = Vec::new();
    let is_loud = !wanted.is_empty() || !gaps.is_empty();
    if file.starts_with("fires") && !is_loud || file.starts_with("quiet") && !wanted.is_empty() {
        faults.push("its name says otherwise".to_owned());
    }
    if found.len() != wanted.len() {
        faults.push(format!("{} findings, {} wanted", found.len(), wanted.len()));
    }
    for each in &wanted {
        if found.iter().filter(|found| agrees(each, found)).count() != 1 {
            faults.push(format!("wanted once: {each}"));
        }
    }
    for each in &gaps {
        if !skipped.iter().any(|gap| agrees(each, gap)) {
            faults.push(format!("wanted as not evaluated: {each}"));
        }
    }
    // What could not be judged is quiet too, but a case of it must say so.
    if gaps.is_empty() && !skipped.is_empty() {
        faults.push(format!("not evaluated: {}", skipped[0]));
    }
    faults.into_iter().map(|fault| format!("{detector}/{file}: {fault}; found {}", json!(found))).collect()
}

fn agree(detector: &str) {
    let files = files(detector);
    let all: Vec<String> = files.iter().flat_map(|file| faults(detector, file)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(!files.is_empty(), "no case was tried");
    let firing = files.iter().filter(|file| file.starts_with("fires"));
    let lost: Vec<String> = firing.flat_map(|file| lost(detector, file)).collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// A test for each detector.
macro_rules! detectors {
    ($($test:ident: $detector:literal,)*) => {
        $(
            #[test]
            fn $test() {
                agree($detector);
            }
        )*

        #[test]
        fn every_detector_has_its_cases() {
            let catalog = Catalog::shipped();
            let shipped: Vec<&str> = catalog.detectors().map(|detector| detector.name.as_str()).collect();
            assert_eq!(shipped, [$($detector),*]);
        }
    };
}

detectors! {
    alias_moved: "alias-moved",
    aws_managed_key_guards_data: "aws-managed-key-guards-data",
    coverage_contradicted: "coverage-contradicted",
    coverage_gap: "coverage-gap",
    decrypt_fan_out: "decrypt-fan-out",
    decrypt_spike: "decrypt-spike",
    denied_decrypt_burst: "denied-decrypt-burst",
    direct_use_of_service_key: "direct-use-of-service-key",
    disable_then_schedule: "disable-then-schedule",
    doomed_key_still_used: "doomed-key-still-used",
    expired_acceptance: "expired-acceptance",
    foreign_account_decrypts: "foreign-account-decrypts",
    foreign_key_used: "foreign-key-used",
    grant_to_outsider: "grant-to-outsider",
    imported_material_removed: "imported-material-removed",
    key_deleted: "key-deleted",
    key_deletion_scheduled: "key-deletion-scheduled",
    key_disabled: "key-disabled",
    key_probing: "key-probing",
    kms_logging_blinded: "kms-logging-blinded",
    mass_key_shutdown: "mass-key-shutdown",
    new_network_location: "new-network-location",
    policy_changed_while_pending: "policy-changed-while-pending",
    policy_lockout_bypassed: "policy-lockout-bypassed",
    public_key_policy: "public-key-policy",
    reencrypt_to_foreign_key: "reencrypt-to-foreign-key",
    replica_in_new_region: "replica-in-new-region",
    root_uses_key: "root-uses-key",
    rotation_disabled: "rotation-disabled",
    secret_harvest: "secret-harvest",
    unexpected_decryptor: "unexpected-decryptor",
    unexplained_key: "unexplained-key",
    unused_key: "unused-key",
}
