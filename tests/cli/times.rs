//! Times that cannot be: what is said to be of one is kept and named, and decides nothing.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Dir, KEY, decrypt, with};

const PRINCIPAL: &str = "arn:aws:iam::111122223333:user/alice";

/// So many days from now.
fn ahead(days: i64) -> String {
    (Utc::now() + TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn impossible() -> [String; 4] {
    ["0000-01-01T00:00:00Z".into(), "2012-12-31T23:59:59Z".into(), "9999-12-31T23:59:59Z".into(), ahead(200)]
}

/// Three calls on one day, and those at these times in an object of their own or in the same.
fn lake(times: &[String], in_one_object: bool) -> Dir {
    let dir = Dir::new();
    let mut records: Vec<Value> = (8..11)
        .map(|hour| with(decrypt(&format!("t{hour}")), "eventTime", format!("2026-01-05T{hour:02}:00:00Z")))
        .collect();
    let strange =
        times.iter().enumerate().map(|(at, time)| with(decrypt(&format!("x{at}")), "eventTime", time.as_str()));
    if in_one_object {
        records.extend(strange);
    } else {
        let strange: Vec<Value> = strange.collect();
        if !strange.is_empty() {
            dir.log("strange.json", &strange);
        }
    }
    dir.log("a.json", &records);
    dir.keytrail(["ingest", "logs"]).ok();
    dir
}

/// Questions of every kind. Each is answered as if the others were not there.
const QUESTIONS: [&[&str]; 10] = [
    &["query", "key-profile", "--param", "key_arn=KEY"],
    &["query", "principal-profile", "--param", "principal=PRINCIPAL"],
    &["query", "keys"],
    &["query", "span"],
    &["report", "--incident", "--key", "KEY"],
    &["who", "KEY"],
    &["timeline", "--key", "KEY", "--chain"],
    &["chain", "t9"],
    &["coverage"],
    &["detect", "--no-save", "--until", "2026-01-06", "--only", "unused-key", "--only", "unexpected-decryptor"],
];

fn asked(question: &[&str]) -> Vec<String> {
    question.iter().map(|word| word.replace("KEY", KEY).replace("PRINCIPAL", PRINCIPAL)).collect()
}

/// An answer without the digests of the log objects and the lake's version, which are not the same; and its notes.
fn answer(dir: &Dir, question: &[&str]) -> (String, String) {
    let form = if question.contains(&"--incident") { "markdown" } else { "ndjson" };
    let ran = dir.keytrail(asked(question)).format(form).code_among(&[0, 1, 3]);
    // One more object may be one more commit.
    let told = dir.mask(&ran.stdout()).replace("Lake version 2.", "Lake version 1.");
    let told = told.replace("\"lake_version\":2", "\"lake_version\":1");
    (told.split("## Evidence").next().unwrap().to_owned(), ran.stderr())
}

#[test]
fn no_answer_depends_on_a_record_of_an_impossible_time() {
    let clean = lake(&[], true);
    let answers: Vec<String> = QUESTIONS.iter().map(|question| answer(&clean, question).0).collect();
    let all = impossible();
    for (times, in_one_object) in [(&all[..], true), (&all[2..3], false)] {
        let dir = lake(times, in_one_object);
        for (question, expected) in QUESTIONS.iter().zip(&answers) {
            let (told, notes) = answer(&dir, question);
            assert_eq!(told, *expected, "{question:?} {times:?} {in_one_object}");
            let (count, are) = if times.len() == 1 { ("1 event has", "is") } else { ("4 events have", "are") };
            let note = format!("note: {count} a time outside 2013-01-01 to {} and {are} left out: ", &ahead(1)[..10]);
            assert_eq!(notes.matches(&note).count(), 1, "{question:?}: {notes}");
            assert!(notes.contains("`keytrail query impossible-times` shows them"), "{question:?}: {notes}");
        }
    }
}

/// A window after the end of the logs is a question like any other, to which there is no answer.
#[test]
fn a_window_after_the_logs_have_ended_is_no_wrong_usage() {
    let dir = Dir::new();
    dir.ingest(dir.log("a.json", &[decrypt("a")]));
    let detect = ["detect", "--no-save", "--only", "root-uses-key", "--fail-on", "low", "--since", "2026-02-01"];
    let ran = dir.keytrail(detect).code(3);
    assert!(ran.stderr().contains("days ago, before the window begins"), "{}", ran.stderr());
    let ran = dir.keytrail(["coverage", "--region", "nowhere"]).code(3);
    assert!(
        ran.stderr().contains("the lake has no data for the account, Region and time asked for"),
        "{}",
        ran.stderr()
    );
    let ran = dir.keytrail(["query", "key-usage", "--param", "since=2026-02-01"]).ok();
    assert!(ran.stderr().contains("note: no matches\n"), "{}", ran.stderr());
}

#[test]
fn an_impossible_time_is_kept_and_found() {
    let dir = lake(&impossible(), true);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 7);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM kms_events")[0]["n"], 3);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM usage")[0]["n"], 3);
    let rows = dir.keytrail(["query", "impossible-times"]).format("ndjson").ok().ndjson();
    let ids: Vec<&str> = rows.iter().map(|row| row["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["x0", "x1", "x3", "x2"]);
    assert_eq!((rows[0]["key"].as_str(), rows[0]["in_all"].as_u64()), (Some(KEY), Some(4)));
    // A use of a key whose time is not known is still a use of it.
    let uses = dir.sql("SELECT key_arn, count(*) AS n FROM untimely_uses GROUP BY key_arn");
    assert_eq!(uses, [json!({"key_arn": KEY, "n": 4})]);
    // Its record is found as any other.
    assert_eq!(dir.keytrail(["event", "x2"]).format("json").ok().json()[0]["event_id"], "x2");
    for id in ["x0", "x2"] {
        let chain = dir.keytrail(["chain", id]).format("json").ok().json();
        assert_eq!(chain["subject"]["event_id"], id);
    }
}

#[test]
fn ingest_names_what_it_keeps_and_leaves_out_of_answers() {
    let dir = Dir::new();
    dir.log("a.json", &[decrypt("e"), with(decrypt("x"), "eventTime", "9999-12-31T23:59:59Z")]);
    dir.log("b.json", &[decrypt("f")]);
    let ran = dir.keytrail(["ingest", "logs"]).ok();
    assert!(ran.stderr().contains("note: 1 object holds events of a time that cannot be"), "{}", ran.stderr());
    assert!(dir.keytrail(["ingest", "logs", "--full"]).ok().stderr().is_empty(), "it is told once");
}

#[test]
fn an_event_that_is_ahead_does_not_hide_that_the_logs_ended() {
    for in_one_object in [true, false] {
        for times in [vec![ahead(200)], vec!["9999-12-31T23:59:59Z".to_owned()]] {
            let dir = lake(&times, in_one_object);
            let ran =
                dir.keytrail(["detect", "--no-save", "--only", "key-disabled", "--fail-on", "low"]).code_among(&[1, 3]);
            assert!(ran.stderr().contains("the logs end at 2026-01-05T10:00:01Z"), "{times:?}: {}", ran.stderr());
            // A window behind their end has no event, whatever one of them says of itself.
            let detect = ["detect", "--no-save", "--only", "key-disabled", "--fail-on", "low"];
            let ran = dir.keytrail(detect).args(["--since", "2026-02-01", "--until", "9999-12-31"]).code(3);
            assert!(ran.stderr().contains("the lake has no event of the window"), "{times:?}: {}", ran.stderr());
        }
    }
}

#[test]
fn an_end_that_is_open_is_no_error() {
    let dir = lake(&[], true);
    for (since, until) in [("2026-01-05", "9999-12-31"), ("0000-01-01", "9999-12-31T23:59:59Z")] {
        for question in [
            &["query", "key-profile", "--param", "key_arn=KEY"][..],
            &["query", "coverage"],
            &["who", "KEY"],
            &["report", "--incident", "--key", "KEY"],
        ] {
            let mut words = asked(question);
            let pairs = [format!("since={since}"), format!("until={until}")];
            if question[0] == "query" {
                words.extend(pairs.iter().flat_map(|pair| ["--param".to_owned(), pair.clone()]));
            } else {
                words.extend([format!("--since={since}"), format!("--until={until}")]);
            }
            let form = if question.contains(&"--incident") { "markdown" } else { "ndjson" };
            dir.keytrail(&words).format(form).code_among(&[0, 3]);
        }
        let window = [format!("--since={since}"), format!("--until={until}")];
        // A report runs every detector.
        dir.keytrail(["report"]).args(&window).format("json").code_among(&[0, 1, 3]);
        // No verdict is about an instant that is still to come.
        let refused = dir.keytrail(["check-deletion", KEY, &window[1]]).code(2);
        assert!(refused.stderr().contains("no log is of that time"), "{}", refused.stderr());
    }
}

/// What a session says of its own beginning is the log's word too.
#[test]
fn a_session_that_began_at_an_impossible_time_is_no_error() {
    for began in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        let dir = Dir::new();
        let identity = json!({
            "type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLE12:s", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/r/s", "accessKeyId": "ASIAEXAMPLEEXAMPLE12",
            "sessionContext": {
                "attributes": {"creationDate": began, "mfaAuthenticated": "false"},
                "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLEEXAMPLE12",
                    "arn": "arn:aws:iam::111122223333:role/r", "accountId": "111122223333", "userName": "r"},
            },
        });
        dir.log("a.json", &[with(decrypt("e"), "userIdentity", identity)]);
        dir.keytrail(["ingest", "logs"]).ok();
        dir.keytrail(["chain", "e"]).code_among(&[0, 1, 3]);
        dir.keytrail(["timeline", "--key", KEY, "--chain"]).ok();
        dir.keytrail(["query", "key-profile", "--param", &format!("key_arn={KEY}")]).ok();
        dir.keytrail(["report", "--incident", "--key", KEY]).format("markdown").code_among(&[0, 3]);
        dir.keytrail(["detect", "--no-save", "--only", "unexpected-decryptor"]).code_among(&[0, 3]);
        dir.sql("SELECT * FROM sessions");
    }
}
