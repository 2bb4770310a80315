//! The lake: Delta tables of events, of the objects they came from and of what could not be used.
//!
//! ```text
//! RecordBatch ─► EventsWriter: dedupe ─► sort ─► Parquet ─► Delta commit (one txn per lane)
//!                                     └ Ledger: objects and rejects, always after the events
//! ```
//!
//! Nothing here knows of AWS, of JSON logs or of SQL. Exactly-once rests on Delta's own optimistic commit (see
//! [`events`]); there is no lock and no server.

pub mod columns;
pub mod events;
pub mod evidence;
pub mod findings;
pub mod identity;
pub mod inventory;
pub mod ledger;
pub mod listings;
pub mod maintain;
pub mod parquet;
pub mod reports;
pub mod snapshots;
pub mod table;
pub mod tables;

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

pub use table::{DataFile, LakeTable};
pub use tables::TableSpec;

/// What can go wrong with a lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Delta's log could not be read or written.
    #[error("delta table {table}: {source}")]
    Delta {
        /// Which table.
        table: &'static str,
        /// Why.
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// Other writers won every attempt.
    #[error("delta table {table}: {attempts} other commits came first")]
    Contended {
        /// Which table.
        table: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// A data file could not be read or written.
    #[error("data file {path}: {source}")]
    Parquet {
        /// Which file, relative to its table.
        path: String,
        /// Why.
        source: ::parquet::errors::ParquetError,
    },
    /// The store below the lake failed.
    #[error("lake storage: {0}")]
    Store(#[from] object_store::Error),
    /// Rows do not fit their columns: a fault of keytrail.
    #[error("rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The lake's address cannot be used.
    #[error("lake {uri}: {why}")]
    Address {
        /// As it was given.
        uri: String,
        /// Why not.
        why: String,
    },
}

/// A place that holds the tables.
#[derive(Debug, Clone)]
pub struct Lake {
    root: Url,
    /// The store that the root is in, when it is not this machine's files.
    store: Option<Arc<dyn ObjectStore>>,
}

impl Lake {
    /// Names a lake by folder or `file://` URL; nothing is read or created yet.
    ///
    /// # Errors
    /// When the address has another scheme or cannot be made absolute.
    pub fn at(uri: &str) -> Result<Self, LakeError> {
        let address = |why: &str| LakeError::Address { uri: uri.to_owned(), why: why.to_owned() };
        let path = match uri.split_once("://") {
            Some(("file", _)) => {
                let url = Url::parse(uri).map_err(|error| address(&error.to_string()))?;
                url.to_file_path().map_err(|()| address("not a local path"))?
            }
            Some(_) => return Err(address("a lake is in a folder or at s3://bucket/prefix")),
            None => PathBuf::from(uri),
        };
        let path = std::path::absolute(&path).map_err(|error| address(&error.to_string()))?;
        let root = Url::from_directory_path(&path).map_err(|()| address("not an absolute path"))?;
        Ok(Self { root, store: None })
    }

    /// Names a lake in a store; nothing is read or created yet. `uri` is its whole address, `store` is rooted where the
    /// address' path begins.
    ///
    /// # Errors
    /// When the address is no URL.
    pub fn on(uri: &str, store: Arc<dyn ObjectStore>) -> Result<Self, LakeError> {
        let slash = if uri.ends_with('/') { "" } else { "/" };
        let root = Url::parse(&format!("{uri}{slash}"))
            .map_err(|error| LakeError::Address { uri: uri.to_owned(), why: error.to_string() })?;
        Ok(Self { root, store: Some(store) })
    }

    /// The lake's own URL, ending in a slash.
    #[must_use]
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// Opens one of its tables, or tells that it does not exist yet.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub async fn open(&self, spec: &'static TableSpec) -> Result<Option<LakeTable>, LakeError> {
        LakeTable::open(self, spec).await
    }

    /// Opens one of its tables, creating it when it is missing.
    ///
    /// # Errors
    /// When the table's log cannot be read or written.
    pub async fn open_or_create(&self, spec: &'static TableSpec) -> Result<LakeTable, LakeError> {
        LakeTable::open_or_create(self, spec).await
    }
}
