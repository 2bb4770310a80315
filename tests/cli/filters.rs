//! Filters hold for records, whatever their objects are called; what they leave out is not lost to another run; and a run
//! that reads nothing is no success.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Dir, Ran, decrypt, gzip, with};

const OURS: &str = "111122223333";
const OTHERS: &str = "444455556666";

/// A call in an account and Region at a minute past nine on 2 May 2026.
fn call(id: &str, account: &str, region: &str, minute: u32) -> Value {
    let record = with(with(decrypt(id), "recipientAccountId", account), "awsRegion", region);
    with(record, "eventTime", format!("2026-05-02T09:{minute:02}:00Z"))
}

/// An export that has no name of CloudTrail's, a renamed object below a trail's folders, and a name without the underscore
/// before the date.
fn exports(dir: &Dir) {
    dir.log("export.json", &[call("a", OURS, "eu-west-1", 0), call("b", OTHERS, "us-east-1", 1)]);
    let renamed = format!("AWSLogs/{OTHERS}/CloudTrail/us-east-1/2026/05/02/renamed.json.gz");
    dir.log(&renamed, &[call("c", OTHERS, "us-east-1", 2)]);
    let old =
        format!("AWSLogs/{OURS}/CloudTrail/eu-west-1/2026/05/02/{OURS}_CloudTrail_eu-west-120260502T0905Z_b.json.gz");
    dir.log(&old, &[call("d", OURS, "eu-west-1", 3)]);
}

fn ingest(dir: &Dir, code: i32, filters: &[&str]) -> (Value, Ran) {
    let ran = dir.keytrail(["ingest", "logs"].iter().chain(filters)).format("json").code(code);
    (ran.json(), ran)
}

fn ids(dir: &Dir) -> Vec<String> {
    let rows = dir.sql("SELECT event_id FROM events ORDER BY event_id");
    rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
}

fn adds_up(account: &Value) {
    let count = |name: &str| account["records"][name].as_u64().unwrap();
    assert_eq!(count("read"), count("kept") + count("other") + count("duplicate") + count("rejected"), "{account}");
}

#[test]
fn a_record_is_kept_by_what_it_says_and_not_by_what_its_object_is_called() {
    for (filters, kept) in [
        (&[] as &[&str], vec!["a", "b", "c", "d"]),
        (&["--account", OURS, "--region", "eu-west-1"], vec!["a", "d"]),
        (&["--account", OTHERS], vec!["b", "c"]),
        (&["--region", "us-east-1", "--region", "eu-west-1"], vec!["a", "b", "c", "d"]),
        (&["--since", "2026-05-02T09:01:00Z"], vec!["b", "c", "d"]),
        (&["--until", "2026-05-02T09:01:00Z"], vec!["a"]),
        (&["--since", "2026-05-02T09:01:00Z", "--until", "2026-05-02T09:03:00Z", "--account", OTHERS], vec!["b", "c"]),
    ] {
        let dir = Dir::new();
        exports(&dir);
        let (account, _) = ingest(&dir, 0, filters);
        assert_eq!(ids(&dir), kept, "{filters:?}");
        assert_eq!(account["records"]["kept"], kept.len());
        adds_up(&account);
        // What is left out is among the other records, and counted by itself as well.
        let filtered = account["records"].get("filtered").and_then(Value::as_u64).unwrap_or_default();
        assert_eq!(account["records"]["other"], filtered);
    }
}

