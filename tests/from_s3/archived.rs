//! Objects in an archive: named once with what restores them, never asked for in vain, read when they were restored.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::bucket;
use crate::support::s3::{Archive, BUCKET, Server};
use crate::support::{Dir, Ran, decrypt, gzip, with};

const LANE: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01";

/// Puts an object of one event into the bucket, under its key.
fn deliver(server: &Server, day: u32) -> String {
    let record = with(decrypt(&format!("day-{day}")), "eventTime", format!("2026-01-{day:02}T10:00:00Z"));
    let log = serde_json::json!({ "Records": [record] }).to_string();
    let key =
        format!("{LANE}/{day:02}/111122223333_CloudTrail_eu-west-1_202601{day:02}T1005Z_abcdefghij123456.json.gz");
    server.bucket.put(&key, gzip(log.as_bytes()));
    key
}

fn run(dir: &Dir, server: &Server, code: i32, more: &[&str]) -> Ran {
    dir.keytrail(["ingest", &bucket()]).args(more).env(server.environment()).format("json").code(code)
}

fn events(dir: &Dir) -> Value {
    dir.sql("SELECT count(*) AS n FROM events")[0]["n"].clone()
}

/// The listings of days in which something lies, the objects fetched and those looked at since the last time.
fn asked(server: &Server) -> (usize, u64, u64) {
    let (lists, gets) = server.asked.take();
    let days = lists.iter().filter(|prefix| prefix.starts_with(LANE) && prefix.matches('/').count() == 7).count();
    (days, gets, server.asked.heads.swap(0, Ordering::Relaxed))
}

#[test]
fn an_archived_object_is_named_once_and_read_when_it_was_restored() {
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let (server, dir) = (Server::start(), Dir::new());
        deliver(&server, 5);
        let key = deliver(&server, 6);
        server.bucket.archive(&key, class, Archive::Yes);

        let ran = run(&dir, &server, 3, &[]);
        let account = ran.json();
        assert_eq!((&account["objects"]["ingested"], &account["objects"]["archived"]), (&1.into(), &1.into()));
        assert_eq!(account["objects"]["rejected"], 0);
        let reason = account["rejects"][0]["reason"].as_str().unwrap();
        let command = format!("aws s3api restore-object --bucket {BUCKET} --key {key} --restore-request '{{\"Days\":7");
        assert!(reason.starts_with(&format!("archived ({class})")) && reason.contains(&command), "{reason}");
        assert!(
            ran.stderr().contains(&command) && ran.stderr().contains("1 object is in an archive"),
            "{}",
            ran.stderr()
        );
        assert_eq!(asked(&server), (2, 1, 0), "what is archived is not asked for");

        // Its day is settled, and it is not forgotten: it is looked at, and said to be still missing, but not named again.
        server.bucket.archive(&key, class, Archive::Restoring);
        let ran = run(&dir, &server, 3, &[]);
        let account = ran.json();
        assert_eq!((&account["objects"]["archived"], &account["rejects"]), (&1.into(), &Value::Array(Vec::new())));
        assert!(!ran.stderr().contains("restore-object"), "{}", ran.stderr());
        assert_eq!((events(&dir), asked(&server).1), (1.into(), 0));
        let unread = dir.keytrail(["query", "unread-objects"]).format("ndjson").ok().ndjson();
        assert_eq!((unread.len(), unread[0]["in_all"].clone()), (1, 1.into()));
        assert!(unread[0]["reason"].as_str().unwrap().contains(&command), "{unread:?}");

        server.bucket.archive(&key, class, Archive::Restored);
        server.asked.take();
        let account = run(&dir, &server, 0, &[]).json();
        assert_eq!((&account["objects"]["ingested"], account["objects"].get("archived")), (&1.into(), None));
        let (days, gets, _) = asked(&server);
        assert_eq!((events(&dir), days, gets), (2.into(), 0, 1), "without listing the day again");
        assert_eq!(dir.keytrail(["query", "unread-objects"]).format("ndjson").ok().stdout(), "");

        // The restored copy goes away again; what was in it stays.
        server.bucket.archive(&key, class, Archive::Yes);
        let account = run(&dir, &server, 0, &["--full"]).json();
        assert_eq!((&account["objects"]["unchanged"], events(&dir)), (&2.into(), 2.into()));
    }
}

#[test]
fn an_object_that_was_copied_back_is_read() {
    let (server, dir) = (Server::start(), Dir::new());
    let key = deliver(&server, 6);
    server.bucket.archive(&key, "GLACIER", Archive::Yes);
    run(&dir, &server, 3, &[]);
    // A copy onto itself is another version, with another etag.
    deliver(&server, 6);
    assert_eq!(run(&dir, &server, 0, &[]).json()["objects"]["ingested"], 1);
    assert_eq!(events(&dir), 1);
}

#[test]
fn classes_that_are_no_archives_are_read_as_they_are() {
    let (server, dir) = (Server::start(), Dir::new());
    for (day, class) in [(1, "GLACIER_IR"), (2, "STANDARD_IA"), (3, "INTELLIGENT_TIERING"), (4, "ONEZONE_IA")] {
        server.bucket.archive(&deliver(&server, day), class, Archive::No);
    }
    server.bucket.archive(&deliver(&server, 5), "GLACIER", Archive::Restored);
    assert_eq!(run(&dir, &server, 0, &[]).json()["objects"]["ingested"], 5);
}

/// No listing tells of it: the first run finds out, and the others look before they ask.
#[test]
fn an_archive_tier_that_only_an_answer_tells_of_is_remembered() {
    let (server, dir) = (Server::start(), Dir::new());
    let key = deliver(&server, 6);
    server.bucket.archive(&key, "INTELLIGENT_TIERING", Archive::Yes);
    let account = run(&dir, &server, 3, &[]).json();
    let reason = account["rejects"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("archived (INTELLIGENT_TIERING") && !reason.contains("Days"), "{reason}");
    assert_eq!(asked(&server).1, 1);

    for more in [&[] as &[&str], &["--full"]] {
        let account = run(&dir, &server, 3, more).json();
        assert_eq!((&account["objects"]["archived"], &account["rejects"]), (&1.into(), &Value::Array(Vec::new())));
        let (_, gets, heads) = asked(&server);
        assert_eq!((gets, heads), (0, 1), "it is looked at, and not asked for");
    }

    server.bucket.archive(&key, "INTELLIGENT_TIERING", Archive::No);
    assert_eq!(run(&dir, &server, 0, &[]).json()["objects"]["ingested"], 1);
    assert_eq!(events(&dir), 1);
}

#[test]
fn an_archived_object_of_another_time_is_no_concern() {
    let (server, dir) = (Server::start(), Dir::new());
    let old = deliver(&server, 5);
    server.bucket.archive(&old, "GLACIER", Archive::Yes);
    run(&dir, &server, 3, &[]);
    deliver(&server, 20);
    let account = run(&dir, &server, 0, &["--full", "--since", "2026-01-10"]).json();
    assert_eq!((&account["objects"]["ingested"], account["objects"].get("archived")), (&1.into(), None));
}
