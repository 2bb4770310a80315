//! What makes two rows the same event, however many objects, trails and runs delivered it (facts §1.1).
//!
//! CloudTrail's `eventID` is unique per delivered account, so account, Region and id come first. Name, time, error code, key
//! and caller are part of the identity too: a real duplicate agrees on them, while records whose ids were scrubbed, reused
//! or forged do not. Those are other events, and whichever was read first, none of them may vanish.
//!
//! The identity is a 128-bit hash of these columns. It is never stored: it is computed alike from a fresh batch and from
//! the lake's own files. The chance that two different events of a lake of ten thousand million collide is about 10⁻¹⁹.

use arrow::array::{Array, AsArray, DictionaryArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

/// The columns that the identity is made of.
pub const COLUMNS: [&str; 10] = [
    "account_id",
    "region",
    "event_id",
    "event_name",
    "error_code",
    "key_arn",
    "key_alias",
    "dest_key_arn",
    "principal",
    "event_time",
];

/// A text column, dictionary-encoded or not.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    values: &'a StringArray,
    keys: Option<&'a DictionaryArray<Int32Type>>,
}

impl<'a> Texts<'a> {
    /// Reads a column of a batch as text.
    ///
    /// # Errors
    /// When there is no such column, or it is no text.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let wrong = || ArrowError::SchemaError(format!("no text column {name}"));
        let column = batch.column_by_name(name).ok_or_else(wrong)?;
        if let Some(keys) = column.as_dictionary_opt::<Int32Type>() {
            let values = keys.values().as_string_opt().ok_or_else(wrong)?;
            return Ok(Self { values, keys: Some(keys) });
        }
        Ok(Self { values: column.as_string_opt().ok_or_else(wrong)?, keys: None })
    }

    /// The text of one row.
    #[must_use]
    pub fn get(self, row: usize) -> Option<&'a str> {
        match self.keys {
            Some(keys) => keys.key(row).map(|key| self.values.value(key)),
            None => self.values.is_valid(row).then(|| self.values.value(row)),
        }
    }

    /// The dictionary's keys and values, when there is one.
    #[must_use]
    pub fn dictionary(self) -> Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)> {
        self.keys.map(|keys| (keys, self.values))
    }
}

/// The identity of every row, in order.
///
/// # Errors
/// When one of [`COLUMNS`] is missing.
pub fn identities(batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
    let [texts @ .., _] = COLUMNS;
    let texts = texts.map(|name| Texts::of(batch, name)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let times = batch
        .column_by_name("event_time")
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| ArrowError::SchemaError("no event_time".to_owned()))?;
    let mut bytes = Vec::with_capacity(320);
    let identity = |row: usize| {
        bytes.clear();
        for text in &texts {
            // The separator cannot be part of UTF-8 text, so no two rows spell the same bytes by chance.
            bytes.extend_from_slice(text.get(row).unwrap_or_default().as_bytes());
            bytes.push(0xFF);
        }
        bytes.extend_from_slice(&times.value(row).to_le_bytes());
        xxh3_128(&bytes)
    };
    Ok((0..batch.num_rows()).map(identity).collect())
}
