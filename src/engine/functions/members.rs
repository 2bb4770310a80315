//! `json_member(json, name)`: a member of a JSON object, and not one of the same name further in; `spoken_time(text)`: the instant
//! that AWS's older APIs write out.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDateTime};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::value::RawValue;

/// The member of that name: a text as it is meant, everything else as JSON; null where there is none, or no object.
pub(super) fn json_member() -> ScalarUDF {
    let takes = vec![DataType::Utf8, DataType::Utf8];
    create_udf("json_member", takes, DataType::Utf8, Volatility::Immutable, Arc::new(members))
}

fn members(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (texts, names) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
    let mut found = StringBuilder::with_capacity(texts.len(), 0);
    for (text, name) in texts.iter().zip(names.iter()) {
        found.append_option(text.zip(name).and_then(|(text, name)| member(text, name)));
    }
    Ok(ColumnarValue::Array(Arc::new(found.finish())))
}

/// How AWS writes instants in the answers of its older APIs: `Jul 10, 2023, 6:38:25 PM`, in UTC.
const SPOKEN: [&str; 2] = ["%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p"];

/// The instant that a text names, as AWS speaks it or in RFC 3339; null where it names none.
pub(super) fn spoken_time() -> ScalarUDF {
    let answers = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    create_udf("spoken_time", vec![DataType::Utf8], answers, Volatility::Immutable, Arc::new(instants))
}

fn instants(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let found = arrays[0].as_string::<i32>().iter().map(|text| instant(text?));
    let found: TimestampMicrosecondArray = found.collect();
    Ok(ColumnarValue::Array(Arc::new(found.with_timezone("UTC"))))
}

fn instant(text: &str) -> Option<i64> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_micros());
    }
    // Newer runtimes set a narrow space before AM and PM.
    let text = text.replace('\u{202f}', " ");
    let at = SPOKEN.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())?;
    Some(at.and_utc().timestamp_micros())
}

/// A JSON object whose members are left as they are written, in their order.
type Object<'a> = std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>;

fn member<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let object: Object<'a> = serde_json::from_str(text).ok()?;
    let raw: &'a str = object.get(name)?.get();
    match raw {
        "null" => None,
        raw if raw.starts_with('"') => serde_json::from_str(raw).ok().map(Cow::Owned),
        raw => Some(Cow::Borrowed(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_the_objects_own() {
        let text = r#"{"tags":{"roleArn":"inner"},"roleArn":"a\"b","n":3600,"none":null,"deep":{"x":[1]}}"#;
        let cases = [
            ("roleArn", Some("a\"b")),
            ("n", Some("3600")),
            ("none", None),
            ("deep", Some(r#"{"x":[1]}"#)),
            ("x", None),
        ];
        for (name, expected) in cases {
            assert_eq!(member(text, name).as_deref(), expected, "{name}");
        }
        for (text, expected) in [
            ("Jul 10, 2023, 6:38:25 PM", Some(1_689_014_305_000_000)),
            ("Jul 10, 2023 6:38:25\u{202f}PM", Some(1_689_014_305_000_000)),
            ("2023-07-10T18:38:25Z", Some(1_689_014_305_000_000)),
            ("Feb 30, 2023, 6:38:25 PM", None),
            ("soon", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        for broken in ["", "[]", "null", "{\"a\":", "7"] {
            assert_eq!(member(broken, "a"), None, "{broken}");
        }
    }
}
