//! Upkeep: small files become few large ones, and files that nothing names any more are deleted.
//!
//! Ingest writes a file per batch and day, which is right for writing and wrong for reading. Compaction takes the small
//! files of one day, bins them up to [`FILE_ROWS`], sorts each bin by key and time, drops what repeats, and commits the
//! exchange as one set of removes and adds. The ledger and the rejects, of which each batch adds a file as well, are merged
//! as they are. Nothing of it changes an answer.

use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::Duration;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Add;
use deltalake_core::operations::vacuum::VacuumMode;
use futures::TryStreamExt;
use hashbrown::HashSet;

use super::events::{by_day, data_columns};
use super::identity::identities;
use super::parquet::{self, Read};
use super::table::{Commit, DataFile, LakeTable};
use super::tables::{EVENTS, TABLES};
use super::{Lake, LakeError};
use crate::cloudtrail::columns::PARTITION;

/// Rows that a compacted file holds at most; a bin is sorted in memory.
pub const FILE_ROWS: u64 = 400_000;

/// Compressed bytes of a bin: rows may be large.
const BIN_BYTES: u64 = 96 * 1024 * 1024;

/// What upkeep did.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct Maintained {
    /// Small files that were merged.
    pub files_merged: u64,
    /// Files that they became.
    pub files_written: u64,
    /// Repeated rows that compaction dropped: only a fault elsewhere could leave any.
    pub duplicates_dropped: u64,
    /// Files that nothing named any more, deleted.
    pub files_deleted: u64,
}

/// Compacts the events day by day and the other tables as a whole, then deletes files that no version younger than
/// `retention` names.
///
/// # Errors
/// When the lake cannot be read or written.
pub async fn maintain(lake: &Lake, retention: Duration) -> Result<Maintained, LakeError> {
    let mut done = Maintained::default();
    if let Some(mut events) = lake.open(&EVENTS).await? {
        // The bins are made anew after each commit: another `maintain` may have taken one meanwhile.
        while let Some(bin) = bins(&events.files()).first() {
            compact(&mut events, bin, &mut done).await?;
        }
    }
    for spec in TABLES {
        let Some(mut table) = lake.open(spec).await? else { continue };
        if spec.partition.is_none() {
            while let Some(bin) = bins(&table.files()).first() {
                let rows = read(&table, bin).await?;
                let add = parquet::write(table.store().as_ref(), &rows, None, false).await?;
                exchange(&mut table, bin, vec![add], &mut done).await?;
            }
        }
        done.files_deleted += table.vacuum(retention).await?;
    }
    Ok(done)
}

/// How many files fewer the events would be in after [`maintain`]: each of them is opened by a question that cannot tell
/// from the log that it has nothing to say.
///
/// # Errors
/// When the lake cannot be read.
pub async fn files_too_many(lake: &Lake) -> Result<usize, LakeError> {
    let events = lake.open(&EVENTS).await?;
    Ok(events.map_or(0, |events| bins(&events.files()).iter().map(|bin| bin.len() - 1).sum()))
}

/// Groups of small files of one day, each worth one larger file.
fn bins(files: &[DataFile]) -> Vec<Vec<DataFile>> {
    let mut small: Vec<&DataFile> =
        files.iter().filter(|file| file.rows.is_some_and(|rows| rows < FILE_ROWS / 2)).collect();
    small.sort_by_key(|file| (file.partition.clone(), file.rows, file.path.clone()));
    let mut bins: Vec<Vec<DataFile>> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for file in small {
        let fits = rows + file.rows.unwrap_or_default() <= FILE_ROWS && bytes + file.size <= BIN_BYTES;
        match bins.last_mut() {
            Some(bin) if bin[0].partition == file.partition && fits => bin.push(file.clone()),
            _ => {
                bins.push(vec![file.clone()]);
                (rows, bytes) = (0, 0);
            }
        }
        rows += file.rows.unwrap_or_default();
        bytes += file.size;
    }
    bins.retain(|bin| bin.len() > 1);
    bins
}

/// All rows of some files.
async fn read(table: &LakeTable, bin: &[DataFile]) -> Result<RecordBatch, LakeError> {
    let spec = table.spec();
    let schema = parquet::dictionary_schema(&(spec.schema)(), spec.partition);
    let mut batches = Vec::new();
    for file in bin {
        let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
        let rows = parquet::open(table.store(), file, Read::As(&schema)).await?;
        for rows in rows.try_collect::<Vec<RecordBatch>>().await.map_err(failed)? {
            batches.push(parquet::completed(&rows, &schema)?);
        }
    }
    Ok(concat_batches(&schema, &batches)?)
}

async fn compact(events: &mut LakeTable, bin: &[DataFile], done: &mut Maintained) -> Result<(), LakeError> {
    let rows = with_day(&read(events, bin).await?)?;
    let mut seen = HashSet::with_capacity(rows.num_rows());
    let identities = identities(&rows)?;
    let unique: Vec<usize> = (0..rows.num_rows()).filter(|&row| seen.insert(identities[row])).collect();
    let mut adds = Vec::new();
    for (day, order) in by_day(&rows, &unique)? {
        let sorted = data_columns(&take_record_batch(&rows, &UInt32Array::from(order))?)?;
        adds.push(parquet::write(events.store().as_ref(), &sorted, Some((PARTITION, &day)), false).await?);
    }
    if exchange(events, bin, adds, done).await? {
        done.duplicates_dropped += (rows.num_rows() - unique.len()) as u64;
    }
    Ok(())
}

/// Commits files in place of others; false when another writer was first.
async fn exchange(
    table: &mut LakeTable,
    bin: &[DataFile],
    adds: Vec<Add>,
    done: &mut Maintained,
) -> Result<bool, LakeError> {
    let removes = bin.iter().map(DataFile::removal).collect();
    // Delta does not hold removes that change no data against each other; the transaction does, so that of two
    // compactions at once one reads again.
    let files: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
    if let Commit::Done(_) = table.commit(adds, removes, &["maintain".to_owned()]).await? {
        done.files_merged += bin.len() as u64;
        done.files_written += files.len() as u64;
        return Ok(true);
    }
    table.refresh().await?;
    table.discard(&files).await;
    Ok(false)
}

/// Adds the day that the folder's name says, from the time that every row has.
fn with_day(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let times = rows["event_time"].as_primitive::<TimestampMicrosecondType>();
    let day = |micros: i64| i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or_default();
    let days: Date32Array = times.iter().map(|micros| micros.map(day)).collect();
    let mut fields: Vec<Arc<Field>> = rows.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(PARTITION, DataType::Date32, true)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(days));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

impl LakeTable {
    /// Deletes files that no version younger than `retention` names.
    async fn vacuum(&self, retention: Duration) -> Result<u64, LakeError> {
        let failed = |source| LakeError::Delta { table: self.spec().name, source: Box::new(source) };
        let mut table = DeltaTable::new(self.log_store());
        table.load().await.map_err(failed)?;
        // Full: also the files that an interrupted ingest wrote and never committed.
        let vacuum = table.vacuum().with_mode(VacuumMode::Full).with_retention_period(retention);
        let (_, metrics) = vacuum.with_enforce_retention_duration(false).await.map_err(failed)?;
        Ok(metrics.files_deleted.len() as u64)
    }
}
