//! One Delta table: its state, its files, and commits on top of the state that was read.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitConflictError, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, Remove, StructField, Transaction};
use deltalake_core::logstore::{LogStoreRef, ObjectStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::ordered::Ordered;
use super::tables::{TableSpec, delta_columns};
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
        let properties =
            CommitProperties::default().with_max_retries(COMMIT_RETRIES).with_application_transactions(transactions);
        let actions = remove.into_iter().map(Action::Remove).chain(add.into_iter().map(Action::Add)).collect();
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), Arc::clone(&self.log_store), operation)
            .await;
        match committed {
            Ok(done) => {
                self.state = done.snapshot();
                Ok(Commit::Done(done.version()))
            }
            Err(error) if is_conflict(&error) => Ok(Commit::Conflict),
            Err(source) => Err(delta(self.spec, source)),
        }
    }
}

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
