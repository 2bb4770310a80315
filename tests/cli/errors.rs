//! What a user sees who asks amiss, and the texts that help.

use insta::assert_snapshot;

use super::samples;
use crate::support::{Dir, decrypt, with};

/// All that is seen, without what differs from machine to machine.
fn seen(dir: &Dir, code: i32, arguments: &[&str]) -> String {
    dir.mask(&dir.keytrail(arguments).code(code).seen())
}

/// A lake of one call.
fn lake() -> Dir {
    let dir = Dir::new();
    dir.log("a.json", &[decrypt("one")]);
    dir.ingest("logs");
    dir
}

#[test]
fn an_unknown_key_is_an_error_that_names_near_ones() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    assert_snapshot!("unknown_key_id", seen(dir, 2, &["who", "1234abcd-12ab-34cd-56ef-1234567890ff"]));
    assert_snapshot!("unknown_alias", seen(dir, 2, &["who", "alias/my_alia"]));
    assert_snapshot!("unknown_key_of_timeline", seen(dir, 2, &["timeline", "--key", "alias/nothing-like-it"]));
}

#[test]
fn a_known_key_without_use_is_an_empty_answer_with_a_note() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    let key = "mrk-1234abcd12ab34cd56ef1234567890ab";
    assert_snapshot!("known_key_without_use", seen(dir, 0, &["who", key]));
    assert_snapshot!("known_key_without_use_quietly", seen(dir, 0, &["who", key, "--quiet", "--format", "json"]));
}

#[test]
fn a_query_asked_amiss_says_how_to_ask() {
    let dir = lake();
    for (name, arguments) in [
        ("unknown_query", vec!["query", "wo"]),
        ("unknown_parameter", vec!["query", "who", "--param", "kee_arn=x"]),
        ("parameter_of_the_wrong_type", vec!["query", "timeline", "--param", "limit=many"]),
        ("parameter_that_is_no_time", vec!["query", "who", "--param", "since=yesterday"]),
        ("parameter_given_twice", vec!["query", "who", "--param", "since=-1d", "--param", "since=-2d"]),
        ("parameter_without_a_value", vec!["query", "who", "--param", "since"]),
        ("view_asked_as_a_query", vec!["query", "usage"]),
        ("explain_of_nothing", vec!["explain", "whoo"]),
        ("time_of_no_form", vec!["timeline", "--since", "last week"]),
        ("statement_that_writes", vec!["sql", "CREATE TABLE x AS SELECT 1"]),
        ("statement_of_no_table", vec!["sql", "SELECT * FROM event"]),
    ] {
        assert_snapshot!(name, seen(&dir, 2, &arguments));
    }
}

#[test]
fn without_a_lake_or_a_source_it_is_said_where_to_begin() {
    let dir = Dir::new();
    assert_snapshot!("no_lake", seen(&dir, 2, &["who", "alias/x"]));
    assert_snapshot!("no_source", seen(&dir, 2, &["ingest", "logs"]));
    assert_snapshot!("source_of_no_kind", seen(&dir, 2, &["ingest", "gopher://logs"]));
    let elsewhere = dir.bare(["--lake", "ftp://x", "who", "alias/x"]).code(2);
    assert_snapshot!("lake_of_no_kind", elsewhere.seen());
}

/// A lake that has read logs, and nothing in them was about keys.
#[test]
fn a_lake_without_events_is_asked_in_vain() {
    let dir = Dir::new();
    dir.log("a.json", &[with(decrypt("other"), "eventSource", "ec2.amazonaws.com")]);
    dir.ingest("logs");
    assert_eq!(dir.keytrail(["timeline"]).format("json").ok().stdout(), "[]\n");
    assert_eq!(dir.sql("SELECT * FROM rejects ORDER BY object"), [] as [serde_json::Value; 0]);
    assert_snapshot!("key_in_a_lake_without_events", seen(&dir, 2, &["who", "alias/x"]));
}

#[test]
fn help_tells_every_command_and_exit_code() {
    let dir = Dir::new();
    assert_snapshot!("help", seen(&dir, 0, &["--help"]));
    assert_snapshot!("help_of_ingest", seen(&dir, 0, &["ingest", "--help"]));
    assert_snapshot!("help_of_who", seen(&dir, 0, &["who", "--help"]));
    assert_snapshot!("no_command", seen(&dir, 2, &[]));
}

#[test]
fn queries_are_listed_and_explained() {
    let dir = lake();
    assert_snapshot!("queries", seen(&dir, 0, &["queries"]));
    assert_snapshot!("explain_who", seen(&dir, 0, &["explain", "who"]));
}

/// The account of a run as a person reads it; how long it took is not for a snapshot.
#[test]
fn the_account_of_a_run_is_one_line() {
    let dir = Dir::new();
    dir.log("a.json", &[decrypt("one"), decrypt("one"), with(decrypt("x"), "eventSource", "ec2.amazonaws.com")]);
    dir.object("b.json", "no log");
    dir.object("notes.txt", "no log either");
    let seen = seen(&dir, 3, &["ingest", "logs"]);
    let (before, rest) = seen.split_once("lake version 1, ").unwrap();
    let (seconds, after) = rest.split_once('\n').unwrap();
    assert!(seconds.ends_with(" s"), "{seconds}");
    assert_snapshot!("account_of_a_run", format!("{before}lake version 1, [seconds]\n{after}"));
}
