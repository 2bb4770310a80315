//! One Delta table: its state, its files, and commits on top of the state that was read.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{Duration, Utc};
use deltalake_core::checkpoints;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitConflictError, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, Remove, StructField, Transaction};
use deltalake_core::logstore::{LogStoreRef, ObjectStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::config::TablePropertiesExt;
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::ordered::Ordered;
use super::spec::{TableSpec, delta_columns};
use super::{LakeError, parquet};

/// A table at the version that was read last.
#[derive(Debug, Clone)]
pub struct LakeTable {
    spec: &'static TableSpec,
    log_store: LogStoreRef,
    state: DeltaTableState,
}

/// One live data file of a table.
#[derive(Clone)]
pub struct DataFile {
    /// Path relative to the table.
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// Rows, when its statistics say.
    pub rows: Option<u64>,
    /// Value of the partition column, such as `2023-07-10`.
    pub partition: Option<String>,
    /// Smallest and largest values that Delta's log gives for columns, as JSON.
    pub stats: FileStats,
    view: deltalake_core::kernel::LogicalFileView,
}

/// Statistics of a file, as Delta's log holds them.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileStats {
    /// Rows.
    pub num_records: Option<u64>,
    /// Smallest value per column.
    pub min_values: HashMap<String, serde_json::Value>,
    /// Largest value per column.
    pub max_values: HashMap<String, serde_json::Value>,
    /// Rows without a value, per column.
    pub null_count: HashMap<String, u64>,
}

/// How a commit ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is version so-and-so of the table.
    Done(u64),
    /// Another writer was first on the same lane: read again, and try again.
    Conflict,
}

impl LakeTable {
    /// Opens a table of the lake that a store is rooted at.
    pub(super) async fn open(lake: Ordered, spec: &'static TableSpec) -> Result<Option<Self>, LakeError> {
        // Asking first whether there is a table would list its log once more.
        match Self::load(log_store(lake, spec)?, spec).await {
            Ok(table) => Ok(Some(table)),
            Err(LakeError::Delta { source, .. }) if matches!(*source, DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn open_or_create(lake: Ordered, spec: &'static TableSpec) -> Result<Self, LakeError> {
        if let Some(table) = Self::open(lake.clone(), spec).await? {
            return table.with_all_columns().await;
        }
        let log_store = log_store(lake, spec)?;
        let created = CreateBuilder::new()
            .with_log_store(Arc::clone(&log_store))
            .with_table_name(spec.name)
            .with_comment(spec.doc)
            .with_columns(delta_columns(spec))
            .with_partition_columns(spec.partition)
            .with_save_mode(SaveMode::Ignore)
            .await;
        // Two processes may create the table at once; the one that comes second finds it made.
        match (created, Self::load(log_store, spec).await) {
            (_, Ok(table)) => Ok(table),
            (Err(source), Err(_)) => Err(delta(spec, source)),
            (Ok(_), Err(error)) => Err(error),
        }
    }

    async fn load(log_store: LogStoreRef, spec: &'static TableSpec) -> Result<Self, LakeError> {
        let state = DeltaTableState::try_new(log_store.as_ref(), None).await.map_err(|source| delta(spec, source))?;
        Ok(Self { spec, log_store, state })
    }

    /// The same table with the columns that it lacks, because an earlier version made it: null in every row that there is.
    /// Readers do not need it, since a file lacks the column either way; but what is written from now on has columns that
    /// other engines would pass over if the log did not name them.
    async fn with_all_columns(self) -> Result<Self, LakeError> {
        let (spec, mut table) = (self.spec, self);
        for _ in 0..COMMIT_RETRIES {
            let known = table.state.schema();
            let missing: Vec<StructField> =
                delta_columns(spec).into_iter().filter(|column| known.field(column.name()).is_none()).collect();
            if missing.is_empty() {
                return Ok(table);
            }
            let mut old = DeltaTable::new(Arc::clone(&table.log_store));
            old.load().await.map_err(|source| delta(spec, source))?;
            match old.add_columns().with_fields(missing).await {
                Ok(_) => {}
                // Another process was first, with the same columns or with rows.
                Err(error) if is_conflict(&error) => {}
                Err(source) => return Err(delta(spec, source)),
            }
            table.refresh().await?;
        }
        Err(LakeError::Contended { table: spec.name, attempts: COMMIT_RETRIES.try_into().unwrap_or(u32::MAX) })
    }

    /// Columns that the log names and this version does not know.
    #[must_use]
    pub fn unknown_columns(&self) -> Vec<String> {
        let known: BTreeSet<String> =
            delta_columns(self.spec).into_iter().map(|column| column.name().clone()).collect();
        let named = self.state.schema();
        named.fields().map(|field| field.name().clone()).filter(|name| !known.contains(name)).collect()
    }

    /// What table this is.
    #[must_use]
    pub fn spec(&self) -> &'static TableSpec {
        self.spec
    }

    /// The version that was read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// Where the table's files are, as one store rooted at the table.
    #[must_use]
    pub fn store(&self) -> ObjectStoreRef {
        self.log_store.object_store(None)
    }

    /// The table's log, for Delta's own operations.
    #[must_use]
    pub(super) fn log_store(&self) -> LogStoreRef {
        Arc::clone(&self.log_store)
    }

    /// Reads what others committed since.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        self.state.update(self.log_store.as_ref(), None).await.map_err(|source| delta(self.spec, source))
    }

    /// Deletes files that were written for a commit that did not come to be; a file that the table names after all stays.
    /// What cannot be deleted now is no part of the table either, and vacuum finds it.
    pub async fn discard(&self, written: &[String]) {
        let live: Vec<Path> = self.files().into_iter().map(|file| file.path).collect();
        for path in written.iter().map(|path| Path::from(path.as_str())).filter(|path| !live.contains(path)) {
            let _ = self.store().delete(&path).await;
        }
    }

    /// The live files of the version that was read.
    #[must_use]
    pub fn files(&self) -> Vec<DataFile> {
        let views = self.state.log_data();
        views.iter().map(|view| DataFile::new(view, self.spec.partition)).collect()
    }

    /// The last version that `app_id` recorded on this table; 0 before its first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn transaction(&self, app_id: &str) -> Result<i64, LakeError> {
        let version = self.state.transaction_version(self.log_store.as_ref(), app_id).await;
        version.map(Option::unwrap_or_default).map_err(|source| delta(self.spec, source))
    }

