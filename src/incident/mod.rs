//! What happened? An incident gathered from the lake into one document.
//!
//! ```text
//! key, principal, session, address, time ─► reports incident-*, timeline, coverage ─┐
//!                                  chain ─► who was behind each session ────────────┴─► Incident
//! ```
//!
//! It selects and counts; what it means is for people to say. Each list tells how many rows it leaves out, and every
//! event where its record lies.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::chain::{self, ChainError, Identity, SessionStart, Trail};
use crate::engine::{Engine, EngineError};
use crate::instant::plain;
use crate::query::{Catalog, QueryError};

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
    pub first_seen: Option<DateTime<Utc>>,
    pub last_seen: Option<DateTime<Utc>>,
}

/// A session or user that called, and who was behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Actor {
    /// Who.
    #[serde(flatten)]
    pub identity: Identity,
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
    /// What the logs of the accounts and Regions in it are worth.
    pub coverage: Vec<DayCovered>,
    /// Where the records lie.
    pub evidence: Vec<LogObject>,
    /// Version of the events table.
    pub lake_version: u64,
}

/// A row of `incident-uses`: of each part only some columns are filled.
#[derive(Debug, Deserialize)]
struct Counted {
    part: String,
    in_part: i64,
    key_alias: Option<String>,
    key_arn: Option<String>,
    asset: Option<String>,
    asset_type: Option<String>,
    asset_trust: Option<String>,
    event_name: Option<String>,
    via: Option<String>,
    source_ip: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    counts: Counts,
}

/// A session start, and how many there are.
#[derive(Debug, Deserialize)]
struct Opened {
    in_all: i64,
    #[serde(flatten)]
    start: SessionStart,
}

/// Gathers an incident, at most `limit` rows of each list.
///
/// # Errors
/// When the lake cannot be read.
pub async fn gather(
    engine: &Engine,
    catalog: &Catalog,
    scope: &Scope,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Incident, IncidentError> {
    let ask = Ask { engine, catalog, scope, limit, now };
    let parts: Vec<Counted> = ask.rows("incident-uses", limit, &[]).await?;
    let mut incident = Incident {
        scope: scope.clone(),
        counts: Counts::default(),
        identities: Listed::default(),
        keys: Listed::default(),
        assets: Listed::default(),
        addresses: Listed::default(),
        sessions_opened: Listed::default(),
        timeline: Timeline::default(),
        coverage: Vec::new(),
        evidence: Vec::new(),
        lake_version: engine.events_version(),
    };
    let mut actors = Vec::new();
    let mut lanes = BTreeSet::new();
    for part in parts {
        if let ("lane", Some(account), Some(region)) = (part.part.as_str(), &part.account_id, &part.region) {
            lanes.insert((account.clone(), region.clone()));
        }
        take(&mut incident, &mut actors, part);
    }
    let sought: Vec<(Identity, DateTime<Utc>)> =
        actors.iter().map(|(identity, counts)| (identity.clone(), counts.first_seen.unwrap_or(now))).collect();
    let trails = chain::trails(engine, catalog, &sought).await?;
    incident.identities.rows =
        actors.into_iter().zip(trails).map(|((identity, counts), trail)| Actor { identity, counts, trail }).collect();
    // Nobody opens a session with a key.
    if scope.principal.is_some() || scope.session.is_some() || scope.source_ip.is_some() {
        let opened: Vec<Opened> = ask.rows("incident-sessions", limit, &[]).await?;
        incident.sessions_opened.total = opened.first().map_or(0, |opened| opened.in_all);
        incident.sessions_opened.rows = opened.into_iter().map(|opened| opened.start).collect();
    }
    // One more than is shown tells whether there are more.
    let mut timeline: Vec<Moment> = ask.rows("timeline", limit + 1, &[]).await?;
    let is_whole = timeline.len() <= limit;
    timeline.truncate(limit);
    lanes.extend(timeline.iter().filter_map(|moment| Some((moment.account_id.clone()?, moment.region.clone()?))));
    incident.coverage = ask.coverage(&timeline, &incident.counts, &lanes).await?;
    incident.evidence = ask.evidence(&timeline).await?;
    incident.timeline = Timeline { is_whole, rows: timeline };
    Ok(incident)
}

/// Puts a row where it belongs.
fn take(incident: &mut Incident, actors: &mut Vec<(Identity, Counts)>, part: Counted) {
    let Counted { in_part: total, counts, key_arn, key_alias, via, .. } = part;
    match (part.part.as_str(), key_arn) {
        ("all", _) => incident.counts = counts,
        ("identity", _) => {
            incident.identities.total = total;
            actors.push((part.identity, counts));
        }
        ("key", Some(key_arn)) => {
            incident.keys.total = total;
            incident.keys.rows.push(KeyTouched { key_arn, key_alias, counts });
        }
        ("asset", key_arn) => {
            incident.assets.total = total;
            let (asset_type, asset_trust) = (part.asset_type, part.asset_trust);
            let (asset, event_name) = (part.asset.unwrap_or_default(), part.event_name.unwrap_or_default());
            let touched = AssetTouched { asset, asset_type, asset_trust, event_name, via, key_arn, counts };
            incident.assets.rows.push(touched);
        }
        ("address", _) => {
            incident.addresses.total = total;
            incident.addresses.rows.push(Address { source_ip: part.source_ip.unwrap_or_default(), counts });
        }
        _ => {}
    }
}

/// The lake, and what is asked of it.
struct Ask<'a> {
    engine: &'a Engine,
    catalog: &'a Catalog,
    scope: &'a Scope,
    limit: usize,
    now: DateTime<Utc>,
}

