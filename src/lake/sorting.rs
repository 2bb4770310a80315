//! The events of several files in the order of one, and how much memory they take up meanwhile.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::{HashMap, HashSet};

use super::identity::{Texts, identities};

/// What a batch takes up in memory.
pub(super) fn held_bytes(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}

/// Batches, and what they take up in memory together: a dictionary that several of them share counts once.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: usize,
    /// As long as a batch is here, no other dictionary can be in its dictionary's place.
    batches: Vec<RecordBatch>,
    dictionaries: HashSet<usize>,
}

impl Held {
    /// Adds a batch, and tells how much is held by now.
    pub fn add(&mut self, batch: RecordBatch) -> Result<usize, ArrowError> {
        for column in batch.columns() {
            self.bytes += match column.as_dictionary_opt::<Int32Type>() {
                Some(column) => {
                    let texts = column.values().to_data();
                    let place = texts.buffers().last().map_or(0, |buffer| buffer.as_ptr() as usize);
                    let is_new = self.dictionaries.insert(place);
                    let keys = column.keys().to_data().get_slice_memory_size()?;
                    keys + if is_new { texts.get_slice_memory_size()? } else { 0 }
                }
                None => column.to_data().get_slice_memory_size()?,
            };
        }
        self.batches.push(batch);
        Ok(self.bytes)
    }

    /// All that was added.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }
}

/// Every event of these batches once, by batch and row, in the order of keys and times.
pub(super) fn sorted(batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>, ArrowError> {
    let texts = batches.iter().map(|batch| Texts::of(batch, "key_arn")).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<&str> = texts.iter().zip(batches).flat_map(|(texts, batch)| distinct(*texts, batch)).collect();
    names.sort_unstable();
    names.dedup();
    let ranks: HashMap<&str, usize> = names.into_iter().enumerate().map(|(rank, name)| (name, rank)).collect();
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for (at, (batch, texts)) in batches.iter().zip(&texts).enumerate() {
        let times =
            batch.column_by_name("event_time").and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(|| ArrowError::SchemaError("no event_time".to_owned()))?;
        for (row, identity) in identities(batch)?.into_iter().enumerate() {
            if seen.insert(identity) {
                // An event without a key comes first.
                let rank = texts.get(row).and_then(|name| ranks.get(name));
                order.push((rank.copied(), times.value(row), at, row));
            }
        }
    }
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, _, at, row)| (at, row)).collect())
}

/// The texts of a column, each at least once.
fn distinct<'t>(texts: Texts<'t>, batch: &RecordBatch) -> Vec<&'t str> {
    match texts.dictionary() {
        Some((_, values)) => values.iter().flatten().collect(),
        None => (0..batch.num_rows()).filter_map(|row| texts.get(row)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};

    fn batch(events: &[(&'static str, Option<&'static str>, i64)]) -> RecordBatch {
        let mut builder = EventBuilder::default();
        for (id, key, at) in events {
            let event = Event {
                event_id: Some((*id).into()),
                event_name: Some("Decrypt".into()),
                event_time: Some(*at),
                key_arn: key.map(Into::into),
                ..Event::default()
            };
            builder.append(&event).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn events_of_several_batches_are_in_one_order_and_each_once() {
        let batches = [
            batch(&[("c", Some("k2"), 5), ("b", Some("k1"), 9), ("a", None, 7)]),
            batch(&[("d", Some("k1"), 3), ("b", Some("k1"), 9), ("e", Some("k2"), 1)]),
        ];
        assert_eq!(sorted(&batches).unwrap(), [(0, 2), (1, 0), (0, 1), (1, 2), (0, 0)]);
    }

    #[test]
    fn a_dictionary_that_batches_share_is_held_once() {
        let whole = batch(&[("a", Some("arn:aws:kms:eu-west-1:111122223333:key/1"), 1), ("b", None, 2)]);
        let mut held = Held::default();
        let once = held.add(whole.clone()).unwrap();
        let twice = held.add(whole.clone()).unwrap();
        assert!(once <= held_bytes(&whole).unwrap() && once < twice && twice < 2 * once);
    }
}
