//! Appends batches of events, each event once.
//!
//! ```text
//! batch ─► identities ─► drop repeats in the batch ─► drop what the lake has ─► sort ─► files ─► commit
//!                                                        ▲                                        │
//!                                                        └────────── conflict: read again ◄───────┘
//! ```
//!
//! The *lane* (recipient account, Region) is the unit of concurrency. A commit carries one Delta transaction per lane
//! with the version that followed from what was read; so of two writers on one lane the second conflicts, reads what
//! the first one wrote, and drops it as duplicates. Writers on different lanes do not wait for each other.
//!
//! What the lake has is read from just those files whose statistics overlap the batch in day, time, account and Region.
//! Only the batch's own identities are held in memory, whatever the size of the lake.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, Days, NaiveDate};
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use hashbrown::{HashMap, HashSet};
use object_store::ObjectStore;

use super::identity::{self, Texts, identities};
use super::parquet::{self, Read};
use super::settling::settle;
use super::table::{Commit, DataFile, LakeTable};
use super::{Lake, LakeError, calls, tables};
use crate::cloudtrail::columns::PARTITION;

/// How often a batch is tried against other writers before giving up. Each loss means that another writer finished a
/// batch, so this many losses in a row mean something else is wrong.
const ATTEMPTS_MAX: u32 = 200;

/// Writes events to a lake.
#[derive(Debug)]
pub struct EventsWriter {
    lake: Lake,
    table: LakeTable,
    store: Arc<dyn ObjectStore>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Appended {
    /// Rows that are now in the lake.
    pub kept: u64,
    /// Rows dropped because the lake or the batch had the event already, by source object.
    pub duplicates: HashMap<String, u64>,
}

impl EventsWriter {
    /// Opens the lake's events for writing.
    ///
    /// # Errors
    /// When the table cannot be opened or created.
    pub async fn open(lake: &Lake) -> Result<Self, LakeError> {
        let table = lake.open_or_create(&tables::EVENTS).await?;
        let store = table.store();
        Ok(Self { lake: lake.clone(), table, store })
    }

    /// The version of the table after the last append.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.table.version()
    }

    /// Appends those rows of a batch whose events the lake does not have.
    ///
    /// # Errors
    /// When the lake cannot be read or written, or other writers win every attempt.
    pub async fn append(&mut self, batch: &RecordBatch) -> Result<Appended, LakeError> {
        let identities = identities(batch)?;
        let mut fresh = HashMap::with_capacity(identities.len());
        for (row, identity) in identities.iter().enumerate() {
            fresh.entry(*identity).or_insert(row);
        }
        for _ in 0..ATTEMPTS_MAX {
            let known = self.known(batch, &fresh).await?;
            let rows: Vec<usize> = (0..identities.len())
                .filter(|&row| fresh.get(&identities[row]) == Some(&row) && !known.contains(&identities[row]))
                .collect();
            let lost = if rows.is_empty() { None } else { self.commit(batch, &rows).await? };
            let Some(written) = lost else { return appended(batch, &rows) };
            self.table.refresh().await?;
            self.table.discard(&written).await;
        }
        Err(LakeError::Contended { table: self.table.spec().name, attempts: ATTEMPTS_MAX })
    }

    /// Merges small files if there are many, and settles days that are worth it.
    pub async fn upkeep(&mut self) {
        self.table.upkeep().await;
        if let Err(error) = settle(&self.lake, &self.table, false).await {
            tracing::warn!("events of the same call could not be merged: {error}; `keytrail maintain` tries again");
        }
    }

    /// Which of these identities the lake has already.
    async fn known(&self, batch: &RecordBatch, fresh: &HashMap<u128, usize>) -> Result<HashSet<u128>, LakeError> {
        let mut known = HashSet::new();
        let reach = Reach::of(batch)?;
        for file in self.table.files().iter().filter(|file| reach.overlaps(file)) {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let read = Read::Columns(&identity::COLUMNS);
            let mut rows = parquet::open(Arc::clone(&self.store), file, read).await?;
            while let Some(existing) = rows.try_next().await.map_err(failed)? {
                known.extend(identities(&existing)?.into_iter().filter(|id| fresh.contains_key(id)));
            }
        }
        Ok(known)
    }

