//! Which reports were written, so that the next one goes on where the last one ended.

use arrow::datatypes::SchemaRef;

use super::columns::{Column, instant, number, schema, text};

/// A report that was written. Instants are microseconds UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `reports` table")]
pub struct ReportRow {
    pub number: i64,
    pub made_at: i64,
    pub run_at: i64,
    pub series: String,
    pub since: i64,
    pub until: i64,
    pub lake_version: i64,
    pub new_findings: i64,
}

/// The columns of `reports`.
pub static REPORT_COLUMNS: &[Column<ReportRow>] = &[
    number("number", |row| Some(row.number), "Which of its series, from 1: the order in which they were written"),
    instant("made_at", |row| Some(row.made_at), "When it had been written"),
    instant("run_at", |row| Some(row.run_at), "The run of the detectors that it tells of, as in `detections`"),
    text("series", |row| Some(&row.series), "The series that it is one of"),
    instant("since", |row| Some(row.since), "The window's begin: the end of the one before"),
    instant("until", |row| Some(row.until), "The window's end"),
    number("lake_version", |row| Some(row.lake_version), "Version of `events` that it rests on"),
    number("new_findings", |row| Some(row.new_findings), "How many findings were new"),
];

pub(super) fn reports_schema() -> SchemaRef {
    schema(REPORT_COLUMNS)
}
