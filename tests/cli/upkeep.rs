//! `maintain` takes no more memory than it says, whatever the rows inflate to, and one table keeps no other from it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Output;

use keytrail::lake::Lake;
use keytrail::lake::ledger::{Ledger, RejectRow};
use serde_json::Value;
use tokio::runtime::Runtime;
use wait4::Wait4;

use crate::support::{Dir, Ran, decrypt, with};

/// What `maintain` may take up, in bytes.
const MEMORY_MAX: u64 = 500 << 20;

/// Files of rejects, and rejects in each.
const FILES: u64 = 40;
const REJECTS_OF_EACH: u64 = 70;

/// Adds a file of rejects as large as they are kept, all alike but for their places: together they compress to nothing.
fn reject(runtime: &Runtime, lake: &Lake, file: u64) {
    let of = |at: u64| RejectRow {
        object: format!("file:///{file}.json.gz"),
        record_index: Some(at),
        reason: "no eventTime".to_owned(),
        raw: Some(vec![b'x'; 250_000]),
    };
    let rejects: Vec<RejectRow> = (0..REJECTS_OF_EACH).map(of).collect();
    runtime.block_on(async { Ledger::open(lake).await.unwrap().record(&[], &rejects, 1).await.unwrap() });
}

/// One data file of the rejects.
fn file_of_rejects(dir: &Dir) -> PathBuf {
    let mut files = fs::read_dir(dir.lake().join("rejects")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension() == Some("parquet".as_ref())).unwrap()
}

/// Runs upkeep, and tells its peak of memory as well.
fn maintained(dir: &Dir) -> (Ran, u64) {
    let mut child = dir.keytrail(["maintain"]).format("json").start();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    // What it says fits into the pipes, so that one may be read after the other.
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let ended = child.wait4().unwrap();
    (Ran::from(Output { status: ended.status, stdout, stderr }), ended.rusage.maxrss)
}

#[test]
fn equal_rejects_are_merged_in_bounded_memory() {
    let (dir, runtime) = (Dir::new(), Runtime::new().unwrap());
    let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
    for file in 0..FILES {
        reject(&runtime, &lake, file);
    }
    assert_eq!(live(&dir, "rejects") as u64, FILES);
    let question = "SELECT count(*) AS n, sum(record_index) AS places, count(DISTINCT object) AS objects FROM rejects";
    let before = dir.sql(question);
    assert_eq!(before[0]["n"], FILES * REJECTS_OF_EACH);
    let (ran, memory) = maintained(&dir);
    assert_eq!(ran.stderr(), "");
    assert_eq!(ran.json()["files_merged"], FILES);
    // Seven hundred megabytes of text, in files of a hundred and some.
    assert_eq!(live(&dir, "rejects"), 5);
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    assert_eq!(dir.sql(question), before);
    // There is nothing left to do, and it is known without a look.
    let (again, _) = maintained(&dir);
    assert_eq!(again.json()["files_merged"], 0);
}

/// Where a table cannot be read, the others are merged, and the run does not pass for a good one.
#[test]
fn a_table_that_fails_keeps_no_other_from_being_merged() {
    let dir = Dir::new();
    for round in 0..3 {
        dir.log(
            &format!("{round}/a.json"),
            &[decrypt(&format!("e{round}")), with(decrypt("x"), "eventTime", Value::Null)],
        );
        dir.keytrail(["ingest", &format!("logs/{round}")]).code(3);
    }
    let broken = file_of_rejects(&dir);
    let size = fs::metadata(&broken).unwrap().len();
    fs::write(broken, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    let ran = dir.keytrail(["maintain"]).format("json").code(2);
    assert!(ran.stderr().contains("the table rejects could not be maintained: data file part-"), "{}", ran.stderr());
    let told = ran.json();
    assert_eq!((told["files_merged"].as_u64(), told["files_written"].as_u64()), (Some(8), Some(3)), "{told}");
    assert_eq!(told["failed"][0]["table"], "rejects");
    assert_eq!((live(&dir, "events"), live(&dir, "objects"), live(&dir, "rejects")), (1, 1, 2));
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 3);
}

/// A file that cannot be read stays as it is, and the other days are merged.
#[test]
fn a_file_that_fails_keeps_no_other_day_from_being_merged() {
    let dir = Dir::new();
    for round in 0..2 {
        let of = |day: u64| with(decrypt(&format!("{day}{round}")), "eventTime", format!("2026-01-0{day}T08:00:00Z"));
        dir.log(&format!("{round}/a.json"), &[of(5), of(6)]);
        dir.keytrail(["ingest", &format!("logs/{round}")]).ok();
    }
    let broken = fs::read_dir(dir.lake().join("events/event_date=2026-01-05")).unwrap().next().unwrap().unwrap().path();
    let size = fs::metadata(&broken).unwrap().len();
    fs::write(broken, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    let ran = dir.keytrail(["maintain"]).code(2);
    assert!(
        ran.stderr().contains("the table events could not be maintained: data file event_date=2026-01-05"),
        "{}",
        ran.stderr()
    );
    assert_eq!(live(&dir, "events"), 3);
}

/// Files that the table's log has added and not removed.
fn live(dir: &Dir, table: &str) -> usize {
    let (mut added, mut removed) = (0, 0);
    for entry in fs::read_dir(dir.lake().join(table).join("_delta_log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some("json".as_ref()) {
            for line in fs::read_to_string(path).unwrap().lines() {
                let action: Value = serde_json::from_str(line).unwrap();
                added += usize::from(action.get("add").is_some());
                removed += usize::from(action.get("remove").is_some());
            }
        }
    }
    added - removed
}