    /// Writes rows as files, one per day, and commits them; gives the files back when another writer was first.
    async fn commit(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<Option<Vec<String>>, LakeError> {
        let lanes = lanes(batch, rows)?;
        let mut adds = Vec::new();
        for (day, rows) in by_day(batch, rows)? {
            let part = data_columns(&take_record_batch(batch, &UInt32Array::from(rows))?)?;
            for part in calls::with_copies_marked(&[part])? {
                adds.push(parquet::write(self.store.as_ref(), &part, Some((PARTITION, &day)), true).await?);
            }
        }
        let files: Vec<String> = adds.iter().map(|add: &Add| add.path.clone()).collect();
        match self.table.commit(adds, Vec::new(), &lanes).await? {
            Commit::Done(_) => Ok(None),
            Commit::Conflict => Ok(Some(files)),
        }
    }
}

fn appended(batch: &RecordBatch, rows: &[usize]) -> Result<Appended, LakeError> {
    let objects = Texts::of(batch, "source_object")?;
    let mut duplicates: HashMap<String, u64> = HashMap::new();
    let mut kept = rows.iter().copied().peekable();
    for row in 0..batch.num_rows() {
        if kept.next_if_eq(&row).is_none() {
            *duplicates.entry_ref(objects.get(row).unwrap_or_default()).or_default() += 1;
        }
    }
    Ok(Appended { kept: rows.len() as u64, duplicates })
}

/// The columns that data files hold: all but the partition, which is in the folder's name.
fn data_columns(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let keep: Vec<usize> =
        (0..batch.num_columns()).filter(|&column| batch.schema_ref().field(column).name() != PARTITION).collect();
    batch.project(&keep)
}

/// One Delta application id per lane that the rows touch.
fn lanes(batch: &RecordBatch, rows: &[usize]) -> Result<Vec<String>, ArrowError> {
    let (accounts, regions) = (Texts::of(batch, "account_id")?, Texts::of(batch, "region")?);
    let mut lanes: HashSet<(Option<&str>, Option<&str>)> = HashSet::new();
    lanes.extend(rows.iter().map(|&row| (accounts.get(row), regions.get(row))));
    let name = |(account, region): (Option<&str>, Option<&str>)| {
        format!("ingest/{}/{}", account.unwrap_or("unknown"), region.unwrap_or("unknown"))
    };
    let mut lanes: Vec<String> = lanes.into_iter().map(name).collect();
    lanes.sort_unstable();
    Ok(lanes)
}

/// The rows per UTC day, each day's sorted by key and time.
fn by_day(batch: &RecordBatch, rows: &[usize]) -> Result<Vec<(String, Vec<u32>)>, ArrowError> {
    let missing = || ArrowError::SchemaError("no event_date or event_time".to_owned());
    let days = batch.column_by_name(PARTITION).and_then(|column| column.as_primitive_opt::<Date32Type>());
    let days = days.ok_or_else(missing)?;
    let times =
        batch.column_by_name("event_time").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(missing)?;
    let ranks = ranks(batch, "key_arn")?;
    let mut order: Vec<(i32, u32, i64, u32)> = rows
        .iter()
        .map(|&row| (days.value(row), ranks[row], times.value(row), u32::try_from(row).unwrap_or(u32::MAX)))
        .collect();
    order.sort_unstable();
    let parts = order.chunk_by(|a, b| a.0 == b.0);
    Ok(parts.map(|part| (day_name(part[0].0), part.iter().map(|row| row.3).collect())).collect())
}

/// For each row the place of its text among the column's distinct texts in order; null comes first.
fn ranks(batch: &RecordBatch, column: &str) -> Result<Vec<u32>, ArrowError> {
    let texts = Texts::of(batch, column)?;
    let (keys, values) =
        texts.dictionary().ok_or_else(|| ArrowError::SchemaError(format!("{column} is no dictionary")))?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by_key(|&value| values.value(value));
    let mut rank = vec![0_u32; values.len()];
    let mut next = 0;
    for (at, &value) in order.iter().enumerate() {
        // A merged dictionary may spell the same text twice.
        if at == 0 || values.value(order[at - 1]) != values.value(value) {
            next += 1;
        }
        rank[value] = next;
    }
    Ok((0..batch.num_rows()).map(|row| keys.key(row).map_or(0, |key| rank[key])).collect())
}

fn day_name(day: i32) -> String {
    let epoch = NaiveDate::default();
    let days = Days::new(u64::from(day.unsigned_abs()));
    let date = if day >= 0 { epoch.checked_add_days(days) } else { epoch.checked_sub_days(days) };
    date.unwrap_or_default().to_string()
}

/// The days, times and lanes that a batch reaches over.
struct Reach {
    days: HashSet<String>,
    times: (i64, i64),
    accounts: (String, String),
    regions: (String, String),
}

impl Reach {
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let times = batch.column_by_name("event_time").map(AsArray::as_primitive::<TimestampMicrosecondType>);
        let times = times.and_then(|times| Some((arrow::compute::min(times)?, arrow::compute::max(times)?)));
        let days = batch.column_by_name(PARTITION).map(AsArray::as_primitive::<Date32Type>);
        let distinct: HashSet<i32> = days.into_iter().flatten().flatten().collect();
        Ok(Self {
            days: distinct.into_iter().map(day_name).collect(),
            times: times.unwrap_or_default(),
            accounts: range(batch, "account_id")?,
            regions: range(batch, "region")?,
        })
    }

