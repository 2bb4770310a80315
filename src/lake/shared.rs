//! Calls logged in several rows: found day by day, and merged.
//!
//! ```text
//! events of a day ─► ids of calls ─► in several rows? ─► merged ─┬─► shared_calls/event_date=…/settled-….parquet
//!                                                                └─► in memory, for one session
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use hashbrown::HashSet;
use object_store::ObjectStore;

use super::LakeError;
use super::calls::{self, COPY, MARKED_BY, Mark};
use super::days::{self, Day, Found, Settled, Sink, each};
use super::parquet::{self, Read};
use super::spec::TableSpec;
use super::table::{DataFile, LakeTable};
use crate::cloudtrail::columns::{CALL, PARTITION, lake_schema};

/// Rows that are merged at a time.
const MERGED_ROWS: usize = 16 * 1024;

/// Calls logged in several events.
pub static SHARED_CALLS: TableSpec = TableSpec {
    name: "shared_calls",
    partition: Some(PARTITION),
    schema: lake_schema,
    doc: "calls logged in several rows of `events`, one row each; a file's name identifies the event files that it covers",
};

/// How a day's calls are settled. The number changes with what makes a merged row: then the days of earlier versions are
/// unsettled.
pub(super) const SETTLED: Settled = Settled { table: &SHARED_CALLS, prefix: "settled-1-", make: settled };

/// Calls logged in several rows.
#[derive(Debug, Default)]
pub struct SharedCalls {
    /// The calls.
    pub found: Found,
    /// The [`call_id`](calls::call_id) of calls with rows not marked as copies.
    pub open: HashSet<u128>,
}

/// The calls of a lake that were logged in several rows.
///
/// # Errors
/// When a file cannot be read.
pub async fn shared_calls(events: &LakeTable, shared: Option<&LakeTable>) -> Result<SharedCalls, LakeError> {
    let found = days::found(&SETTLED, events, shared).await?;
    let mut open = HashSet::new();
    if let Some(shared) = shared {
        let files: Vec<DataFile> = found.files.iter().filter(|file| !is_closed(file)).cloned().collect();
        let ids = each(files, shared.store(), |store, file| async move { open_ids(store, &file).await }).await?;
        open.extend(ids.into_iter().flatten());
    }
    for (_, batch) in &found.fresh {
        open.extend(open_of(batch)?);
    }
    Ok(SharedCalls { found, open })
}

/// Whether all rows of the calls of a file are marked as copies.
fn is_closed(file: &DataFile) -> bool {
    file.stats.max_values.get(CALL).and_then(|mark| mark.as_str()) == Some(COPY)
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
pub(super) struct Row {
    call: u128,
    file: usize,
    place: usize,
    is_copy: bool,
}

impl Row {
    /// Which call it is of.
    pub(super) fn call(&self) -> u128 {
        self.call
    }

    /// Its place, if it is in this of the day's files.
    pub(super) fn place_in(&self, file: usize) -> Option<usize> {
        (self.file == file).then_some(self.place)
    }
}

/// The rows of a day whose calls were logged in several, in parts that can be merged one by one.
pub(super) async fn parts(store: &Arc<dyn ObjectStore>, day: &Day) -> Result<Vec<Vec<Row>>, LakeError> {
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

/// The calls that these rows of a day are of, in these columns.
pub(super) async fn merged(
    store: &Arc<dyn ObjectStore>,
    day: &Day,
    part: &[Row],
    schema: &SchemaRef,
) -> Result<RecordBatch, LakeError> {
    in_order(&calls::merged(&rows(store, day, part, schema).await?)?)
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

/// These rows, in these columns.
async fn rows(
    store: &Arc<dyn ObjectStore>,
    day: &Day,
    rows: &[Row],
    schema: &SchemaRef,
) -> Result<RecordBatch, LakeError> {
    let mut batches = Vec::new();
    for (at, file) in day.files.iter().enumerate() {
        let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
        let mut places: Vec<usize> = rows.iter().filter(|row| row.file == at).map(|row| row.place).collect();
        if places.is_empty() {
            continue;
        }
        places.sort_unstable();
        let mut rows = parquet::open_rows(Arc::clone(store), file, Read::As(schema), &places).await?;
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            batches.push(parquet::completed(&batch, schema)?);
        }
    }
    Ok(concat_batches(schema, &batches)?)
}

/// All columns of a call.
pub(super) fn schema() -> SchemaRef {
    parquet::dictionary_schema(&(SHARED_CALLS.schema)(), SHARED_CALLS.partition)
}

/// In the order of keys and times, as events are.
fn in_order(batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let by = ["key_arn", "event_time"].map(|name| batch.column_by_name(name).cloned());
    let by: Vec<SortColumn> = by.into_iter().flatten().map(|values| SortColumn { values, options: None }).collect();
    Ok(take_record_batch(batch, &lexsort_to_indices(&by, None)?)?)
}

fn settled<'d>(store: Arc<dyn ObjectStore>, day: &'d Day, sink: Sink<'d>) -> BoxFuture<'d, Result<(), LakeError>> {
    Box::pin(async move {
        let schema = schema();
        for part in parts(&store, day).await? {
            sink(merged(&store, day, &part, &schema).await?)?;
        }
        Ok(())
    })
}
