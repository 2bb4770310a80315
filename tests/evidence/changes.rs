//! What unseen changes, hostile times, unproven digests and second copies do to coverage; chains here are made by hand.

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use keytrail::synthetic::public_keys;
use serde_json::{Value, json};

use super::blindness::{at, blind_hours, control, named, selectors, states};
use super::chains::{Chain, hex};
use crate::support::{Dir, decrypt, gzip};

const ACCOUNT: &str = "111122223333";

/// The digest of the hour that ends at this one, and the log of these records that it names.
fn digest_of(chain: &mut Chain, end: u32, records: &[Value]) {
    let key = format!(
        "AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2026/01/05/\
         {ACCOUNT}_CloudTrail_eu-west-1_20260105T{:02}40Z_AAAAAAAAAAAAAAAA.json.gz",
        end - 1
    );
    let text = json!({ "Records": records }).to_string();
    chain.dir.object(&key, gzip(text.as_bytes()));
    let hash = hex(digest(&SHA256, text.as_bytes()).as_ref());
    let file = json!({
        "s3Bucket": "a-bucket", "s3Object": key, "hashValue": hash, "hashAlgorithm": "SHA-256",
        "newestEventTime": null, "oldestEventTime": null,
    });
    chain.digest(end, |digest| digest["logFiles"] = json!([file]));
}

/// A read of KMS at 04:30, and digests of the whole day but its last hours.
fn day() -> Chain {
    let mut chain = Chain::new();
    chain.plain(2..=4);
    digest_of(&mut chain, 5, &[at(decrypt(""), "2026-01-05T04:30:00Z")]);
    chain.plain(6..=11);
    chain
}

fn verify(dir: &Dir, folder: &str, keys: &Value, code: i32) {
    fs::write(dir.join("keys.json"), keys.to_string()).unwrap();
    dir.keytrail(["verify", folder, "--public-keys", "keys.json"]).code(code);
}

fn proven(dir: &Dir) -> Vec<u32> {
    let states = states(dir, ACCOUNT, "eu-west-1");
    states.iter().filter(|(_, state)| *state == "proven").map(|(hour, _)| *hour).collect()
}

/// The selectors were changed at 11:20, and the log and the digest that say so were removed: the hours that follow show no
/// read, for good reason.
#[test]
fn no_hour_after_one_that_nobody_could_see_is_proven_by_what_was_before_it() {
    let only_writes = json!({"readWriteType": "WriteOnly", "includeManagementEvents": true});
    let mut chain = day();
    let change = control("PutEventSelectors", "2026-01-05T11:20:00Z", selectors("main", &only_writes));
    digest_of(&mut chain, 12, &[change]);
    chain.plain(13..=20);
    let logs = chain.dir.join("logs");
    let hidden = ["CloudTrail-Digest", "CloudTrail"].map(|kind| {
        let folder = logs.join(format!("AWSLogs/{ACCOUNT}/{kind}/eu-west-1/2026/01/05"));
        let part = if kind == "CloudTrail" { "T1140Z" } else { "T120131Z" };
        let paths = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_str().unwrap().contains(part)).collect::<Vec<_>>()
    });
    for path in hidden.iter().flatten() {
        fs::remove_file(path).unwrap();
    }
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &public_keys().unwrap(), 1);
    assert_eq!(proven(&chain.dir), [2, 3, 4, 5, 6, 7, 8], "before it, all that is whole; after it, nothing");
}

#[test]
fn an_hour_after_one_that_nobody_could_see_is_proven_by_a_read_of_its_own() {
    let mut chain = day();
    chain.last = None;
    chain.plain(14..=15);
    digest_of(&mut chain, 16, &[at(decrypt(""), "2026-01-05T15:20:00Z")]);
    chain.plain(17..=20);
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &public_keys().unwrap(), 3);
    assert_eq!(proven(&chain.dir), [2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17]);
}

/// Selectors that an event sets show reads until the next one, and not in the hour in which they are set.
#[test]
fn selectors_that_are_seen_to_be_set_prove_what_follows_until_they_are_changed() {
    let all = json!({"readWriteType": "All", "includeManagementEvents": true, "excludeManagementEventSources": []});
    let mut chain = Chain::new();
    chain.plain(2..=5);
    digest_of(&mut chain, 6, &[control("PutEventSelectors", "2026-01-05T05:20:00Z", selectors("main", &all))]);
    chain.plain(7..=9);
    digest_of(&mut chain, 10, &[control("PutEventSelectors", "2026-01-05T09:20:00Z", json!({"trailName": "main"}))]);
    chain.plain(11..=20);
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &public_keys().unwrap(), 0);
    assert_eq!(proven(&chain.dir), [6, 7, 8], "of what the second made of them, nothing is known");
}

#[test]
fn a_digest_without_a_proof_lifts_no_blindness() {
    let mut chain = day();
    let records = [("StopLogging", "05:00"), ("StartLogging", "08:00")]
        .map(|(name, time)| control(name, &format!("2026-01-05T{time}:00Z"), named("other")));
    chain.dir.log("b.json.gz", &records);
    chain.plain(12..=14);
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &json!({ "PublicKeyList": [] }), 3);
    assert_eq!(blind_hours(&states(&chain.dir, ACCOUNT, "eu-west-1")), [5, 6, 7]);
    verify(&chain.dir, "logs", &public_keys().unwrap(), 0);
    assert_eq!(blind_hours(&states(&chain.dir, ACCOUNT, "eu-west-1")), [0; 0]);
}

#[test]
fn a_second_copy_that_is_verified_unproves_nothing() {
    let chain = day();
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &public_keys().unwrap(), 0);
    let before = proven(&chain.dir);
    assert_eq!(before, [2, 3, 4, 5, 6, 7, 8]);
    fs::rename(chain.dir.join("logs"), chain.dir.join("copy")).unwrap();
    verify(&chain.dir, "copy", &public_keys().unwrap(), 0);
    assert_eq!(proven(&chain.dir), before);
}

/// Whoever can put an object into a bucket can have it say any time.
#[test]
fn times_before_cloudtrail_and_after_the_lake_bear_on_nothing() {
    let mut chain = day();
    let path = chain.digest(12, |digest| {
        digest["digestStartTime"] = "0001-01-01T00:00:00Z".into();
        digest["digestEndTime"] = "9999-12-31T00:00:00Z".into();
    });
    fs::remove_file(format!("{}.metadata.json", path.display())).unwrap();
    let mut records = vec![control("StopLogging", "2026-01-05T08:00:00Z", named("other"))];
    for year in ["0001", "9999"] {
        let time = format!("{year}-01-01T00:00:00Z");
        records.extend([at(decrypt(""), &time), control("StopLogging", &time, named("main"))]);
        let name = format!("{ACCOUNT}_CloudTrail_eu-west-1_{year}0101T0000Z_BBBBBBBBBBBBBBBB.json.gz");
        chain.dir.log(&format!("AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/{year}/01/01/{name}"), &records);
    }
    chain.dir.ingest("logs");
    verify(&chain.dir, "logs", &public_keys().unwrap(), 3);
    let rows = chain.dir.sql("SELECT count(*) AS n, CAST(min(hour) AS VARCHAR) AS first FROM coverage");
    assert!(rows[0]["n"].as_u64().unwrap() < 100, "{rows:?}");
    assert!(rows[0]["first"].as_str().unwrap().starts_with("2026-01-0"), "{rows:?}");
    let days = chain.dir.keytrail(["coverage"]).format("json").ok().json();
    assert!(days.as_array().unwrap().len() < 10, "{days}");
}
