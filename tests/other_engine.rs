//! The lake, read by an engine that knows nothing of keytrail: `deltalake` and Arrow from Python.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use keytrail::synthetic::{Plan, write_folder};
use serde_json::{Value, json};

use crate::support::Dir;
use crate::support::python::python;

/// A table's rows, a JSON object a line: instants in microseconds, bytes in hexadecimal, maps as objects.
const READ: &str = r"
import datetime, json, os, sys
import deltalake

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

def plain(value):
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, dict)):
        return dict(value)
    return value

for row in deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    print(json.dumps({name: plain(value) for name, value in row.items()}))

# Its threads now and then abort a process that ends in the usual way.
sys.stdout.flush()
os._exit(0)
";

fn rows(python: &Path, table: &Path) -> Vec<Value> {
    let ran = Command::new(python).args(["-c", READ]).arg(table).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let lines = String::from_utf8(ran.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows by one column, each once.
fn by<'a>(rows: &'a [Value], column: &str) -> BTreeMap<&'a str, &'a Value> {
    let by: BTreeMap<&str, &Value> = rows.iter().map(|row| (row[column].as_str().unwrap(), row)).collect();
    assert_eq!(by.len(), rows.len(), "{column} is no key");
    by
}

/// The instant of a row, in microseconds.
fn micros(row: &Value, column: &str) -> Option<i64> {
    let text = row[column].as_str()?;
    Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

/// How often each pair of these columns occurs.
fn counts(rows: &[Value], columns: [&str; 2]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(columns.map(|column| row[column].to_string()).join(" ")).or_default() += 1;
    }
    counts
}

/// Generated logs, a damaged object among them, in several commits.
fn lake() -> Dir {
    let dir = Dir::new();
    let plan = Plan { events: 1_500, kms_share: 0.6, seed: 17, ..Plan::default() };
    write_folder(&plan, &dir.join("logs"), &mut |_| ()).unwrap();
    let timeless = json!({"eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "x": "é\u{0}"});
    dir.log("timeless.json.gz", &[timeless]);
    dir.object("none.json", "no log");
    dir.keytrail(["ingest", "logs", "--jobs", "3"]).code(3);
    dir
}

/// What is the same in both, column by column, is compared as it stands; the rest by what it means.
fn assert_same_columns(ours: &Value, theirs: &Value, instants: &[&str]) {
    for (column, is) in theirs.as_object().unwrap() {
        if instants.contains(&column.as_str()) {
            assert_eq!(is.as_i64(), micros(ours, column), "{column} of {ours}");
        } else {
            assert_eq!(is, &ours[column], "{column} of {ours}");
        }
    }
    assert_eq!(theirs.as_object().unwrap().len(), ours.as_object().unwrap().len());
}

#[test]
fn another_engine_reads_the_same_events_objects_and_rejects() {
    let Some(python) = python("deltalake, pyarrow") else { return };
    let dir = lake();
    let both = |table: &str, columns: &str| {
        (dir.sql(&format!("SELECT {columns} FROM {table}")), rows(&python, &dir.lake().join(table)))
    };

    let (ours, theirs) = both("events", "*");
    assert!(ours.len() > 500);
    assert_eq!(counts(&ours, ["event_name", "outcome"]), counts(&theirs, ["event_name", "outcome"]));
    assert!(theirs.iter().any(|row| row["encryption_context"].as_object().is_some_and(|pairs| pairs.len() > 1)));
    let (ours, theirs) = (by(&ours, "event_id"), by(&theirs, "event_id"));
    assert!(ours.keys().eq(theirs.keys()));
    for (id, row) in &ours {
        assert_same_columns(row, theirs[id], &["event_time", "session_start"]);
    }

    let (ours, theirs) = both("objects", "*");
    let (ours, theirs) = (by(&ours, "uri"), by(&theirs, "uri"));
    assert!(ours.keys().eq(theirs.keys()));
    let instants = ["delivered_at", "first_event_time", "last_event_time", "first_kms_read", "ingested_at"];
    for (uri, row) in &ours {
        assert_same_columns(row, theirs[uri], &instants);
    }

    let (ours, theirs) = both("rejects", "object, record_index, reason, encode(raw, 'hex') AS raw, rejected_at");
    assert_eq!(ours.len(), 2);
    let (ours, theirs) = (by(&ours, "object"), by(&theirs, "object"));
    for (object, row) in &ours {
        assert_same_columns(row, theirs[object], &["rejected_at"]);
    }
}
