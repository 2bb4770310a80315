//! The lake: Delta tables of events, of the objects they came from and of what could not be used.
//!
//! ```text
//! RecordBatch ─► EventsWriter: dedupe ─► sort ─► Parquet ─► Delta commit (one txn per lane)
//!                                     └ Ledger: objects and rejects, always after the events
//! ```
//!
//! Nothing here knows of AWS, of JSON logs or of SQL. Exactly-once rests on Delta's own optimistic commit (see
//! [`events`]); there is no lock and no server.

pub mod calls;
pub mod columns;
mod counts;
mod days;
pub mod events;
pub mod evidence;
pub mod findings;
mod hours;
pub mod identity;
pub mod inventory;
pub mod ledger;
pub mod listings;
pub mod maintain;
mod ordered;
pub mod parquet;
mod place;
pub mod reports;
pub mod settling;
pub mod shared;
pub mod snapshots;
mod sorting;
mod spec;
pub mod table;
pub mod tables;
mod uncommon;

pub use place::Lake;
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
    /// It has columns that this version does not know: to merge its files would drop them.
    #[error(
        "not merged: a newer keytrail added columns that this version does not know: {columns}; merge this table with the newer version"
    )]
    Newer {
        /// Which columns.
        columns: String,
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

impl LakeError {
    /// Whether it is about this data file.
    fn is_of(&self, file: &str) -> bool {
        matches!(self, Self::Parquet { path, .. } if path == file)
    }
}
