//! Chains of digests made by hand and signed with the generator's key: what happens to a trail in its life.

use std::fmt::Write as _;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use keytrail::evidence::{Outcome, Report};
use serde_json::{Value, json};

use super::{problems, uri, verified};
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
    // Its digest may still come.
    log("1110");
    assert_eq!(chain.verified().unnamed.pending, 1);
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
