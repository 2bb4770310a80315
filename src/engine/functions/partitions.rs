//! `aws_partition(arn, region)`: the partition that something is of, such as `aws-cn`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::cloudtrail::arn;

/// That of the ARN, or where it is none (a service, an id) or null that of the Region. Null where both are.
pub(super) fn aws_partition() -> ScalarUDF {
    let arguments = vec![DataType::Utf8, DataType::Utf8];
    create_udf("aws_partition", arguments, DataType::Utf8, Volatility::Immutable, Arc::new(partitions))
}

fn partitions(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (arns, regions) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
    let one = |(arn, region): (Option<&'_ str>, Option<&'_ str>)| {
        (arn.is_some() || region.is_some()).then(|| arn::partition_of(&[arn], region.unwrap_or_default()).to_owned())
    };
    let answers: StringArray = arns.iter().zip(regions.iter()).map(one).collect();
    debug_assert_eq!(answers.len(), arns.len(), "a partition for each row");
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    #[tokio::test]
    async fn an_arn_tells_and_else_the_region() {
        let session = SessionContext::new();
        super::super::register(&session);
        let sql = "SELECT aws_partition(a, r) FROM (VALUES \
            ('arn:aws-eusc:iam::1:role/r', 'us-east-1'), ('service:x', 'us-isob-east-1'), (NULL, 'cn-north-1'), \
            ('x', NULL), (NULL, NULL)) AS t(a, r)";
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        let cells: Vec<&str> = shown.lines().skip(3).filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        assert_eq!(cells, ["aws-eusc", "aws-iso-b", "aws-cn", "aws", ""]);
    }
}
