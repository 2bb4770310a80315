//! A run that ends before its end, and the next one that finishes the work: nothing lost, nothing twice.
//!
//! Killed at twenty moments of reading, writing and committing, and once by a user who has waited long enough. The moments
//! are found by what the run has done so far (which file of the lake is there, which object it waits for), never by how
//! long it took.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use keytrail::synthetic::{Plan, write_folder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Dir, Keytrail, Ran, Shared, decrypt, rows};

/// Logs of a few thousand records, with rejects among them, and what an undisturbed run makes of them.
struct Logs {
    folder: TempDir,
    rows: Vec<String>,
    rejects: Vec<Value>,
    /// Files of the lake after that run.
    files: usize,
}

/// Records without a time, each in an object of its own, and an object that is none.
const REJECTS: usize = 4;

static LOGS: Shared<Logs> = Shared::new(|| {
    let folder = TempDir::with_prefix("keytrail-logs-").unwrap();
    let plan = Plan { events: 1_000, days: 2, seed: 21, ..Plan::default() };
    let truth = write_folder(&plan, folder.path(), &mut |_| ()).unwrap();
    for index in 1..REJECTS {
        let timeless = json!({"eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "eventID": index});
        fs::write(folder.path().join(format!("{index}.json")), json!({"Records": [timeless]}).to_string()).unwrap();
    }
    fs::write(folder.path().join("AWSLogs/none.json.gz"), "no log").unwrap();
    let dir = Dir::new();
    ingest(&dir, folder.path()).code(3);
    let rows = rows::of_lake(&dir);
    assert_eq!(rows.len() as u64, truth.kept);
    let rejects = rejects(&dir);
    assert_eq!(rejects.len(), REJECTS);
    Logs { files: files(&dir.lake()), folder, rows, rejects }
});

/// Four workers, so that a run commits four times and more.
fn ingest(dir: &Dir, source: &Path) -> Keytrail {
    dir.keytrail(["ingest".as_ref(), source.as_os_str(), "--jobs".as_ref(), "4".as_ref()]).format("json")
}

fn rejects(dir: &Dir) -> Vec<Value> {
    dir.sql("SELECT object, record_index, reason, raw FROM rejects ORDER BY object, record_index, reason")
}

/// How many files there are in a folder and below it.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// SIGKILL; whether the run was still going.
fn kill(child: &mut Child) -> bool {
    // A run that has ended meanwhile is no failure.
    let _ = child.kill();
    child.wait().unwrap().signal() == Some(9)
}

/// Ends what a killed run began, and looks at the whole.
fn finish(logs: &Logs, dir: &Dir, moment: &str) {
    let last = ingest(dir, logs.folder.path()).start().wait_with_output().map(Ran::from).unwrap();
    // When the killed run came as far as its rejects, the last one finds nothing new to complain of.
    assert!(matches!(last.status(), Some(0 | 3)), "{moment}: {}", last.stderr());
    assert!(rows::of_lake(dir) == logs.rows, "{moment}: other rows than after an undisturbed run");
    assert_eq!(rejects(dir), logs.rejects, "{moment}");
}

/// Moments over all files that a whole run writes: tables made, data written, commits, ledger.
const MOMENTS: usize = 20;

/// Kills runs as soon as their lake has so many files, and finishes each. The first of them is surely still going.
fn kill_at_files(moments: impl Iterator<Item = usize>) {
    let logs = LOGS.get();
    let killed = moments.filter(|moment| {
        let (dir, count) = (Dir::new(), 1 + moment * logs.files / MOMENTS);
        let mut run = ingest(&dir, logs.folder.path()).start();
        while files(&dir.lake()) < count && run.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let killed = kill(&mut run);
        finish(&logs, &dir, &format!("killed at file {count} of {}", logs.files));
        killed
    });
    assert!(killed.count() > 0);
}

#[test]
fn a_run_killed_at_any_file_is_finished_by_the_next() {
    kill_at_files((0..MOMENTS).step_by(2));
}

#[test]
fn a_run_killed_at_any_other_file_is_finished_by_the_next() {
    kill_at_files((1..MOMENTS).step_by(2));
}

/// A pipe in place of the object in the middle: the run waits for it, everything before it read and nothing committed.
struct Gate {
    dir: Dir,
    pipe: PathBuf,
}

/// `O_NONBLOCK` of Linux.
const NONBLOCK: i32 = 0o4000;

/// What goes through the pipe.
fn gated() -> String {
    json!({ "Records": [decrypt("m-0"), decrypt("m-1")] }).to_string()
}

impl Gate {
    fn new() -> Self {
        let dir = Dir::new();
        for name in ["a", "z"] {
            let records: Vec<Value> = (0..30).map(|index| decrypt(&format!("{name}-{index}"))).collect();
            dir.log(&format!("{name}.json.gz"), &records);
        }
        let pipe = dir.join("logs/m.json");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        Gate { dir, pipe }
    }

    fn start(&self) -> Child {
        self.dir.keytrail(["ingest", "logs", "--jobs", "1"]).format("json").start()
    }

    /// The pipe's other end, once the run has opened its own.
    fn reached_by(&self, run: &mut Child) -> fs::File {
        loop {
            // Without waiting in the call itself, so that a run that never comes this far fails the test.
            match fs::File::options().write(true).custom_flags(NONBLOCK).open(&self.pipe) {
                Ok(pipe) => return pipe,
                Err(_) => assert!(run.try_wait().unwrap().is_none(), "the run ended before it read the pipe"),
            }
            std::thread::yield_now();
        }
    }

    /// A file in the pipe's place, of the same content; then the run that finishes.
    fn open(&self) -> Value {
        fs::remove_file(&self.pipe).unwrap();
        fs::write(&self.pipe, gated()).unwrap();
        self.dir.ingest("logs")
    }

    fn ids(&self) -> Vec<Value> {
        self.dir.sql("SELECT event_id FROM events ORDER BY event_id")
    }
}

#[test]
fn a_run_killed_while_it_reads_is_finished_by_the_next() {
    let gate = Gate::new();
    let mut run = gate.start();
    let pipe = gate.reached_by(&mut run);
    assert!(kill(&mut run));
    drop(pipe);
    let account = gate.open();
    assert_eq!(account["records"]["kept"], 62);
    assert_eq!(gate.ids().len(), 62);
}

/// The note says that the signal has arrived; only then does the object in the middle come to its end.
#[test]
fn an_interrupted_run_commits_what_it_has_read_and_says_that_it_is_incomplete() {
    let gate = Gate::new();
    let mut run = gate.start();
    let mut pipe = gate.reached_by(&mut run);
    let interrupt = Command::new("sh").args(["-c", "kill -INT $0", &run.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let mut notes = BufReader::new(run.stderr.take().unwrap());
    let mut note = String::new();
    notes.read_line(&mut note).unwrap();
    assert!(note.starts_with("stopping:"), "{note}");
    pipe.write_all(gated().as_bytes()).unwrap();
    drop(pipe);
    let ran = Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.status(), Some(3));
    let account = ran.json();
    assert_eq!(account["interrupted"], true);
    assert_eq!(account["records"], json!({"read": 32, "kept": 32, "other": 0, "duplicate": 0, "rejected": 0}));
    assert_eq!(gate.ids().len(), 32);

    let account = gate.open();
    assert_eq!((&account["interrupted"], &account["objects"]["unchanged"]), (&json!(false), &json!(1)));
    assert_eq!(account["records"], json!({"read": 32, "kept": 30, "other": 0, "duplicate": 2, "rejected": 0}));
    let ids = gate.ids();
    assert_eq!(ids.len(), 62);
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
}
