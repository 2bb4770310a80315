//! `watch`: every finding is told once, whatever the receiver does and whenever the run ends.
//!
//! ```text
//! logs ─► keytrail watch ─► receiver (refuses, hangs, comes back) · command · file
//!                    └────► /metrics, /health
//! ```
//!
//! No test rests on how long something takes: it waits for what must come, and looks for what must not come after the run
//! has ended.

mod command_line;
mod kills;
mod metrics;
mod outbox;
mod receiver;
mod secrets;
mod slack;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Dir, Keytrail, decrypt, with};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(5);

/// Root decrypts with a key, which is a finding of its own for each key.
fn root_uses(key: u32, time: &str) -> Value {
    let mut record = with(decrypt(&format!("root-{key}-{time}")), "eventTime", time);
    let arn = format!("arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-{key:012}");
    record["resources"][0]["ARN"] = arn.into();
    record["userIdentity"] = serde_json::json!({
        "type": "Root", "principalId": "111122223333", "accountId": "111122223333", "accessKeyId": "",
        "arn": "arn:aws:iam::111122223333:root",
    });
    record
}

/// A folder with logs in which root uses so many keys.
fn rooted(keys: u32) -> Dir {
    let dir = Dir::new();
    let records: Vec<Value> = (0..keys).map(|key| root_uses(key, "2026-01-05T12:00:00Z")).collect();
    dir.log("a.json.gz", &records);
    dir
}

/// Watches `logs`, by one detector, without losing time between attempts.
fn watch(dir: &Dir, arguments: &[&str]) -> Keytrail {
    dir.keytrail(["watch", "logs", "--only", "root-uses-key", "--notify-wait", "10"]).args(arguments)
}

fn once(dir: &Dir, arguments: &[&str]) -> Keytrail {
    watch(dir, arguments).arg("--once").format("json")
}

/// Fingerprints of the findings that are open.
fn open(dir: &Dir) -> BTreeSet<String> {
    let rows = dir.sql("SELECT fingerprint FROM open_findings");
    rows.iter().map(|row| row["fingerprint"].as_str().unwrap().to_owned()).collect()
}

/// Each of these once.
#[track_caller]
fn each_once(taken: &[String], expected: &BTreeSet<String>) {
    let distinct: BTreeSet<String> = taken.iter().cloned().collect();
    assert_eq!(&distinct, expected);
    assert_eq!(taken.len(), expected.len(), "told twice: {taken:?}");
}

/// Waits until something is so. Only a test that fails waits for long.
#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}