    /// Whether a file may hold one of the batch's events. What its statistics leave out counts as yes.
    fn overlaps(&self, file: &DataFile) -> bool {
        let day = file.partition.as_ref().is_none_or(|day| self.days.contains(day));
        let text = |column: &str, (low, high): &(String, String)| {
            let smallest = file.stats.min_values.get(column).and_then(|value| value.as_str());
            let largest = file.stats.max_values.get(column).and_then(|value| value.as_str());
            smallest.is_none_or(|smallest| smallest <= high.as_str())
                && largest.is_none_or(|largest| low.as_str() <= largest)
        };
        let micros = |values: &std::collections::HashMap<String, serde_json::Value>| {
            DateTime::parse_from_rfc3339(values.get("event_time")?.as_str()?).ok().map(|time| time.timestamp_micros())
        };
        let starts = micros(&file.stats.min_values).is_none_or(|first| first <= self.times.1);
        let ends = micros(&file.stats.max_values).is_none_or(|last| self.times.0 <= last);
        // A null account or Region is in no range; such rows are looked for everywhere.
        let lane = |column: &str, range: &(String, String)| range.0.is_empty() || text(column, range);
        day && starts && ends && lane("account_id", &self.accounts) && lane("region", &self.regions)
    }
}

fn range(batch: &RecordBatch, column: &str) -> Result<(String, String), ArrowError> {
    let texts = Texts::of(batch, column)?;
    let mut range: Option<(&str, &str)> = None;
    for text in (0..batch.num_rows()).map(|row| texts.get(row).unwrap_or_default()) {
        range = Some(range.map_or((text, text), |(low, high)| (low.min(text), high.max(text))));
    }
    let (low, high) = range.unwrap_or_default();
    Ok((low.to_owned(), high.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};

    fn batch(ids: &[(&'static str, i64)]) -> RecordBatch {
        let mut builder = EventBuilder::default();
        for (id, hour) in ids {
            let event = Event {
                event_id: Some((*id).into()),
                event_name: Some("Decrypt".into()),
                event_time: Some(hour * 3_600_000_000),
                event_date: Some(i32::try_from(hour / 24).unwrap()),
                account_id: Some("111122223333".into()),
                region: Some("eu-west-1".into()),
                source_object: Some("o".into()),
                ..Event::default()
            };
            builder.append(&event).unwrap();
        }
        builder.finish().unwrap()
    }

    #[tokio::test]
    async fn an_event_is_appended_once_within_a_batch_and_across_batches() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        let first = writer.append(&batch(&[("a", 1), ("b", 30), ("a", 1)])).await.unwrap();
        assert_eq!((first.kept, first.duplicates.get("o").copied()), (2, Some(1)));
        // The same id at another time is another event: identities are not ids alone.
        let second = writer.append(&batch(&[("a", 1), ("b", 31), ("c", 2)])).await.unwrap();
        assert_eq!((second.kept, second.duplicates.get("o").copied()), (2, Some(1)));
    }

    #[tokio::test]
    async fn the_second_of_two_writers_on_a_lane_reads_again_and_drops_what_the_first_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut one = EventsWriter::open(&lake).await.unwrap();
        let mut two = EventsWriter::open(&lake).await.unwrap();
        assert_eq!(one.append(&batch(&[("a", 1), ("b", 2)])).await.unwrap().kept, 2);
        assert_eq!(two.append(&batch(&[("b", 2), ("c", 3)])).await.unwrap().kept, 1);
        let table = lake.open(&tables::EVENTS).await.unwrap().unwrap();
        assert_eq!(table.files().iter().filter_map(|file| file.rows).sum::<u64>(), 3);
    }
}
