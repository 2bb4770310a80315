//! One event counts once, however many objects, runs and processes delivered it.
//!
//! The same generated logs come to a lake in every way that logs come: again, in halves, backwards, as copies, through
//! two processes at once. The rows are the same each time, and they are what the generator says that it planted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keytrail::synthetic::{Call, Plan, Truth, write_folder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Dir, Ran, Shared, decrypt, rows, with};

/// Logs that several tests read: a few thousand records of every kind, duplicates and odd shapes among them.
struct Logs {
    folder: TempDir,
    truth: Truth,
    /// What a lake of them holds after one plain run.
    rows: Vec<String>,
}

static LOGS: Shared<Logs> = Shared::new(|| {
    let folder = TempDir::with_prefix("keytrail-logs-").unwrap();
    let plan = Plan { events: 3_000, kms_share: 0.7, duplicate_share: 0.05, seed: 8, ..Plan::default() };
    let truth = write_folder(&plan, folder.path(), &mut |_| ()).unwrap();
    let dir = Dir::new();
    let account = dir.ingest(folder.path());
    assert_eq!(account["records"]["duplicate"], truth.duplicates);
    Logs { folder, truth, rows: rows::of_lake(&dir) }
});

impl Logs {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every log object, by name.
    fn objects(&self) -> Vec<PathBuf> {
        crate::golden::corpus::objects(self.path())
    }

    /// Copies the objects that `keep` wants to a folder, under the names that it gives them.
    fn copy(&self, to: &Path, keep: impl Fn(usize) -> Option<String>) {
        for (index, object) in self.objects().iter().enumerate() {
            let Some(name) = keep(index) else { continue };
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(object, path).unwrap();
        }
    }
}

/// The sum of one count over several accounts.
fn sum(accounts: &[&Value], count: &str) -> u64 {
    accounts.iter().map(|account| account["records"][count].as_u64().unwrap()).sum()
}

fn assert_lawful(account: &Value) {
    let one = |count| sum(&[account], count);
    assert_eq!(one("read"), one("kept") + one("other") + one("duplicate") + one("rejected"), "{account}");
}

/// Several runs, one after the other or at once, that together must be one run.
fn assert_same_as_once(logs: &Logs, dir: &Dir, accounts: &[&Value]) {
    for account in accounts {
        assert_lawful(account);
    }
    assert_eq!((sum(accounts, "kept"), sum(accounts, "rejected")), (logs.truth.kept, 0));
    assert!(rows::of_lake(dir) == logs.rows, "other rows than after one plain run");
}

#[test]
fn a_lake_holds_what_the_generator_planted() {
    let logs = LOGS.get();
    let truth = &logs.truth;
    let dir = Dir::new();
    let account = dir.ingest(logs.path());
    let expected = json!({
        "read": truth.records, "kept": truth.kept, "other": truth.other, "duplicate": truth.duplicates, "rejected": 0,
    });
    assert_eq!(account["records"], expected);
    assert_eq!(account["objects"]["ingested"], truth.objects);
    assert!(truth.duplicates > 50 && truth.calls.iter().any(|call| call.operation == "ReEncrypt"));
    let counted = dir.sql(
        "SELECT sum(records_read) AS read, sum(records_kept) AS kept, sum(records_other) AS other,
                sum(records_duplicate) AS duplicate, sum(records_rejected) AS rejected FROM objects",
    );
    assert_eq!(counted, [expected], "the ledger tells the same");
    assert_eq!(logs.rows.len() as u64, truth.kept);
}

/// The tally of a statement's rows that have a call's columns and `count`.
fn tally(dir: &Dir, from_where: &str) -> BTreeMap<Call, u64> {
    let rows = dir.sql(&format!(
        "SELECT key_arn, principal, event_name, outcome, via, count(*) AS count FROM {from_where}
         GROUP BY key_arn, principal, event_name, outcome, via"
    ));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let call = |row: &Value| Call {
        key_arn: text(&row["key_arn"]),
        principal: text(&row["principal"]).unwrap_or_default(),
        operation: text(&row["event_name"]).unwrap(),
        outcome: text(&row["outcome"]).unwrap(),
        via: text(&row["via"]),
        count: 0,
    };
    rows.iter().map(|row| (call(row), row["count"].as_u64().unwrap())).collect()
}

