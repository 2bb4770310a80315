//! `counted(number, thing)`: a number of things in words, as in `1 call` and `2 calls`.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

pub(super) fn counted() -> ScalarUDF {
    let takes = vec![DataType::Int64, DataType::Utf8];
    create_udf("counted", takes, DataType::Utf8, Volatility::Immutable, Arc::new(words))
}

fn words(given: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(given)?;
    let (numbers, things) = (arrays[0].as_primitive::<Int64Type>(), arrays[1].as_string::<i32>());
    let words = |(number, thing): (Option<i64>, Option<&str>)| {
        let plural = if number? == 1 { "" } else { "s" };
        Some(format!("{} {}{plural}", number?, thing?))
    };
    Ok(ColumnarValue::Array(Arc::new(numbers.iter().zip(things).map(words).collect::<StringArray>())))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    #[tokio::test]
    async fn one_is_singular() {
        let session = SessionContext::new();
        crate::engine::functions::register(&session);
        let sql =
            "SELECT concat_ws(', ', counted(0, 'call'), counted(1, 'call'), counted(2, 'call'), counted(NULL, 'call'))";
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let said = arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap();
        assert_eq!(said, "0 calls, 1 call, 2 calls");
    }
}
