//! An event as the reference shows it: one JSON value per column.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Int32Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, TimeDelta};
use serde_json::{Map, Value};

use crate::cloudtrail::columns::{COLUMNS, Event, EventBuilder, Kind};

/// Where a record was read, and how it counts in the lake: what the reference does not know.
const PLACE: [&str; 3] = ["source_object", "record_index", "call"];

/// Columns of which the text is JSON: compared as what they say, not as how they are spelled.
const JSON: [&str; 3] = ["request_parameters", "response_elements", "additional_event_data"];

/// The row that an event becomes, by way of the very builders that fill the lake.
///
/// # Panics
/// When the builders refuse the event, or store JSON that is none.
pub fn row(event: &Event<'_>) -> Map<String, Value> {
    let mut builder = EventBuilder::default();
    builder.append(event).expect("one row overflows nothing");
    let batch = builder.finish().expect("columns of one row are of one length");
    let columns = COLUMNS.iter().zip(batch.columns()).filter(|(column, _)| !PLACE.contains(&column.name));
    columns
        .map(|(column, array)| {
            let value = if array.is_null(0) { Value::Null } else { value(column.kind, array) };
            let value = match value {
                Value::String(text) if JSON.contains(&column.name) => {
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", column.name))
                }
                value => value,
            };
            (column.name.to_owned(), value)
        })
        .collect()
}

fn value(kind: Kind, array: &ArrayRef) -> Value {
    match kind {
        Kind::Text => array.as_string::<i32>().value(0).into(),
        Kind::Symbol => {
            let symbols = array.as_dictionary::<Int32Type>();
            let key = symbols.keys().value(0).try_into().unwrap_or(usize::MAX);
            symbols.values().as_string::<i32>().value(key).into()
        }
        Kind::Flag => array.as_boolean().value(0).into(),
        Kind::Count => array.as_primitive::<Int32Type>().value(0).into(),
        Kind::Day => {
            let days = TimeDelta::days(array.as_primitive::<Date32Type>().value(0).into());
            let day = NaiveDate::default().checked_add_signed(days).expect("a day that chrono has read");
            day.format("%Y-%m-%d").to_string().into()
        }
        Kind::Instant => {
            let instant = DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(0));
            let instant = instant.expect("an instant that chrono has read");
            instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()
        }
        Kind::Pairs => {
            let pairs = array.as_map().value(0);
            let (keys, values) = (pairs.column(0).as_string::<i32>(), pairs.column(1).as_string::<i32>());
            let pairs = (0..pairs.len()).map(|at| (keys.value(at).to_owned(), values.value(at).into()));
            Value::Object(pairs.collect())
        }
    }
}
