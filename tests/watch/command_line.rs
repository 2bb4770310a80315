//! What a user asks for, against receivers of every mood.

use std::fs;

use serde_json::Value;

use super::receiver::{Answer, Receiver};
use super::{each_once, once, open, root_uses, rooted};
use crate::support::Dir;

#[test]
fn a_receiver_that_fails_hangs_and_comes_back_is_told_each_finding_once() {
    let dir = rooted(3);
    let script = [Answer::Status(500), Answer::Hang, Answer::Close, Answer::Status(200)];
    let receiver = Receiver::start(script);
    let url = receiver.url();
    let to = ["--webhook", &url, "--notify-timeout", "1"];
    let ran = once(&dir, &to).ok();
    assert_eq!(ran.json()["notifications"][0]["findings"], 3);
    assert_eq!(ran.json()["notifications"][0]["failed_attempts"], 3);
    assert_eq!(open(&dir).len(), 3);
    each_once(&receiver.taken(), &open(&dir));
    let requests = receiver.received();
    assert_eq!(requests.len(), 4);
    for one in &requests {
        assert_eq!(one.path, "/services/T0/s3cr3t-token");
        assert_eq!(one.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(one.body, requests[0].body, "an attempt says what the first one said");
        assert_eq!(one.header("idempotency-key"), requests[0].header("idempotency-key"));
        assert_eq!(one.header("idempotency-key"), one.body["idempotency_key"].as_str());
        assert_eq!(one.body["schema"], "keytrail-notification/1");
        assert_eq!(one.body["lake"], "lake", "a name, and no path");
    }
    let finding = &requests[0].body["findings"][0];
    assert_eq!((&finding["detector"], &finding["severity"]), (&"root-uses-key".into(), &"high".into()));
    assert_eq!(finding["principal"], "arn:aws:iam::111122223333:root");

    // Nothing is new, so nothing is told.
    once(&dir, &to).ok();
    assert_eq!(receiver.received().len(), 4);

    // A key that root had not used, and one more use of one that it had.
    dir.log("b.json.gz", &[root_uses(3, "2026-01-05T13:00:00Z"), root_uses(0, "2026-01-05T13:00:00Z")]);
    once(&dir, &to).ok();
    let requests = receiver.received();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[4].fingerprints().len(), 1);
    assert_ne!(requests[4].header("idempotency-key"), requests[0].header("idempotency-key"));
    each_once(&receiver.taken(), &open(&dir));
}

/// A source that has nothing, perhaps mistyped, is no success.
#[test]
fn a_run_over_nothing_is_incomplete_and_says_so() {
    let dir = Dir::new();
    fs::create_dir_all(dir.join("logs")).unwrap();
    fs::write(dir.join("logs/README"), "nothing").unwrap();
    let ran = once(&dir, &["--notify-file", "notes.ndjson"]).code(3);
    assert!(ran.stderr().contains("nothing was read: no log object in logs"), "{}", ran.stderr());
}

#[test]
fn what_a_receiver_does_not_take_is_told_by_the_next_run() {
    let dir = rooted(2);
    let receiver = Receiver::start([]);
    receiver.always(Answer::Status(502));
    let url = receiver.url();
    let ran = once(&dir, &["--webhook", &url]).code(3);
    assert_eq!(receiver.received().len(), 5, "five attempts are a round");
    assert_eq!(ran.json()["notifications"][0]["left"], 2);
    assert!(ran.stderr().contains("warning: webhook: 2 to be told later: it answered 502"), "{}", ran.stderr());
    assert!(dir.sql("SELECT * FROM notifications").is_empty());
    receiver.always(Answer::Status(204));
    once(&dir, &["--webhook", &url]).ok();
    each_once(&receiver.taken(), &open(&dir));
}

