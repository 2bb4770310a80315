//! A table in GitHub's Markdown whose cells are text and nothing else: no markup, no HTML, no links of a stranger's.

use std::io;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::clean::clean;
use super::value::{is_number, plain, value};

pub(super) fn write<E: From<io::Error>>(
    out: &mut dyn io::Write,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<(), E> {
    let names: Vec<String> = schema.fields().iter().map(|field| escape(field.name())).collect();
    writeln!(out, "| {} |", names.join(" | "))?;
    let rules = schema.fields().iter().map(|field| if is_number(field.data_type()) { "---:" } else { "---" });
    writeln!(out, "| {} |", rules.collect::<Vec<_>>().join(" | "))?;
    for batch in batches {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch.columns().iter().map(|column| escape(&plain(&value(column, row)))).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
    }
    Ok(())
}

/// A table of texts under these headings.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = format!("| {} |\n|{}\n", headings.join(" | "), " --- |".repeat(headings.len()));
    let rows = rows.iter().map(|row| line(&row.iter().map(|cell| escape(cell)).collect::<Vec<_>>()));
    head + &rows.collect::<String>()
}

/// The text as Markdown shows it letter by letter. A line end becomes a space: a row is one line.
pub(super) fn escape(text: &str) -> String {
    let joined = text.replace("\r\n", " ").replace(['\n', '\r'], " ");
    let shown = clean(&joined);
    let mut escaped = String::with_capacity(shown.len() + 8);
    let mut before = ' ';
    let mut characters = shown.chars().peekable();
    while let Some(character) = characters.next() {
        let markup = match character {
            '\\' | '|' | '`' | '<' | '>' | '[' | ']' | '*' | '~' | '&' => true,
            // Inside a word an underscore is only an underscore, and names are full of them.
            '_' => !(before.is_alphanumeric() && characters.peek().is_some_and(|next| next.is_alphanumeric())),
            _ => false,
        };
        if markup {
            escaped.push('\\');
        }
        escaped.push(character);
        before = character;
    }
    escaped
}
