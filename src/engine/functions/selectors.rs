//! `selectors_capture_kms(json)`: whether a trail with these event selectors records the use of KMS keys.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::cloudtrail::selectors;

/// The function: text in, boolean out; null when the text holds no selectors.
pub(super) fn selectors_capture_kms() -> ScalarUDF {
    let name = "selectors_capture_kms";
    create_udf(name, vec![DataType::Utf8], DataType::Boolean, Volatility::Immutable, Arc::new(captures))
}

fn captures(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let texts = arrays[0].as_string::<i32>();
    let answers: BooleanArray = texts.iter().map(|json| selectors::selectors_capture_kms(json?)).collect();
    debug_assert_eq!(answers.len(), texts.len(), "an answer a row");
    Ok(ColumnarValue::Array(Arc::new(answers)))
}