#[test]
fn what_a_filter_left_out_is_read_by_a_run_with_another() {
    let dir = Dir::new();
    exports(&dir);
    ingest(&dir, 0, &["--account", OURS, "--region", "eu-west-1"]);
    // The same filter, or a narrower one, has nothing to read again.
    for more in [&[] as &[&str], &["--since", "2026-05-01"]] {
        let filters = [&["--account", OURS, "--region", "eu-west-1"], more].concat();
        let (account, _) = ingest(&dir, 0, &filters);
        assert_eq!(
            (&account["records"]["read"], &account["objects"]["ingested"]),
            (&json!(0), &json!(0)),
            "{filters:?}"
        );
    }
    // Another one has. After it, the export alone was never read in full.
    ingest(&dir, 0, &["--account", OTHERS]);
    assert_eq!(ids(&dir), ["a", "b", "c", "d"]);
    let (account, _) = ingest(&dir, 0, &[]);
    assert_eq!((&account["records"]["kept"], &account["records"]["duplicate"]), (&json!(0), &json!(2)));
    adds_up(&account);
    let (account, _) = ingest(&dir, 0, &[]);
    assert_eq!((&account["objects"]["unchanged"], &account["records"]["read"]), (&json!(3), &json!(0)));
    // What was read in full needs no reading for anyone.
    let (account, _) = ingest(&dir, 0, &["--account", OURS]);
    assert_eq!(account["objects"]["ingested"], 0);
    assert_eq!(ids(&dir), ["a", "b", "c", "d"]);
}

/// A damaged object of which a filter left something out is read again for its healthy records.
#[test]
fn damage_does_not_hide_that_a_filter_left_something_out() {
    let dir = Dir::new();
    let (one, other) = (call("a", OURS, "eu-west-1", 0), call("b", OTHERS, "us-east-1", 1));
    dir.object("export.ndjson", format!("{one}\n{{\"eventSource\":\"kms.amazonaws.com\"}}\n{other}\n"));
    let (account, _) = ingest(&dir, 3, &["--account", OURS]);
    assert_eq!(
        account["records"],
        json!({"read": 3, "kept": 1, "other": 1, "duplicate": 0, "rejected": 1, "filtered": 1})
    );
    ingest(&dir, 3, &["--account", OURS]);
    ingest(&dir, 3, &[]);
    assert_eq!(ids(&dir), ["a", "b"]);
}

/// What was read in part vouches for nothing: neither for its hour nor as an object that was read as it was verified.
#[test]
fn an_object_that_was_read_in_part_shows_no_hour_to_be_seen() {
    let name = format!("{OURS}_CloudTrail_eu-west-1_20260502T0905Z_aaaaaaaaaaaaaaaa.json.gz");
    let states = |filters: &[&str]| {
        let dir = Dir::new();
        dir.log(&name, &[call("early", OURS, "eu-west-1", 1), call("late", OURS, "eu-west-1", 4)]);
        ingest(&dir, 0, filters);
        dir.sql("SELECT state, reason FROM objects")
    };
    assert_eq!(states(&[]), [json!({"state": "ingested", "reason": null})]);
    assert_eq!(
        states(&["--since", "2026-05-02T09:03:00Z"]),
        [json!({"state": "filtered", "reason": "read only with --since 2026-05-02T09:03:00Z"})]
    );
    // Nothing of it was left out by a filter that all of it passes.
    assert_eq!(states(&["--since", "2026-05-02T09:01:00Z"]), [json!({"state": "ingested", "reason": null})]);

    // The hour before the first event of what was kept is not seen for the object's sake.
    let dir = Dir::new();
    dir.log(&name, &[call("early", OURS, "eu-west-1", 1)]);
    dir.log("other.json", &[with(call("x", OURS, "eu-west-1", 0), "eventTime", "2026-05-02T15:00:00Z")]);
    ingest(&dir, 0, &["--since", "2026-05-02T09:03:00Z"]);
    let seen = dir.sql("SELECT hour, state FROM coverage WHERE state <> 'unknown' ORDER BY hour");
    assert_eq!(seen, [json!({"hour": "2026-05-02T15:00:00Z", "state": "observed"})]);
}

