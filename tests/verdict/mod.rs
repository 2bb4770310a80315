//! `check-deletion`, on logs by hand that a trail of their own has signed.
//!
//! ```text
//! Logs: an hour is an object ─► digests ─► ingest, verify ─┐
//! Key: an entry of the inventory ──────────────────────────┴─► check-deletion ─► verdict, reasons
//! ```
//!
//! What is wanted is written from the issue's words and from facts §6, §8.4 and §9, never from what the command prints.

mod aliases;
mod clock;
mod commands;
mod properties;
mod records;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use keytrail::instant::plain;
use keytrail::synthetic::{public_keys, sign_logs};
use serde_json::{Value, json};

use crate::support::{Dir, decrypt, gzip};

pub const ACCOUNT: &str = "111122223333";
pub const HOME: &str = "eu-west-1";

/// The look-back is two days, and ends with the last hour before this instant.
pub const UNTIL: &str = "2026-05-13T00:00:00Z";
pub const LOOKBACK: &str = "2d";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

/// A key's id, by a number of its own.
pub fn id(number: u32) -> String {
    format!("{number:08}-2222-4333-8444-555555555555")
}

#[allow(clippy::needless_pass_by_value, reason = "each is made where it is given")]
/// A record about a key: a Decrypt by a role of the account, with these members replaced.
pub fn record(key_arn: &str, at: &str, over: Value) -> Value {
    let mut record = decrypt(&format!(
        "{at}-{}-{}",
        &key_arn[key_arn.len() - 36..],
        over["eventName"].as_str().unwrap_or("Decrypt")
    ));
    let part = |number: usize| key_arn.split(':').nth(number).unwrap().to_owned();
    record["eventTime"] = at.into();
    record["awsRegion"] = part(3).into();
    record["recipientAccountId"] = part(4).into();
    record["resources"] = json!([{"accountId": part(4), "type": "AWS::KMS::Key", "ARN": key_arn}]);
    for (name, value) in over.as_object().into_iter().flatten() {
        record[name.as_str()] = value.clone();
    }
    record
}

#[allow(clippy::needless_pass_by_value, reason = "each is made where it is given")]
/// An entry of an inventory that could read everything: an enabled key that nobody ever used, and that no one names.
pub fn entry(key_arn: &str, over: Value) -> Value {
    let mut entry = json!({
        "Arn": key_arn, "KeyState": "Enabled", "Enabled": true, "KeyManager": "CUSTOMER", "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "CreationDate": "2026-04-25T00:00:00Z", "Description": "",
        "MultiRegion": false, "Aliases": [], "Tags": {}, "RotationEnabled": false, "Policy": "{}", "Grants": [],
        "LastUsage": {"TrackingStartDate": "2026-04-23T00:00:00Z", "KeyLastUsage": {}},
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        match value {
            // A member that was not read.
            Value::Null => drop(entry.as_object_mut().unwrap().remove(name)),
            value => entry[name.as_str()] = value.clone(),
        }
    }
    entry
}

/// The logs of one account: an object per Region and hour, from before the look-back until after it.
#[derive(Clone)]
pub struct Logs {
    /// The Regions that deliver.
    pub regions: Vec<&'static str>,
    /// What happened besides a use an hour of a key that matters to nobody.
    pub records: Vec<Value>,
    /// Objects, by Region and hour such as `2026-05-12T10`, that are gone although a digest names them.
    pub lost: BTreeSet<(String, String)>,
    /// Digests that are gone, likewise.
    pub lost_digests: BTreeSet<(String, String)>,
    /// Hours in which nothing of KMS is logged.
    pub quiet: BTreeSet<String>,
    /// Whether the trail writes digests.
    pub is_signed: bool,
    /// The inventory's entries; none where none was taken.
    pub inventory: Option<Vec<Value>>,
    /// When it was taken.
    pub taken_at: &'static str,
    /// The text of `keytrail.toml`.
    pub expectations: Option<String>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            regions: vec![HOME],
            records: Vec::new(),
            lost: BTreeSet::new(),
            lost_digests: BTreeSet::new(),
            quiet: BTreeSet::new(),
            is_signed: true,
            inventory: Some(Vec::new()),
            taken_at: "2026-05-12T23:30:00Z",
            expectations: None,
        }
    }
}

/// A lake of such logs.
pub struct Case {
    pub dir: Dir,
}

