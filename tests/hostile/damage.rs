//! Damaged objects and records, one kind at a time.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{Harm, Reject};
use crate::support::{Dir, decrypt, gzip, with};

/// A document of these texts as records.
fn document(records: &[&str]) -> String {
    format!("{{\"Records\":[{}]}}", records.join(","))
}

/// A document with a healthy record on either side of this text.
fn between(record: &[u8]) -> Vec<u8> {
    let [one, two] = ["one", "two"].map(|id| decrypt(id).to_string());
    [b"{\"Records\":[", one.as_bytes(), b",", record, b",", two.as_bytes(), b"]}"].concat()
}

fn kept() -> Vec<String> {
    vec!["one".to_owned(), "two".to_owned()]
}

/// A record in the midst of an object that cannot be used, alone.
fn bad_record(record: &[u8], reason: &'static str, raw: &[u8]) {
    Harm {
        object: "m.json.gz",
        bytes: gzip(&between(record)),
        state: "partial",
        reason,
        kept: kept(),
        rejects: vec![Reject::record(1, reason, raw)],
    }
    .check();
}

/// An object of which nothing can be used.
fn bad_object(bytes: &[u8], reason: &'static str, raw: &[u8]) {
    let rejects = vec![Reject::object(reason, raw)];
    Harm { object: "m.json.gz", bytes: bytes.to_vec(), state: "rejected", reason, kept: Vec::new(), rejects }.check();
}

#[test]
fn an_empty_file_is_rejected() {
    bad_object(b"", "empty object", b"");
}

#[test]
fn a_gzip_of_nothing_is_rejected() {
    bad_object(&gzip(b""), "empty object", b"");
}

#[test]
fn what_is_no_gzip_and_no_json_is_rejected() {
    bad_object(b"<html>not found</html>", "neither gzip nor JSON", b"<html>not found</html>");
}

#[test]
fn a_gzip_of_something_else_is_rejected() {
    bad_object(&gzip(b"PK\x03\x04"), "gzip of something that is not JSON", b"PK\x03\x04");
}

