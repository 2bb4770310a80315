//! `latest(text, time, limit)`: the different texts of the latest times, at most so many, each with its last time.
//!
//! A window function that numbers the texts of each group sorts all of them to name a few. Here a group holds the few.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, StringViewArray, StringViewBuilder, StructArray,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{exec_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;

use super::is_chosen;
use super::one_group::OneGroup;

/// A list of `text` and `at`, the latest first, of one time in order of the texts; empty where there are none. A row without a
/// text or a time does not count.
pub(super) fn latest() -> AggregateUDF {
    let signature = Signature::exact(vec![DataType::Utf8View, time(), DataType::Int64], Volatility::Immutable);
    AggregateUDF::from(Latest { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Latest {
    signature: Signature,
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn pair() -> Fields {
    Fields::from(vec![Field::new("text", DataType::Utf8View, false), Field::new("at", time(), false)])
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(pair()), true))
}

/// The limit, which is the same for all rows: a literal.
fn limit(given: &AccumulatorArgs<'_>) -> Result<usize> {
    let literal = given.exprs.get(2).and_then(|limit| limit.downcast_ref::<Literal>()).map(Literal::value);
    let Some(ScalarValue::Int64(Some(limit))) = literal else {
        return plan_err!("latest(text, time, limit) takes a whole number as its limit");
    };
    usize::try_from(*limit).map_err(|_| exec_datafusion_err!("the limit of latest(text, time, limit) is not negative"))
}

impl AggregateUDFImpl for Latest {
    fn name(&self) -> &'static str {
        "latest"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::List(Arc::new(lists([].iter(), 1))))
    }

    fn accumulator(&self, given: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(LatestTexts::new(limit(&given)?))))
    }

    fn state_fields(&self, given: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[latest]", given.name), DataType::List(item()), false))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, given: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(LatestTexts::new(limit(&given)?)))
    }
}

/// A text and its last time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    at: i64,
    text: String,
}

impl Seen {
    /// Less is what a list names first.
    fn rank(&self, at: i64, text: &str) -> Ordering {
        at.cmp(&self.at).then_with(|| self.text.as_str().cmp(text))
    }
}

/// The latest texts of each group, in order.
///
/// A text that falls out of a full list needs a later time than those in it to come back, and then that is its last time: so what
/// a list forgets changes nothing.
#[derive(Debug, Clone)]
struct LatestTexts {
    limit: usize,
    groups: Vec<Vec<Seen>>,
    /// Bytes of the texts, roughly.
    bytes: usize,
}

impl LatestTexts {
    fn new(limit: usize) -> Self {
        Self { limit, groups: Vec::new(), bytes: 0 }
    }

    fn reach(&mut self, groups: usize) {
        self.groups.resize(groups.max(self.groups.len()), Vec::new());
    }

    fn see(&mut self, group: usize, text: &str, at: i64) {
        let list = &mut self.groups[group];
        let is_full = list.len() == self.limit;
        if is_full && list.last().is_none_or(|last| last.rank(at, text).is_le()) {
            return;
        }
        let mut seen = match list.iter().position(|seen| seen.text == text) {
            Some(known) if list[known].at >= at => return,
            Some(known) => list.remove(known),
            // Its place in memory is used again.
            None if is_full => list.pop().unwrap_or_else(|| Seen { at, text: String::new() }),
            None => {
                self.bytes += text.len() + size_of::<Seen>();
                Seen { at, text: String::new() }
            }
        };
        seen.at = at;
        if seen.text != text {
            seen.text.clear();
            seen.text.push_str(text);
        }
        let place = list.partition_point(|other| other.rank(at, text).is_lt());
        list.insert(place, seen);
    }

    fn take(&mut self, emit: EmitTo) -> ListArray {
        let taken = emit.take_needed(&mut self.groups);
        lists(taken.iter(), taken.len())
    }
}

