//! Upkeep: small files become few large ones, and files that nothing names any more are deleted.
//!
//! Ingest writes a file per batch and day, which is right for writing and wrong for reading. Compaction takes the small
//! files of one day, bins them up to [`FILE_ROWS`], sorts each bin by key and time, drops what repeats, and commits the
//! exchange as one set of removes and adds. The ledger and the rejects, of which each batch adds a file as well, are merged
//! as they are. Nothing of it changes an answer. The days of events are settled afterwards (see [`super::settling`]).
//!
//! Whoever adds rows calls [`LakeTable::upkeep`] afterwards, which merges once `DEBT_MAX` files are too many, and leaves alone
//! a file that is more than twice as large as all smaller ones together: so each row is written again a few times at most, however small the
//! runs are that bring them. `maintain` merges whatever can be merged, and it alone deletes data files.
//!
//! How large a bin is in memory its files do not tell beforehand: rows that are alike compress to nothing, and a page with a
//! dictionary says neither how long its texts are nor how often each occurs. So files are read one by one, and a bin ends
//! with what `BIN_BYTES_HELD` has room for.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use chrono::Duration;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Add;
use deltalake_core::operations::vacuum::VacuumMode;
use futures::TryStreamExt;
use object_store::path::Path;

use super::calls;
use super::parquet::{self, FileWriter, Read};
use super::settling::{is_settled_by_day, settle};
use super::sorting::{Held, held_bytes, sorted};
use super::table::{Commit, DataFile, LakeTable};
use super::tables::{EVENTS, SHARED_CALLS, TABLES, TableSpec};
use super::{Lake, LakeError};

/// Rows that a compacted file holds at most; a bin is sorted in memory.
pub const FILE_ROWS: u64 = 400_000;

/// Compressed bytes of a bin.
const BIN_BYTES: u64 = 96 * 1024 * 1024;

/// Bytes that the rows of a bin may take up in memory, and those of a merged file when it is read: some more than
/// [`FILE_ROWS`] ordinary events do, and much less than the 2 GiB that a column of Arrow's can hold.
const BIN_BYTES_HELD: usize = 256 * 1024 * 1024;

/// Files that a table may have more than it needs before those who add to it merge them.
const DEBT_MAX: usize = 16;

/// A file of so many rows is merged with smaller ones whatever their sizes: to write it again takes milliseconds.
const CHEAP_ROWS: u64 = 4096;

/// Beyond that, a file is merged if it has at most so many times the rows of all smaller ones of its day.
const TIER: u64 = 2;

/// Rows that are put in order at a time, and bytes that they may have by and large.
const SORTED: (usize, usize) = (8 * 1024, 16 * 1024 * 1024);

/// What upkeep did.
#[derive(Debug, Default, serde::Serialize)]
pub struct Maintained {
    /// Small files that were merged.
    pub files_merged: u64,
    /// Files that they became.
    pub files_written: u64,
    /// Repeated rows that compaction dropped: only a fault elsewhere could leave any.
    pub duplicates_dropped: u64,
    /// Files that nothing named any more, deleted.
    pub files_deleted: u64,
    /// Entries of Delta's logs that no version still kept needs, deleted.
    pub log_entries_deleted: u64,
    /// Tables that could not be maintained, and why; the others were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Tables that the lake has.
    #[serde(skip)]
    pub tables: usize,
}

/// A table that could not be maintained.
#[derive(Debug, serde::Serialize)]
pub struct Failed {
    /// Which.
    pub table: &'static str,
    /// Why.
    pub why: String,
}

/// Compacts the events day by day and the other tables as a whole, then deletes files and log entries that no version younger
/// than `retention` needs. A table that cannot be maintained keeps no other from it.
pub async fn maintain(lake: &Lake, retention: Duration) -> Maintained {
    let mut done = Maintained::default();
    for spec in TABLES {
        match lake.open(spec).await {
            Ok(None) => continue,
            Ok(Some(mut table)) => {
                // What cannot be merged may still be rid of files that nothing names.
                let merged = merge(&mut table, Effort::Whole, &mut done).await;
                done.note(spec, merged);
                if std::ptr::eq(spec, &raw const EVENTS) {
                    done.note(&SHARED_CALLS, settle(lake, &table, true).await);
                }
                let vacuumed = table.vacuum(retention).await.map(|files| done.files_deleted += files);
                done.note(spec, vacuumed);
                let forgotten = table.forget(retention).await.map(|entries| done.log_entries_deleted += entries);
                done.note(spec, forgotten);
            }
            Err(error) => done.note(spec, Err(error)),
        }
        done.tables += 1;
    }
    done
}