/// The truth counts a `ReEncrypt` under its source key, and tells of dry runs, which are no use.
#[test]
fn usage_counts_each_call_that_the_generator_planted() {
    let logs = LOGS.get();
    let dir = Dir::new();
    dir.ingest(logs.path());
    let (dry, used): (Vec<Call>, Vec<Call>) =
        logs.truth.calls.iter().cloned().partition(|call| call.outcome == "dry_run");
    let planted = |calls: Vec<Call>| -> BTreeMap<Call, u64> {
        calls.into_iter().map(|call| (Call { count: 0, ..call.clone() }, call.count)).collect()
    };
    assert!(!dry.is_empty() && used.len() > 100);
    same(&tally(&dir, "usage WHERE key_role IS DISTINCT FROM 'destination'"), &planted(used));
    let classes = "usage_class IN ('decrypt', 'encrypt', 'generate', 'sign', 'mac')";
    same(&tally(&dir, &format!("calls WHERE outcome = 'dry_run' AND {classes}")), &planted(dry));
    let destinations = dir.sql("SELECT count(*) AS rows FROM usage WHERE key_role = 'destination'");
    let re_encrypted = dir.sql(
        "SELECT count(*) AS rows FROM calls
         WHERE dest_key_arn IS NOT NULL AND outcome <> 'dry_run' AND (dest_key_arn IS DISTINCT FROM key_arn)",
    );
    assert_eq!(destinations, re_encrypted);
    assert!(destinations[0]["rows"].as_u64().unwrap() > 0);
}

fn same(is: &BTreeMap<Call, u64>, should_be: &BTreeMap<Call, u64>) {
    for (call, count) in should_be {
        assert_eq!(is.get(call), Some(count), "{call:?}");
    }
    for call in is.keys() {
        assert!(should_be.contains_key(call), "never planted: {call:?}");
    }
}

#[test]
fn a_second_run_reads_nothing_and_adds_nothing() {
    let logs = LOGS.get();
    let dir = Dir::new();
    let first = dir.ingest(logs.path());
    let second = dir.ingest(logs.path());
    assert_same_as_once(&logs, &dir, &[&first, &second]);
    assert_eq!(second["objects"]["unchanged"], logs.truth.objects);
    assert_eq!((&second["objects"]["ingested"], sum(&[&second], "read")), (&json!(0), 0));
    assert_eq!(second["lake_version"], first["lake_version"]);
    assert_eq!(dir.sql("SELECT count(*) AS rows FROM objects"), [json!({"rows": logs.truth.objects})]);
}

#[test]
fn two_halves_are_one_whole() {
    let logs = LOGS.get();
    let dir = Dir::new();
    logs.copy(&dir.join("one"), |index| (index % 2 == 0).then(|| format!("{index}.json.gz")));
    logs.copy(&dir.join("two"), |index| (index % 2 == 1).then(|| format!("{index}.json.gz")));
    let (one, two) = (dir.ingest("one"), dir.ingest("two"));
    assert_same_as_once(&logs, &dir, &[&one, &two]);
}

#[test]
fn the_order_of_objects_does_not_matter() {
    let logs = LOGS.get();
    let dir = Dir::new();
    let last = logs.objects().len();
    logs.copy(&dir.join("backwards"), |index| Some(format!("{:04}.json.gz", last - index)));
    let account = dir.keytrail(["ingest", "backwards", "--jobs", "1"]).format("json").ok().json();
    assert_same_as_once(&logs, &dir, &[&account]);
    assert_eq!(account["records"]["duplicate"], logs.truth.duplicates);
}

#[test]
fn a_copy_of_every_object_is_a_duplicate_of_every_event() {
    let logs = LOGS.get();
    let dir = Dir::new();
    logs.copy(&dir.join("logs/trail"), |index| Some(format!("{index}.json.gz")));
    logs.copy(&dir.join("logs/organization"), |index| Some(format!("{index}.json.gz")));
    let account = dir.ingest("logs");
    assert_same_as_once(&logs, &dir, &[&account]);
    assert_eq!(sum(&[&account], "duplicate"), logs.truth.kept + 2 * logs.truth.duplicates);
    assert_eq!(sum(&[&account], "other"), 2 * logs.truth.other);
}

/// Processes that run at once; none may fail for the others.
fn at_once<const N: usize>(dir: &Dir, sources: [&Path; N]) -> [Value; N] {
    let start = |source: &Path| dir.keytrail(["ingest".as_ref(), source.as_os_str()]).format("json").start();
    sources.map(start).map(|child| {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
        ran.json()
    })
}

/// A lake whose tables are there, and that holds nothing.
fn empty_lake() -> Dir {
    let dir = Dir::new();
    let other = with(decrypt("other"), "eventSource", "ec2.amazonaws.com");
    dir.ingest(dir.log("other.json", &[other]));
    dir
}

