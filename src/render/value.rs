//! One cell of a batch as a value, whatever Arrow type carries it.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::downcast_dictionary_array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Flag(bool),
    /// A whole or decimal number in digits, exact.
    Number(String),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    /// A map's or a struct's members, in their order.
    Members(Vec<(String, Value<'a>)>),
}

/// Whether a column's cells are numbers, which are set to the right.
pub(super) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

/// The cell of a column at a row.
pub(super) fn value(array: &dyn Array, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Flag(array.as_boolean().value(row)),
        DataType::Int8 => Value::Number(array.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => Value::Number(array.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => Value::Number(array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => Value::Number(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::UInt8 => Value::Number(array.as_primitive::<UInt8Type>().value(row).to_string()),
        DataType::UInt16 => Value::Number(array.as_primitive::<UInt16Type>().value(row).to_string()),
        DataType::UInt32 => Value::Number(array.as_primitive::<UInt32Type>().value(row).to_string()),
        DataType::UInt64 => Value::Number(array.as_primitive::<UInt64Type>().value(row).to_string()),
        DataType::Float16 => Value::Float(array.as_primitive::<Float16Type>().value(row).to_f64()),
        // By way of its digits, so that 0.1 stays 0.1.
        DataType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            Value::Float(number.to_string().parse().unwrap_or_else(|_| f64::from(number)))
        }
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).into()),
        DataType::Date32 => day(i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Date64 => day(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000)),
        DataType::Timestamp(unit, _) => instant(array, *unit, row),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(row)),
        DataType::ListView(_) => list(&array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => list(&array.as_list_view::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            Value::Members(
                fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(column, row))).collect(),
            )
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let member = |at| (plain(&value(keys, at)), owned(value(values, at)));
            Value::Members((0..entries.len()).map(member).collect())
        }
        DataType::Dictionary(_, _) => downcast_dictionary_array!(
            array => array.key(row).map_or(Value::Null, |key| value(array.values(), key)),
            _ => Value::Null
        ),
        _ => displayed(array, row),
    }
}

/// A value in one line of text, not yet harmless.
pub(super) fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Null => String::new(),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Members(members) => {
            members.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The value of one row as plain text, unless it is null.
pub(super) fn text(array: &dyn Array, row: usize) -> Option<String> {
    match value(array, row) {
        Value::Null => None,
        value => Some(plain(&value)),
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Flag(flag) => Value::Flag(flag),
        Value::Number(digits) => Value::Number(digits),
        Value::Float(number) => Value::Float(number),
        Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        Value::List(items) => Value::List(items.into_iter().map(owned).collect()),
        Value::Members(members) => {
            Value::Members(members.into_iter().map(|(key, value)| (key, owned(value))).collect())
        }
    }
}

fn list(items: &dyn Array) -> Value<'static> {
    Value::List((0..items.len()).map(|at| owned(value(items, at))).collect())
}

fn day(days: i64) -> Value<'static> {
    let date = TimeDelta::try_days(days).and_then(|days| DateTime::<Utc>::UNIX_EPOCH.checked_add_signed(days));
    Value::Text(date.map_or_else(|| format!("day {days}"), |date| date.date_naive().to_string()).into())
}

fn instant(array: &dyn Array, unit: TimeUnit, row: usize) -> Value<'static> {
    let (ticks, at) = match unit {
        TimeUnit::Second => {
            let ticks = array.as_primitive::<TimestampSecondType>().value(row);
            (ticks, DateTime::from_timestamp(ticks, 0))
        }
        TimeUnit::Millisecond => {
            let ticks = array.as_primitive::<TimestampMillisecondType>().value(row);
            (ticks, DateTime::from_timestamp_millis(ticks))
        }
        TimeUnit::Microsecond => {
            let ticks = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (ticks, DateTime::from_timestamp_micros(ticks))
        }
        TimeUnit::Nanosecond => {
            let ticks = array.as_primitive::<TimestampNanosecondType>().value(row);
            (ticks, Some(DateTime::from_timestamp_nanos(ticks)))
        }
    };
    let text = at.map_or_else(|| format!("{ticks} {unit}"), |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    Value::Text(text.into())
}

/// Types that no query of ours returns (binary, intervals, unions, …), as Arrow shows them.
fn displayed(array: &dyn Array, row: usize) -> Value<'static> {
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(array, &options).and_then(|shown| shown.value(row).try_to_string());
    match text {
        Ok(text) if array.data_type().is_numeric() => Value::Number(text),
        Ok(text) => Value::Text(text.into()),
        Err(error) => Value::Text(format!("({error})").into()),
    }
}
