//! From a call back to whoever was first: each session to the STS event that opened it, and from there to its caller.
//!
//! ```text
//! identity ─► STS event that gave out its credentials ─► caller ─► … ─► a user, root, a service, a sign-in elsewhere
//!                └ by access key, by id and second, by id and time ┘    or where the trail ends, and why
//! ```
//!
//! A role's calls tell nothing of who assumed it (facts §2.4). Each link says how it is known, and the end says what it is:
//! nobody is named whom no record names.

mod end;
mod starts;
#[cfg(test)]
mod tests;
mod walk;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use end::{End, EndCode};
use starts::Starts;
pub use starts::{Proof, SessionStart};
pub use walk::Link;

use crate::engine::{Engine, EngineError};
use crate::query::{Catalog, QueryError};

/// Links of a chain: roles are assumed by roles a few times, and STS ends chained sessions after an hour.
const LINKS_MAX: usize = 12;

/// What can keep a chain from being followed.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A query is not there, or takes other parameters.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Who made a call, as its record tells it; the fields are columns of `events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are columns, and `columns.rs` says what they are")]
pub struct Identity {
    pub principal: Option<String>,
    pub principal_type: Option<String>,
    pub principal_id: Option<String>,
    pub principal_account_id: Option<String>,
    pub session_name: Option<String>,
    pub session_arn: Option<String>,
    pub access_key_id: Option<String>,
    pub session_start: Option<DateTime<Utc>>,
    pub source_identity: Option<String>,
    pub mfa: Option<bool>,
}

impl Identity {
    /// `AROA…:name`, as STS names a session; a principal without a session by its id alone.
    fn session_id(&self) -> Option<String> {
        let id = self.principal_id.as_deref().filter(|id| !id.is_empty())?;
        Some(self.session_name.as_ref().map_or_else(|| id.to_owned(), |name| format!("{id}:{name}")))
    }

    fn is(&self, kind: &str) -> bool {
        self.principal_type.as_deref() == Some(kind)
    }
}

/// Someone who is sought: an identity as a call at an instant tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Sought {
    /// Who called.
    #[serde(flatten)]
    pub identity: Identity,
    /// When.
    #[serde(rename = "event_time")]
    pub at: DateTime<Utc>,
    /// The service that called for them, if one did: it may sign with a key of its own.
    pub via: Option<String>,
    /// The same call as another account's log tells it.
    pub shared_event_id: Option<String>,
}

impl Sought {
    /// Whether only the instant tells which session it was: neither a key nor a second is known.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.identity.access_key_id.as_deref().is_none_or(str::is_empty) && self.identity.session_start.is_none()
    }
}

/// What a chain begins with: a call, or an access key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are columns, and `columns.rs` says what they are")]
pub struct Subject {
    pub event_id: Option<String>,
    pub event_time: DateTime<Utc>,
    pub event_name: Option<String>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    #[serde(flatten)]
    pub identity: Identity,
    pub via: Option<String>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub source_object: Option<String>,
}

/// The way back from an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// The STS events that lead back, the nearest first.
    pub links: Vec<Link>,
    /// Where it ends.
    pub end: End,
}

/// A call or an access key, and the way back from it; its JSON is part of the command line's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// What it begins with.
    pub subject: Subject,
    /// The way back.
    #[serde(flatten)]
    pub trail: Trail,
    /// Version of the events table.
    pub lake_version: u64,
}

/// The chain of an event or access key; nothing when the lake knows neither.
///
/// # Errors
/// When the lake cannot be read.
pub async fn chain(
    engine: &Engine,
    catalog: &Catalog,
    id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Chain>, ChainError> {
    let query = catalog.get("chain-subject")?;
    let rows = engine.run(query, query.bind(&[("id".to_owned(), id.to_owned())], now)?).await?;
    let subject = match rows.read::<Subject>()?.into_iter().next() {
        Some(subject) => subject,
        // Credentials that KMS never saw used.
        None => match starts::issued(engine, catalog, id).await? {
            Some(start) => start.into_subject(),
            None => return Ok(None),
        },
    };
    let sought = [Sought {
        identity: subject.identity.clone(),
        at: subject.event_time,
        via: subject.via.clone(),
        shared_event_id: None,
    }];
    let trail = trails(engine, catalog, &sought).await?.pop();
    let lake_version = engine.events_version();
    Ok(trail.map(|trail| Chain { subject, trail, lake_version }))
}

/// The ways back from several identities, in their order. Every step back is one query for all. Of a caller that a log does not
/// name, the other account's log is asked first.
///
/// # Errors
/// When the lake cannot be read.
pub async fn trails(engine: &Engine, catalog: &Catalog, sought: &[Sought]) -> Result<Vec<Trail>, ChainError> {
    let mut sought = sought.to_vec();
    starts::name_callers(engine, catalog, &mut sought).await?;
    let starts = Starts::leading_to(engine, catalog, &sought).await?;
    Ok(sought.iter().map(|sought| walk::back(&starts, sought)).collect())
}
