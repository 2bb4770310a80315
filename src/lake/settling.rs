//! Calls logged in several rows, found day by day and kept merged at rest.
//!
//! ```text
//! events of a day ─► ids of calls ─► in several rows? ─► merged ─┬─► shared_calls/event_date=…/settled-OF-ROWS-….parquet
//!                                                                    └─► in memory, for one session
//! ```
//!
//! The rows of a call have the same time, so they are of one day. A day is *settled* when `shared_calls` has a file made from exactly
//! the day's current files; its name has their hash. Adding or merging a file unsettles the day, so that the two tables need no
//! common commit: stale and duplicate files are ignored, and an unsettled day is merged when it is asked about.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use deltalake_core::kernel::Add;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashSet;
use object_store::ObjectStore;
use xxhash_rust::xxh3::xxh3_128;

use super::calls::{self, COPY, MARKED_BY, Mark};
use super::parquet::{self, FileWriter, Read};
use super::table::{Commit, DataFile, LakeTable};
use super::tables::SHARED_CALLS;
use super::{Lake, LakeError};
use crate::cloudtrail::columns::{CALL, PARTITION};

/// Prefix of the names of settled files.
/// The number changes with what makes a merged row: then the days of earlier versions are unsettled.
const SETTLED: &str = "settled-1-";

/// Unsettled days at which a writer settles all: each question merges them again.
const UNSETTLED_MAX: usize = 8;

/// A day is settled again once more than half its rows are new, with this minimum and maximum.
const GAINED: (u64, u64) = (4096, 256 * 1024);

/// Rows that are merged at a time.
const MERGED_ROWS: usize = 16 * 1024;

/// Files and days that are read at once.
const AT_ONCE: usize = 2;

/// Calls logged in several rows.
#[derive(Debug, Default)]
pub struct SharedCalls {
    /// Files of `shared_calls` with those of the settled days.
    pub files: Vec<DataFile>,
    /// Those of the other days, day by day.
    pub fresh: Vec<(String, RecordBatch)>,
    /// The [`call_id`](calls::call_id) of calls with rows not marked as copies.
    pub open: HashSet<u128>,
}

/// A day of events.
#[derive(Debug, Clone)]
struct Day {
    name: String,
    files: Vec<DataFile>,
    /// The settled file of exactly these files.
    settled: Option<DataFile>,
    /// Settled files of earlier states of the day, and duplicates.
    stale: Vec<DataFile>,
}

impl Day {
    fn rows(&self) -> u64 {
        self.files.iter().filter_map(|file| file.rows).sum()
    }

    /// Hash of its file names, for the settled file's name.
    fn stamp(&self) -> u128 {
        let mut names: Vec<&str> = self.files.iter().map(|file| file.path.as_ref()).collect();
        names.sort_unstable();
        xxh3_128(names.join("\n").as_bytes())
    }

    /// Rows that it had when it was settled last.
    fn covered(&self) -> u64 {
        self.stale.iter().filter_map(|file| Some(stamp_of(file)?.1)).max().unwrap_or_default()
    }

    fn is_due(&self) -> bool {
        let (rows, (least, most)) = (self.rows(), GAINED);
        rows.saturating_sub(self.covered()) > (rows / 2).clamp(least, most)
    }
}

/// The hash and row count in a settled file's name.
fn stamp_of(file: &DataFile) -> Option<(u128, u64)> {
    let (stamp, rest) = file.path.filename()?.strip_prefix(SETTLED)?.split_once('-')?;
    let (rows, _) = rest.split_once('-')?;
    Some((u128::from_str_radix(stamp, 16).ok()?, rows.parse().ok()?))
}

fn days(events: &LakeTable, shared: Option<&LakeTable>) -> Vec<Day> {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for file in events.files() {
        let name = file.partition.clone().unwrap_or_default();
        let day = Day { name: name.clone(), files: Vec::new(), settled: None, stale: Vec::new() };
        days.entry(name).or_insert(day).files.push(file);
    }
    let mut made: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    for file in shared.map(LakeTable::files).unwrap_or_default() {
        made.entry(file.partition.clone().unwrap_or_default()).or_default().push(file);
    }
    for day in days.values_mut() {
        let stamp = day.stamp();
        let mut made = made.remove(&day.name).unwrap_or_default();
        made.sort_by(|one, other| one.path.cmp(&other.path));
        let at = made.iter().position(|file| stamp_of(file).is_some_and(|(of, _)| of == stamp));
        day.settled = at.map(|at| made.remove(at));
        day.stale = made;
    }
    days.into_values().collect()
}

