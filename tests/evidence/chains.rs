//! Chains of digests made by hand and signed with the generator's key: what happens to a trail in its life.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use chrono::{DateTime, Utc};
use keytrail::evidence::{EvidenceError, KeySource, Outcome, PublicKey, PublicKeys, Report};
use keytrail::source::Prune;
use serde_json::{Value, json};

use super::{keys, problems, uri, verified, verified_as, verified_at};
use crate::support::{Dir, gzip};

const KEY: &[u8] = include_bytes!("../../src/synthetic/worthless-test-key.pk8");

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A folder of digests without logs, one an hour.
pub struct Chain {
    pub dir: Dir,
    bucket: &'static str,
    prefix: &'static str,
    /// The last digest: its key, hash and signature.
    pub last: Option<[String; 3]>,
}

impl Chain {
    pub fn new() -> Self {
        Self { dir: Dir::new(), bucket: "a-bucket", prefix: "", last: None }
    }

    fn key(&self, end: u32) -> String {
        format!(
            "{}AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/01/05/\
             111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20260105T{end:02}0131Z.json.gz",
            self.prefix
        )
    }

    /// Writes the digest of the hour that ends at this one, changed before it is signed.
    pub fn digest(&mut self, end: u32, change: impl FnOnce(&mut Value)) -> PathBuf {
        let fingerprint = keytrail::synthetic::public_keys().unwrap()["PublicKeyList"][0]["Fingerprint"].clone();
        let last = |at: usize| self.last.as_ref().map(|last| last[at].clone());
        let mut json = json!({
            "awsAccountId": "111122223333", "logFiles": [],
            "digestStartTime": format!("2026-01-05T{:02}:01:31Z", end - 1),
            "digestEndTime": format!("2026-01-05T{end:02}:01:31Z"),
            "digestS3Bucket": self.bucket, "digestS3Object": self.key(end),
            "digestPublicKeyFingerprint": fingerprint, "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": null, "oldestEventTime": null,
            "previousDigestS3Bucket": self.last.as_ref().map(|_| self.bucket),
            "previousDigestS3Object": last(0), "previousDigestHashValue": last(1),
            "previousDigestHashAlgorithm": "SHA-256", "previousDigestSignature": last(2),
        });
        change(&mut json);
        let text = json.to_string();
        let hash = hex(digest(&SHA256, text.as_bytes()).as_ref());
        let [time, bucket, object] =
            ["digestEndTime", "digestS3Bucket", "digestS3Object"].map(|name| json[name].as_str().unwrap());
        let before = json["previousDigestSignature"].as_str().unwrap_or("null");
        let signature = sign(&format!("{time}\n{bucket}/{object}\n{hash}\n{before}"));
        let path = self.dir.object(&self.key(end), gzip(text.as_bytes()));
        let head = json!({"Metadata": {"signature": signature, "signature-algorithm": "SHA256withRSA"}});
        self.dir.object(&format!("{}.metadata.json", self.key(end)), head.to_string());
        self.last = Some([self.key(end), hash, signature]);
        path
    }

    pub fn plain(&mut self, hours: std::ops::RangeInclusive<u32>) -> Vec<PathBuf> {
        hours.map(|end| self.digest(end, |_| ())).collect()
    }

    fn verified(&self) -> Report {
        verified(&self.dir.join("logs"))
    }
}

fn sign(text: &str) -> String {
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    hex(&signature)
}

#[test]
fn an_unbroken_chain_is_valid() {
    let mut chain = Chain::new();
    chain.plain(3..=9);
    let report = chain.verified();
    assert_eq!((report.outcome, report.digests.valid, report.gaps), (Outcome::Valid, 7, 0), "{:?}", report.problems);
}

/// Validation was switched off for a while, or the trail was stopped: the chain begins anew (facts §7.5).
#[test]
fn a_chain_that_begins_anew_has_a_gap() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    chain.last = None;
    let later = chain.plain(9..=11);
    let report = chain.verified();
    assert_eq!((report.outcome, report.digests.valid, report.gaps), (Outcome::Incomplete, 6, 1));
    assert_eq!(problems(&report), [("gap", uri(&later[0]).as_str())]);
    let told = &report.problems[0].reason;
    let words = "No log files were delivered by CloudTrail between 2026-01-05T05:01:31Z and 2026-01-05T08:01:31Z";
    assert!(told.contains(words), "{told}");
}