/// The groups' lists; empty ones where there are fewer groups than asked for.
fn lists<'s>(groups: impl Iterator<Item = &'s Vec<Seen>>, count: usize) -> ListArray {
    let (mut texts, mut times) = (StringViewBuilder::new(), TimestampMicrosecondBuilder::new());
    let mut lengths = Vec::with_capacity(count);
    for group in groups {
        for seen in group {
            texts.append_value(&seen.text);
            times.append_value(seen.at);
        }
        lengths.push(group.len());
    }
    lengths.resize(count, 0);
    listed(texts.finish(), times.finish(), lengths)
}

fn listed(texts: StringViewArray, times: TimestampMicrosecondArray, lengths: Vec<usize>) -> ListArray {
    let columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(times.with_timezone("UTC"))];
    ListArray::new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(StructArray::new(pair(), columns, None)), None)
}

impl GroupsAccumulator for LatestTexts {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_in_all: usize,
    ) -> Result<()> {
        self.reach(groups_in_all);
        let [texts, times, ..] = values else { return Ok(()) };
        let (texts, times) = (texts.as_string_view(), times.as_primitive::<TimestampMicrosecondType>());
        // Rows come in order of time nearly always: from their end, most are seen to be too early at once.
        for (row, &group) in groups.iter().enumerate().rev() {
            if texts.is_valid(row) && times.is_valid(row) && is_chosen(filter, row) {
                self.see(group, texts.value(row), times.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_in_all: usize) -> Result<()> {
        self.reach(groups_in_all);
        let lists = states[0].as_list::<i32>();
        let pairs = lists.values().as_struct();
        let (texts, times) =
            (pairs.column(0).as_string_view(), pairs.column(1).as_primitive::<TimestampMicrosecondType>());
        for (span, &group) in lists.value_offsets().windows(2).zip(groups) {
            let [start, end] = [span[0], span[1]].map(|offset| usize::try_from(offset).unwrap_or_default());
            (start..end).for_each(|at| self.see(group, texts.value(at), times.value(at)));
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(self.take(emit)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.take(emit))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each = Self::new(self.limit);
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Vec<Seen>>() + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{Int64Array, RecordBatch};
    use datafusion::datasource::MemTable;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use proptest::prelude::*;

    use super::*;

    type Row = (u8, Option<String>, Option<i64>, bool);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let text = proptest::option::weighted(0.9, "[ab]{0,2}|[ab]{13,14}");
        let row = (0..3_u8, text, proptest::option::weighted(0.9, 0..9_i64), proptest::bool::weighted(0.8));
        proptest::collection::vec(row, 0..80)
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let groups: Int64Array = rows.iter().map(|row| Some(i64::from(row.0))).collect();
        let texts: StringViewArray = rows.iter().map(|row| row.1.as_deref()).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|row| row.2).collect();
        let chosen: BooleanArray = rows.iter().map(|row| Some(row.3)).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("g", Arc::new(groups) as ArrayRef, true),
            ("t", Arc::new(texts) as ArrayRef, true),
            ("at", Arc::new(times.with_timezone("UTC")) as ArrayRef, true),
            ("c", Arc::new(chosen) as ArrayRef, true),
        ])
        .unwrap()
    }

    /// What a sort of all texts of each group by their last time says.
    fn expected(rows: &[Row], limit: usize) -> BTreeMap<i64, Vec<(String, i64)>> {
        let mut last: BTreeMap<i64, BTreeMap<&str, i64>> = BTreeMap::new();
        for (group, text, at, is_chosen) in rows {
            let times = last.entry(i64::from(*group)).or_default();
            if let (Some(text), Some(at), true) = (text, at, is_chosen) {
                let time = times.entry(text).or_insert(*at);
                *time = (*time).max(*at);
            }
        }
        let sorted = |times: BTreeMap<&str, i64>| {
            let mut all: Vec<(String, i64)> = times.into_iter().map(|(text, at)| (text.to_owned(), at)).collect();
            all.sort_by_key(|(text, at)| (-at, text.clone()));
            all.truncate(limit);
            all
        };
        last.into_iter().map(|(group, times)| (group, sorted(times))).collect()
    }

    fn seen(lists: &ListArray, row: usize) -> Vec<(String, i64)> {
        let list = lists.value(row);
        let (texts, times) = (list.as_struct().column(0), list.as_struct().column(1));
        let times = times.as_primitive::<TimestampMicrosecondType>().values().iter().copied();
        let texts = texts.as_string_view().iter().flatten().map(str::to_owned);
        texts.zip(times).collect()
    }

    async fn answer(rows: &[Row], sql: &str) -> BTreeMap<i64, Vec<(String, i64)>> {
        // Two partitions, and batches of a few rows, so that states are merged.
        let session =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2).with_batch_size(3));
        super::super::register(&session);
        let (one, other) = rows.split_at(rows.len() / 2);
        let table = MemTable::try_new(batch(one).schema(), vec![vec![batch(one)], vec![batch(other)]]).unwrap();
        session.register_table("rows", Arc::new(table)).unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let mut answer = BTreeMap::new();
        for batch in &batches {
            let groups = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
            answer.extend((0..batch.num_rows()).map(|row| (groups.value(row), seen(batch.column(1).as_list(), row))));
        }
        answer
    }

    proptest! {
        #[test]
        fn a_list_is_the_begin_of_all_texts_in_order_of_their_last_time(rows in rows(), limit in 0..5_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let sql = format!("SELECT g, latest(t, at, {limit}) FILTER (WHERE c) FROM rows GROUP BY g");
            prop_assert_eq!(runtime.block_on(answer(&rows, &sql)), expected(&rows, limit));
            let together: Vec<Row> = rows.iter().cloned().map(|row| (0, row.1, row.2, row.3)).collect();
            let mut of_all = expected(&together, limit);
            of_all.entry(0).or_default();
            let sql = format!("SELECT CAST(0 AS BIGINT), latest(t, at, {limit}) FILTER (WHERE c) FROM rows");
            prop_assert_eq!(runtime.block_on(answer(&rows, &sql)), of_all);
        }

        #[test]
        fn groups_that_are_emitted_first_leave_the_others_as_they_are(rows in rows(), first in 0..3_usize) {
            let groups: Vec<usize> = rows.iter().map(|row| usize::from(row.0)).collect();
            let columns = batch(&rows).columns()[1..3].to_vec();
            let mut whole = LatestTexts::new(2);
            whole.update_batch(&columns, &groups, None, 3).unwrap();
            let mut parts = whole.clone();
            let states = parts.state(EmitTo::First(first)).unwrap();
            let mut merged = LatestTexts::new(2);
            merged.merge_batch(&states, &(0..first).collect::<Vec<_>>(), first).unwrap();
            merged.groups.append(&mut parts.groups);
            prop_assert_eq!(merged.groups, whole.groups);
        }

        #[test]
        fn rows_that_become_states_one_by_one_make_the_same_list(rows in rows()) {
            let groups: Vec<usize> = rows.iter().map(|row| usize::from(row.0)).collect();
            let (batch, mut whole) = (batch(&rows), LatestTexts::new(2));
            let (columns, filter) = (&batch.columns()[1..3], batch.column(3).as_boolean());
            whole.update_batch(columns, &groups, Some(filter), 3).unwrap();
            let states = whole.convert_to_state(columns, Some(filter)).unwrap();
            let mut merged = LatestTexts::new(2);
            merged.merge_batch(&states, &groups, 3).unwrap();
            prop_assert_eq!(merged.groups, whole.groups);
        }
    }

    #[tokio::test]
    async fn a_limit_that_differs_between_rows_is_refused() {
        let session = SessionContext::new();
        super::super::register(&session);
        let sql =
            "SELECT latest(t, at, n) FROM (VALUES ('a', arrow_cast(0, 'Timestamp(µs, \"UTC\")'), 1)) AS v(t, at, n)";
        let refused = session.sql(sql).await.unwrap().collect().await.unwrap_err().to_string();
        assert!(refused.contains("takes a whole number"), "{refused}");
    }
}