/// Who comes first to a lake that does not exist yet makes its tables; whoever comes at the same time finds them made.
#[test]
fn processes_that_make_the_lake_at_once() {
    for _ in 0..5 {
        let dir = Dir::new();
        let logs = ["a", "b", "c", "d"].map(|id| dir.log(&format!("{id}.json"), &[decrypt(id)]));
        let accounts = at_once(&dir, logs.each_ref().map(PathBuf::as_path));
        assert_eq!(sum(&accounts.each_ref(), "kept"), 4);
        let counts =
            dir.sql("SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM objects) AS objects");
        assert_eq!(counts, [json!({"events": 4, "objects": 4})]);
    }
}

#[test]
fn two_processes_on_one_folder_write_each_event_once() {
    let logs = LOGS.get();
    let dir = empty_lake();
    let [one, two] = at_once(&dir, [logs.path(), logs.path()]);
    assert_same_as_once(&logs, &dir, &[&one, &two]);
    let third = dir.ingest(logs.path());
    assert_eq!(third["objects"]["unchanged"], logs.truth.objects);
}

#[test]
fn two_processes_on_copies_of_their_own_write_each_event_once() {
    let logs = LOGS.get();
    let dir = empty_lake();
    let (a, b) = (dir.join("a"), dir.join("b"));
    logs.copy(&a, |index| Some(format!("{index}.json.gz")));
    logs.copy(&b, |index| Some(format!("{index}.json.gz")));
    let [one, two] = at_once(&dir, [&a, &b]);
    assert_same_as_once(&logs, &dir, &[&one, &two]);
    assert_eq!(sum(&[&one, &two], "duplicate"), logs.truth.kept + 2 * logs.truth.duplicates);
}

/// Many small runs, as a schedule makes them, leave many small files. Upkeep merges them, and nothing else changes.
#[test]
fn upkeep_merges_what_many_runs_left_and_changes_no_answer() {
    let logs = LOGS.get();
    let dir = Dir::new();
    for part in 0..6 {
        logs.copy(&dir.join("logs"), |index| (index % 6 <= part).then(|| format!("{index}.json.gz")));
        dir.ingest("logs");
    }
    dir.object("broken.json.gz", "{\"Records\":[oops");
    dir.ingest_damaged();
    dir.object("worse.json.gz", "neither");
    dir.ingest_damaged();
    let tables = ["events", "objects", "rejects"];
    let files = |table: &str| crate::golden::corpus::files(&dir.lake().join(table), "parquet").len();
    let told = || tables.map(|table| dir.sql(&format!("SELECT count(*) AS rows FROM {table}"))[0]["rows"].clone());
    let before = told();
    // As many as each run wrote, before any is deleted.
    assert!(files("objects") >= 8 && files("rejects") == 2, "{} {}", files("objects"), files("rejects"));
    let done = dir.keytrail(["maintain"]).format("json").ok().json();
    assert!(done["files_merged"].as_u64() >= Some(2 * 6), "{done}");
    assert_eq!((told(), &done["duplicates_dropped"]), (before, &json!(0)));
    assert_eq!(rows::of_lake(&dir), logs.rows);
    // What is live now is what a second upkeep finds, and leaves alone.
    let again = dir.keytrail(["maintain"]).format("json").ok().json();
    assert_eq!((&again["files_merged"], &again["files_written"]), (&json!(0), &json!(0)));
    let account = dir.ingest_damaged();
    assert_eq!((&account["objects"]["ingested"], &account["records"]["read"]), (&json!(0), &json!(0)), "{account}");
}

/// What an object says of its trail does not depend on whether another object was read before it.
#[test]
fn an_object_of_nothing_but_duplicates_still_shows_that_its_trail_records_reads_of_kms() {
    let dir = Dir::new();
    let write = with(with(decrypt("b"), "eventName", "DisableKey"), "readOnly", false);
    dir.log("one/a.json.gz", &[decrypt("a")]);
    dir.log("two/a.json.gz", &[decrypt("a")]);
    dir.log("two/b.json.gz", &[write]);
    dir.ingest("logs");
    let rows = dir.sql("SELECT first_kms_read, records_kept + records_duplicate AS n FROM objects ORDER BY uri");
    let seen: Vec<Option<&str>> = rows.iter().map(|row| row["first_kms_read"].as_str()).collect();
    assert_eq!(seen, [Some("2026-01-05T12:00:00Z"), Some("2026-01-05T12:00:00Z"), None]);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 2);
}