/// A digest that names the one before, and begins an hour after its end.
#[test]
fn windows_that_do_not_meet_are_a_gap_though_the_digests_are_linked() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    let later = chain.plain(7..=8);
    let report = chain.verified();
    assert_eq!((report.outcome, report.gaps), (Outcome::Incomplete, 1));
    assert_eq!(problems(&report), [("gap", uri(&later[0]).as_str())]);
}

#[test]
fn a_prefix_or_bucket_that_changes_leaves_the_chain_whole() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    (chain.prefix, chain.bucket) = ("new/prefix/", "another-bucket");
    chain.digest(6, |json| json["previousDigestS3Bucket"] = "a-bucket".into());
    chain.plain(7..=8);
    let report = chain.verified();
    assert_eq!((report.outcome, problems(&report), report.digests.valid), (Outcome::Valid, vec![], 6));
}

/// AWS's validator does not look at the hash of the previous digest (facts §7.5).
#[test]
fn a_digest_that_is_signed_and_is_not_the_one_that_its_successor_names_is_invalid() {
    let mut chain = Chain::new();
    let first = chain.plain(3..=5);
    chain.digest(6, |json| json["previousDigestHashValue"] = "00".repeat(32).into());
    chain.plain(7..=8);
    let report = chain.verified();
    assert_eq!(problems(&report), [("invalid", uri(&first[2]).as_str())]);
    assert!(report.problems[0].reason.contains("is not the digest that its successor names"));
}

#[test]
fn what_is_no_digest_is_invalid() {
    let mut chain = Chain::new();
    chain.plain(3..=4);
    let odd = chain.digest(5, |json| json["digestSignatureAlgorithm"] = "SHA1withRSA".into());
    let report = chain.verified();
    assert_eq!(problems(&report), [("invalid", uri(&odd).as_str())]);
    assert!(report.problems[0].reason.starts_with("invalid format"), "{}", report.problems[0].reason);
    let stray = chain.dir.object("AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/01/05/notes.json", "{}");
    let report = chain.verified();
    assert_eq!(problems(&report)[0], ("invalid", uri(&stray).as_str()));
}

/// A log of a time that no digest speaks of is neither extra nor vouched for.
#[test]
fn logs_between_two_chains_are_not_covered() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    chain.last = None;
    chain.plain(9..=11);
    let log = |time: &str| {
        let name = format!("111122223333_CloudTrail_eu-west-1_20260105T{time}Z_abcDEF0123456789.json.gz");
        chain.dir.log(&format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/{name}"), &[])
    };
    log("0630");
    let report = chain.verified();
    assert_eq!((report.outcome, report.unnamed.uncovered, report.unnamed.extra), (Outcome::Incomplete, 1, 0));
    let extra = log("0430");
    let report = chain.verified();
    assert_eq!((report.outcome, report.unnamed.extra), (Outcome::Invalid, 1));
    assert!(problems(&report).contains(&("extra", uri(&extra).as_str())));
}

/// A log is put into a folder of `2026/01` on this day, under a name that tells this time.
fn injected(chain: &Chain, day: &str, time: &str) -> PathBuf {
    let name = format!("111122223333_CloudTrail_eu-west-1_{time}Z_abcDEF0123456789.json.gz");
    chain.dir.log(&format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/{day}/{name}"), &[])
}

#[test]
fn a_log_waits_for_its_digest_for_some_hours_and_not_for_ever() {
    let mut chain = Chain::new();
    chain.plain(3..=11);
    let log = injected(&chain, "05", "20260105T1110");
    let at = |now: &str| verified_at(now, &chain.dir.join("logs"), &mut keys(), Prune::default());
    let early = at("2026-01-05T13:00:00Z");
    assert_eq!((early.outcome, early.unnamed.pending), (Outcome::Valid, 1), "{:?}", early.problems);
    for now in ["2026-01-05T14:30:00Z", "2026-07-01T00:00:00Z", "2026-01-05T10:00:00Z"] {
        let report = at(now);
        assert_eq!((report.outcome, report.unnamed.pending, report.unnamed.uncovered), (Outcome::Incomplete, 0, 1));
        assert_eq!(problems(&report), [("uncovered", uri(&log).as_str())], "{now}");
    }
}

#[test]
fn a_name_that_its_folder_contradicts_does_not_hide_an_injected_log() {
    let mut chain = Chain::new();
    chain.plain(3..=11);
    let since = |text: &str| Prune { since: Some(text.parse().unwrap()), ..Prune::default() };
    for time in ["20991231T0000", "20190101T0000"] {
        let log = injected(&chain, "05", time);
        for prune in [Prune::default(), since("2026-01-04T00:00:00Z")] {
            let report = verified_at("2026-01-05T12:30:00Z", &chain.dir.join("logs"), &mut keys(), prune);
            assert_eq!((report.outcome, report.unnamed.extra), (Outcome::Invalid, 1), "{time}");
            assert_eq!(problems(&report), [("extra", uri(&log).as_str())]);
        }
        fs::remove_file(&log).unwrap();
    }
    // No digest covers the folder's day either: then it is not proven, and it is named.
    let log = injected(&chain, "09", "20190101T0000");
    let report = chain.verified();
    assert_eq!((report.outcome, problems(&report)), (Outcome::Incomplete, vec![("uncovered", uri(&log).as_str())]));
}

/// Files that pretend to be digests, more of them than are looked at together, change nothing for those that are.
#[test]
fn what_lies_between_two_digests_that_name_each_other_is_judged_by_itself() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    for minute in 10..13 {
        for second in 0..60 {
            let name = chain.key(4).replace("T040131Z", &format!("T04{minute}{second:02}Z"));
            chain.dir.object(&name, gzip(b"{}"));
        }
    }
    let report = chain.verified();
    assert_eq!((report.digests.valid, report.digests.invalid, report.gaps), (3, 180, 0));
    assert!(report.problems.iter().all(|problem| problem.reason.starts_with("invalid format")));
}

