//! `call_mark(event_source, event_type, event_id, original_event_id, shared_event_id)`: how an event counts in `calls`, for files that
//! do not say.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::lake::calls::{MARKED_BY, Mark};

pub(crate) fn call_mark() -> ScalarUDF {
    let arguments = vec![DataType::Utf8View; MARKED_BY.len()];
    create_udf("call_mark", arguments, DataType::Utf8View, Volatility::Immutable, Arc::new(marks))
}

fn marks(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let texts = [0, 1, 2, 3, 4].map(|column: usize| arrays[column].as_string_view());
    let mark = |row: usize| {
        let values = texts.map(|texts| texts.is_valid(row).then(|| texts.value(row)));
        Some(Mark::of(values).name())
    };
    let marks: StringViewArray = (0..arrays[0].len()).map(mark).collect();
    Ok(ColumnarValue::Array(Arc::new(marks)))
}
