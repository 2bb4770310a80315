//! Detectors see callers whom the record names by an id only, or not at all.

use serde_json::{Value, json};

use super::cases::Case;

/// Detectors that judge what a principal did, and leave AWS's own services out by the name of the principal.
const BY_PRINCIPAL: [&str; 9] = [
    "decrypt-fan-out",
    "decrypt-spike",
    "denied-decrypt-burst",
    "foreign-account-decrypts",
    "foreign-key-used",
    "key-probing",
    "new-network-location",
    "reencrypt-to-foreign-key",
    "secret-harvest",
];

/// Those of them that need no past of a principal, which nobody in particular does not have.
const WITHOUT_A_PAST: [&str; 4] =
    ["denied-decrypt-burst", "foreign-key-used", "reencrypt-to-foreign-key", "secret-harvest"];

/// Of whoever calls by a session of a role, `userIdentity` keeps these members.
fn reduced(mut record: Value, keep: &[&str]) -> Value {
    if record["userIdentity"]["type"] == "AssumedRole" {
        let identity = record["userIdentity"].as_object_mut().unwrap();
        identity.retain(|name, _| keep.contains(&name.as_str()));
    }
    record
}

fn found(detector: &str, keep: &[&str]) -> (usize, Vec<Value>) {
    let case = Case::read(detector, "fires.json");
    let reduced: Vec<Value> = case.records().into_iter().map(|record| reduced(record, keep)).collect();
    let found = case.detected_in(reduced);
    let wanted = case.value["findings"].as_array().unwrap().len();
    (wanted, found["findings"].as_array().unwrap().clone())
}

#[test]
fn a_caller_without_an_arn_is_found_by_its_id() {
    for detector in BY_PRINCIPAL {
        let (wanted, found) = found(detector, &["type", "principalId", "accountId", "invokedBy"]);
        assert_eq!(found.len(), wanted, "{detector}: {}", json!(found));
        for finding in &found {
            let principal = finding["principal"].as_str().unwrap();
            assert!(principal.starts_with("AROA") || principal.starts_with("acct:"), "{detector}: {principal}");
        }
    }
}

#[test]
fn a_caller_whom_nothing_names_is_found_as_unknown() {
    for detector in WITHOUT_A_PAST {
        let (wanted, found) = found(detector, &["type", "accountId", "invokedBy"]);
        assert_eq!(found.len(), wanted, "{detector}: {}", json!(found));
    }
}
