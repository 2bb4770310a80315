//! What happened? An incident gathered from the lake into one document.
//!
//! ```text
//! key, principal, session, address, time ─► queries incident-*, timeline, coverage ─┐
//!                                  chain ─► who was behind each session ────────────┴─► Incident
//! ```
//!
//! It selects and counts; what it means is for people to say. Each list tells how many rows it leaves out, and every
//! event where its record lies.

mod gather;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use gather::gather;

use crate::chain::{ChainError, Identity, SessionStart, Trail};
use crate::engine::EngineError;
use crate::query::QueryError;

/// What can keep an incident from being gathered.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// A query is not there, or takes other parameters.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Chains cannot be followed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// What the incident is about: everything that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// A key, by its ARN.
    pub key_arn: Option<String>,
    /// A principal; `*` stands for any characters.
    pub principal: Option<String>,
    /// A session, by its name or STS ARN.
    pub session: Option<String>,
    /// An address.
    pub source_ip: Option<String>,
    /// From this instant on.
    pub since: Option<DateTime<Utc>>,
    /// Before this instant.
    pub until: Option<DateTime<Utc>>,
}

/// Rows of a list, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed<T> {
    /// How many there are.
    pub total: i64,
    /// As many of them as the document holds.
    pub rows: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, rows: Vec::new() }
    }
}

/// Counts of calls, a cross-account call once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Counts {
    pub calls: i64,
    pub succeeded: i64,
    pub denied: i64,
    pub decrypts: i64,
    #[serde(default)]
    pub dry_runs: i64,
    pub first_seen: Option<DateTime<Utc>>,
    pub last_seen: Option<DateTime<Utc>>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.succeeded += other.succeeded;
        self.denied += other.denied;
        self.decrypts += other.decrypts;
        self.dry_runs += other.dry_runs;
        self.first_seen = [self.first_seen, other.first_seen].into_iter().flatten().min();
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// A session or user that called, and who was behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Actor {
    /// Who.
    #[serde(flatten)]
    pub identity: Identity,
    /// The access keys that signed their calls, those of services that called for them too.
    pub access_keys: BTreeSet<String>,
    /// What they did.
    #[serde(flatten)]
    pub counts: Counts,
    /// The way back to the first identity that is known.
    #[serde(flatten)]
    pub trail: Trail,
}

/// A key that was called on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct KeyTouched {
    pub key_arn: String,
    pub key_alias: Option<String>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// An asset that a call named, per operation and service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct AssetTouched {
    pub asset: String,
    pub asset_type: Option<String>,
    pub asset_trust: Option<String>,
    pub event_name: String,
    pub via: Option<String>,
    pub key_arn: Option<String>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Events in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Whether these are all.
    pub is_whole: bool,
    /// The earliest of them.
    pub rows: Vec<Moment>,
}

/// An address that calls came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Address {
    pub source_ip: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// An event, as it was logged; a row of `timeline`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Moment {
    pub event_time: DateTime<Utc>,
    pub event_name: Option<String>,
    pub outcome: Option<String>,
    pub principal: Option<String>,
    pub session_name: Option<String>,
    pub via: Option<String>,
    pub source_ip: Option<String>,
    pub key_arn: Option<String>,
    pub asset: Option<String>,
    pub assumed_role: Option<String>,
    pub error_message: Option<String>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub event_id: String,
    pub source_object: Option<String>,
    pub record_index: Option<i64>,
}

/// What the logs of an account and Region are worth on a day; a row of `coverage`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct DayCovered {
    pub account_id: String,
    pub region: String,
    pub day: NaiveDate,
    pub proven: i64,
    pub observed: i64,
    pub unknown: i64,
    pub blind: i64,
    pub reason: Option<String>,
}

/// A log object that holds records of the incident, and what vouches for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query, but for those that say otherwise")]
pub struct LogObject {
    pub source_object: String,
    pub version_tag: Option<String>,
    pub ingested_at: Option<DateTime<Utc>>,
    pub digest_uri: Option<String>,
    pub checked_version: Option<String>,
    pub object_state: Option<String>,
    pub digest_state: Option<String>,
    pub checked_at: Option<DateTime<Utc>>,
    /// SHA-256 of its uncompressed bytes as they are now, where it was read again.
    #[serde(skip_deserializing)]
    pub sha256: Option<String>,
    /// What is wrong with it now: it is gone, cannot be read, or was written anew since it was ingested.
    #[serde(skip_deserializing)]
    pub trouble: Option<String>,
}

impl LogObject {
    /// One that the ledger does not have.
    fn unknown(name: &str) -> Self {
        Self { source_object: name.to_owned(), ..Self::default() }
    }

    /// What a check found of another version than was ingested says nothing of this one.
    fn only_of_this_version(&mut self) {
        if self.checked_version.is_some() && self.checked_version != self.version_tag {
            (self.object_state, self.digest_state) = (None, None);
            self.trouble = Some("what `verify` checked is another version: run it again".to_owned());
        }
    }
}

/// Where the record of an event lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The event.
    pub event_id: String,
    /// The log object.
    pub source_object: Option<String>,
    /// Its place there, from 0.
    pub record_index: Option<i64>,
}

/// The records of everything that the document tells of, and the log objects that hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The records: of the timeline, the chains, and the sessions that were opened.
    pub records: Vec<Record>,
    /// Their log objects.
    pub objects: Vec<LogObject>,
}

/// The document; its JSON is part of the command line's contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// What it is about.
    pub scope: Scope,
    /// All calls to KMS in it.
    pub counts: Counts,
    /// Who called, those with the most decrypts first.
    pub identities: Listed<Actor>,
    /// The keys.
    pub keys: Listed<KeyTouched>,
    /// What was encrypted or decrypted.
    pub assets: Listed<AssetTouched>,
    /// From where.
    pub addresses: Listed<Address>,
    /// Sessions that those who are asked about opened.
    pub sessions_opened: Listed<SessionStart>,
    /// Events in order, as they were logged: both copies of a cross-account call.
    pub timeline: Timeline,
    /// What the logs of the accounts in it are worth, in each Region that the lake knows of them.
    pub coverage: Vec<DayCovered>,
    /// Accounts that are part of it and of which the lake has no log.
    pub accounts_without_logs: Vec<String>,
    /// Where the records lie, and what vouches for them.
    pub evidence: Evidence,
    /// Version of the events table.
    pub lake_version: u64,
}