#[test]
fn what_is_called_like_no_log_is_read_by_its_content_and_the_rest_is_named() {
    let dir = Dir::new();
    let lines = ["a", "b", "c"].map(|id| call(id, OURS, "eu-west-1", 0).to_string());
    dir.object("kms-logs-1-2026-05-02-09-00-00-0000", lines.join("\n"));
    dir.object("kms-logs-1-2026-05-02-09-05-00-0000", gzip(call("d", OURS, "eu-west-1", 5).to_string().as_bytes()));
    dir.log("readable.json", &[call("e", OURS, "eu-west-1", 9)]);
    dir.object("README.md", "[![a badge](x)]");
    dir.object("notes.txt", "nothing");
    let (account, ran) = ingest(&dir, 0, &[]);
    assert_eq!(ids(&dir), ["a", "b", "c", "d", "e"]);
    assert_eq!((&account["objects"]["ingested"], &account["objects"]["skipped"]), (&json!(3), &json!(2)));
    let note = ran.stderr();
    assert!(
        note.contains("note: 2 objects were passed over") && note.contains("README.md") && note.contains("notes.txt"),
        "{note}"
    );
    assert!(!dir.keytrail(["ingest", "logs", "--quiet"]).ok().stderr().contains("passed over"));
}

#[test]
fn a_run_that_reads_nothing_is_no_success_and_says_why() {
    let log = [call("a", OURS, "eu-west-1", 0)];
    let named = format!("{OURS}_CloudTrail_eu-west-1_20260502T0905Z_aaaaaaaaaaaaaaaa.json.gz");
    let digest = format!("{OURS}_CloudTrail-Digest_eu-west-1_t_eu-west-1_20260502T090500Z.json.gz");
    let said = |make: &dyn Fn(&Dir), code: i32, filters: &[&str]| {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("logs")).unwrap();
        make(&dir);
        ingest(&dir, code, filters).1.stderr()
    };
    let warned = |text: String, why: &str| assert!(text.contains("warning: ") && text.contains(why), "{text}");
    warned(said(&|_| (), 3, &[]), "no log object in logs");
    warned(said(&|dir| drop(dir.object("a.txt", "x")), 3, &[]), "nothing was read: no log object in logs");
    warned(said(&|dir| drop(dir.object(&digest, gzip(b"{}"))), 3, &[]), "digests, Insights or aggregated events");
    let one = |dir: &Dir| drop(dir.log(&named, &log));
    warned(said(&one, 3, &["--account", OTHERS]), "no log object of that account and Region in logs: 1 are of others");
    warned(said(&one, 3, &["--region", "eu-west-2"]), "no log object of that account and Region in logs");
    let export = |dir: &Dir| drop(dir.log("export.json", &log));
    warned(
        said(&export, 3, &["--account", OTHERS]),
        "no record of that account, Region and time in logs: all 1 are of others",
    );
    // Logs of the account at another time show that the source is the right one.
    let note = said(&one, 0, &["--since", "2026-06-01"]);
    assert!(note.contains("note: nothing was delivered in that time to logs") && !note.contains("warning"), "{note}");
}

#[test]
fn a_run_that_finds_everything_unchanged_is_a_success() {
    let dir = Dir::new();
    exports(&dir);
    ingest(&dir, 0, &[]);
    let (account, ran) = ingest(&dir, 0, &[]);
    assert_eq!((&account["objects"]["unchanged"], ran.stderr().as_str()), (&json!(3), ""));
}

/// Denials by a VPC endpoint's policy are delivered beside a trail's other events.
#[test]
fn network_activity_is_read_where_it_is_and_insights_are_not() {
    let dir = Dir::new();
    for kind in ["CloudTrail", "CloudTrail-NetworkActivity", "CloudTrail-Insight", "CloudTrail-Aggregated"] {
        let folder = format!("AWSLogs/{OURS}/{kind}/eu-west-1/2026/05/02");
        let name = format!("{folder}/{OURS}_{kind}_eu-west-1_20260502T0905Z_aaaaaaaaaaaaaaaa.json.gz");
        dir.log(&name, &[call(kind, OURS, "eu-west-1", 0)]);
    }
    let (account, ran) = ingest(&dir, 0, &[]);
    assert_eq!((&account["objects"]["ingested"], &account["objects"]["skipped"]), (&json!(2), &json!(2)));
    let kinds = dir.sql("SELECT kind FROM objects ORDER BY kind");
    assert_eq!(kinds, [json!({"kind": "CloudTrail"}), json!({"kind": "CloudTrail-NetworkActivity"})]);
    assert_eq!(ran.stderr(), "", "it is no news that Insights are not read");
}
