//! From what a user calls a key or a principal to what the lake has seen under that name, in logs or in an inventory.
//!
//! ```text
//! ARN, id, start of an id, alias ─► key ───────┐
//! last part of a name ──────────► principal ──┴─► what it stands for │ NamingError: unknown, ambiguous
//! ```
//!
//! It chooses nobody for the user: a name that may stand for several keys or principals is an error that lists them.

mod key;
mod principal;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

pub use key::{Key, Reading, Span};
pub use principal::{Meant, listed};

use crate::engine::{Engine, EngineError};
use crate::query::{Catalog, QueryError};

/// Why a name stands for nothing, or for nothing in particular.
#[derive(Debug, thiserror::Error)]
pub enum NamingError {
    /// The lake has seen no such key.
    #[error("no event in this lake speaks of the key {name}")]
    UnknownKey {
        /// The name.
        name: String,
        /// Ids and aliases that look like it, the likeliest first.
        near: Vec<String>,
    },
    /// Only calls that name an alias alone are known.
    #[error("no call and no inventory shows which key {name} points to")]
    NowhereAlias {
        /// The alias, as the user wrote it.
        name: String,
    },
    /// One key was asked for.
    #[error("{name} stands for {} keys", .arns.len())]
    SeveralKeys {
        /// The name.
        name: String,
        /// The keys.
        arns: Vec<String>,
    },
    /// One principal was asked for.
    #[error("{name} may be any of {}", listed(.meant))]
    SeveralPrincipals {
        /// The name.
        name: String,
        /// Whom it may mean.
        meant: Vec<Meant>,
    },
    /// A query is not there, or takes other parameters.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The names of one lake.
#[derive(Clone, Copy)]
pub struct Names<'l> {
    engine: &'l Engine,
    catalog: &'l Catalog,
    now: DateTime<Utc>,
}

impl<'l> Names<'l> {
    /// The names of a lake, as they are known `now`.
    #[must_use]
    pub fn new(engine: &'l Engine, catalog: &'l Catalog, now: DateTime<Utc>) -> Self {
        Self { engine, catalog, now }
    }

    /// The rows of a shipped query.
    async fn ask<T: DeserializeOwned>(&self, name: &str, given: &[(&str, &str)]) -> Result<Vec<T>, NamingError> {
        let query = self.catalog.get(name)?;
        let given: Vec<(String, String)> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let values = query.bind(&given, self.now)?;
        Ok(self.engine.run(query, values).await?.read()?)
    }
}