    /// Adds rows that conflict with nobody's, as one file, and merges small files if there are many by now.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub async fn append(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        let add = parquet::write(self.store().as_ref(), rows, None, true).await?;
        // Commits that came between must be read before the next attempt.
        while self.commit(vec![add.clone()], Vec::new(), &[]).await? == Commit::Conflict {
            self.refresh().await?;
        }
        self.upkeep().await;
        Ok(())
    }

    /// Commits added and removed files on top of the version that was read, with one transaction per `app_id`.
    ///
    /// Commits that others made meanwhile are no obstacle unless they carry one of the same ids or touch the same
    /// files.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub async fn commit(
        &mut self,
        add: Vec<Add>,
        remove: Vec<Remove>,
        app_ids: &[String],
    ) -> Result<Commit, LakeError> {
        let operation = if remove.is_empty() {
            let partition_by = self.spec.partition.map(|column| vec![column.to_owned()]);
            DeltaOperation::Write { mode: SaveMode::Append, partition_by, predicate: None }
        } else {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        };
        let mut transactions = Vec::with_capacity(app_ids.len());
        for app_id in app_ids {
            transactions.push(Transaction::new(app_id, self.transaction(app_id).await? + 1));
        }
        // Delta would list the whole log after each commit, to look for old entries, and write a checkpoint too rarely for
        // runs that only add a few rows.
        let properties = CommitProperties::default()
            .with_max_retries(COMMIT_RETRIES)
            .with_application_transactions(transactions)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let actions = remove.into_iter().map(Action::Remove).chain(add.into_iter().map(Action::Add)).collect();
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), Arc::clone(&self.log_store), operation)
            .await;
        match committed {
            Ok(done) => {
                self.state = done.snapshot();
                self.checkpoint().await;
                Ok(Commit::Done(done.version()))
            }
            Err(error) if is_conflict(&error) => Ok(Commit::Conflict),
            Err(source) => Err(delta(self.spec, source)),
        }
    }

    /// Writes a checkpoint if the log has many commits since the last one, and sometimes deletes expired log entries. The commit
    /// stands either way: without a checkpoint, whoever opens the table next reads more of its log.
    async fn checkpoint(&self) {
        let (least, most) = CHECKPOINT_EACH;
        if !self.has_commits(least) {
            return;
        }
        let each = self.checkpoint_weight().await.clamp(least, most);
        if !self.has_commits(each) {
            return;
        }
        let mut table = DeltaTable::new(self.log_store());
        table.state = Some(self.state.clone());
        let mut done = checkpoints::create_checkpoint(&table, None).await;
        let is_cleanup_due = self.version() % CLEANUP_EACH < each;
        if done.is_ok() && is_cleanup_due && self.state.table_config().enable_expired_log_cleanup() {
            done = checkpoints::cleanup_metadata(&table, None).await.map(drop);
        }
        if let Err(error) = done {
            tracing::warn!("no checkpoint of the table {} was written: {error}", self.spec.name);
        }
    }

    /// Whether the state was read from so many commits since a checkpoint.
    fn has_commits(&self, commits: u64) -> bool {
        let first = (self.version() + 1).checked_sub(commits);
        first.is_some_and(|first| self.state.version_timestamp(first).is_some())
    }

    /// How many commits the last checkpoint is worth; none if there is none.
    async fn checkpoint_weight(&self) -> u64 {
        #[derive(Default, serde::Deserialize)]
        struct Last {
            size: u64,
        }
        let last = match self.store().get(&Path::from("_delta_log/_last_checkpoint")).await {
            Ok(found) => found.bytes().await.ok(),
            Err(_) => None,
        };
        let last: Last = last.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        last.size / ACTIONS_OF_COMMIT
    }

    /// Deletes the log entries that nobody needs who opened the table within `retention`: those before a checkpoint that was
    /// there already. Delta alone would also take a checkpoint of a moment ago, and take away what others are still reading.
    ///
    /// # Errors
    /// When the log cannot be listed, or an entry not be deleted.
    pub(super) async fn forget(&self, retention: Duration) -> Result<u64, LakeError> {
        let since = Utc::now() - retention;
        let mut last = self.version();
        let mut entries = self.store().list(Some(&Path::from("_delta_log")));
        while let Some(entry) = entries.try_next().await? {
            let name = entry.location.filename().and_then(|name| name.strip_suffix(".json"));
            let version = name.and_then(|name| name.parse::<u64>().ok());
            if let Some(version) = version.filter(|_| entry.last_modified >= since) {
                let Some(before) = version.checked_sub(1) else { return Ok(0) };
                last = last.min(before);
            }
        }
        let until = since.timestamp_millis();
        let deleted = checkpoints::cleanup_expired_logs_for(last, self.log_store.as_ref(), until, None).await;
        deleted.map(|entries| entries as u64).map_err(|source| delta(self.spec, source))
    }
}

