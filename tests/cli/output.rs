//! Where output goes: to a reader who has seen enough, to nobody when it is chatter, and to people when the lake takes nothing.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Dir, Ran, decrypt, with};

const FORMATS: [&str; 5] = ["table", "json", "ndjson", "csv", "markdown"];

/// A lake in which root decrypts, which is a finding.
fn lake() -> Dir {
    let dir = Dir::new();
    let mut root = decrypt("root");
    root["userIdentity"] = json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333",
        "arn": "arn:aws:iam::111122223333:root", "accessKeyId": ""});
    dir.log("a.json.gz", &[root, with(decrypt("b"), "eventTime", "2026-01-05T13:00:00Z")]);
    dir.ingest("logs");
    dir
}

/// Runs a command whose reader leaves after so many bytes.
fn left_after(dir: &Dir, bytes: usize, arguments: &[&str]) -> Ran {
    let mut child = dir.keytrail(arguments).start();
    let mut out = child.stdout.take().unwrap();
    let mut read = vec![0; bytes];
    out.read_exact(&mut read).unwrap();
    drop(out);
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error_in_any_format_of_any_command() {
    let dir = lake();
    let quietly = |bytes: usize, arguments: &[&str]| {
        let ran = left_after(&dir, bytes, arguments);
        let errors: Vec<String> =
            ran.stderr().lines().filter(|line| line.contains("error")).map(str::to_owned).collect();
        assert_eq!((ran.status(), errors), (Some(0), Vec::new()), "{arguments:?}");
    };
    // More than a pipe holds: the reader leaves in the middle of it.
    for format in FORMATS {
        quietly(10, &["sql", "SELECT unnest(generate_series(1, 200000)) AS number", "--format", format]);
    }
    for arguments in [
        &["timeline"][..],
        &["detect", "--no-save", "--only", "root-uses-key", "--format", "ndjson"],
        &["queries"],
        &["explain", "who"],
        &["ingest", "logs"],
        &["report", "--no-save", "--format", "html"],
        &["report", "--incident", "--principal", "*"],
    ] {
        let ran = left_after(&dir, 0, arguments);
        assert_eq!(ran.status(), Some(0), "{}", ran.seen());
        assert!(!ran.stderr().contains("error"), "{}", ran.seen());
    }
}

/// In a pipe of a script that stops at the first failure, what a run found still decides how it ends.
#[test]
fn a_reader_who_leaves_changes_no_verdict() {
    let dir = lake();
    let gate =
        ["detect", "--no-save", "--only", "root-uses-key", "--fail-on", "low", "--until", "2026-01-05T14:00:00Z"];
    assert_eq!(left_after(&dir, 0, &gate).status(), Some(1));
    // A report of which nobody got the end does not count.
    assert_eq!(left_after(&dir, 0, &["report"]).status(), Some(0));
    assert_eq!(dir.sql("SELECT * FROM reports"), [] as [Value; 0]);
}

#[test]
fn quiet_is_quiet_where_nothing_was_asked_for() {
    let dir = Dir::new();
    dir.log("a.json.gz", &[decrypt("a")]);
    dir.bare(["generate", "made", "-q", "--events", "50"]).ok();
    let silent = |arguments: &[&str]| {
        let ran = dir.keytrail(arguments).arg("-q").ok();
        assert_eq!((ran.stdout(), ran.stderr()), (String::new(), String::new()), "{arguments:?}");
    };
    silent(&["ingest", "logs"]);
    silent(&["maintain"]);
    silent(&["watch", "logs", "--once", "--only", "root-uses-key", "--command", "cat"]);
    silent(&["generate", "again", "--events", "50"]);
    let spoken = dir.keytrail(["ingest", "logs", "-q"]).format("json").ok().json();
    assert_eq!(spoken["objects"]["unchanged"], 1);
    assert!(dir.keytrail(["who", crate::support::KEY, "-q"]).ok().stdout().contains("user/alice"));
    assert!(dir.keytrail(["detect", "-q", "--no-save", "--only", "root-uses-key"]).ok().stdout().contains("severity"));
}

#[test]
fn what_cannot_be_read_is_not_counted_as_read() {
    let dir = Dir::new();
    dir.log("a.json.gz", &[decrypt("a")]);
    dir.object("b.json", "no log");
    dir.object("c.json.gz", "no gzip");
    let said = dir.keytrail(["ingest", "logs"]).code(3).stdout();
    assert!(said.starts_with("1 objects read, 2 not readable, 0 unchanged"), "{said}");
    let again = dir.keytrail(["ingest", "logs"]).code_among(&[0, 3]).stdout();
    assert!(again.starts_with("0 objects read, "), "{again}");
}

/// Runs a command on a disk on which no file can grow.
fn on_a_full_disk(dir: &Dir, arguments: &[&str], code: i32) -> Ran {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_keytrail")]);
    shell.args(["--lake".as_ref(), dir.lake().as_os_str()]).args(arguments);
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(dir.path());
    let ran = Ran::from(shell.stdin(Stdio::null()).output().unwrap());
    assert_eq!(ran.status(), Some(code), "{arguments:?}: {}", ran.seen());
    ran
}

#[cfg(unix)]
#[test]
fn a_run_that_cannot_save_still_says_what_it_found() {
    let dir = lake();
    let until = "2026-01-05T14:00:00Z";
    for format in ["table", "json"] {
        let ran = on_a_full_disk(&dir, &["detect", "--only", "root-uses-key", "--until", until, "--format", format], 2);
        assert!(ran.stdout().contains("root-uses-key"), "{}", ran.seen());
        assert!(ran.stderr().contains("error: what was found is not in the lake"), "{}", ran.seen());
    }
    on_a_full_disk(&dir, &["detect", "--only", "root-uses-key", "--until", until, "--no-save"], 0);
    let ran = on_a_full_disk(&dir, &["report"], 2);
    assert!(ran.stdout().contains("root-uses-key"), "{}", ran.seen());
    assert!(ran.stderr().contains("error: the lake could take no note of this report"), "{}", ran.seen());
    // It is news to the run that can save.
    let found = dir.keytrail(["detect", "--only", "root-uses-key", "--until", until]).format("json").ok().json();
    assert_eq!(found["findings"][0]["status"], "new");
    let report = dir.keytrail(["report"]).format("json").ok().json();
    assert!(report["findings"]["new"].as_array().unwrap().iter().any(|one| one["detector"] == "root-uses-key"));
}

#[cfg(unix)]
#[test]
fn a_watch_that_cannot_save_claims_nothing_of_what_it_has_to_tell() {
    let dir = lake();
    let watch = ["watch", "logs", "--once", "--only", "root-uses-key", "--command", "cat > /dev/null"];
    let ran = on_a_full_disk(&dir, &watch, 2);
    assert!(ran.stdout().contains("command: 0 told, an unknown number to be told"), "{}", ran.seen());
    let told = "error: 1 open findings could not be recorded, and what is new is not told";
    assert!(ran.stderr().contains(told) && !ran.stderr().contains("0 to be told"), "{}", ran.seen());
    // What was found before is told, and that cannot be noted.
    dir.keytrail(["detect", "--only", "root-uses-key"]).ok();
    let ran = on_a_full_disk(&dir, &[&watch[..], &["--format", "json"]].concat(), 2);
    let sent = &ran.json()["notifications"][0];
    assert_eq!((&sent["findings"], &sent["unrecorded"], &sent["left"]), (&json!(1), &json!(1), &Value::Null));
    assert!(ran.stderr().contains("command: 1 told and not recorded as told: "), "{}", ran.seen());
    assert!(!ran.stderr().contains("0 to be told"), "{}", ran.seen());
    let again = dir.keytrail(watch).format("json").ok().json();
    assert_eq!((&again["notifications"][0]["findings"], &again["notifications"][0]["left"]), (&json!(1), &json!(0)));
}