/// Cut in the middle of its bytes. How much of it can be inflated is for the inflater; that all of it is used is not.
#[test]
fn the_readable_part_of_a_cut_gzip_is_kept() {
    let dir = Dir::new();
    // Ids that do not compress, so that half of the bytes hold about half of the records.
    let ids: Vec<String> =
        (0..400_u64).map(|index| format!("{:016x}", (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let records: Vec<String> = ids.iter().map(|id| decrypt(id).to_string()).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let bytes = gzip(document(&records).as_bytes());
    dir.object("m.json.gz", &bytes[..bytes.len() / 2]);
    let account = dir.ingest_damaged();
    let kept = usize::try_from(account["records"]["kept"].as_u64().unwrap()).unwrap();
    assert!((50..350).contains(&kept), "{account}");
    assert_eq!(account["records"], json!({"read": kept + 1, "kept": kept, "other": 0, "duplicate": 0, "rejected": 1}));
    assert_eq!(account["rejects"][0]["reason"], "gzip ends too early");
    let mut expected: Vec<Value> = ids[..kept].iter().map(|id| json!({"event_id": id})).collect();
    expected.sort_by_key(|row| row["event_id"].to_string());
    assert_eq!(dir.sql("SELECT event_id FROM events ORDER BY event_id"), expected);
    let rejects = dir.sql("SELECT record_index, reason FROM rejects ORDER BY record_index");
    let expected = [
        json!({"record_index": kept, "reason": "the object ends inside a record"}),
        json!({"record_index": null, "reason": "gzip ends too early"}),
    ];
    assert_eq!(rejects, expected);
    assert_eq!(dir.ingest_damaged()["objects"]["unchanged_damaged"], 1);
}

#[test]
fn bytes_behind_a_gzip_are_named_and_its_records_kept() {
    let reason = "unexpected data after the end of the gzip stream";
    let bytes = gzip(document(&[&decrypt("one").to_string(), &decrypt("two").to_string()]).as_bytes());
    let bytes = [bytes, b"trailing".to_vec()].concat();
    let rejects = vec![Reject::object(reason, b"")];
    Harm { object: "m.json.gz", bytes, state: "partial", reason, kept: kept(), rejects }.check();
}

#[test]
fn json_that_breaks_off_is_kept_up_to_there() {
    let reason = "the object ends inside a record";
    let cut = decrypt("cut").to_string();
    let cut = &cut[..cut.len() / 2];
    let bytes = format!("{{\"Records\":[{},{},{cut}", decrypt("one"), decrypt("two")).into_bytes();
    let rejects = vec![Reject::record(2, reason, cut)];
    Harm { object: "m.json", bytes, state: "partial", reason, kept: kept(), rejects }.check();
}

/// The scan stops at the first thing that JSON does not have, and finds the next record behind it.
#[test]
fn json_that_breaks_in_the_middle_goes_on_behind() {
    let record = decrypt("broken").to_string().replace("\"readOnly\":true", "\"readOnly\":yes");
    let broken = &record[..=record.find(":yes").unwrap()];
    bad_record(record.as_bytes(), "broken JSON", broken.as_bytes());
}

#[test]
fn a_record_without_a_time_is_rejected() {
    let mut record = decrypt("timeless");
    record.as_object_mut().unwrap().remove("eventTime");
    let record = record.to_string();
    bad_record(record.as_bytes(), "no readable eventTime", record.as_bytes());
}

#[test]
fn a_record_whose_time_is_no_time_is_rejected() {
    let record = with(decrypt("untimely"), "eventTime", "Apr 12, 2021 18:58:30 PM").to_string();
    bad_record(record.as_bytes(), "no readable eventTime", record.as_bytes());
}

/// Kept aside are its first 256 KiB.
#[test]
fn a_record_of_300_kilobytes_is_rejected() {
    let record = with(decrypt("long"), "userAgent", "x".repeat(300 * 1024)).to_string();
    bad_record(record.as_bytes(), "record longer than 256 KiB", &record.as_bytes()[..256 * 1024]);
}

#[test]
fn a_record_nested_ten_thousand_deep_is_rejected() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let record =
        decrypt("deep").to_string().replace("\"responseElements\":null", &format!("\"responseElements\":{deep}"));
    let start = record.find("[[").unwrap();
    bad_record(record.as_bytes(), "record nested deeper than 127 levels", &record.as_bytes()[..start + 126]);
}

#[test]
fn a_record_that_is_not_utf8_is_rejected() {
    let record = decrypt("latin").to_string().into_bytes();
    let at = record.windows(7).position(|bytes| bytes == b"aws-cli").unwrap();
    let record = [&record[..at], b"\xE9\xFF", &record[at..]].concat();
    bad_record(&record, "invalid UTF-8", &record);
}

/// A bomb inflates to far more than is allowed; what fits is read, the rest is not.
#[test]
fn a_gzip_bomb_is_read_as_far_as_is_allowed() {
    let reason = "inflates to more than the 100000 bytes that --max-object-bytes allows";
    let document = document(&[&decrypt("one").to_string(), &decrypt("two").to_string()]);
    let bytes = gzip(&[document.as_bytes(), &vec![b' '; 4 << 20]].concat());
    assert!(bytes.len() < 100_000);
    let dir = Dir::new();
    dir.object("m.json.gz", &bytes);
    let rejects = vec![Reject::object(reason, b"")];
    Harm { object: "m.json.gz", bytes, state: "partial", reason, kept: kept(), rejects }
        .check_in(&dir, &["--max-object-bytes", "100000"]);
}

/// An object that cannot be opened, whoever asks: root reads files that forbid it, but nobody reads a link to nowhere.
fn unreadable(target: &str, reason: &'static str) {
    let dir = Dir::new();
    let link = dir.object("m.json.gz", "");
    std::fs::remove_file(&link).unwrap();
    symlink(target, &link).unwrap();
    let rejects = vec![Reject { index: None, reason: reason.to_owned(), raw: None }];
    let (object, bytes) = ("m.json.gz", Vec::new());
    Harm { object, bytes, state: "rejected", reason, kept: Vec::new(), rejects }.check_in(&dir, &[]);
}

#[test]
fn a_link_to_nowhere_is_named_at_every_run() {
    unreadable("nowhere.json.gz", "unreadable: No such file or directory (os error 2)");
}

#[test]
fn a_link_to_itself_is_named_at_every_run() {
    unreadable("m.json.gz", "unreadable: Too many levels of symbolic links (os error 40)");
}

/// An object that was unreadable and is not any more.
#[test]
fn an_object_that_becomes_readable_is_read() {
    let dir = Dir::new();
    let link = dir.object("m.json.gz", "");
    std::fs::remove_file(&link).unwrap();
    symlink(dir.join("late.json.gz"), &link).unwrap();
    assert_eq!(dir.ingest_damaged()["objects"]["rejected"], 1);
    std::fs::write(dir.join("late.json.gz"), gzip(document(&[&decrypt("late").to_string()]).as_bytes())).unwrap();
    assert_eq!(dir.ingest("logs")["records"]["kept"], 1);
    assert_eq!(dir.ingest("logs")["objects"]["unchanged"], 1);
}