impl Maintained {
    fn note(&mut self, spec: &TableSpec, ended: Result<(), LakeError>) {
        let Err(error) = ended else { return };
        let failed = Failed { table: spec.name, why: error.to_string() };
        if !self.failed.iter().any(|known| known.table == failed.table && known.why == failed.why) {
            self.failed.push(failed);
        }
    }
}

/// What is worth merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Whatever makes files fewer.
    Whole,
    /// What costs little for what it saves.
    Cheap,
}

/// How many files fewer these bins would be.
fn debt(bins: &[Vec<DataFile>]) -> usize {
    bins.iter().map(|bin| bin.len() - 1).sum()
}

/// Groups of small files of one day, each worth one larger file. What was set aside is in none.
fn bins(files: &[DataFile], aside: &BTreeSet<Path>, effort: Effort) -> Vec<Vec<DataFile>> {
    let is_small = |file: &&DataFile| {
        file.rows.is_some_and(|rows| rows < FILE_ROWS / 2)
            && !parquet::is_full(&file.path)
            && !aside.contains(&file.path)
    };
    let mut small: Vec<&DataFile> = files.iter().filter(is_small).collect();
    small.sort_by_key(|file| (file.partition.clone(), file.rows, file.path.clone()));
    let mut bins: Vec<Vec<DataFile>> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for file in
        small.chunk_by(|one, other| one.partition == other.partition).flat_map(|day| worth(day, effort)).copied()
    {
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

/// The files of one day, the smallest first, that are worth merging with each other.
fn worth<'f, 'd>(day: &'d [&'f DataFile], effort: Effort) -> &'d [&'f DataFile] {
    if effort == Effort::Whole {
        return day;
    }
    let mut smaller = 0;
    let is_worth = |file: &&&DataFile| {
        let rows = file.rows.unwrap_or_default();
        let is_worth = rows <= CHEAP_ROWS.max(TIER * smaller);
        smaller += rows;
        is_worth
    };
    &day[..day.iter().take_while(is_worth).count()]
}

