//! One thing done to signed logs at a time, and what is said of it.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use keytrail::evidence::{Archive, LocalArchive, Outcome, PublicKeys, Report, STORED_BYTES_MAX};
use keytrail::source::{Kind, Prune};
use serde_json::Value;

use super::{SIGNED, Signed, keys, problems, uri, verified, verified_as};
use crate::support::gzip;

fn inflated(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    MultiGzDecoder::new(&fs::read(path).unwrap()[..]).read_to_end(&mut text).unwrap();
    text
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&inflated(path)).unwrap();
    change(&mut json);
    fs::write(path, gzip(json.to_string().as_bytes())).unwrap();
}

/// The outcome is that something is wrong, and what is told is this and nothing else.
#[track_caller]
fn is_told(report: &Report, state: &str, path: &Path, words: &str) {
    assert_eq!(report.outcome, Outcome::Invalid);
    assert_eq!(problems(report), [(state, uri(path).as_str())], "{:#?}", report.problems);
    assert!(report.problems[0].reason.contains(words), "{}", report.problems[0].reason);
}

/// A log of the account's own trail in the middle of the day, of the usual shape.
fn log_of(signed: &Signed) -> PathBuf {
    let logs = signed.logs();
    let usual = |path: &&PathBuf| {
        inflated(path).starts_with(b"{\"Records\":[") && !path.to_str().unwrap().contains("org-trail")
    };
    logs[logs.len() / 3..].iter().find(usual).unwrap().clone()
}

#[test]
fn what_the_generator_signs_is_valid_to_the_last_object() {
    let signed = SIGNED.get();
    let report = verified(signed.path());
    assert_eq!((report.outcome, problems(&report)), (Outcome::Valid, vec![]));
    let logs = signed.logs().len() as u64;
    assert_eq!((report.logs.valid + report.backfill_logs.valid, report.unnamed.extra), (logs, 0));
    assert!(report.backfill_logs.valid > 0, "some objects are named by backfill digests only");
    let digests =
        signed.files("/CloudTrail-Digest/").iter().filter(|path| path.extension() == Some("gz".as_ref())).count();
    assert_eq!(report.digests.valid + report.backfill_digests.valid, digests as u64);
    assert!(report.digests.valid > logs, "there are digests of empty hours");
}

/// The folder may be any part of the bucket: what there is of it is as valid.
#[test]
fn a_copy_of_a_part_of_the_bucket_is_valid_too() {
    let signed = SIGNED.get();
    for part in ["AWSLogs", "org-trail", "org-trail/AWSLogs"] {
        let report = verified(&signed.path().join(part));
        assert_eq!((report.outcome, problems(&report)), (Outcome::Valid, vec![]), "{part}");
    }
    let account = fs::read_dir(signed.path().join("AWSLogs")).unwrap().next().unwrap().unwrap().path();
    let report = verified(&account);
    assert_eq!((report.outcome, problems(&report)), (Outcome::Valid, vec![]));
}

#[test]
fn packing_a_log_anew_changes_nothing() {
    let signed = Signed::new();
    let log = log_of(&signed);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&inflated(&log)).unwrap();
    fs::write(&log, encoder.finish().unwrap()).unwrap();
    assert_eq!(verified(signed.path()).outcome, Outcome::Valid);
}

#[test]
fn a_log_that_is_deleted_is_missing() {
    let signed = Signed::new();
    let log = log_of(&signed);
    fs::remove_file(&log).unwrap();
    is_told(&verified(signed.path()), "missing", &log, "not found");
}

#[test]
fn a_byte_that_is_changed_is_found_whether_the_log_still_inflates_or_not() {
    let signed = Signed::new();
    let log = log_of(&signed);
    let (before, mut text) = (fs::read(&log).unwrap(), inflated(&log));
    let last = text.len() - 3;
    text[last] ^= 1;
    fs::write(&log, gzip(&text)).unwrap();
    is_told(&verified(signed.path()), "hash_mismatch", &log, "hash value doesn't match");
    let mut corrupt = before.clone();
    corrupt[before.len() / 2] ^= 16;
    fs::write(&log, corrupt).unwrap();
    is_told(&verified(signed.path()), "invalid_format", &log, "invalid format");
    for tail in [&b"garbage"[..], &gzip(b"{\"Records\":[]}")] {
        fs::write(&log, [&before, tail].concat()).unwrap();
        is_told(&verified(signed.path()), "invalid_format", &log, "unexpected data after end of compressed stream");
    }
}