impl Ask<'_> {
    /// The rows of a query, with those parts of the scope that it takes.
    async fn rows<T: DeserializeOwned>(
        &self,
        name: &str,
        limit: usize,
        more: &[(&str, String)],
    ) -> Result<Vec<T>, IncidentError> {
        let query = self.catalog.get(name)?;
        let scope = self.scope;
        let time = |at: Option<DateTime<Utc>>| at.map(plain);
        let scoped = [
            ("key_arn", scope.key_arn.clone()),
            ("principal", scope.principal.clone()),
            ("session", scope.session.clone()),
            ("source_ip", scope.source_ip.clone()),
            ("since", time(scope.since)),
            ("until", time(scope.until)),
            ("limit", Some(limit.to_string())),
        ];
        let scoped = scoped.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let scoped = scoped.filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let given = scoped.chain(more.iter().cloned()).filter(|(name, _)| query.params.iter().any(|p| p.name == *name));
        let given: Vec<(String, String)> = given.map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(self.engine.run(query, query.bind(&given, self.now)?).await?.read()?)
    }

    /// The days of the incident, in the accounts and Regions that logged it.
    async fn coverage(
        &self,
        timeline: &[Moment],
        counts: &Counts,
        lanes: &BTreeSet<(String, String)>,
    ) -> Result<Vec<DayCovered>, IncidentError> {
        let first = timeline.first().map(|moment| moment.event_time).or(counts.first_seen);
        let last = timeline.last().map(|moment| moment.event_time).max(counts.last_seen);
        // Of a time that is not over nothing can be said.
        let until = self.scope.until.map(|until| until.min(self.now)).or(last.map(|last| last + TimeDelta::seconds(1)));
        let (Some(since), Some(until)) = (self.scope.since.or(first), until) else { return Ok(Vec::new()) };
        let window = [("since", plain(since)), ("until", plain(until))];
        let mut days: Vec<DayCovered> = self.rows("coverage", self.limit, &window).await?;
        days.retain(|day| lanes.contains(&(day.account_id.clone(), day.region.clone())));
        Ok(days)
    }

    async fn evidence(&self, timeline: &[Moment]) -> Result<Vec<LogObject>, IncidentError> {
        let named: BTreeSet<&str> = timeline.iter().filter_map(|moment| moment.source_object.as_deref()).collect();
        let objects = named.iter().copied().collect::<Vec<_>>().join("\n");
        let mut known: Vec<LogObject> = self.rows("incident-objects", self.limit, &[("objects", objects)]).await?;
        let unknown = named.into_iter().filter(|name| known.iter().all(|object| object.source_object != *name));
        let unknown: Vec<LogObject> = unknown.map(LogObject::unknown).collect();
        known.extend(unknown);
        Ok(known)
    }
}