/// Merges the small files of a table, until none is worth it any more. A file that cannot be read is left as it is, and keeps no
/// other from being merged.
///
/// # Errors
/// The first that there was.
async fn merge(table: &mut LakeTable, effort: Effort, done: &mut Maintained) -> Result<(), LakeError> {
    // Each file belongs to one set of event files: never merged.
    if is_settled_by_day(table.spec()) {
        return Ok(());
    }
    let (mut aside, mut failed) = (BTreeSet::new(), None);
    // The bins are made anew after each commit: another `maintain` may have taken one meanwhile.
    while let Some(bin) = bins(&table.files(), &aside, effort).into_iter().next() {
        let unknown = table.unknown_columns();
        if !unknown.is_empty() {
            return Err(LakeError::Newer { columns: unknown.join(", ") });
        }
        let made = if table.spec().partition.is_some() { compact(table, &bin).await } else { join(table, &bin).await };
        match made {
            Ok(Outcome::Made(made)) => made.exchange(table, done).await?,
            Ok(Outcome::TooLarge(path)) => drop(aside.insert(path)),
            Err(error) => {
                let at_fault = |file: &&DataFile| error.is_of(file.path.as_ref());
                let file = bin.iter().find(at_fault).map(|file| file.path.clone());
                let Some(file) = file else { return Err(error) };
                aside.insert(file);
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What came of a bin.
enum Outcome {
    /// A file in place of others.
    Made(Box<Made>),
    /// This file has no room for another.
    TooLarge(Path),
}

/// A file that says what others said.
struct Made {
    add: Add,
    of: Vec<DataFile>,
    duplicates: u64,
}

/// Writes the rows of some files one after the other, as many files as one may hold.
async fn join(table: &LakeTable, bin: &[DataFile]) -> Result<Outcome, LakeError> {
    let schema = schema(table.spec());
    let mut writer = FileWriter::new(&schema, rows(bin))?;
    let (mut held, mut joined) = (0, 0);
    for file in bin {
        let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
        let mut rows = parquet::open(table.store(), file, Read::As(&schema)).await?;
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            let batch = parquet::completed(&batch, &schema)?;
            held += held_bytes(&batch)?;
            writer.write(&batch)?;
            if joined == 0 && held > BIN_BYTES_HELD / 2 {
                return Ok(Outcome::TooLarge(file.path.clone()));
            }
        }
        joined += 1;
        if held > BIN_BYTES_HELD / 2 {
            writer.fill();
            break;
        }
    }
    let add = writer.finish(table.store().as_ref(), None, false).await?;
    Ok(Outcome::Made(Box::new(Made { add, of: bin[..joined].to_vec(), duplicates: 0 })))
}

/// Writes the events of some files of one day, each once and in the order of keys and times, as many files as memory has room
/// for.
async fn compact(table: &LakeTable, bin: &[DataFile]) -> Result<Outcome, LakeError> {
    let schema = schema(table.spec());
    let (mut held, mut parts) = (0, Vec::new());
    for file in bin {
        let Some(part) = whole(table, file, &schema, BIN_BYTES_HELD - held).await? else { break };
        held += held_bytes(&part)?;
        parts.push(part);
        if held > BIN_BYTES_HELD {
            break;
        }
    }
    if parts.len() < 2 {
        // Of two that do not fit together, the larger one has no room for any other.
        let larger = usize::from(!parts.is_empty() && held <= BIN_BYTES_HELD / 2);
        return Ok(Outcome::TooLarge(bin[larger].path.clone()));
    }
    let parts = calls::with_copies_marked(&parts)?;
    let total: usize = parts.iter().map(RecordBatch::num_rows).sum();
    let order = sorted(&parts)?;
    let mut writer = FileWriter::new(&schema, order.len())?;
    let parts_of: Vec<&RecordBatch> = parts.iter().collect();
    let (rows_max, bytes_max) = SORTED;
    for rows in order.chunks((bytes_max / (held / total.max(1)).max(1)).clamp(1, rows_max)) {
        writer.write(&interleave_record_batch(&parts_of, rows)?)?;
    }
    // The next file may have been too large by itself: this one is full only if it would not do for a bin either.
    if parts.len() < bin.len() && held > BIN_BYTES_HELD / 2 {
        writer.fill();
    }
    let partition = table.spec().partition.zip(bin[0].partition.as_deref());
    let add = writer.finish(table.store().as_ref(), partition, false).await?;
    let duplicates = (total - order.len()) as u64;
    Ok(Outcome::Made(Box::new(Made { add, of: bin[..parts.len()].to_vec(), duplicates })))
}

/// All rows of a file, if there is room for so many bytes.
async fn whole(
    table: &LakeTable,
    file: &DataFile,
    schema: &SchemaRef,
    room: usize,
) -> Result<Option<RecordBatch>, LakeError> {
    let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
    let mut rows = parquet::open(table.store(), file, Read::As(schema)).await?;
    let mut held = Held::default();
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        if held.add(parquet::completed(&batch, schema)?)? > room {
            return Ok(None);
        }
    }
    Ok(Some(concat_batches(schema, held.batches())?))
}

/// The columns of a table's files, with text that repeats as dictionaries, to stay small.
fn schema(spec: &TableSpec) -> SchemaRef {
    parquet::dictionary_schema(&(spec.schema)(), spec.partition)
}

fn rows(bin: &[DataFile]) -> usize {
    let rows = bin.iter().filter_map(|file| file.rows).sum::<u64>();
    usize::try_from(rows).unwrap_or(usize::MAX)
}

impl Made {
    /// Commits the file in place of the others, unless another writer was first.
    async fn exchange(self, table: &mut LakeTable, done: &mut Maintained) -> Result<(), LakeError> {
        let removes = self.of.iter().map(DataFile::removal).collect();
        let written = [self.add.path.clone()];
        // Delta does not hold removes that change no data against each other; the transaction does, so that of two
        // compactions at once one reads again.
        if let Commit::Done(_) = table.commit(vec![self.add], removes, &["maintain".to_owned()]).await? {
            done.files_merged += self.of.len() as u64;
            done.files_written += 1;
            done.duplicates_dropped += self.duplicates;
            return Ok(());
        }
        table.refresh().await?;
        table.discard(&written).await;
        Ok(())
    }
}

impl LakeTable {
    /// Merges small files if there are many of them. Rows are as safe before as after: what cannot be merged is left as it is,
    /// with a warning.
    pub async fn upkeep(&mut self) {
        if debt(&bins(&self.files(), &BTreeSet::new(), Effort::Cheap)) < DEBT_MAX {
            return;
        }
        if let Err(error) = merge(self, Effort::Cheap, &mut Maintained::default()).await {
            tracing::warn!("small files of the table {} could not be merged: {error}", self.spec().name);
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};
    use crate::lake::events::EventsWriter;

    /// So many events of one day, none of which is in another run.
    fn run(number: i64, events: i64) -> RecordBatch {
        let mut builder = EventBuilder::default();
        for at in 0..events {
            let event = Event {
                event_id: Some(format!("{number}-{at}").into()),
                event_name: Some("Decrypt".into()),
                event_time: Some((number * 900 + at) * 1_000_000),
                event_date: Some(0),
                ..Event::default()
            };
            builder.append(&event).unwrap();
        }
        builder.finish().unwrap()
    }

    /// Small runs, of which every twentieth is large: files stay few, and rows are not written over and over again.
    #[tokio::test]
    async fn many_small_runs_leave_few_files_and_each_row_is_written_a_few_times() {
        const RUNS: i64 = 80;
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        let (mut rows, mut rewritten, mut seen) = (0, 0, BTreeSet::new());
        for number in 0..RUNS {
            let events = if number % 20 == 19 { 5_000 } else { 20 };
            rows += u64::try_from(events).unwrap();
            writer.append(&run(number, events)).await.unwrap();
            let appended = lake.open(&EVENTS).await.unwrap().unwrap().files();
            writer.upkeep().await;
            let files = lake.open(&EVENTS).await.unwrap().unwrap().files();
            assert!(files.len() < 2 * DEBT_MAX, "{} files after {number} runs", files.len());
            assert_eq!(files.iter().filter_map(|file| file.rows).sum::<u64>(), rows);
            let is_old = |path: &Path| appended.iter().any(|file| file.path == *path);
            rewritten += files
                .iter()
                .filter(|file| !is_old(&file.path) && seen.insert(file.path.clone()))
                .filter_map(|file| file.rows)
                .sum::<u64>();
        }
        assert!(rewritten > 0 && rewritten < 8 * rows, "{rewritten} rows written again, of {rows}");
        let done = maintain(&lake, Duration::days(1)).await;
        assert_eq!((done.duplicates_dropped, done.failed.len()), (0, 0));
        assert_eq!(lake.open(&EVENTS).await.unwrap().unwrap().files().len(), 1);
    }

    /// What cannot be read stays as it is, and does not keep anyone from adding.
    #[tokio::test]
    async fn a_file_that_cannot_be_merged_fails_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        writer.append(&run(0, 10)).await.unwrap();
        let broken = lake.open(&EVENTS).await.unwrap().unwrap().files().remove(0);
        std::fs::write(folder.path().join("events").join(broken.path.as_ref()), b"no Parquet").unwrap();
        for number in 1..=20 {
            writer.append(&run(number, 10)).await.unwrap();
            writer.upkeep().await;
        }
        let files = lake.open(&EVENTS).await.unwrap().unwrap().files();
        assert!(files.len() < 20 && files.iter().any(|file| file.path == broken.path), "{files:?}");
    }
}
