//! Session tokens, which CloudTrail logs in full: they stay in the object that they came in.

use serde_json::{Value, json};

use super::content;
use crate::support::{Dir, decrypt, with};

const TOKEN: &str = "FwoGZXIvYXdzEBYaDHqa0AP";

/// An `AssumeRole` that answers with a token, and lacks its time unless it is to be kept.
fn assume_role(id: &str, time: Option<&str>) -> Value {
    let mut record = with(with(decrypt(id), "eventSource", "sts.amazonaws.com"), "eventName", "AssumeRole");
    record["eventTime"] = json!(time);
    record["responseElements"] = json!({"credentials": {"accessKeyId": "ASIAEXAMPLE", "sessionToken": TOKEN}});
    record
}

/// Reads a document and returns all that keytrail wrote about it: the lake's tables, and what it said.
fn everything_about(text: &str) -> String {
    let dir = Dir::new();
    dir.object("a.json", text);
    let ran = dir.keytrail(["ingest", "logs", "-v"]).format("json").code(3);
    let mut told = ran.stdout() + &ran.stderr();
    for table in ["events", "objects"] {
        told += &dir.keytrail(["sql", &format!("SELECT * FROM {table}")]).format("ndjson").ok().stdout();
    }
    for (_, reject) in content(&dir).rejects {
        told += &String::from_utf8_lossy(&reject.raw.unwrap_or_default());
    }
    told
}

#[test]
fn a_token_leaves_no_object_whether_its_record_is_kept_rejected_broken_or_cut() {
    let kept = assume_role("kept", Some("2026-01-05T12:00:00Z")).to_string();
    let timeless = assume_role("timeless", None).to_string();
    let broken = timeless.replace("\"readOnly\":true", "\"readOnly\":yes");
    let cut = &timeless[..timeless.find(TOKEN).unwrap() + 10];
    let told = everything_about(&format!("[{kept},{timeless},{broken},{cut}"));
    assert!(told.contains("ASIAEXAMPLE") && told.contains("REDACTED"), "{told}");
    assert!(!told.contains(&TOKEN[..10]), "{told}");
}

/// A rejected record with a token in this spelling.
fn is_kept_to_itself(member: &str) {
    let record = assume_role("timeless", None).to_string();
    let record = record.replace(&format!("\"sessionToken\":\"{TOKEN}\""), member);
    assert!(record.contains(member));
    let told = everything_about(&format!("[{record}]"));
    assert!(told.contains("REDACTED") && !told.contains(TOKEN), "{told}");
}

#[test]
fn a_token_of_a_rejected_record_is_found_among_spaces_and_escapes() {
    is_kept_to_itself(&format!("\"sessionToken\" :\r\n \"{TOKEN}\""));
    is_kept_to_itself(&format!("\"SessionToken\":\"\\\"{TOKEN}\""));
}

#[test]
fn a_token_of_a_rejected_record_is_found_in_any_case() {
    is_kept_to_itself(&format!("\"SESSIONTOKEN\":\"{TOKEN}\""));
    is_kept_to_itself(&format!("\"sessiontoken\":\"{TOKEN}\""));
}

#[test]
fn a_token_of_a_rejected_record_is_found_behind_an_escaped_name() {
    is_kept_to_itself(&format!("\"session\\u0054oken\":\"{TOKEN}\""));
}

#[test]
fn a_token_of_a_rejected_record_is_found_inside_an_object() {
    is_kept_to_itself(&format!("\"sessionToken\":{{\"value\":\"{TOKEN}\"}}"));
}

#[test]
fn a_token_of_a_rejected_record_is_found_in_json_inside_a_text() {
    is_kept_to_itself(&format!("\"answer\":\"{{\\\"sessionToken\\\":\\\"{TOKEN}\\\"}}\""));
}

#[test]
fn a_secret_key_of_a_rejected_record_is_masked_as_in_a_kept_one() {
    is_kept_to_itself(&format!("\"secretAccessKey\":\"{TOKEN}\""));
}
