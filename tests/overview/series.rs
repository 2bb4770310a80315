//! A series of reports: each tells what the one before did not, and no time is told twice or never.

use std::fs;

use serde_json::{Value, json};

use super::{SCHEDULED, cancelled, key, keys, report, scheduled, user, with_doomed};
use crate::support::{Dir, decrypt, with};

/// A lake in which somebody scheduled key `a` for deletion on the fifth of January.
fn lake() -> Dir {
    let dir = Dir::new();
    deliver(&dir, "first", &[scheduled("e-a", "2026-01-05T12:00:00Z", &user("alice"), &key('a'))]);
    dir
}

fn deliver(dir: &Dir, name: &str, records: &[Value]) {
    dir.log(&format!("{name}.json.gz"), records);
    dir.ingest("logs");
}

/// The windows of a series, as the lake has them.
fn windows(dir: &Dir) -> Vec<(String, String)> {
    let rows = dir.sql("SELECT since, until FROM reports WHERE series = 'default' ORDER BY made_at");
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "since"), text(row, "until"))).collect()
}

#[test]
fn each_report_tells_what_is_new_and_no_time_twice_or_never() {
    let dir = lake();
    with_doomed(&dir);
    let first = report(&dir, &[]);
    assert_eq!(keys(&first, "new", SCHEDULED), [key('a')]);
    assert_eq!(first["window"], json!({"since": "2025-12-06T12:00:01Z", "until": "2026-01-05T12:00:01Z"}));
    assert_eq!(first["previous_until"], Value::Null);

    // Nothing has come since.
    let second = report(&dir, &[]);
    assert_eq!(second["findings"]["new"], json!([]));
    assert_eq!(keys(&second, "ongoing", SCHEDULED), [key('a')]);
    assert_eq!(second["window"], json!({"since": "2026-01-05T12:00:01Z", "until": "2026-01-05T12:00:01Z"}));

    // What a run of `detect` in between has found is news for the next report all the same.
    deliver(&dir, "second", &[scheduled("e-b", "2026-01-06T09:00:00Z", &user("bob"), &key('b'))]);
    dir.keytrail(["detect", "--queries", "queries"]).ok();
    let third = report(&dir, &[]);
    assert_eq!(keys(&third, "new", SCHEDULED), [key('b')]);
    let new = third["findings"]["new"].as_array().unwrap().iter();
    let is_of_it = |finding: &Value| finding["key_arn"].is_null() || finding["key_arn"] == json!(key('b'));
    assert!(new.clone().all(is_of_it), "{}", third["findings"]["new"]);

    // A log that comes late, with an event of a time that was told already.
    deliver(&dir, "late", &[scheduled("e-c", "2026-01-04T09:00:00Z", &user("carol"), &key('c'))]);
    let fourth = report(&dir, &[]);
    assert_eq!(keys(&fourth, "new", SCHEDULED), [key('c')]);

    // Who took it back ends it.
    deliver(&dir, "third", &[cancelled("e-d", "2026-01-06T10:00:00Z", &key('a'))]);
    let fifth = report(&dir, &[]);
    assert_eq!((keys(&fifth, "new", "doomed"), keys(&fifth, "resolved", "doomed")), (vec![], vec![key('a').as_str()]));
    assert_eq!(keys(&report(&dir, &[]), "resolved", "doomed"), [""; 0]);

    let windows = windows(&dir);
    assert_eq!(windows.len(), 6);
    for (before, after) in windows.iter().zip(&windows[1..]) {
        assert_eq!(before.1, after.0, "{windows:?}");
    }
    assert_eq!(windows[5].1, "2026-01-06T10:00:01Z");
}

#[test]
fn a_report_that_was_not_written_does_not_count() {
    let dir = lake();
    // What was there before a report that fails stays as it is.
    fs::create_dir(dir.join("out")).unwrap();
    fs::write(dir.join("out/report.json"), "before").unwrap();
    let mut killed = dir.keytrail(["report", "-o", "out/report.json"]).start();
    // It has found what there is to tell, and has not told it.
    while fs::metadata(dir.lake().join("detections/_delta_log/00000000000000000000.json")).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(killed.try_wait().unwrap().is_none(), "it has come to its end");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(fs::read_to_string(dir.join("out/report.json")).unwrap(), "before");
    assert!(windows(&dir).is_empty());
    let failed = dir.keytrail(["report", "-o", "nowhere/report.html"]).code(2);
    assert!(failed.stderr().contains("the report cannot be written to nowhere/report.html"), "{}", failed.stderr());
    assert!(windows(&dir).is_empty());
    // A device that is full, where there is one: the detectors have run, and the document is not written to its end.
    if fs::metadata("/dev/full").is_ok() {
        dir.keytrail(["report", "-o", "/dev/full"]).code(2);
        assert!(windows(&dir).is_empty());
    }

    let first = report(&dir, &[]);
    assert_eq!(keys(&first, "new", SCHEDULED), [key('a')]);
    assert_eq!(windows(&dir), [("2025-12-06T12:00:01Z".to_owned(), "2026-01-05T12:00:01Z".to_owned())]);
}