/// Commits after which a checkpoint is written, at least and at most. Whoever opens a table reads its last checkpoint and all
/// commits since, most of them several times; the most is what Delta does by itself.
const CHECKPOINT_EACH: (u64, u64) = (10, 100);

/// Actions of a checkpoint for which one more commit may come before the next checkpoint, so that many commits to a large table do
/// not write the same list over and over. Actions are the files that the table has and those that it had in the last week.
const ACTIONS_OF_COMMIT: u64 = 100;

/// Commits after which a writer looks for expired log entries: it has to list the whole log.
const CLEANUP_EACH: u64 = 100;

/// How often Delta itself retries a commit whose version number was taken by a commit that does not conflict. Many
/// writers on different lanes may come between.
const COMMIT_RETRIES: usize = 100;

fn is_conflict(error: &DeltaTableError) -> bool {
    let DeltaTableError::Transaction { source } = error else {
        return matches!(error, DeltaTableError::VersionAlreadyExists(_));
    };
    matches!(
        source,
        TransactionError::CommitConflict(
            CommitConflictError::ConcurrentTransaction
                // Two processes may have created the table at once, the second over the first.
                | CommitConflictError::MetadataChanged
                | CommitConflictError::ConcurrentAppend
                | CommitConflictError::ConcurrentDeleteRead
                | CommitConflictError::ConcurrentDeleteDelete
        ) | TransactionError::VersionAlreadyExists(_)
            | TransactionError::MaxCommitAttempts(_)
    )
}

fn delta(spec: &TableSpec, source: DeltaTableError) -> LakeError {
    LakeError::Delta { table: spec.name, source: Box::new(source) }
}

/// The log of a table. Its address says where the table is in the lake's own store, and nothing of where that is: so that
/// whatever Delta does to a URL, it does to a plain name (see `place.rs`).
fn log_store(lake: Ordered, spec: &TableSpec) -> Result<LogStoreRef, LakeError> {
    let uri = format!("lake:///{}/", spec.name);
    let url = Url::parse(&uri).map_err(|error| LakeError::Address { uri, why: error.to_string() })?;
    let lake: Arc<dyn ObjectStore> = Arc::new(lake);
    let table = PrefixStore::new(Arc::clone(&lake), spec.name);
    Ok(default_logstore(Arc::new(table), lake, &url, &StorageConfig::default()))
}