/// The calls of a lake that were logged in several rows.
///
/// # Errors
/// When a file cannot be read.
pub async fn shared_calls(events: &LakeTable, shared: Option<&LakeTable>) -> Result<SharedCalls, LakeError> {
    let mut found = SharedCalls::default();
    let (settled, unsettled): (Vec<Day>, Vec<Day>) =
        days(events, shared).into_iter().partition(|day| day.settled.is_some());
    found.files.extend(settled.into_iter().filter_map(|day| day.settled).filter(|file| file.rows != Some(0)));
    if let Some(shared) = shared {
        let open: Vec<DataFile> = found.files.iter().filter(|file| !is_closed(file)).cloned().collect();
        let ids = each(open, shared.store(), |store, file| async move { open_ids(store, &file).await }).await?;
        found.open.extend(ids.into_iter().flatten());
    }
    let unsettled = each(unsettled, events.store(), |store, day| async move {
        let mut batches = Vec::new();
        for part in parts(&store, &day).await? {
            batches.push(merged(&store, &day, &part).await?);
        }
        Ok((day.name, batches))
    })
    .await?;
    for (day, batches) in unsettled {
        for batch in batches {
            found.open.extend(open_of(&batch)?);
            found.fresh.push((day.clone(), batch));
        }
    }
    Ok(found)
}

/// Whether all rows of the calls of a file are marked as copies.
fn is_closed(file: &DataFile) -> bool {
    file.stats.max_values.get(CALL).and_then(|mark| mark.as_str()) == Some(COPY)
}

/// Runs `work` on each item, a few at a time, in the background.
async fn each<I, T, F>(
    items: impl IntoIterator<Item = I>,
    store: Arc<dyn ObjectStore>,
    work: impl Fn(Arc<dyn ObjectStore>, I) -> F,
) -> Result<Vec<T>, LakeError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LakeError>> + Send + 'static,
{
    let begun = |item| {
        let work = tokio::spawn(work(Arc::clone(&store), item));
        async move {
            work.await.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process is about to end.
                Err(error) => Err(object_store::Error::Generic { store: "lake", source: error.into() }.into()),
            })
        }
    };
    stream::iter(items).map(begun).buffered(AT_ONCE).try_collect().await
}

async fn open_ids(store: Arc<dyn ObjectStore>, file: &DataFile) -> Result<Vec<u128>, LakeError> {
    let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
    let mut ids = Vec::new();
    let mut rows = parquet::open(store, file, Read::Columns(&["shared_event_id", "event_time", CALL])).await?;
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        ids.extend(open_of(&batch)?);
    }
    Ok(ids)
}

fn open_of(batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
    let (ids, marks) = (calls::call_ids(batch)?, calls::marks(batch)?);
    Ok(ids.into_iter().zip(marks).filter(|(_, mark)| *mark != Mark::Copy).filter_map(|(id, _)| id).collect())
}

/// A row whose call may have other rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    call: u128,
    file: usize,
    place: usize,
    is_copy: bool,
}

/// The rows of a day whose calls were logged in several, in parts that can be merged one by one.
async fn parts(store: &Arc<dyn ObjectStore>, day: &Day) -> Result<Vec<Vec<Row>>, LakeError> {
    let mut rows = Vec::new();
    for (at, file) in day.files.iter().enumerate() {
        rows.extend(sharing(store, at, file).await?);
    }
    rows.sort_unstable();
    let mut calls: Vec<&[Row]> = rows
        .chunk_by(|one, other| one.call == other.call)
        // A copy's other rows may be gone from the lake.
        .filter(|rows| rows.len() > 1 || rows[0].is_copy)
        .collect();
    // As they stand in the files, so that the rows of a part are near each other.
    calls.sort_unstable_by_key(|rows| (rows[0].file, rows[0].place));
    let mut parts: Vec<Vec<Row>> = Vec::new();
    for call in calls {
        match parts.last_mut() {
            Some(part) if part.len() + call.len() <= MERGED_ROWS => part.extend(call),
            _ => parts.push(call.to_vec()),
        }
    }
    Ok(parts)
}

/// The calls that these rows of a day are of.
async fn merged(store: &Arc<dyn ObjectStore>, day: &Day, part: &[Row]) -> Result<RecordBatch, LakeError> {
    in_order(&calls::merged(&whole(store, day, part).await?)?)
}

/// The rows of a file whose calls may have other rows.
async fn sharing(store: &Arc<dyn ObjectStore>, at: usize, file: &DataFile) -> Result<Vec<Row>, LakeError> {
    let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
    let marked = ["shared_event_id", "event_time", CALL];
    let unmarked: Vec<&str> = MARKED_BY.iter().copied().chain(["event_time", CALL]).collect();
    let columns: &[&str] = if is_marked(file) { &marked } else { &unmarked };
    let mut rows = parquet::open(Arc::clone(store), file, Read::Columns(columns)).await?;
    let (mut found, mut first) = (Vec::new(), 0);
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        let (ids, marks) = (calls::call_ids(&batch)?, calls::marks(&batch)?);
        for (row, (call, mark)) in ids.into_iter().zip(marks).enumerate() {
            if let (Some(call), Mark::Shared | Mark::Copy) = (call, mark) {
                found.push(Row { call, file: at, place: first + row, is_copy: mark == Mark::Copy });
            }
        }
        first += batch.num_rows();
    }
    Ok(found)
}

