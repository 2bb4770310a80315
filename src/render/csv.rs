//! CSV that a spreadsheet opens without running anything.
//!
//! Quoted by RFC 4180, lines ending in LF as the tools of a shell expect. A cell that a spreadsheet would take for a
//! formula is prefixed with `'` (OWASP, "CSV Injection"), numbers excepted. A list or a map is its JSON text.

use std::io;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::clean::clean;
use super::json;
use super::value::{Value, plain, value};

/// First characters that make a formula, their full-width forms among them.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) fn write<E: From<io::Error>>(
    out: &mut dyn io::Write,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<(), E> {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer.write_record(schema.fields().iter().map(|field| harmless(field.name()))).map_err(io::Error::from)?;
    for batch in batches {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(&value(column, row)));
            writer.write_record(cells).map_err(io::Error::from)?;
        }
    }
    Ok(writer.flush()?)
}

fn cell(value: &Value<'_>) -> String {
    match value {
        Value::Null | Value::Flag(_) | Value::Number(_) | Value::Float(_) => plain(value),
        Value::Text(text) => harmless(text),
        Value::List(_) | Value::Members(_) => {
            let mut text = String::new();
            json::push(&mut text, value);
            text
        }
    }
}

fn harmless(text: &str) -> String {
    let shown = clean(text);
    if text.starts_with(FORMULA) { format!("'{shown}") } else { shown.into_owned() }
}
