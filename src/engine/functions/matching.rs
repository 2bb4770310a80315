//! `matches_any(text, patterns)`, `is_within(text, patterns)` and `tag_names(json)`: what expectations are compared by.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use super::texts;
use crate::expectations::matches;

/// Whether the text is of one of the patterns; null where either is null.
pub(super) fn matches_any() -> ScalarUDF {
    compared("matches_any", None)
}

/// Whether the text is of one of the patterns, or there are none to be of; null where only the text is null.
pub(super) fn is_within() -> ScalarUDF {
    compared("is_within", Some(true))
}

fn compared(name: &str, without: Option<bool>) -> ScalarUDF {
    let takes = vec![DataType::Utf8, texts()];
    let any = Arc::new(move |given: &[ColumnarValue]| any(given, without));
    create_udf(name, takes, DataType::Boolean, Volatility::Immutable, any)
}

fn any(arguments: &[ColumnarValue], without: Option<bool>) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (given, lists) = (arrays[0].as_string::<i32>(), arrays[1].as_list::<i32>());
    let answers: BooleanArray = given
        .iter()
        .zip(lists.iter())
        .map(|(text, patterns)| {
            let Some(patterns) = patterns else { return without };
            let text = text?;
            Some(patterns.as_string::<i32>().iter().flatten().any(|pattern| matches(pattern, text)))
        })
        .collect();
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

/// The tags in a JSON object, sorted by name; null where the text is none.
pub(super) fn tag_names() -> ScalarUDF {
    create_udf("tag_names", vec![DataType::Utf8], texts(), Volatility::Immutable, Arc::new(names))
}

fn names(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for json in arrays[0].as_string::<i32>() {
        match json.and_then(|json| serde_json::from_str::<BTreeMap<String, String>>(json).ok()) {
            Some(tags) => lists.append_value(tags.into_iter().map(|(name, value)| Some(format!("tag:{name}={value}")))),
            None => lists.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}