/// Whether all rows of a file say how they count: those of earlier versions do not, and other engines may not keep the statistics.
#[must_use]
pub fn is_marked(file: &DataFile) -> bool {
    file.stats.max_values.contains_key(CALL) && file.stats.null_count.get(CALL) == Some(&0)
}

/// These rows, in all their columns.
async fn whole(store: &Arc<dyn ObjectStore>, day: &Day, rows: &[Row]) -> Result<RecordBatch, LakeError> {
    let schema = schema();
    let mut batches = Vec::new();
    for (at, file) in day.files.iter().enumerate() {
        let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
        let mut places: Vec<usize> = rows.iter().filter(|row| row.file == at).map(|row| row.place).collect();
        if places.is_empty() {
            continue;
        }
        places.sort_unstable();
        let mut rows = parquet::open_rows(Arc::clone(store), file, Read::As(&schema), &places).await?;
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            batches.push(parquet::completed(&batch, &schema)?);
        }
    }
    Ok(concat_batches(&schema, &batches)?)
}

fn schema() -> SchemaRef {
    parquet::dictionary_schema(&(SHARED_CALLS.schema)(), SHARED_CALLS.partition)
}

/// In the order of keys and times, as events are.
fn in_order(batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let by = ["key_arn", "event_time"].map(|name| batch.column_by_name(name).cloned());
    let by: Vec<SortColumn> = by.into_iter().flatten().map(|values| SortColumn { values, options: None }).collect();
    Ok(take_record_batch(batch, &lexsort_to_indices(&by, None)?)?)
}

