//! A lake that an earlier version made lacks columns: it opens, they are null, and what is added fills them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::support::{Dir, decrypt, with};

/// Columns of `events` that a lake of an earlier version does not have.
const YOUNGER: [&str; 3] = ["on_behalf_of", "identity_store", "principal_tags"];

fn log_files(table: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension() == Some("json".as_ref())).collect();
    files.sort();
    files
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rewrites a data file without the columns, and returns its new size.
fn shrink(path: &Path) -> u64 {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let schema = batches[0].schema();
    let keep: Vec<usize> =
        (0..schema.fields().len()).filter(|&column| !YOUNGER.contains(&schema.field(column).name().as_str())).collect();
    assert_eq!(keep.len() + YOUNGER.len(), schema.fields().len());
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), schema.project(&keep).unwrap().into(), None).unwrap();
    for batch in &batches {
        writer.write(&batch.project(&keep).unwrap()).unwrap();
    }
    writer.close().unwrap();
    fs::metadata(path).unwrap().len()
}

/// Makes of a lake one that has never heard of the columns.
fn age(table: &Path) {
    for path in log_files(table) {
        let mut actions = lines(&path);
        for action in &mut actions {
            if let Some(text) = action["metaData"]["schemaString"].as_str() {
                let mut schema: Value = serde_json::from_str(text).unwrap();
                let fields = schema["fields"].as_array_mut().unwrap();
                fields.retain(|field| !YOUNGER.contains(&field["name"].as_str().unwrap()));
                action["metaData"]["schemaString"] = schema.to_string().into();
            }
            if let Some(file) = action["add"]["path"].as_str().map(|path| table.join(path)) {
                action["add"]["size"] = shrink(&file).into();
            }
        }
        let text: Vec<String> = actions.iter().map(Value::to_string).collect();
        fs::write(&path, text.join("\n") + "\n").unwrap();
    }
    for entry in fs::read_dir(table.join("_delta_log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some("crc".as_ref()) {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The columns that the log names last.
fn named(table: &Path) -> BTreeSet<String> {
    let actions: Vec<Value> = log_files(table).iter().flat_map(|path| lines(path)).collect();
    let schema = actions.iter().filter_map(|action| action["metaData"]["schemaString"].as_str()).next_back().unwrap();
    let schema: Value = serde_json::from_str(schema).unwrap();
    schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

fn person(id: &str, user: &str) -> Value {
    let mut record = decrypt(id);
    record["userIdentity"]["onBehalfOf"] = json!({"userId": user, "identityStoreArn": "arn:s"});
    record
}

#[test]
fn a_lake_without_the_columns_opens_reads_null_and_fills_them_from_then_on() {
    let dir = Dir::new();
    let first = dir.log("a.json", &[person("old", "u-1"), decrypt("plain")]);
    dir.ingest(&first);
    let table = dir.lake().join("events");
    age(&table);
    assert!(YOUNGER.iter().all(|column| !named(&table).contains(*column)), "the lake is old");

    let rows = || dir.sql("SELECT event_id, on_behalf_of, principal FROM calls ORDER BY event_id");
    let people = || rows().iter().map(|row| row["on_behalf_of"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>();
    assert_eq!(people(), ["-", "-"]);
    let asked = dir.keytrail(["timeline", "--person", "u-1"]).format("ndjson").ok().ndjson();
    assert!(asked.is_empty(), "{asked:?}");

    // What it has already is still known, and what is new has the columns, in the lake's own schema too.
    let second = dir.log("b.json", &[person("new", "u-2"), person("old", "u-1")]);
    let account = dir.ingest(&second);
    assert_eq!((&account["records"]["kept"], &account["records"]["duplicate"]), (&json!(1), &json!(1)));
    assert_eq!(people(), ["u-2", "-", "-"]);
    assert!(YOUNGER.iter().all(|column| named(&table).contains(*column)), "{:?}", named(&table));

    // Files with and without the columns become one.
    dir.keytrail(["maintain"]).ok();
    assert_eq!(people(), ["u-2", "-", "-"]);
    let third = dir.log("c.json", &[with(person("last", "u-3"), "eventTime", "2026-01-06T12:00:00Z")]);
    dir.ingest(&third);
    assert_eq!(people(), ["u-3", "u-2", "-", "-"]);
}

/// An older keytrail beside a newer one answers, reads more logs, and merges nothing of which it would drop a column.
#[test]
fn a_lake_with_columns_of_a_later_version_is_read_and_not_merged() {
    let dir = Dir::new();
    dir.ingest(dir.log("a.json", &[decrypt("a")]));
    let table = dir.lake().join("events");
    let log =
        log_files(&table).into_iter().find(|path| lines(path).iter().any(|action| action["metaData"].is_object()));
    let (path, mut actions) = log.map(|path| (path.clone(), lines(&path))).unwrap();
    for action in &mut actions {
        if let Some(text) = action["metaData"]["schemaString"].as_str() {
            let mut schema: Value = serde_json::from_str(text).unwrap();
            let field = json!({"name": "moon_phase", "type": "string", "nullable": true, "metadata": {}});
            schema["fields"].as_array_mut().unwrap().push(field);
            action["metaData"]["schemaString"] = schema.to_string().into();
        }
    }
    fs::write(path, actions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n").unwrap();

    dir.ingest(dir.log("b.json", &[decrypt("b")]));
    let day = table.join("event_date=2026-01-05");
    let files = || fs::read_dir(&day).unwrap().count();
    assert_eq!(files(), 2);
    let ran = dir.keytrail(["maintain"]).code(2);
    assert!(ran.stderr().contains("events") && ran.stderr().contains("does not know: moon_phase"), "{}", ran.seen());
    assert_eq!((dir.sql("SELECT event_id FROM calls").len(), files()), (2, 2));
}
