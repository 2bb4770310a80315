//! Rows of `events` as plain JSON, from a lake or from a decoder's batches, so that two sources of rows can be compared
//! by content.
//!
//! Where a record was read (`source_object`, `record_index`) is left out: it differs between copies of one event.

use arrow::array::RecordBatch;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use serde_json::{Map, Value};

use super::Dir;

/// The columns that say where a record was read, and how it counts in the lake that it is in.
pub const PLACE: [&str; 3] = ["source_object", "record_index", "call"];

/// Columns that hold JSON as text.
const JSON: [&str; 4] = ["request_parameters", "response_elements", "additional_event_data", "principal_tags"];

/// The rows of a batch: every column, instants with six digits of fraction, and JSON text as the JSON itself.
pub fn of_batch(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.6fZ".to_owned())
        .build::<_, LineDelimited>(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let lines = String::from_utf8(writer.into_inner()).unwrap();
    lines.lines().map(|line| without_text(serde_json::from_str(line).unwrap())).collect()
}

/// The row with JSON in place of its text.
fn without_text(mut row: Map<String, Value>) -> Map<String, Value> {
    for column in JSON {
        if let Some(Value::String(text)) = row.get(column) {
            let json = serde_json::from_str(text).unwrap();
            row.insert(column.to_owned(), json);
        }
    }
    row
}

/// Every row of a lake's `events`, by content and sorted, one line each.
pub fn of_lake(dir: &Dir) -> Vec<String> {
    let statement = format!("SELECT * EXCEPT ({}) FROM events", PLACE.join(", "));
    let rows = dir.keytrail(["sql", &statement]).format("ndjson").ok().stdout();
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}
