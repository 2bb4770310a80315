//! Runs that end at a bad moment, and runs that go on for long.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use super::receiver::{Answer, Receiver};
use super::{each_once, once, open, root_uses, rooted, until, watch};
use crate::support::Ran;

/// The commit by which the lake first says that something was told.
const FIRST_ROWS: &str = "notifications/_delta_log/00000000000000000001.json";

/// Asks it to end, and waits until it has; what it said is drained meanwhile.
fn stopped(mut child: Child) -> Ran {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let mut said = child.stderr.take().unwrap();
    let drain = std::thread::spawn(move || {
        let mut text = Vec::new();
        said.read_to_end(&mut text).unwrap();
        text
    });
    let mut output = child.wait_with_output().unwrap();
    output.stderr = drain.join().unwrap();
    Ran::from(output)
}

/// Killed while the receiver holds the first message: it was found, and nobody knows whether it was told.
#[test]
fn a_kill_between_detection_and_notification_loses_nothing() {
    let dir = rooted(3);
    let receiver = Receiver::start([Answer::Hang]);
    let url = receiver.url();
    let mut child = watch(&dir, &["--webhook", &url, "--notify-timeout", "300"]).start();
    receiver.wait(|requests| requests.len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(open(&dir).len(), 3, "it had detected");
    assert!(dir.sql("SELECT * FROM notifications").is_empty(), "and had not told");

    once(&dir, &["--webhook", &url]).ok();
    each_once(&receiver.taken(), &open(&dir));
    let requests = receiver.received();
    let keys: Vec<_> = requests.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys, [keys[0], keys[0]], "a receiver that had taken it can tell");
    once(&dir, &["--webhook", &url]).ok();
    assert_eq!(receiver.received().len(), 2);
}

/// Killed while one channel hangs, when another has told everything.
#[test]
fn a_kill_repeats_nothing_on_a_channel_that_is_through() {
    let dir = rooted(2);
    let receiver = Receiver::start([Answer::Hang]);
    let url = receiver.url();
    let channels = ["--webhook", &url, "--notify-timeout", "300", "--notify-file", "told.ndjson"];
    let mut child = watch(&dir, &channels).start();
    receiver.wait(|requests| requests.len() == 1);
    until(|| dir.lake().join(FIRST_ROWS).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    once(&dir, &channels).ok();
    each_once(&receiver.taken(), &open(&dir));
    let told = std::fs::read_to_string(dir.join("told.ndjson")).unwrap();
    assert_eq!(told.lines().count(), 2);
}

#[test]
fn a_watch_goes_on_through_trouble_and_tells_what_comes_meanwhile() {
    let dir = rooted(2);
    let receiver = Receiver::start([]);
    receiver.always(Answer::Status(503));
    let url = receiver.url();
    let child = watch(&dir, &["--webhook", &url, "--interval", "1", "--detect-each", "1s"]).start();
    // More than one round: a look later it is tried again.
    receiver.wait(|requests| requests.len() > 5);
    dir.log("b.json.gz", &[root_uses(2, "2026-01-05T13:00:00Z")]);
    receiver.wait(|requests| requests.last().is_some_and(|one| one.fingerprints().len() == 3));
    receiver.always(Answer::Status(200));
    receiver.wait(|requests| super::receiver::taken(requests).len() >= 3);
    dir.log("c.json.gz", &[root_uses(3, "2026-01-05T14:00:00Z")]);
    receiver.wait(|requests| super::receiver::taken(requests).len() >= 4);
    let ran = stopped(child);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert!(ran.stdout().contains("webhook: 4 told, 0 to be told"), "{}", ran.stdout());
    each_once(&receiver.taken(), &open(&dir));
}

/// What a receiver took while the lake could take no note of it is noted later, and not told again.
#[test]
fn a_lake_that_fails_for_a_while_has_nothing_told_twice() {
    let dir = rooted(1);
    let receiver = Receiver::start([Answer::Hang]);
    let url = receiver.url();
    let arguments = ["--webhook", &url, "--notify-timeout", "2", "--interval", "1", "--detect-each", "1s"];
    let mut child = watch(&dir, &arguments).start();
    receiver.wait(|requests| requests.len() == 1);
    // While the first attempt hangs, the place where it is to be noted is taken away.
    let (table, away) = (dir.lake().join("notifications"), dir.join("away"));
    std::fs::write(&table, "in the way").unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("not recorded as told") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    assert_eq!(receiver.taken().len(), 1);
    std::fs::rename(&table, away).unwrap();
    until(|| dir.lake().join(FIRST_ROWS).exists());
    child.stderr = Some(said.into_inner());
    assert_eq!(stopped(child).status(), Some(0));
    each_once(&receiver.taken(), &open(&dir));
    assert_eq!(dir.sql("SELECT * FROM notifications").len(), 1);
}

#[test]
fn a_stop_while_a_receiver_is_down_is_not_made_to_wait() {
    let dir = rooted(1);
    let receiver = Receiver::start([]);
    receiver.always(Answer::Status(500));
    let url = receiver.url();
    // The wait behind the first attempt is the longest that there is.
    let child =
        dir.keytrail(["watch", "logs", "--only", "root-uses-key", "--notify-wait", "100000000", "--webhook", &url]);
    let child = child.start();
    receiver.wait(|requests| requests.len() == 1);
    let ran = stopped(child);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(receiver.received().len(), 1);
    assert!(ran.stdout().contains("webhook: 0 told, 1 to be told"), "{}", ran.stdout());
}

/// Killed at moments that are found by what the lake has so far. Nothing is lost at any of them; what a receiver got twice,
/// since the lake had not taken note yet, came under one key.
#[test]
fn a_kill_at_any_moment_loses_nothing_and_repeats_only_under_the_same_key() {
    let commits = ["events", "findings", "detections", "notifications"]
        .map(|table| [0, 1].map(|version| format!("{table}/_delta_log/{version:020}.json")));
    for moment in commits.as_flattened() {
        let dir = rooted(2);
        let receiver = Receiver::start([]);
        let url = receiver.url();
        let mut child = once(&dir, &["--webhook", &url]).start();
        let marker = dir.lake().join(moment);
        while !marker.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        // A run that has ended meanwhile is no failure.
        let _ = child.kill();
        child.wait().unwrap();
        once(&dir, &["--webhook", &url]).ok();
        let requests = receiver.received();
        let taken: BTreeSet<String> = receiver.taken().into_iter().collect();
        assert_eq!(taken, open(&dir), "{moment}");
        assert_eq!(taken.len(), 2, "{moment}");
        let keys: BTreeSet<_> = requests.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
        assert_eq!(keys.len(), 1, "{moment}");
        assert_eq!(dir.sql("SELECT * FROM notifications").len(), 2, "{moment}");
    }
}
