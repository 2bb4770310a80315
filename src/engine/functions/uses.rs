//! What the class and the outcome of a call say of a key's use.
//!
//! - `is_use(usage_class)`: whether an operation uses key material, or may do so
//! - `is_unserved(outcome, error_code)`: whether a call was allowed and failed on AWS's side

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::cloudtrail::operation::USES;

/// How the error codes begin that say that KMS, or a key store behind it, did not answer. AWS KMS API Reference, "Common errors" and
/// those of the operations.
const UNSERVED: [&str; 7] =
    ["KMSInternal", "DependencyTimeout", "KeyUnavailable", "CloudHsm", "CustomKeyStore", "Xks", "InternalFailure"];

/// Null where the class is.
pub(super) fn is_use() -> ScalarUDF {
    let answer = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let classes = arrays[0].as_string_view();
        let answers: BooleanArray = classes.iter().map(|class| Some(USES.contains(&class?))).collect();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    };
    create_udf("is_use", vec![DataType::Utf8View], DataType::Boolean, Volatility::Immutable, Arc::new(answer))
}

/// Never null.
pub(super) fn is_unserved() -> ScalarUDF {
    let answer = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let (outcomes, errors) = (arrays[0].as_string_view(), arrays[1].as_string_view());
        let is_unserved = |(outcome, error): (Option<&str>, Option<&str>)| {
            outcome == Some("throttled")
                || error.is_some_and(|error| UNSERVED.iter().any(|begin| error.starts_with(begin)))
        };
        let answers: BooleanArray = outcomes.iter().zip(errors.iter()).map(is_unserved).map(Some).collect();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    };
    let arguments = vec![DataType::Utf8View, DataType::Utf8View];
    create_udf("is_unserved", arguments, DataType::Boolean, Volatility::Immutable, Arc::new(answer))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use datafusion::prelude::SessionContext;

    async fn answers(expression: &str, rows: &str) -> Vec<Option<bool>> {
        let session = SessionContext::new();
        super::super::register(&session);
        let sql = format!("SELECT {expression} FROM (VALUES {rows}) AS t(a, b)");
        let rows = session.sql(&sql).await.unwrap().collect().await.unwrap();
        rows[0].column(0).as_boolean().iter().collect()
    }

    #[tokio::test]
    async fn what_only_looks_at_keys_or_changes_them_is_no_use() {
        let rows = "('decrypt', 1), ('read', 1), ('other', 1), ('access', 1), ('context', 1), (NULL, 1)";
        let expected = [Some(true), Some(false), Some(true), Some(false), Some(false), None];
        assert_eq!(answers("is_use(a)", rows).await, expected);
    }

    #[tokio::test]
    async fn what_failed_on_the_side_of_aws_is_told_from_what_was_refused() {
        let rows = "('throttled', 'ThrottlingException'), ('error', 'KMSInternalException'), ('denied', 'AccessDenied'), \
            ('key_unusable', 'KeyUnavailableException'), ('ok', NULL), (NULL, NULL), (NULL, 'XksProxyUriUnreachableException')";
        let expected = [true, true, false, true, false, false, true].map(Some);
        assert_eq!(answers("is_unserved(a, b)", rows).await, expected);
    }
}