/// Settles unsettled days: all if `whole`, otherwise only those worth it.
///
/// # Errors
/// When a file cannot be read or written.
pub async fn settle(lake: &Lake, events: &LakeTable, whole: bool) -> Result<(), LakeError> {
    let shared = lake.open(&SHARED_CALLS).await?;
    // Otherwise a newer settled file of another writer would look stale.
    let mut events = events.clone();
    events.refresh().await?;
    let mut due: Vec<Day> = days(&events, shared.as_ref());
    due.retain(|day| day.settled.is_none() && !day.name.is_empty());
    if !whole && due.len() < UNSETTLED_MAX {
        due.retain(Day::is_due);
    }
    if due.is_empty() {
        return Ok(());
    }
    let mut shared = match shared {
        Some(shared) => shared,
        None => lake.open_or_create(&SHARED_CALLS).await?,
    };
    let unknown: Vec<String> = events.unknown_columns().into_iter().chain(shared.unknown_columns()).collect();
    if !unknown.is_empty() {
        return Err(LakeError::Newer { columns: unknown.join(", ") });
    }
    let into = shared.store();
    let settled = each(due, events.store(), |from, day| {
        let into = Arc::clone(&into);
        async move { Ok((settled(from, into, &day).await, day)) }
    });
    let (mut adds, mut removes, mut failed) = (Vec::new(), Vec::new(), None);
    for (add, day) in settled.await? {
        match add {
            Ok(add) => {
                adds.push(add);
                removes.extend(day.stale.iter().map(DataFile::removal));
            }
            // A day that cannot be read keeps no other from being settled.
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    let written: Vec<String> = adds.iter().map(|add: &Add| add.path.clone()).collect();
    // Another writer has settled these days, or a newer state of them.
    if !adds.is_empty() && shared.commit(adds, removes, &[]).await? == Commit::Conflict {
        shared.refresh().await?;
        shared.discard(&written).await;
    }
    failed.map_or(Ok(()), Err)
}

async fn settled(from: Arc<dyn ObjectStore>, into: Arc<dyn ObjectStore>, day: &Day) -> Result<Add, LakeError> {
    let parts = parts(&from, day).await?;
    let mut writer = FileWriter::new(&schema(), parts.iter().map(Vec::len).sum())?;
    for part in &parts {
        writer.write(&merged(&from, day, part).await?)?;
    }
    writer.named(format!("{SETTLED}{:032x}-{}-", day.stamp(), day.rows()));
    writer.finish(into.as_ref(), Some((PARTITION, &day.name)), true).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};
    use crate::lake::events::EventsWriter;
    use crate::lake::tables::EVENTS;

    const DAYS: i32 = 9;

    /// Events of one account, of which the first is of a call that the other account logs too.
    const ONE: &[(&str, &str)] = &[("111111111111", "s"), ("111111111111", "t")];
    const OTHER: &[(&str, &str)] = &[("222222222222", "s")];
    const BOTH: &[(&str, &str)] = &[("111111111111", "s"), ("222222222222", "s"), ("111111111111", "t")];

    /// These events on each of these days.
    fn batch(events: &[(&str, &str)], days: impl Iterator<Item = i32>, run: &str) -> RecordBatch {
        let mut builder = EventBuilder::default();
        for day in days {
            for (account, shared) in events {
                let event = Event {
                    event_id: Some(format!("{run}-{account}-{shared}").into()),
                    shared_event_id: Some(format!("{run}-{shared}").into()),
                    event_source: Some("kms.amazonaws.com".into()),
                    event_name: Some("Decrypt".into()),
                    event_time: Some(i64::from(day) * 86_400_000_000),
                    event_date: Some(day),
                    account_id: Some((*account).into()),
                    key_arn: Some("arn:aws:kms:eu-west-1:111111111111:key/1".into()),
                    ..Event::default()
                };
                builder.append(&event).unwrap();
            }
        }
        builder.finish().unwrap()
    }

    async fn found(lake: &Lake) -> SharedCalls {
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        shared_calls(&events, lake.open(&SHARED_CALLS).await.unwrap().as_ref()).await.unwrap()
    }

    #[tokio::test]
    async fn many_days_are_settled_at_once_and_what_is_added_unsettles_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        writer.append(&batch(ONE, 0..DAYS, "a")).await.unwrap();
        writer.append(&batch(OTHER, 0..DAYS, "a")).await.unwrap();
        assert_eq!((found(&lake).await.files.len(), found(&lake).await.fresh.len()), (0, 9));
        writer.upkeep().await;
        let settled = found(&lake).await;
        assert_eq!((settled.files.len(), settled.fresh.len(), settled.open.len()), (9, 0, 9));
        writer.append(&batch(BOTH, 3..4, "b")).await.unwrap();
        writer.upkeep().await;
        let added = found(&lake).await;
        assert_eq!((added.files.len(), added.fresh.len(), added.open.len()), (8, 1, 9));
        assert_eq!((added.fresh[0].0.as_str(), added.fresh[0].1.num_rows()), ("1970-01-04", 2));
        settle(&lake, &lake.open(&EVENTS).await.unwrap().unwrap(), true).await.unwrap();
        let settled = found(&lake).await;
        assert_eq!((settled.files.len(), settled.fresh.len(), settled.open.len()), (9, 0, 9));
        assert_eq!(lake.open(&SHARED_CALLS).await.unwrap().unwrap().files().len(), 9);
    }

    /// Also after Delta has written a checkpoint.
    #[tokio::test]
    async fn files_say_how_their_rows_count() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        for run in 0..15 {
            writer.append(&batch(BOTH, 0..1, &run.to_string())).await.unwrap();
        }
        assert!(folder.path().join("events/_delta_log/_last_checkpoint").exists());
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        assert!(events.files().len() == 15 && events.files().iter().all(is_marked), "{:?}", events.files());
    }

    /// What cannot be read is said, and keeps no other day from being settled.
    #[tokio::test]
    async fn a_day_that_cannot_be_read_stays_unsettled() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        EventsWriter::open(&lake).await.unwrap().append(&batch(BOTH, 0..DAYS, "a")).await.unwrap();
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        let broken = events.files().remove(0);
        std::fs::write(folder.path().join("events").join(broken.path.as_ref()), b"no Parquet").unwrap();
        let error = settle(&lake, &events, true).await.unwrap_err().to_string();
        assert!(error.contains(broken.path.as_ref()), "{error}");
        assert_eq!(lake.open(&SHARED_CALLS).await.unwrap().unwrap().files().len(), 8);
    }

    #[tokio::test]
    async fn who_settles_at_the_same_time_or_too_late_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        writer.append(&batch(BOTH, 0..DAYS, "a")).await.unwrap();
        let before = lake.open(&EVENTS).await.unwrap().unwrap();
        let (one, other) = tokio::join!(settle(&lake, &before, true), settle(&lake, &before, true));
        one.and(other).unwrap();
        writer.append(&batch(BOTH, 0..DAYS, "b")).await.unwrap();
        let now = lake.open(&EVENTS).await.unwrap().unwrap();
        settle(&lake, &now, true).await.unwrap();
        // It read the events before there were more.
        settle(&lake, &before, true).await.unwrap();
        let found = found(&lake).await;
        let settled: u64 = found.files.iter().filter_map(|file| file.rows).sum();
        assert_eq!((found.fresh.len(), settled, found.open.len()), (0, 18, 0));
    }
}