impl Logs {
    /// Writes the logs, reads and verifies them, and takes the inventory.
    pub fn lake(&self) -> Case {
        let dir = Dir::new();
        // Two hours before the look-back, and as many after it as a proof of its last hour takes.
        let (from, until) = (time("2026-05-10T22:00:00Z"), time("2026-05-13T04:00:00Z"));
        let mut gone: Vec<PathBuf> = Vec::new();
        for region in &self.regions {
            let hours = (0..(until - from).num_hours()).map(|hour| from + TimeDelta::hours(hour));
            let mut objects: BTreeMap<String, (DateTime<Utc>, Vec<Value>)> = BTreeMap::new();
            for hour in hours {
                let busy = record(&arn(region, &id(0)), &plain(hour + TimeDelta::minutes(20)), json!({}));
                let name = plain(hour)[..13].to_owned();
                let records = if self.quiet.contains(&name) { Vec::new() } else { vec![busy] };
                objects.insert(name, (hour + TimeDelta::minutes(30), records));
            }
            for record in self.records.iter().filter(|record| record["awsRegion"] == *region) {
                let at = record["eventTime"].as_str().unwrap();
                let delivered = time(at) + TimeDelta::minutes(5);
                objects.entry(at[..13].to_owned()).or_insert((delivered, Vec::new())).1.push(record.clone());
            }
            let mut logs = Vec::new();
            for (hour, (delivered, records)) in objects {
                let stamp = delivered.format("%Y%m%dT%H%MZ");
                let key = format!(
                    "AWSLogs/{ACCOUNT}/CloudTrail/{region}/{}/{ACCOUNT}_CloudTrail_{region}_{stamp}_abcdefghijklmnop.json.gz",
                    delivered.format("%Y/%m/%d")
                );
                let text = json!({ "Records": records }).to_string().into_bytes();
                let path = dir.object(&key, gzip(&text));
                if self.lost.contains(&((*region).to_owned(), hour)) {
                    gone.push(path);
                }
                logs.push((key, delivered.timestamp(), text));
            }
            if self.is_signed {
                let span = (from.timestamp(), until.timestamp());
                for digest in sign_logs((ACCOUNT, region, HOME), &logs, span).unwrap() {
                    let path = dir.object(&digest.path, &digest.gzip);
                    let stamp = digest.path.rsplit('_').next().unwrap();
                    let hour = format!("{}-{}-{}T{}", &stamp[..4], &stamp[4..6], &stamp[6..8], &stamp[9..11]);
                    if self.lost_digests.contains(&((*region).to_owned(), hour)) {
                        gone.push(path);
                        continue;
                    }
                    let metadata: BTreeMap<_, _> = digest.metadata.iter().cloned().collect();
                    let head = json!({"ContentLength": digest.gzip.len(), "Metadata": metadata});
                    dir.object(&format!("{}.metadata.json", digest.path), head.to_string());
                }
            }
        }
        for path in gone {
            fs::remove_file(path).unwrap();
        }
        dir.ingest("logs");
        if self.is_signed {
            fs::write(dir.join("public-keys.json"), public_keys().unwrap().to_string()).unwrap();
            dir.keytrail(["verify", "logs", "--public-keys", "public-keys.json"]).code_among(&[0, 1, 3]);
        }
        let case = Case { dir };
        if let Some(entries) = &self.inventory {
            case.inventory(entries, self.taken_at);
        }
        if let Some(text) = &self.expectations {
            fs::write(case.dir.join("keytrail.toml"), text).unwrap();
        }
        case
    }
}

impl Case {
    /// Takes an inventory at this time, which is when its file was last changed.
    pub fn inventory(&self, entries: &[Value], taken_at: &str) {
        let path = self.dir.join("inventory.json");
        let mut entries = entries.to_vec();
        entries.push(entry(&arn(HOME, &id(0)), json!({})));
        fs::write(&path, json!({"Keys": entries, "Trails": []}).to_string()).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time(taken_at).into()).unwrap();
        self.dir.keytrail(["inventory", "--from", "inventory.json"]).code_among(&[0, 3]);
    }

    /// The verdict on a key, as JSON; its exit code must be the verdict's.
    pub fn check(&self, key_arn: &str, more: &[&str]) -> Value {
        let arguments = ["check-deletion", key_arn, "--lookback", LOOKBACK, "--until", UNTIL];
        let ran = self.dir.keytrail(arguments).args(more).format("json").code_among(&[0, 1, 3]);
        let verdict = ran.json();
        let code = match verdict["verdict"].as_str().unwrap() {
            "no_use_found" => 0,
            "in_use" => 1,
            "unknown" => 3,
            other => panic!("{other} is no verdict"),
        };
        assert_eq!(ran.status(), Some(code), "{verdict}");
        verdict
    }

    /// The verdicts on all keys, by ARN: one run, where as many checks would be as many.
    pub fn all(&self, more: &[&str]) -> BTreeMap<String, Value> {
        let arguments = ["check-deletion", "--all", "--lookback", LOOKBACK, "--until", UNTIL];
        let verdicts = self.dir.keytrail(arguments).args(more).format("json").ok().json();
        let by_key = |verdict: &Value| (verdict["key_arn"].as_str().unwrap().to_owned(), verdict.clone());
        verdicts.as_array().unwrap().iter().map(by_key).collect()
    }
}

/// The codes of the reasons that speak for the verdict.
pub fn codes(verdict: &Value) -> BTreeSet<String> {
    let reasons = verdict["reasons"].as_array().unwrap().iter();
    let of_verdict = reasons.filter(|reason| reason["supports"] == verdict["verdict"]);
    of_verdict.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}