/// Keys of one Region that may not be asked for, and how often each Region was asked.
#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl KeySource for Closed {
    async fn list(
        &self,
        region: &str,
        _from: DateTime<Utc>,
        _to: DateTime<Utc>,
    ) -> Result<Vec<PublicKey>, EvidenceError> {
        self.0.lock().unwrap().push(region.to_owned());
        Err(EvidenceError::Keys { place: format!("ListPublicKeys in {region}"), why: "AccessDenied".to_owned() })
    }
}

#[test]
fn a_region_whose_keys_cannot_be_had_leaves_its_digests_unproven_and_is_asked_once() {
    let mut chain = Chain::new();
    chain.plain(3..=9);
    let closed = Closed::default();
    let mut keys = PublicKeys::from_source(Box::new(closed.clone()));
    let report = verified_as(&chain.dir.join("logs"), &mut keys, Prune::default());
    assert_eq!((report.outcome, report.digests.key_unknown), (Outcome::Incomplete, 7));
    assert!(report.problems[0].reason.contains("AccessDenied"), "{}", report.problems[0].reason);
    assert_eq!(*closed.0.lock().unwrap(), ["eu-west-1"]);
}

#[test]
fn a_digest_named_for_another_region_than_its_folder_s_is_moved_and_no_key_is_asked_for() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    let hostile = chain.key(4).replace("_eu-west-1_main", "_nowhere-1_main");
    let original = chain.dir.join("logs").join(chain.key(4));
    let hostile = chain.dir.object(&hostile, fs::read(original).unwrap());
    let report = chain.verified();
    assert_eq!((report.digests.valid, problems(&report)), (3, vec![("invalid", uri(&hostile).as_str())]));
    assert!(report.problems[0].reason.contains("has been moved"), "{}", report.problems[0].reason);
    let closed = Closed::default();
    let mut keys = PublicKeys::from_source(Box::new(closed.clone()));
    verified_as(&chain.dir.join("logs"), &mut keys, Prune::default());
    assert_eq!(*closed.0.lock().unwrap(), ["eu-west-1"]);
}

#[test]
fn an_unsigned_digest_covers_the_hour_of_its_name_whatever_it_says() {
    let mut chain = Chain::new();
    chain.plain(3..=5);
    let endless = chain.digest(9, |json| {
        json["digestStartTime"] = "0001-01-01T00:00:00Z".into();
        json["digestEndTime"] = "9999-12-31T23:59:59Z".into();
    });
    fs::remove_file(format!("{}.metadata.json", endless.display())).unwrap();
    injected(&chain, "09", "20260109T0400");
    let report = chain.verified();
    assert_eq!((report.digests.unsigned, report.gaps), (1, 1), "{:?}", report.problems);
    assert_eq!(report.to.as_deref(), Some("2026-01-05T09:01:31Z"));
    assert_eq!((report.unnamed.extra, report.unnamed.uncovered), (0, 1));
}