#[test]
fn a_weekly_report_does_not_take_news_from_a_daily_one_nor_does_one_by_itself() {
    let dir = lake();
    for arguments in
        [&["--series", "weekly"][..], &["--since", "-7d"], &["--until", "2026-01-05T13:00:00Z"], &["--no-save"]]
    {
        assert_eq!(keys(&report(&dir, arguments), "new", SCHEDULED), [key('a')], "{arguments:?}");
    }
    assert!(windows(&dir).is_empty());
    assert_eq!(keys(&report(&dir, &[]), "new", SCHEDULED), [key('a')]);
    let weekly = report(&dir, &["--series", "weekly"]);
    assert_eq!(
        (keys(&weekly, "new", SCHEDULED), keys(&weekly, "ongoing", SCHEDULED)),
        (vec![], vec![key('a').as_str()])
    );
    // One that looks back is compared with the report before its window, of which there is none.
    let back = report(&dir, &["--since", "-1d"]);
    assert_eq!(keys(&back, "new", SCHEDULED), [key('a')]);
}

#[test]
fn the_exit_code_is_about_what_is_new() {
    let dir = lake();
    let stale = dir.keytrail(["report", "--no-save", "--fail-on", "critical"]).code(3);
    assert!(stale.stderr().contains("the logs end at 2026-01-05T12:00:01Z"), "{}", stale.stderr());
    let until = ["--until", "2026-01-05T13:00:00Z"];
    dir.keytrail(["report", "--fail-on", "high"]).args(until).code(1);
    dir.keytrail(["report", "--fail-on", "critical"]).args(until).code(0);
    dir.keytrail(["report", "--fail-on", "high"]).code(1);
    // What was told is not new again; and logs that ended long ago are no news of now.
    let again = dir.keytrail(["report", "--fail-on", "high"]).code(3);
    assert!(again.stdout().contains("Nothing new. ") && again.stdout().contains("No later log"), "{}", again.stdout());
    let new = dir.keytrail(["report", "--new", "--no-save"]).ok().stdout();
    assert!(new.contains("still open.") && !new.contains("nothing open"), "{new}");
    dir.keytrail(["report", "--since", "2026-01-06"]).code(2);
    dir.keytrail(["detect"]).format("sarif").code(2);
    dir.keytrail(["report"]).format("ndjson").code(2);
    dir.keytrail(["report", "-o", "report.doc"]).code(2);
    dir.keytrail(["report", "--new", "-o", "report.sarif"]).code(2);
    dir.keytrail(["report", "-o", "report.html", "-o", "report.md"]).format("json").code(2);
}

#[test]
fn a_format_and_a_files_name_that_contradict_each_other_are_refused() {
    let dir = lake();
    for (format, file) in
        [("csv", "x.html"), ("html", "x.csv"), ("json", "x.ocsf.json"), ("html", "x.json"), ("sarif", "x.txt")]
    {
        let ran = dir.keytrail(["report", "--no-save", "-o", file]).format(format).code(2);
        let told = format!("error: --format {format} would be written to {file}\n");
        assert!(ran.stderr().contains(&told) && !dir.join(file).exists(), "{}", ran.seen());
    }
    for (format, file) in
        [("csv", "x.csv"), ("ocsf", "x.json"), ("sarif", "y.json"), ("markdown", "x.txt"), ("json", "no-end")]
    {
        dir.keytrail(["report", "--no-save", "-o", file]).format(format).ok();
        assert!(dir.join(file).exists(), "{file}");
    }
}

#[test]
fn the_same_lake_and_window_make_the_same_bytes() {
    let dir = lake();
    let quiet = |id: &str, at: &str| with(decrypt(id), "eventTime", at);
    deliver(&dir, "use", &[quiet("u-1", "2026-01-05T08:00:00Z"), quiet("u-2", "2026-01-06T08:00:00Z")]);
    let window = ["--since", "2026-01-01", "--until", "2026-01-07"];
    let write = |name: &str| {
        dir.keytrail(["report", "-o", name]).args(window).ok();
        fs::read(dir.join(name)).unwrap()
    };
    let first = write("first.html");
    // What is found and reported in between is no reason to tell it otherwise.
    dir.keytrail(["detect"]).ok();
    report(&dir, &[]);
    assert!(first == write("second.html"), "not the same bytes");
}

#[test]
fn of_two_reports_at_once_one_counts() {
    let dir = lake();
    let both = ["one.json", "two.json"].map(|name| dir.keytrail(["report", "-o", name]).start());
    let codes = both.map(|child| child.wait_with_output().unwrap().status.code().unwrap());
    let windows = windows(&dir);
    match codes {
        // One was done before the other began.
        [0, 0] => assert_eq!((windows.len(), &windows[0].1), (2, &windows[1].0)),
        _ => assert_eq!((codes.iter().sum::<i32>(), windows.len()), (2, 1), "{codes:?}"),
    }
}
