//! Rows and findings for people and programs. This module writes to what it is given and never sees a session.
//!
//! ```text
//! RecordBatch ── value ──► Value ─┬─ json ───► json, ndjson        exact
//!                                 └─ clean ──► table, csv, markdown  harmless
//! ```
//!
//! Log content is chosen by strangers. JSON keeps every character, the dangerous ones as `\u` escapes. The other formats
//! show control, bidirectional and invisible characters as escapes (`clean.rs` has the list), so that a user agent can
//! neither move a cursor nor reorder a line; what they print is for reading and is not meant to be read back.

use std::io;
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use serde::Serialize;
use thiserror::Error;

mod chain;
mod clean;
mod count;
mod csv;
mod gaps;
mod incident;
mod json;
mod markdown;
mod overview;
mod table;
mod value;
mod verdict;

pub use chain::chain_text;
pub use count::thousands;
pub use gaps::{Gap, gaps};
pub use incident::incident_markdown;
pub use overview::{Document, DocumentError, overview_document};
pub use verdict::verdict_text;

#[cfg(test)]
mod tests;

/// The text with every character that acts instead of being read shown as an escape, for any line that a terminal sees.
#[must_use]
pub fn clean(text: &str) -> String {
    text.split('\n').map(clean::clean).collect::<Vec<_>>().join("\n")
}

/// A value as JSON, pretty or in one line, with nothing in it but printable characters and line ends.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn json_text(value: &impl Serialize, is_pretty: bool) -> serde_json::Result<String> {
    let text = if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }?;
    Ok(json::escaped(&text))
}

/// The texts of one column, row by row; null where the row has none, and nothing for a column that is not there.
#[must_use]
pub fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let columns = batches.iter().filter_map(|batch| batch.column_by_name(column));
    columns.flat_map(|array| (0..array.len()).map(|row| value::text(array.as_ref(), row))).collect()
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Columns for a person.
    #[default]
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180, with a header line; lines end in LF.
    Csv,
    /// A table in GitHub's Markdown.
    Markdown,
}

impl Format {
    /// Every format, in the order of the help text.
    pub const ALL: [Format; 5] = [Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Markdown];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Markdown => "markdown",
        }
    }
}

/// What a user may ask for: a format of rows, or a document that only `report` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Rows, or what a command makes of the format.
    Rows(Format),
    /// A page for a browser, in one file.
    Html,
    /// Detection Findings of the Open Cybersecurity Schema Framework, a JSON array.
    Ocsf,
    /// AWS Security Finding Format, as Security Hub's `BatchImportFindings` takes it.
    Asff,
    /// Static Analysis Results Interchange Format, 2.1.0.
    Sarif,
}

impl Default for Form {
    fn default() -> Self {
        Self::Rows(Format::Table)
    }
}

impl Form {
    /// Every form, in the order of the help text.
    pub const ALL: [Form; 9] = [
        Form::Rows(Format::Table),
        Form::Rows(Format::Json),
        Form::Rows(Format::Ndjson),
        Form::Rows(Format::Csv),
        Form::Rows(Format::Markdown),
        Form::Html,
        Form::Ocsf,
        Form::Asff,
        Form::Sarif,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Rows(format) => format.name(),
            Form::Html => "html",
            Form::Ocsf => "ocsf",
            Form::Asff => "asff",
            Form::Sarif => "sarif",
        }
    }

    /// Whether a file may hold this form whose name tells `told`: that form, a kind of JSON in `.json`, or text in `.txt`.
    #[must_use]
    pub fn fits(self, told: Self) -> bool {
        match told {
            Form::Rows(Format::Json) => {
                matches!(self, Form::Rows(Format::Json) | Form::Ocsf | Form::Asff | Form::Sarif)
            }
            Form::Rows(Format::Table) => matches!(self, Form::Rows(Format::Table | Format::Csv | Format::Markdown)),
            told => self == told,
        }
    }

    /// The form that a file's name tells by its end, such as `.html`, `.md` or `.ocsf.json`.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let told = [
            (".ocsf.json", Form::Ocsf),
            (".asff.json", Form::Asff),
            (".sarif.json", Form::Sarif),
            (".sarif", Form::Sarif),
            (".html", Form::Html),
            (".htm", Form::Html),
            (".md", Form::Rows(Format::Markdown)),
            (".json", Form::Rows(Format::Json)),
            (".csv", Form::Rows(Format::Csv)),
            (".txt", Form::Rows(Format::Table)),
        ];
        told.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, form)| form)
    }
}

/// A name that is no format's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no format; use table, json, ndjson, csv or markdown")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What else decides how rows look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowOptions {
    /// Columns of the terminal that a table must fit; without it, lines are as long as their content.
    pub width: Option<u16>,
}

/// Writes rows as they come, all of the schema's columns in each, in the order given; only a table needs all of them first.
///
/// Instants are RFC 3339 in UTC with a `Z` and no fraction when it is zero; null is `null` in JSON, nothing in CSV and
/// Markdown, and `-` in a table.
///
/// ```
/// use std::io;
/// use std::sync::Arc;
/// use arrow::array::{Int64Array, RecordBatch};
/// use keytrail::render::{Format, RowOptions, write_rows};
///
/// let calls = Arc::new(Int64Array::from(vec![Some(3), None]));
/// let batch = RecordBatch::try_from_iter([("calls", calls as _)]).unwrap();
/// let (schema, rows) = (batch.schema(), [io::Result::Ok(batch)]);
/// let mut out = Vec::new();
/// write_rows(&mut out, Format::Ndjson, &schema, rows, &RowOptions::default()).unwrap();
/// assert_eq!(out, b"{\"calls\":3}\n{\"calls\":null}\n");
/// ```
///
/// # Errors
/// When `out` does, or no rows can be had.
pub fn write_rows<E: From<io::Error>>(
    out: &mut dyn io::Write,
    format: Format,
    schema: &Schema,
    batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
    options: &RowOptions,
) -> Result<(), E> {
    let batches = batches.into_iter();
    match format {
        Format::Table => Ok(table::write(out, schema, &batches.collect::<Result<Vec<_>, E>>()?, options.width)?),
        Format::Json => json::write_array(out, schema, batches),
        Format::Ndjson => json::write_lines(out, schema, batches),
        Format::Csv => csv::write(out, schema, batches),
        Format::Markdown => markdown::write(out, schema, batches),
    }
}
