//! That a key is unused is said only where the logs are there to say it.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use keytrail::instant;
use serde_json::{Value, json};

use crate::evidence::blindness::at;
use crate::support::{Dir, decrypt};

/// A key that nobody uses, in the account and Region of the one that everybody does.
const IDLE: &str = "arn:aws:kms:eu-west-1:111122223333:key/99999999-2222-4333-8444-555555555555";

/// Ninety days in which another key is used each hour, a file per day, and an inventory of the idle one.
fn days(missing: Option<i64>) -> Dir {
    let dir = Dir::new();
    let begin: DateTime<Utc> = "2026-01-05T00:00:00Z".parse().unwrap();
    for day in (0..90).filter(|day| Some(*day) != missing) {
        let hours = (0..24).map(|hour| begin + TimeDelta::days(day) + TimeDelta::hours(hour) + TimeDelta::minutes(20));
        let records: Vec<Value> = hours.map(|hour| at(decrypt(""), &instant::plain(hour))).collect();
        dir.log(&format!("{day:02}.json.gz"), &records);
    }
    dir.ingest("logs");
    let key = json!([{
        "Arn": IDLE, "KeyState": "Enabled", "Enabled": true, "KeyManager": "CUSTOMER", "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "CreationDate": "2024-01-01T00:00:00Z", "Description": "",
        "Aliases": ["alias/idle"], "Tags": {},
    }]);
    fs::write(dir.join("keys.json"), key.to_string()).unwrap();
    dir.keytrail(["inventory", "--from", "keys.json"]).code_among(&[0, 3]);
    dir
}

fn unused(dir: &Dir) -> (Vec<Value>, Vec<Value>) {
    let detect = ["detect", "--no-save", "--only", "unused-key", "--since", "2026-03-01", "--until", "2026-04-05"];
    let found = dir.keytrail(detect).format("json").ok().json();
    let list = |name: &str| found[name].as_array().unwrap().clone();
    (list("findings"), list("not_evaluated"))
}

#[test]
fn a_day_without_logs_turns_unused_into_not_evaluated() {
    let (found, gaps) = unused(&days(None));
    assert_eq!((found.len(), gaps.len()), (1, 0), "{found:?} {gaps:?}");
    assert_eq!(found[0]["key_arn"], IDLE);
    let (found, gaps) = unused(&days(Some(40)));
    assert_eq!((found.len(), gaps.len()), (0, 1), "{found:?} {gaps:?}");
    assert_eq!(gaps[0]["key_arn"], IDLE);
    assert!(gaps[0]["why"].as_str().unwrap().contains("24"), "{gaps:?}");
}
