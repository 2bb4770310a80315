//! Time as detectors speak of it: `days(n)`, `hours(n)` and `minutes(n)` as spans, `days_between(from, to)` as a number, and
//! `hours_of(time)`, the hours in which an instant is when they begin at every half hour. `hour_of(time)` is the hour of the clock: as
//! `date_trunc`, which asks a calendar for each row and fails on the year 1.

use std::sync::Arc;

use arrow::array::{
    AsArray, Float64Array, IntervalMonthDayNanoArray, ListBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Field, Int64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

const MICROS: i64 = 1_000_000;
const NANOS: i64 = 1_000_000_000;
const HALF_HOUR: i64 = 1_800 * MICROS;

pub(super) fn functions() -> [ScalarUDF; 6] {
    let between = Arc::new(days_between);
    let of = DataType::List(Arc::new(Field::new("item", instant(), true)));
    [
        span("days", |n| i32::try_from(n).ok().map(|days| IntervalMonthDayNano::new(0, days, 0))),
        span("hours", |n| n.checked_mul(3_600 * NANOS).map(|nanos| IntervalMonthDayNano::new(0, 0, nanos))),
        span("minutes", |n| n.checked_mul(60 * NANOS).map(|nanos| IntervalMonthDayNano::new(0, 0, nanos))),
        create_udf("days_between", vec![instant(), instant()], DataType::Float64, Volatility::Immutable, between),
        create_udf("hour_of", vec![instant()], instant(), Volatility::Immutable, Arc::new(hour_of)),
        create_udf("hours_of", vec![instant()], of, Volatility::Immutable, Arc::new(hours_of)),
    ]
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// So many of a unit; null where that is more than a span can be.
fn span(name: &str, of: fn(i64) -> Option<IntervalMonthDayNano>) -> ScalarUDF {
    let made = move |given: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(given)?;
        let spans: IntervalMonthDayNanoArray =
            arrays[0].as_primitive::<Int64Type>().iter().map(|number| number.and_then(of)).collect();
        Ok(ColumnarValue::Array(Arc::new(spans)))
    };
    let kind = DataType::Interval(IntervalUnit::MonthDayNano);
    create_udf(name, vec![DataType::Int64], kind, Volatility::Immutable, Arc::new(made))
}

fn days_between(given: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(given)?;
    let [from, to] = [0, 1].map(|place: usize| arrays[place].as_primitive::<TimestampMicrosecondType>());
    #[allow(clippy::cast_precision_loss, reason = "whole microseconds up to the year 2255")]
    let days = |micros: i64| micros as f64 / (86_400 * MICROS) as f64;
    let answers: Float64Array = from.iter().zip(to).map(|(from, to)| Some(days(to? - from?))).collect();
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

fn hour_of(given: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(given)?;
    let times = arrays[0].as_primitive::<TimestampMicrosecondType>();
    let hours: TimestampMicrosecondArray = times.unary(|time| time - time.rem_euclid(2 * HALF_HOUR));
    Ok(ColumnarValue::Array(Arc::new(hours.with_timezone("UTC"))))
}

fn hours_of(given: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(given)?;
    let times = arrays[0].as_primitive::<TimestampMicrosecondType>();
    let builder = TimestampMicrosecondBuilder::with_capacity(2 * times.len()).with_data_type(instant());
    let mut lists = ListBuilder::new(builder).with_field(Field::new("item", instant(), true));
    for time in times {
        let halves = time.map(|time| {
            let half = time - time.rem_euclid(HALF_HOUR);
            [Some(half), Some(half - HALF_HOUR)]
        });
        match halves {
            Some(halves) => lists.append_value(halves),
            None => lists.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    async fn asked(sql: &str) -> String {
        let session = SessionContext::new();
        crate::engine::functions::register(&session);
        let rows = session.sql(&format!("SELECT CAST({sql} AS VARCHAR)")).await.unwrap().collect().await.unwrap();
        arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap()
    }

    #[tokio::test]
    async fn spans_are_added_and_measured() {
        let at = |text: &str| format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')");
        let (march, april) = (at("2026-03-01T12:00:00Z"), at("2026-04-01T00:00:00Z"));
        assert_eq!(asked(&format!("{march} - days(30)")).await, "2026-01-30T12:00:00Z");
        assert_eq!(asked(&format!("{march} - hours(36)")).await, "2026-02-28T00:00:00Z");
        assert_eq!(asked(&format!("{march} + minutes(90)")).await, "2026-03-01T13:30:00Z");
        assert_eq!(asked(&format!("days_between({march}, {april})")).await, "30.5");
        assert_eq!(asked("days(9223372036854775807) IS NULL").await, "true");
    }

    #[tokio::test]
    async fn an_hour_begins_at_or_before_any_instant_in_it() {
        let of = |text: &str| format!("hour_of(arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))'))");
        assert_eq!(asked(&of("2026-03-01T12:59:59.999Z")).await, "2026-03-01T12:00:00Z");
        assert_eq!(asked(&of("2026-03-01T12:00:00Z")).await, "2026-03-01T12:00:00Z");
        assert_eq!(asked(&of("1969-12-31T23:45:00Z")).await, "1969-12-31T23:00:00Z");
        assert_eq!(asked("hour_of(NULL) IS NULL").await, "true");
        // The first and the last instants that an event may claim.
        for micros in ["-62135596800000000", "253402300799000000"] {
            let at = format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
            assert_eq!(asked(&format!("hour_of({at}) <= {at} AND hour_of({at}) > {at} - hours(1)")).await, "true");
        }
    }

    #[tokio::test]
    async fn each_instant_is_in_two_hours() {
        let of = |text: &str| {
            format!("array_to_string(hours_of(arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')), ' ')")
        };
        assert_eq!(asked(&of("2026-03-01T12:29:59Z")).await, "2026-03-01T12:00:00Z 2026-03-01T11:30:00Z");
        assert_eq!(asked(&of("2026-03-01T12:30:00Z")).await, "2026-03-01T12:30:00Z 2026-03-01T12:00:00Z");
        assert_eq!(asked(&of("1969-12-31T23:45:00Z")).await, "1969-12-31T23:30:00Z 1969-12-31T23:00:00Z");
    }
}
