//! JSON: exact values, and nothing in the output but printable characters and line ends.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::clean::acts;
use super::value::{Value, value};

/// One array, an object a line.
pub(super) fn write_array<E: From<io::Error>>(
    out: &mut dyn io::Write,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<(), E> {
    let mut first = true;
    write_objects(schema, batches, |object| {
        let lead = if std::mem::take(&mut first) { "[\n" } else { ",\n" };
        out.write_all(lead.as_bytes())?;
        out.write_all(object.as_bytes())
    })?;
    Ok(out.write_all(if first { b"[]\n" } else { b"\n]\n" })?)
}

/// One object a line.
pub(super) fn write_lines<E: From<io::Error>>(
    out: &mut dyn io::Write,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<(), E> {
    write_objects(schema, batches, |object| {
        out.write_all(object.as_bytes())?;
        out.write_all(b"\n")
    })
}

fn write_objects<E: From<io::Error>>(
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
    mut write: impl FnMut(&str) -> io::Result<()>,
) -> Result<(), E> {
    let names = member_names(schema);
    let mut object = String::new();
    for batch in batches {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            object.clear();
            for (at, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
                object.push(if at == 0 { '{' } else { ',' });
                push_text(&mut object, name);
                object.push(':');
                push(&mut object, &value(column, row));
            }
            object.push_str(if names.is_empty() { "{}" } else { "}" });
            write(&object)?;
        }
    }
    Ok(())
}

/// The columns' names, each once: a second `id` becomes `id_2`, since an object has one member of a name.
fn member_names(schema: &Schema) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut count = 1;
        while !taken.insert(name.clone()) {
            count += 1;
            name = format!("{}_{count}", field.name());
        }
        names.push(name);
    }
    names
}

/// A value as JSON text; a number that JSON lacks is null.
pub(super) fn push(json: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => json.push_str("null"),
        Value::Flag(flag) => json.push_str(if *flag { "true" } else { "false" }),
        Value::Number(digits) => json.push_str(digits),
        Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => json.push_str(&number.to_string()),
            None => json.push_str("null"),
        },
        Value::Text(text) => push_text(json, text),
        Value::List(items) => {
            json.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                push(json, item);
            }
            json.push(']');
        }
        Value::Members(members) => {
            json.push('{');
            for (at, (key, member)) in members.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                push_text(json, key);
                json.push(':');
                push(json, member);
            }
            json.push('}');
        }
    }
}

fn push_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    // Most text needs no escape at all and is copied in one piece.
    while let Some(at) = rest.find(|character| character == '"' || character == '\\' || acts(character)) {
        json.push_str(&rest[..at]);
        let mut characters = rest[at..].chars();
        match characters.next() {
            Some('"') => json.push_str("\\\""),
            Some('\\') => json.push_str("\\\\"),
            Some('\n') => json.push_str("\\n"),
            Some('\r') => json.push_str("\\r"),
            Some('\t') => json.push_str("\\t"),
            Some(character) => push_escaped(json, character),
            None => {}
        }
        rest = characters.as_str();
    }
    json.push_str(rest);
    json.push('"');
}

fn push_escaped(json: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(json, "\\u{unit:04x}");
    }
}

/// JSON as another writer made it, with every character that acts as an escape. Line ends are its own: within a text that
/// writer has escaped them.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if acts(character) && character != '\n' {
            push_escaped(&mut out, character);
        } else {
            out.push(character);
        }
    }
    out
}
