//! A builder of dictionary-encoded text for columns with few distinct values.
//!
//! Nearly every column of a record is such a column, and rows that follow each other mostly agree; so the builder first
//! compares with the value before, and only then asks its table. Arrow's own builder asks its table every time.

use std::hash::BuildHasher;

use arrow::array::{DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Builds one column.
#[derive(Default)]
pub struct SymbolBuilder {
    /// Per row the number of its value.
    keys: Vec<i32>,
    /// Per row whether it has one; empty while all have.
    valid: Vec<bool>,
    /// The distinct values, end to end.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<i32>,
    table: HashTable<i32>,
    hasher: DefaultHashBuilder,
    last: Option<i32>,
}

impl SymbolBuilder {
    /// An empty builder with room for so many rows.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self { keys: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Appends a value or null.
    pub fn append_option(&mut self, value: Option<&str>) {
        let Some(value) = value else {
            self.valid.resize(self.keys.len(), true);
            self.valid.push(false);
            self.keys.push(0);
            return;
        };
        let key = match self.last {
            Some(last) if value_of(&self.text, &self.ends, last) == value.as_bytes() => last,
            _ => self.key(value),
        };
        self.last = Some(key);
        if !self.valid.is_empty() {
            self.valid.resize(self.keys.len(), true);
            self.valid.push(true);
        }
        self.keys.push(key);
    }

    fn key(&mut self, value: &str) -> i32 {
        let Self { text, ends, table, hasher, .. } = self;
        let hash = hasher.hash_one(value);
        let same = |key: &i32| value_of(text, ends, *key) == value.as_bytes();
        if let Some(key) = table.find(hash, same) {
            return *key;
        }
        let key = i32::try_from(ends.len()).unwrap_or(i32::MAX);
        text.extend_from_slice(value.as_bytes());
        ends.push(i32::try_from(text.len()).unwrap_or(i32::MAX));
        table.insert_unique(hash, key, |key| hasher.hash_one(value_str(text, ends, *key)));
        key
    }

    /// The column.
    ///
    /// # Errors
    /// When the distinct values together exceed two gibibytes.
    pub fn finish(self) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        let Self { keys, valid, text, ends, .. } = self;
        let nulls = (!valid.is_empty()).then(|| NullBuffer::from(valid));
        let keys = Int32Array::try_new(ScalarBuffer::from(keys), nulls)?;
        let offsets: Vec<i32> = std::iter::once(0).chain(ends).collect();
        if usize::try_from(offsets.last().copied().unwrap_or_default()) != Ok(text.len()) {
            return Err(ArrowError::DictionaryKeyOverflowError);
        }
        let values = StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), text.into(), None)?;
        // Null rows point at the first value; with no value at all the keys must point nowhere, and are all null.
        DictionaryArray::try_new(keys, std::sync::Arc::new(values))
    }
}

fn value_of<'t>(text: &'t [u8], ends: &[i32], key: i32) -> &'t [u8] {
    let at = |end: i32| usize::try_from(end).unwrap_or_default();
    let key = at(key);
    let from = if key == 0 { 0 } else { at(ends[key - 1]) };
    &text[from..at(ends[key])]
}

fn value_str<'t>(text: &'t [u8], ends: &[i32], key: i32) -> &'t str {
    // Only whole strings were appended, so this is always UTF-8.
    std::str::from_utf8(value_of(text, ends, key)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let rows = [None, Some("a"), Some("a"), Some("b"), None, Some(""), Some("a"), Some("ä")];
        let mut builder = SymbolBuilder::default();
        for row in rows {
            builder.append_option(row);
        }
        let array = builder.finish().unwrap();
        assert_eq!(array.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b", "", "ä"]);
        let back = array.downcast_dict::<StringArray>().unwrap();
        assert_eq!(back.into_iter().collect::<Vec<_>>(), rows);
        let mut builder = SymbolBuilder::with_capacity(1);
        builder.append_option(None);
        let empty = builder.finish().unwrap();
        assert_eq!((empty.len(), empty.null_count(), empty.values().len()), (1, 1, 0));
    }

    #[test]
    fn many_values_keep_their_own_keys() {
        let values: Vec<String> = (0..5000).map(|value| format!("v{}", value % 1000)).collect();
        let mut builder = SymbolBuilder::default();
        for value in &values {
            builder.append_option(Some(value));
        }
        let array = builder.finish().unwrap();
        assert_eq!(array.values().len(), 1000);
        assert!(
            array.downcast_dict::<StringArray>().unwrap().into_iter().flatten().eq(values.iter().map(String::as_str))
        );
    }
}
