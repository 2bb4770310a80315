//! Small tables as lists of columns: the schema, the rows and the README's tables are made from one list each.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::LakeError;

/// A column of a table: its name, how a row fills it, and what it means.
pub struct Column<R> {
    /// Its name in SQL.
    pub name: &'static str,
    /// What it means, in Markdown.
    pub doc: &'static str,
    get: Get<R>,
}

enum Get<R> {
    Text(fn(&R) -> Option<&str>),
    Flag(fn(&R) -> Option<bool>),
    Number(fn(&R) -> Option<i64>),
    /// Microseconds UTC.
    Instant(fn(&R) -> Option<i64>),
}

pub(super) const fn text<R>(name: &'static str, get: fn(&R) -> Option<&str>, doc: &'static str) -> Column<R> {
    Column { name, doc, get: Get::Text(get) }
}

pub(super) const fn flag<R>(name: &'static str, get: fn(&R) -> Option<bool>, doc: &'static str) -> Column<R> {
    Column { name, doc, get: Get::Flag(get) }
}

pub(super) const fn number<R>(name: &'static str, get: fn(&R) -> Option<i64>, doc: &'static str) -> Column<R> {
    Column { name, doc, get: Get::Number(get) }
}

pub(super) const fn instant<R>(name: &'static str, get: fn(&R) -> Option<i64>, doc: &'static str) -> Column<R> {
    Column { name, doc, get: Get::Instant(get) }
}

pub(super) fn schema<R>(columns: &[Column<R>]) -> SchemaRef {
    let kind = |get: &Get<R>| match get {
        Get::Text(_) => DataType::Utf8,
        Get::Flag(_) => DataType::Boolean,
        Get::Number(_) => DataType::Int64,
        Get::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    };
    Arc::new(Schema::new(
        columns.iter().map(|column| Field::new(column.name, kind(&column.get), true)).collect::<Vec<_>>(),
    ))
}

/// Rows of a table, in its columns' order.
pub(super) fn batch<R>(columns: &[Column<R>], rows: &[R]) -> Result<RecordBatch, LakeError> {
    let values = |column: &Column<R>| -> ArrayRef {
        match column.get {
            Get::Text(get) => Arc::new(rows.iter().map(get).collect::<StringArray>()),
            Get::Flag(get) => Arc::new(rows.iter().map(get).collect::<BooleanArray>()),
            Get::Number(get) => Arc::new(rows.iter().map(get).collect::<Int64Array>()),
            Get::Instant(get) => {
                Arc::new(rows.iter().map(get).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        }
    };
    Ok(RecordBatch::try_new(schema(columns), columns.iter().map(values).collect())?)
}

impl<R> std::fmt::Debug for Column<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Column").field("name", &self.name).finish_non_exhaustive()
    }
}
