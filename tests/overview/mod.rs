//! Reports: what is new and nothing twice, in forms that others read, whatever a log says.

mod browser;
mod forms;
mod series;

use std::fs;

use serde_json::{Value, json};

use crate::support::{Dir, decrypt};

/// A key by a letter.
fn key(letter: char) -> String {
    let part = letter.to_string().repeat(8);
    format!("arn:aws:kms:eu-west-1:111122223333:key/{part}-12ab-34cd-56ef-1234567890ab")
}

/// Somebody schedules a key for deletion: what a detector of high severity tells of.
fn scheduled(id: &str, at: &str, who: &str, key: &str) -> Value {
    let mut record = decrypt(id);
    record["eventTime"] = json!(at);
    record["eventName"] = json!("ScheduleKeyDeletion");
    record["readOnly"] = json!(false);
    record["userIdentity"]["arn"] = json!(who);
    record["requestParameters"] = json!({"keyId": key, "pendingWindowInDays": 30});
    record["responseElements"] = json!({"keyId": key, "keyState": "PendingDeletion", "deletionDate": "Jan 20, 2026, 12:00:00 AM", "pendingWindowInDays": 30});
    record["resources"] = json!([{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}]);
    record
}

/// Somebody takes that back.
fn cancelled(id: &str, at: &str, key: &str) -> Value {
    let mut record = scheduled(id, at, &user("alice"), key);
    record["eventName"] = json!("CancelKeyDeletion");
    record["requestParameters"] = json!({"keyId": key});
    record["responseElements"] = json!({"keyId": key});
    record
}

/// A detector of a user's own: keys that are still to be deleted. A finding of it ends when the deletion is cancelled.
const DOOMED: &str = r#"-- ---
-- title = "A key is still to be deleted"
-- severity = "medium"
-- message = "{key_arn} will be deleted"
-- ---
-- ## What it does
-- Finds keys whose deletion was scheduled and not cancelled.
SELECT
    key_arn, max(principal) AS principal, max(account_id) AS account_id, max(region) AS region,
    min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events,
    array_agg(event_id ORDER BY event_time, event_id) AS evidence,
    CAST(NULL AS VARCHAR) AS detail, CAST(NULL AS VARCHAR) AS severity
FROM kms_events
WHERE event_name IN ('ScheduleKeyDeletion', 'CancelKeyDeletion')
GROUP BY key_arn
HAVING count(*) FILTER (WHERE event_name = 'CancelKeyDeletion') = 0
"#;

/// Puts the detector where `--queries queries` finds it.
fn with_doomed(dir: &Dir) {
    fs::create_dir_all(dir.join("queries/detectors")).unwrap();
    fs::write(dir.join("queries/detectors/doomed.sql"), DOOMED).unwrap();
}

/// A user of the account.
fn user(name: &str) -> String {
    format!("arn:aws:iam::111122223333:user/{name}")
}

/// The report as JSON.
fn report(dir: &Dir, arguments: &[&str]) -> Value {
    let own: &[&str] = if dir.join("queries").exists() { &["--queries", "queries"] } else { &[] };
    dir.keytrail(["report"]).args(own).args(arguments).format("json").ok().json()
}

/// The keys of a list of findings by one detector.
fn keys<'r>(report: &'r Value, list: &str, detector: &str) -> Vec<&'r str> {
    let findings = report["findings"][list].as_array().unwrap().iter();
    let of = findings.filter(|finding| finding["detector"] == detector);
    of.map(|finding| finding["key_arn"].as_str().unwrap()).collect()
}

const SCHEDULED: &str = "key-deletion-scheduled";