#[test]
fn a_log_that_is_added_is_extra() {
    let signed = Signed::new();
    let log = log_of(&signed);
    let name = log.file_name().unwrap().to_str().unwrap();
    for added in [format!("{}AAAAAAAAAAAAAAAA.json.gz", &name[..name.len() - 24]), "evil.json.gz".to_owned()] {
        let added = log.with_file_name(added);
        fs::copy(&log, &added).unwrap();
        is_told(&verified(signed.path()), "extra", &added, "no digest names it");
        fs::remove_file(&added).unwrap();
    }
}

#[test]
fn a_log_that_is_moved_is_missed_and_found() {
    for renamed in [false, true] {
        let signed = Signed::new();
        let log = log_of(&signed);
        let name = log.file_name().unwrap().to_str().unwrap();
        let folder = log.parent().unwrap().parent().unwrap().join("31");
        let moved = folder.join(if renamed { name.replace(".json.gz", "0.json.gz") } else { name.to_owned() });
        fs::create_dir_all(&folder).unwrap();
        fs::rename(&log, &moved).unwrap();
        let report = verified(signed.path());
        assert_eq!(report.outcome, Outcome::Invalid);
        let (from, to) = (uri(&log), uri(&moved));
        assert_eq!(problems(&report), [("missing", from.as_str()), ("moved", to.as_str())]);
        assert!(report.problems[1].reason.contains(&from), "{}", report.problems[1].reason);
    }
}

#[test]
fn a_digest_that_is_deleted_is_missing() {
    let signed = Signed::new();
    let digests = signed.digests();
    let (deleted, before) = (&digests[10], &digests[9]);
    fs::remove_file(deleted).unwrap();
    let report = verified(signed.path());
    assert_eq!(report.outcome, Outcome::Invalid);
    let (deleted, before) = (uri(deleted), uri(before));
    // With it the signature of the one before is gone, which is no fault of that one.
    assert_eq!(problems(&report), [("missing", deleted.as_str()), ("unsigned", before.as_str())]);
}

#[test]
fn a_signature_that_is_altered_in_the_file_beside_the_newest_digest_is_found() {
    let signed = Signed::new();
    let newest = signed.digests().pop().unwrap();
    let beside = PathBuf::from(format!("{}.metadata.json", newest.display()));
    let mut head: Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
    let signature = head["Metadata"]["signature"].as_str().unwrap();
    let altered = signature.chars().rev().collect::<String>();
    head["Metadata"]["signature"] = altered.into();
    fs::write(&beside, head.to_string()).unwrap();
    is_told(&verified(signed.path()), "invalid", &newest, "signature verification failed");
    fs::remove_file(&beside).unwrap();
    let report = verified(signed.path());
    assert_eq!(problems(&report), [("unsigned", uri(&newest).as_str())]);
    assert_eq!(report.outcome, Outcome::Incomplete, "nothing speaks against it, and nothing proves it");
}

#[test]
fn a_signature_that_is_altered_in_a_successor_convicts_the_successor() {
    let signed = Signed::new();
    let digests = signed.digests();
    let (successor, before) = (&digests[10], &digests[9]);
    rewrite(successor, |digest| {
        let signature = digest["previousDigestSignature"].as_str().unwrap();
        digest["previousDigestSignature"] = signature.chars().rev().collect::<String>().into();
    });
    let report = verified(signed.path());
    assert_eq!(report.outcome, Outcome::Invalid);
    let (successor, before) = (uri(successor), uri(before));
    assert_eq!(problems(&report), [("invalid", successor.as_str()), ("unsigned", before.as_str())]);
}

/// A digest that no longer names a log: the log is there, and the digest is not what AWS signed.
#[test]
fn a_digest_that_is_rewritten_is_invalid() {
    let signed = Signed::new();
    let digests = signed.digests();
    let names_logs = |path: &&PathBuf| {
        let json: Value = serde_json::from_slice(&inflated(path)).unwrap();
        json["logFiles"].as_array().is_some_and(|logs| !logs.is_empty())
    };
    let digest = digests[5..].iter().find(names_logs).unwrap();
    rewrite(digest, |json| json["logFiles"] = Value::Array(vec![]));
    let report = verified(signed.path());
    assert_eq!((report.outcome, report.digests.invalid), (Outcome::Invalid, 1));
    assert_eq!(problems(&report), [("invalid", uri(digest).as_str())]);
    assert!(report.problems[0].reason.contains("is not the digest that its successor names"));
    assert!(report.unnamed.uncovered > 0, "its logs are not vouched for any more");
}

