//! `evidence(event_id, event_time)`: the ids of the first ten events.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::scalar::ScalarValue;

use super::{Gather, texts};

/// A finding names no more.
const IDS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// At most [`IDS`].
    first: BTreeSet<(i64, String)>,
}

impl Gather for Evidence {
    const NAME: &'static str = "evidence";

    fn takes() -> Vec<DataType> {
        vec![DataType::Utf8, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))]
    }

    fn gives() -> DataType {
        DataType::new_list(DataType::Utf8, true)
    }

    fn add(&mut self, columns: &[ArrayRef]) {
        let (ids, times) = (columns[0].as_string::<i32>(), columns[1].as_primitive::<TimestampMicrosecondType>());
        for row in (0..ids.len()).filter(|row| ids.is_valid(*row)) {
            // An event without a time comes last.
            let at = if times.is_valid(row) { times.value(row) } else { i64::MAX };
            let id = ids.value(row);
            let is_later = |last: &(i64, String)| (at, id) >= (last.0, last.1.as_str());
            if self.first.len() == IDS && self.first.last().is_some_and(is_later) {
                continue;
            }
            self.first.insert((at, id.to_owned()));
            if self.first.len() > IDS {
                self.first.pop_last();
            }
        }
    }

    fn rows(&self) -> Vec<ArrayRef> {
        let ids: StringArray = self.first.iter().map(|(_, id)| Some(id)).collect();
        let times: TimestampMicrosecondArray = self.first.iter().map(|(at, _)| Some(*at)).collect();
        vec![Arc::new(ids), Arc::new(times.with_timezone("UTC"))]
    }

    fn answer(&self) -> ScalarValue {
        texts(self.first.iter().map(|(_, id)| id.as_str()))
    }

    fn heap(&self) -> usize {
        self.first.iter().map(|(at, id)| size_of_val(at) + size_of_val(id) + id.capacity()).sum()
    }
}