#[test]
fn a_refusal_is_not_tried_again_within_the_round_nor_is_a_redirect_followed() {
    let dir = rooted(1);
    let elsewhere = Receiver::start([]);
    let receiver = Receiver::start([Answer::Status(403), Answer::Status(408), Answer::Status(400)]);
    let url = receiver.url();
    let told = once(&dir, &["--webhook", &url]).code(3).stderr();
    assert!(told.contains("it answered 403"), "{told}");
    assert_eq!(receiver.received().len(), 1);
    // 408 is a server's own impatience, and worth another attempt; 400 is none.
    once(&dir, &["--webhook", &url]).code(3);
    assert_eq!(receiver.received().len(), 3);
    let location: &'static str = Box::leak(format!("Location: {}", elsewhere.url()).into_boxed_str());
    receiver.always(Answer::With(302, location));
    once(&dir, &["--webhook", &url]).code(3);
    assert_eq!((receiver.received().len(), elsewhere.received().len()), (4, 0));
    receiver.always(Answer::Status(200));
    once(&dir, &["--webhook", &url]).ok();
    each_once(&receiver.taken(), &open(&dir));
}

#[test]
fn a_channel_that_fails_keeps_no_other_from_its_findings() {
    let dir = rooted(2);
    let receiver = Receiver::start([]);
    receiver.always(Answer::Status(500));
    let url = receiver.url();
    let channels = ["--webhook", &url, "--command", "exit 1", "--notify-file", "told.ndjson"];
    let ran = once(&dir, &channels).code(3);
    let sent = ran.json()["notifications"].clone();
    let left: Vec<(&str, i64)> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["channel"].as_str().unwrap(), one["left"].as_i64().unwrap()))
        .collect();
    assert_eq!(left, [("webhook", 2), ("command", 2), ("file", 0)]);
    each_once(&fingerprints(&dir, "told.ndjson"), &open(&dir));
    // The one that comes back is told; the one that was told is not told again.
    receiver.always(Answer::Status(200));
    once(&dir, &channels).code(3);
    each_once(&receiver.taken(), &open(&dir));
    each_once(&fingerprints(&dir, "told.ndjson"), &open(&dir));
}

/// Fingerprints of a file of findings, a line each.
fn fingerprints(dir: &Dir, file: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join(file)).unwrap();
    assert!(text.ends_with('\n'));
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["fingerprint"].as_str().unwrap().to_owned();
    text.lines().map(line).collect()
}

#[test]
fn a_command_reads_the_message_and_another_command_is_another_channel() {
    let dir = rooted(2);
    once(&dir, &["--command", "cat > told.json; echo noise"]).ok();
    let told: Value = serde_json::from_slice(&fs::read(dir.join("told.json")).unwrap()).unwrap();
    let findings = told["findings"].as_array().unwrap();
    let told = findings.iter().map(|finding| finding["fingerprint"].as_str().unwrap().to_owned());
    each_once(&told.collect::<Vec<_>>(), &open(&dir));
    // The first is not run again, the second is told everything.
    fs::remove_file(dir.join("told.json")).unwrap();
    once(&dir, &["--command", "cat > told.json; echo noise"]).ok();
    assert!(!dir.join("told.json").exists());
    once(&dir, &["--command", "cat > other.json"]).ok();
    assert!(dir.join("other.json").exists());
}

#[test]
fn what_is_not_bad_enough_or_accepted_is_not_told() {
    let dir = rooted(2);
    once(&dir, &["--notify-file", "told.ndjson", "--severity", "critical"]).ok();
    assert!(!dir.join("told.ndjson").exists());
    let accepted = "[[accept]]\ndetector = \"root-uses-key\"\nkey = \"*:key/00000000-0000-0000-0000-000000000001\"\n\
                    reason = \"known\"\nuntil = 2099-01-01\n";
    fs::write(dir.join("keytrail.toml"), accepted).unwrap();
    once(&dir, &["--notify-file", "told.ndjson"]).ok();
    assert_eq!(fingerprints(&dir, "told.ndjson").len(), 1);
    // What is accepted no more is news.
    fs::remove_file(dir.join("keytrail.toml")).unwrap();
    once(&dir, &["--notify-file", "told.ndjson"]).ok();
    each_once(&fingerprints(&dir, "told.ndjson"), &open(&dir));
}

#[test]
fn a_log_that_cannot_be_read_is_exit_code_3_and_keeps_nobody_from_being_told() {
    let dir = rooted(1);
    dir.object("damaged.json.gz", "no log");
    once(&dir, &["--notify-file", "told.ndjson"]).code(3);
    each_once(&fingerprints(&dir, "told.ndjson"), &open(&dir));
}

