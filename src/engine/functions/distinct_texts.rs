//! `distinct_texts(text)`: how many different texts there are, as `count(DISTINCT text)` but made for many groups.
//!
//! DataFusion counts distinct texts with a set per group and cuts each batch into its groups first. Here all groups share one
//! table, so that a row costs one look-up whatever group it is of.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryBuilder, Int64Array, ListBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_128;

use super::is_chosen;
use super::one_group::OneGroup;

/// Bytes of a hash.
const HASH_BYTES: i32 = 16;

/// The count; 0 where there are none. Null is no text.
pub(super) fn distinct_texts() -> AggregateUDF {
    AggregateUDF::from(DistinctTexts { signature: Signature::exact(vec![DataType::Utf8View], Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DistinctTexts {
    signature: Signature,
}

impl AggregateUDFImpl for DistinctTexts {
    fn name(&self) -> &'static str {
        "distinct_texts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(TextSets::default())))
    }

    fn state_fields(&self, given: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let hashes = Field::new_list_field(DataType::FixedSizeBinary(HASH_BYTES), true);
        Ok(vec![Arc::new(Field::new_list(format!("{}[hashes]", given.name), hashes, false))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(TextSets::default()))
    }
}

/// A text of a group, as a hash: a text may be long, and counting takes no more than telling it from others. That two of
/// a thousand million texts have the same 128 bits is as good as impossible (a chance of 10⁻²¹).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    group: usize,
    hash: u128,
}

impl Member {
    /// Where it is in the table.
    #[allow(clippy::cast_possible_truncation, reason = "any bits of the hash will do, mixed with the group")]
    fn place(&self) -> u64 {
        (self.hash as u64) ^ (self.group as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// A set of texts for each group.
#[derive(Debug, Clone, Default)]
struct TextSets {
    members: HashTable<Member>,
    /// How many texts each group has.
    counts: Vec<i64>,
}

impl TextSets {
    fn insert(&mut self, group: usize, hash: u128) {
        let member = Member { group, hash };
        let entry = self.members.entry(member.place(), |other| *other == member, Member::place);
        if let Entry::Vacant(entry) = entry {
            entry.insert(member);
            self.counts[group] += 1;
        }
    }

    fn reach(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    /// Takes the first groups away, with their members in order of the groups; the groups behind them move up.
    fn take(&mut self, emit: EmitTo) -> (Self, Vec<Member>) {
        let taken = match emit {
            EmitTo::All => self.counts.len(),
            EmitTo::First(groups) => groups,
        };
        let mut all = std::mem::take(self);
        let (mut first, rest): (Vec<Member>, Vec<Member>) =
            all.members.drain().partition(|member| member.group < taken);
        self.reach(all.counts.len() - taken);
        for member in rest {
            self.insert(member.group - taken, member.hash);
        }
        all.counts.truncate(taken);
        first.sort_unstable_by_key(|member| member.group);
        (all, first)
    }
}

fn hash_of(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

/// What a list of hashes is of.
fn hashes() -> FixedSizeBinaryBuilder {
    FixedSizeBinaryBuilder::new(HASH_BYTES)
}

impl GroupsAccumulator for TextSets {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_in_all: usize,
    ) -> Result<()> {
        self.reach(groups_in_all);
        let Some(texts) = values.first().map(AsArray::as_string_view) else { return Ok(()) };
        for (row, &group) in groups.iter().enumerate() {
            if texts.is_valid(row) && is_chosen(filter, row) {
                self.insert(group, hash_of(texts.value(row)));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_in_all: usize) -> Result<()> {
        self.reach(groups_in_all);
        let lists = states[0].as_list::<i32>();
        let hashes = lists.values().as_fixed_size_binary();
        for (span, &group) in lists.value_offsets().windows(2).zip(groups) {
            let [start, end] = [span[0], span[1]].map(|offset| usize::try_from(offset).unwrap_or_default());
            for hash in (start..end).filter_map(|at| hashes.value(at).try_into().ok()) {
                self.insert(group, u128::from_le_bytes(hash));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (taken, _) = self.take(emit);
        Ok(Arc::new(Int64Array::from(taken.counts)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let (taken, members) = self.take(emit);
        let mut lists = ListBuilder::new(hashes());
        let mut members = members.into_iter().peekable();
        for group in 0..taken.counts.len() {
            while let Some(member) = members.next_if(|member| member.group == group) {
                lists.values().append_value(member.hash.to_le_bytes())?;
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let texts = values[0].as_string_view();
        let mut lists = ListBuilder::new(hashes());
        for row in 0..texts.len() {
            if texts.is_valid(row) && is_chosen(filter, row) {
                lists.values().append_value(hash_of(texts.value(row)).to_le_bytes())?;
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn size(&self) -> usize {
        self.members.allocation_size() + self.counts.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use arrow::array::{RecordBatch, StringArray, StringViewArray};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use proptest::prelude::*;

    use super::*;

    type Row = (u8, Option<String>, bool);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let text = proptest::option::of("[ab]{0,2}|[ab]{14,15}");
        proptest::collection::vec((0..4_u8, text, any::<bool>()), 0..60)
    }

    /// Two partitions, and batches of a few rows, so that states are merged.
    fn session(rows: &[Row]) -> SessionContext {
        let session =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2).with_batch_size(3));
        super::super::register(&session);
        let batch = |rows: &[Row]| {
            let groups: Int64Array = rows.iter().map(|row| Some(i64::from(row.0))).collect();
            let texts: StringArray = rows.iter().map(|row| row.1.as_deref()).collect();
            let chosen: BooleanArray = rows.iter().map(|row| Some(row.2)).collect();
            RecordBatch::try_from_iter_with_nullable([
                ("g", Arc::new(groups) as ArrayRef, true),
                ("t", Arc::new(texts) as ArrayRef, true),
                ("c", Arc::new(chosen) as ArrayRef, true),
            ])
            .unwrap()
        };
        let (one, other) = rows.split_at(rows.len() / 2);
        let parts = vec![vec![batch(one)], vec![batch(other)]];
        let table = datafusion::datasource::MemTable::try_new(parts[0][0].schema(), parts).unwrap();
        session.register_table("rows", Arc::new(table)).unwrap();
        session
    }

    async fn counts(session: &SessionContext, sql: &str) -> BTreeMap<i64, i64> {
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let mut counts = BTreeMap::new();
        for batch in &batches {
            let column = |at: usize| batch.column(at).as_primitive::<arrow::datatypes::Int64Type>();
            counts.extend((0..batch.num_rows()).map(|row| (column(0).value(row), column(1).value(row))));
        }
        counts
    }

    proptest! {
        #[test]
        fn it_counts_what_a_set_of_each_group_holds(rows in rows()) {
            let mut sets: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
            let mut all = BTreeSet::new();
            for (group, text, is_chosen) in &rows {
                let set = sets.entry(i64::from(*group)).or_default();
                if let Some(text) = text.as_deref().filter(|_| *is_chosen) {
                    set.insert(text);
                    all.insert(text);
                }
            }
            let expected: BTreeMap<i64, i64> =
                sets.iter().map(|(group, set)| (*group, i64::try_from(set.len()).unwrap())).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (by_group, in_all) = runtime.block_on(async {
                let session = session(&rows);
                let by_group = "SELECT g, distinct_texts(t) FILTER (WHERE c) FROM rows GROUP BY g";
                let in_all = "SELECT CAST(0 AS BIGINT), distinct_texts(t) FILTER (WHERE c) FROM rows";
                (counts(&session, by_group).await, counts(&session, in_all).await)
            });
            prop_assert_eq!(by_group, expected);
            prop_assert_eq!(in_all[&0], i64::try_from(all.len()).unwrap());
        }

        #[test]
        fn groups_that_are_emitted_first_leave_the_others_as_they_are(rows in rows(), first in 0..4_usize) {
            let groups: Vec<usize> = rows.iter().map(|row| usize::from(row.0)).collect();
            let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringViewArray>());
            let mut whole = TextSets::default();
            whole.update_batch(&[Arc::clone(&texts)], &groups, None, 4).unwrap();
            let mut parts = whole.clone();
            let states = parts.state(EmitTo::First(first)).unwrap();
            let mut merged = TextSets::default();
            merged.merge_batch(&states, &(0..first).collect::<Vec<_>>(), first).unwrap();
            let counts = |sets: &mut TextSets| {
                sets.evaluate(EmitTo::All).unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
            };
            let split: Vec<i64> = counts(&mut merged).into_iter().chain(counts(&mut parts)).collect();
            prop_assert_eq!(split, counts(&mut whole));
        }
    }
}
