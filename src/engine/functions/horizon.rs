//! `horizon_from()` and `horizon_until()`: the span of time that a lake can tell of, as the view `horizon` has it. And
//! `window_from()`, `window_since()` and `window_until()`: what a run of the detectors looks at.
//!
//! They are functions, and not a view once more, because they become literals when a statement is planned: then files of
//! other times are not opened, and no row is joined to anything.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;

use crate::instant::{EARLIEST, LATEST};

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
        Self { from: EARLIEST, until: LATEST }
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
        [instant("horizon_from", self.from), instant("horizon_until", self.until)]
    }
}

/// The time that a run looks at, and how far back it looks for what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant that tells what is usual.
    pub from: DateTime<Utc>,
    /// The first instant that is looked at.
    pub since: DateTime<Utc>,
    /// The instant after the last.
    pub until: DateTime<Utc>,
}

/// Outside of a run, all that the lake can tell of is looked at.
impl From<Horizon> for Span {
    fn from(horizon: Horizon) -> Self {
        Self { from: horizon.from, since: horizon.from, until: horizon.until }
    }
}

impl Span {
    pub(super) fn functions(self) -> [ScalarUDF; 3] {
        [instant("window_from", self.from), instant("window_since", self.since), instant("window_until", self.until)]
    }
}

/// A function that is an instant.
fn instant(name: &str, at: DateTime<Utc>) -> ScalarUDF {
    let zone: Option<Arc<str>> = Some("UTC".into());
    let answer = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let value = ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), zone);
    let told = Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone())));
    create_udf(name, Vec::new(), answer, Volatility::Immutable, told)
}