#[test]
fn wrong_usage_is_told_before_anything_is_read() {
    let dir = rooted(1);
    for (arguments, said) in [
        (&[][..], "there is nobody to tell"),
        (&["--webhook", "no-url"], "the webhook cannot be used"),
        (&["--webhook", "https://hooks.slack.com/services/T0/B0/x"], "hint: give --webhook-format slack"),
        (&["--command", "true", "--detect-each", "soon"], "soon"),
        (&["--command", "true", "--only", "no-such"], "no-such is no detector"),
    ] {
        let told = dir.keytrail(["watch", "logs"]).args(arguments).code(2).stderr();
        assert!(told.contains(said), "{told}");
    }
    assert!(!dir.lake().join("events").exists());
    dir.keytrail(["watch", "nowhere", "--command", "true"]).code(2);
}

/// Who used a key, and how often is bad.
const USERS: &str = r#"-- ---
-- title = "Somebody used a key"
-- severity = "medium"
-- message = "{principal} used {key_arn} {events} times"
-- params.since = { type = "timestamp", required = true, doc = "from" }
-- params.until = { type = "timestamp", required = true, doc = "until" }
-- ---
-- ## What it does
-- Names everyone who used a key.
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region,
    min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events,
    array_agg(event_id ORDER BY event_time, event_id) AS evidence,
    CAST(NULL AS VARCHAR) AS detail,
    CASE WHEN count(*) >= 3 THEN 'high' END AS severity
FROM usage
WHERE event_time >= $since AND event_time < $until
GROUP BY key_arn, principal
"#;

#[test]
fn what_gets_worse_and_what_ends_and_comes_back_is_told_again() {
    let dir = rooted(1);
    fs::create_dir_all(dir.join("queries/detectors")).unwrap();
    let detector = dir.join("queries/detectors/users.sql");
    let told = |expected: &[&str]| {
        let watch =
            ["--queries", "queries", "watch", "logs", "--only", "users", "--once", "--notify-file", "told.ndjson"];
        dir.keytrail(watch).ok();
        let text = fs::read_to_string(dir.join("told.ndjson")).unwrap();
        let severity =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["severity"].as_str().unwrap().to_owned();
        assert_eq!(text.lines().map(severity).collect::<Vec<_>>(), expected);
    };
    fs::write(&detector, USERS).unwrap();
    told(&["medium"]);
    told(&["medium"]);
    let more = ["2026-01-05T13:00:00Z", "2026-01-05T14:00:00Z"].map(|time| root_uses(0, time));
    dir.log("b.json.gz", &more);
    told(&["medium", "high"]);
    // Nothing is found, so it ends; nothing of that is told.
    fs::write(&detector, format!("{USERS}HAVING count(*) > 100\n")).unwrap();
    told(&["medium", "high"]);
    assert_eq!(open(&dir).len(), 0);
    // It is met again without a later event: that is no news. With one it is.
    fs::write(&detector, USERS).unwrap();
    told(&["medium", "high"]);
    dir.log("c.json.gz", &[root_uses(0, "2026-01-05T15:00:00Z")]);
    told(&["medium", "high", "high"]);
    told(&["medium", "high", "high"]);
    let lines = fs::read_to_string(dir.join("told.ndjson")).unwrap();
    let opened: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["opened_at"].clone()).collect();
    assert!(opened[0] == opened[1] && opened[1] != opened[2], "{opened:?}");
}

/// Every detector that there is, as a user runs it.
#[test]
fn all_detectors_are_run_and_everything_that_they_found_is_told() {
    let dir = rooted(1);
    dir.keytrail(["watch", "logs", "--once", "--severity", "info", "--notify-file", "told.ndjson"]).ok();
    each_once(&fingerprints(&dir, "told.ndjson"), &open(&dir));
    let evaluated = dir.sql("SELECT count(*) AS n FROM detections")[0]["n"].as_i64().unwrap();
    assert!(evaluated > 20, "{evaluated}");
}