impl fmt::Debug for DataFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DataFile").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl DataFile {
    fn new(view: deltalake_core::kernel::LogicalFileView, partition: Option<&str>) -> Self {
        let stats: FileStats = view.stats().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let partition = partition.and_then(|column| view.partition_values_map().remove(column).flatten());
        Self {
            path: view.object_store_path(),
            size: u64::try_from(view.size()).unwrap_or_default(),
            rows: stats.num_records,
            partition,
            stats,
            view,
        }
    }

    /// The action that takes this file out of the table without changing what the table says.
    #[must_use]
    pub fn removal(&self) -> Remove {
        self.view.remove_action(false)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;
    use chrono::Duration;
    use futures::StreamExt;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
        PutPayload, PutResult, Result,
    };

    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};
    use crate::lake::Lake;
    use crate::lake::events::EventsWriter;
    use crate::lake::maintain::maintain;
    use crate::lake::tables::EVENTS;

    /// A store that counts what it reads and lists of tables' logs.
    #[derive(Debug, Default)]
    struct Counting {
        store: InMemory,
        seen: Arc<AtomicUsize>,
    }

    impl fmt::Display for Counting {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.store.fmt(out)
        }
    }

    impl Counting {
        fn counted(&self, listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
            let seen = Arc::clone(&self.seen);
            let count = move |_: &_| {
                seen.fetch_add(1, Ordering::Relaxed);
            };
            listed.inspect(count).boxed()
        }
    }

    #[async_trait]
    impl ObjectStore for Counting {
        async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.store.put_opts(location, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.store.put_multipart_opts(location, options).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            self.seen.fetch_add(usize::from(location.as_ref().contains("/_delta_log/")), Ordering::Relaxed);
            self.store.get_opts(location, options).await
        }

        async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
            self.store.get_ranges(location, ranges).await
        }

        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.store.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.counted(self.store.list(prefix))
        }

        fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
            self.counted(self.store.list_with_offset(prefix, offset))
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.store.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.store.copy_opts(from, to, options).await
        }
    }

    fn event(number: i64) -> RecordBatch {
        let mut builder = EventBuilder::default();
        let event = Event {
            event_id: Some(number.to_string().into()),
            event_name: Some("Decrypt".into()),
            event_time: Some(number * 1_000_000),
            event_date: Some(0),
            ..Event::default()
        };
        builder.append(&event).unwrap();
        builder.finish().unwrap()
    }

    async fn run(lake: &Lake, number: i64) {
        let mut writer = EventsWriter::open(lake).await.unwrap();
        assert_eq!(writer.append(&event(number)).await.unwrap().kept, 1);
        writer.upkeep().await;
    }

    async fn rows(lake: &Lake) -> u64 {
        lake.open(&EVENTS).await.unwrap().unwrap().files().iter().filter_map(|file| file.rows).sum()
    }

    /// However many runs there were before.
    #[tokio::test]
    async fn a_small_run_reads_as_little_of_the_log_as_the_first_ones() {
        const RUNS: i64 = 90;
        let store = Counting::default();
        let seen = Arc::clone(&store.seen);
        let lake = Lake::on("s3://bucket", Arc::new(store)).unwrap();
        let mut each = Vec::new();
        for number in 0..RUNS {
            run(&lake, number).await;
            each.push(seen.swap(0, Ordering::Relaxed));
        }
        let most = |runs: Range<usize>| *each[runs].iter().max().unwrap();
        assert!(most(60..90) <= most(0..30) * 5 / 4, "entries of the log that each run saw: {each:?}");
    }

    /// Old entries go once a checkpoint stands for them that is old as well, and nothing that an answer needs goes with them.
    #[tokio::test]
    async fn old_log_entries_are_deleted_up_to_an_old_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        for number in 0..45 {
            run(&lake, number).await;
        }
        let log = folder.path().join("events/_delta_log");
        let entries = || -> BTreeSet<String> {
            let names = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with('0')).collect()
        };
        let all = entries();
        assert_eq!(maintain(&lake, Duration::days(1)).await.log_entries_deleted, 0);
        assert!(entries().is_superset(&all));
        let checkpoints: Vec<&String> = all.iter().filter(|name| name.contains("checkpoint")).collect();
        let [.., before, last] = checkpoints[..] else { panic!("{all:?}") };
        // The commit of the last checkpoint, and the checkpoint, are young.
        let version = last.split('.').next().unwrap();
        for name in all.iter().filter(|name| name.as_str() < version) {
            let long_ago = std::time::SystemTime::now() - Duration::days(3).to_std().unwrap();
            std::fs::File::options().write(true).open(log.join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        let done = maintain(&lake, Duration::days(1)).await;
        assert!(done.log_entries_deleted > 0 && done.failed.is_empty(), "{done:?}");
        let (version, kept) = (before.split('.').next().unwrap(), entries());
        assert_eq!(kept.first(), Some(before), "{all:?}");
        assert!(all.iter().all(|name| name.as_str() < version || kept.contains(name)), "{all:?} {kept:?}");
        assert_eq!(rows(&lake).await, 45);
        run(&lake, 45).await;
        assert_eq!(rows(&lake).await, 46);
    }
}
