//! `horizon_from()` and `horizon_until()`: the span of time that a lake can tell of, as the view `horizon` has it.
//!
//! They are functions, and not the view once more, because they become literals when a statement is planned: then files of
//! other times are not opened, and no row is joined to anything.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;

use crate::instant;

/// From when to when events can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The instant after the last.
    pub until: DateTime<Utc>,
}

/// Any time: for a lake of which is not known when it was added to.
impl Default for Horizon {
    fn default() -> Self {
        Self { from: instant::EARLIEST, until: instant::LATEST }
    }
}

impl Horizon {
    /// The one row of the view.
    pub(crate) fn of(rows: &[RecordBatch]) -> Self {
        let value = |column: &str| {
            let found = rows.iter().find(|batch| batch.num_rows() > 0)?.column_by_name(column)?;
            let found = found.as_primitive_opt::<TimestampMicrosecondType>()?.iter().next()??;
            DateTime::from_timestamp_micros(found)
        };
        let any = Self::default();
        Self { from: value("from_time").unwrap_or(any.from), until: value("until_time").unwrap_or(any.until) }
    }

    pub(super) fn functions(self) -> [ScalarUDF; 2] {
        [("horizon_from", self.from), ("horizon_until", self.until)].map(|(name, at)| {
            let zone: Option<Arc<str>> = Some("UTC".into());
            let answer = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let value = ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), zone);
            let told = Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone())));
            create_udf(name, Vec::new(), answer, Volatility::Immutable, told)
        })
    }
}