#[test]
fn digests_that_are_swapped_have_both_been_moved() {
    let signed = Signed::new();
    let digests = signed.digests();
    let (one, other) = (&digests[6], &digests[12]);
    let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    fs::write(one, second).unwrap();
    fs::write(other, first).unwrap();
    let report = verified(signed.path());
    assert_eq!(report.outcome, Outcome::Invalid);
    for path in [one, other] {
        let address = uri(path);
        let told = report.problems.iter().find(|problem| problem.object == address).unwrap();
        assert_eq!(told.state, "invalid");
        assert!(told.reason.contains("has been moved from its original location"), "{}", told.reason);
    }
    assert_eq!(report.digests.invalid, 2);
}

#[test]
fn without_the_key_nothing_is_proven_and_nothing_denied() {
    let signed = SIGNED.get();
    let report = verified_as(signed.path(), &mut PublicKeys::default(), Prune::default());
    assert_eq!(report.outcome, Outcome::Incomplete);
    assert_eq!((report.digests.valid, report.digests.invalid, report.logs.invalid), (0, 0, 0));
    assert!(report.digests.key_unknown > 0 && report.logs.valid > 0);
    assert!(report.problems[0].reason.contains("public key not found in region"), "{}", report.problems[0].reason);
}

/// The signatures of a window's last digests are named by digests beyond it.
#[test]
fn a_window_is_judged_by_itself() {
    let signed = Signed::new();
    let digests = signed.digests();
    let (early, late) = (&digests[2], &digests[20]);
    fs::remove_file(early).unwrap();
    fs::remove_file(late).unwrap();
    let window = |since: &str, until: &str| Prune {
        since: Some(since.parse().unwrap()),
        until: Some(until.parse().unwrap()),
        ..Prune::default()
    };
    let report = verified_as(signed.path(), &mut keys(), window("2026-01-05T06:00:00Z", "2026-01-05T15:00:00Z"));
    assert_eq!((report.outcome, problems(&report)), (Outcome::Valid, vec![]));
    assert!(report.digests.valid < digests.len() as u64 && report.logs.valid > 0);
    let report = verified_as(signed.path(), &mut keys(), window("2026-01-05T15:00:00Z", "2026-01-05T23:00:00Z"));
    let late = uri(late);
    assert_eq!(problems(&report)[0], ("missing", late.as_str()));
}

#[test]
fn logs_without_any_digest_are_not_vouched_for() {
    let signed = Signed::new();
    for path in signed.files("/CloudTrail-Digest/") {
        fs::remove_file(path).unwrap();
    }
    let report = verified(signed.path());
    assert_eq!((report.outcome, report.unnamed.uncovered), (Outcome::Incomplete, signed.logs().len() as u64));
}

#[test]
fn an_object_of_any_size_is_refused_before_it_is_read() {
    let signed = Signed::new();
    let (log, digest) = (log_of(&signed), signed.digests().pop().unwrap());
    for (path, size) in [(&log, STORED_BYTES_MAX + 1), (&digest, (8 << 20) + 1)] {
        let before = fs::read(path).unwrap();
        // A hole in the file, which takes no room on the disk.
        fs::File::options().write(true).open(path).unwrap().set_len(size).unwrap();
        let report = verified(signed.path());
        let address = uri(path);
        let told = report.problems.iter().find(|problem| problem.object == address).unwrap();
        assert_eq!((told.state, report.logs.invalid, report.digests.invalid), ("unreadable", 0, 0));
        assert!(told.reason.contains(&format!("it has {size} bytes")), "{}", told.reason);
        fs::write(path, before).unwrap();
    }
    assert_eq!(verified(signed.path()).outcome, Outcome::Valid);
}

#[tokio::test]
async fn the_version_that_is_told_is_the_one_that_was_read() {
    let signed = Signed::new();
    let archive = LocalArchive::open(signed.path()).unwrap();
    let place = &archive.places(&[], &[]).await.unwrap()[0];
    let day = archive.days(place, Kind::CloudTrail).await.unwrap()[0];
    let listed = archive.list(place, Kind::CloudTrail, day).await.unwrap().remove(0);
    assert_eq!(archive.read(&listed).await.unwrap().version_tag, listed.version_tag);
    fs::write(listed.uri.strip_prefix("file://").unwrap(), gzip(b"{}")).unwrap();
    let read = archive.read(&listed).await.unwrap();
    assert_eq!((&read.bytes[..], read.version_tag == listed.version_tag), (&gzip(b"{}")[..], false));
    let again = archive.list(place, Kind::CloudTrail, day).await.unwrap().remove(0);
    assert_eq!(read.version_tag, again.version_tag);
}
