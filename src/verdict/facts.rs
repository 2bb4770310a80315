//! What bears on the deletion of keys, read from the lake once for all of them: each list is a query of its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::users::{self, Dependent, User};
use super::{Asked, VerdictError};
use crate::engine::{Engine, Rows, Span};
use crate::query::Catalog;

/// An account and the id of its key: siblings of a multi-Region key are one.
pub type SetId = (String, String);

/// An account and a Region.
pub type Lane = (String, String);

/// What is known of one key; a row of `deletion-keys`, which says what the columns are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Member {
    pub key_arn: String,
    pub key_id: String,
    pub account_id: String,
    pub region: String,
    pub key_manager: Option<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub taken_at: Option<DateTime<Utc>>,
    pub gone: Option<bool>,
    pub state: Option<String>,
    pub key_usage: Option<String>,
    pub key_spec: Option<String>,
    pub origin: Option<String>,
    pub creation_date: Option<DateTime<Utc>>,
    pub deletion_date: Option<DateTime<Utc>>,
    pub multi_region: Option<bool>,
    pub multi_region_type: Option<String>,
    pub primary_key_arn: Option<String>,
    pub replica_key_arns: Option<String>,
    pub inventory_aliases: Option<String>,
    pub rotation_enabled: Option<bool>,
    pub rotation_period_days: Option<i64>,
    pub grants: Option<String>,
    pub last_usage_time: Option<DateTime<Utc>>,
    pub last_usage_operation: Option<String>,
    pub last_usage_event_id: Option<String>,
    #[serde(default)]
    pub has_last_usage_event: bool,
    pub tracking_start: Option<DateTime<Utc>>,
    pub unknown_fields: Option<String>,
    pub last_change: Option<String>,
    pub changed_at: Option<DateTime<Utc>>,
    pub window_days: Option<i64>,
    pub called_alias: Option<String>,
    pub called_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub public_key_reads: i64,
    pub trail: Option<String>,
    pub rule_line: Option<i64>,
    pub owner: Option<String>,
    pub purpose: Option<String>,
    #[serde(default)]
    pub is_own: bool,
    #[serde(default)]
    pub trails_listed_at: Option<DateTime<Utc>>,
}

impl Member {
    /// A key of which nothing is known but its ARN.
    pub(super) fn of(key_arn: &str) -> Self {
        let part = |at: usize| key_arn.split(':').nth(at).unwrap_or_default().to_owned();
        let key_id = key_arn.split_once(":key/").map_or("", |(_, id)| id).to_owned();
        Self { key_arn: key_arn.to_owned(), key_id, account_id: part(4), region: part(3), ..Self::default() }
    }
}

/// A day with use; a row of `deletion-history`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct UseDay {
    pub account_id: String,
    pub key_id: String,
    pub day: NaiveDate,
    pub calls: i64,
    pub failing: i64,
    pub first_used: Option<DateTime<Utc>>,
    pub last_used: Option<DateTime<Utc>>,
    pub last_principal: Option<String>,
    pub last_event_id: Option<String>,
}

/// A grant as the logs tell of it; a row of `deletion-grants`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Granted {
    pub key_arn: String,
    pub grant_id: Option<String>,
    pub grantee: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub event_id: Option<String>,
}

/// Calls whose record does not name the key that they used; a row of `deletion-unnamed`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Unnamed {
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub key_alias: Option<String>,
    pub key_arn: Option<String>,
    pub from_time: Option<DateTime<Utc>>,
    pub until_time: Option<DateTime<Utc>>,
    #[serde(default)]
    pub is_told_before: bool,
    #[serde(default)]
    pub is_told_after: bool,
    pub calls: i64,
    pub last_used: DateTime<Utc>,
    pub event_id: Option<String>,
}

/// What the logs are worth in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of the view `coverage`")]
pub enum Worth {
    Proven,
    Observed,
    Unknown,
    Blind,
}

/// An hour of an account and Region; a row of `deletion-coverage`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct LaneHour {
    pub account_id: String,
    pub region: String,
    pub hour: DateTime<Utc>,
    pub state: Worth,
    pub is_doubtful: bool,
    pub reason: Option<String>,
}

/// Uses whose time is not known, since that of their record cannot be; a row of `deletion-untimely`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Untimely {
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub key_arn: Option<String>,
    pub calls: i64,
    pub event_id: Option<String>,
}

/// Records that could not be read and name a key; a row of `deletion-rejects`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Rejected {
    pub key_id: String,
    pub records: i64,
    pub object: String,
    pub record_index: Option<i64>,
    pub reason: String,
}

/// Where the logs of an account and Region end; a row of `deletion-ends`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct LogsEnd {
    pub account_id: String,
    pub region: String,
    pub last_event: DateTime<Utc>,
}

/// Something that a key was seen to encrypt or decrypt; a row of `deletion-assets`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Asset {
    pub key_arn: String,
    pub asset: String,
    pub asset_type: Option<String>,
    pub asset_trust: Option<String>,
    pub calls: i64,
    pub first_used: DateTime<Utc>,
    pub last_used: DateTime<Utc>,
    #[serde(skip_serializing)]
    pub assets: i64,
}

/// A key; a row of `deletion-arns`.
#[derive(Debug, Deserialize)]
struct Named {
    key_arn: String,
}

/// All that bears on some keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The keys, by their sets.
    pub sets: BTreeMap<SetId, Set>,
    /// The hours of the look-back of which anything is known.
    pub hours: BTreeMap<Lane, BTreeMap<DateTime<Utc>, LaneHour>>,
    /// Uses of a key that is not named.
    pub unnamed: Vec<Unnamed>,
    /// Uses whose time is not known.
    pub untimely: Vec<Untimely>,
    /// Keys in records that could not be read.
    pub rejected: Vec<Rejected>,
    /// The last event of each account and Region.
    pub ends: BTreeMap<Lane, DateTime<Utc>>,
}

/// A key and its siblings in other Regions, with all that was seen of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Set {
    /// The keys, by ARN.
    pub members: Vec<Member>,
    /// Who depends on them.
    pub dependents: Vec<Dependent>,
    /// The days with use, in order.
    pub days: Vec<UseDay>,
    /// Grants that the logs tell of.
    pub grants: Vec<Granted>,
    /// What they encrypted, as far as it was asked for.
    pub assets: Vec<Asset>,
}

/// The account and id of a key by its ARN; null when that is not the ARN of a key.
pub(super) fn set_of(key_arn: &str) -> Option<SetId> {
    let (place, id) = key_arn.split_once(":key/")?;
    let account = place.split(':').nth(4)?;
    Some((account.to_owned(), id.to_owned()))
}

/// Views with few rows, which the queries name more than once.
const KEPT: [&str; 8] = [
    "event_hours",
    "key_changes",
    "key_inventory",
    "lanes",
    "own_accounts",
    "trail_changes",
    "trail_states",
    "unnamed_uses",
];

/// Views that are narrowed first, to the id of the keys that are asked about, and the queries that do so.
const NARROWED_BY_ID: [(&str, &str); 2] = [("call_counts", "deletion-counts"), ("control_events", "deletion-changes")];

/// Views that are narrowed to the ARNs of these keys, and the queries that do so, each of which reads those before it.
const NARROWED_BY_ARN: [(&str, &str); 2] =
    [("named_uses", "deletion-named-uses"), ("known_keys", "deletion-known-keys")];

/// Views that are kept where all keys are asked about.
const KEPT_FOR_ALL: [&str; 3] = ["control_events", "expected_keys", "known_keys"];

/// Reads the facts: of one set with its assets, or of every key without them. Afterwards the engine's views are about everything again.
pub(super) async fn read(engine: &Engine, catalog: &Catalog, asked: &Asked) -> Result<Facts, VerdictError> {
    let facts = gathered(engine, catalog, asked).await;
    for (view, _) in NARROWED_BY_ID.into_iter().chain(NARROWED_BY_ARN) {
        engine.restore(view)?;
    }
    engine.look_at(engine.span_of(&[]));
    facts
}

async fn gathered(engine: &Engine, catalog: &Catalog, asked: &Asked) -> Result<Facts, VerdictError> {
    // What is later than the instant that is asked about is known all the same, and may speak against deletion.
    let until = asked.until.max(asked.now);
    let given = vec![("until".to_owned(), until.to_rfc3339())];
    let mut source = Source { engine, catalog, given, since: asked.since.to_rfc3339(), now: asked.until };
    engine.look_at(Span { from: asked.since, since: asked.since, until });
    engine.keep(&KEPT);
    let set = asked.key_arn.as_deref().and_then(set_of);
    match (&asked.key_arn, &set) {
        (Some(arn), Some(set)) => source.narrow(arn, set).await?,
        _ => engine.keep(&KEPT_FOR_ALL),
    }
    let mut facts = Facts::default();
    for member in source.rows::<Member>("deletion-keys").await? {
        if let Some(set) = set_of(&member.key_arn) {
            facts.sets.entry(set).or_default().members.push(member);
        }
    }
    let sets = &mut facts.sets;
    if let (Some(arn), Some(set)) = (&asked.key_arn, &set) {
        let members = &mut sets.entry(set.clone()).or_default().members;
        if !members.iter().any(|member| member.key_arn == *arn) {
            // No call and no inventory speaks of it; that is an answer too.
            members.push(Member::of(arn));
        }
    }
    let mut users: Vec<User> = source.rows("deletion-uses").await?;
    // What no call shows is another question, about what the answer to this one does not show: nearly always that is nothing.
    let recorded = source.rows_with("deletion-recorded", &users::shown(&users)).await?;
    users::add(&mut users, recorded);
    for user in users {
        let dependent = Dependent::from(user);
        put(sets, &dependent.key_arn.clone(), |set| &mut set.dependents, dependent);
    }
    for grant in source.rows::<Granted>("deletion-grants").await? {
        put(sets, &grant.key_arn.clone(), |set| &mut set.grants, grant);
    }
    if set.is_some() {
        for asset in source.rows::<Asset>("deletion-assets").await? {
            put(sets, &asset.key_arn.clone(), |set| &mut set.assets, asset);
        }
    }
    for day in source.rows::<UseDay>("deletion-history").await? {
        sets.entry((day.account_id.clone(), day.key_id.clone())).or_default().days.push(day);
    }
    for hour in source.rows::<LaneHour>("deletion-coverage").await? {
        let lane = facts.hours.entry((hour.account_id.clone(), hour.region.clone())).or_default();
        lane.insert(hour.hour, hour);
    }
    facts.unnamed = source.rows("deletion-unnamed").await?;
    facts.untimely = source.rows("deletion-untimely").await?;
    facts.rejected = source.rows("deletion-rejects").await?;
    for end in source.rows::<LogsEnd>("deletion-ends").await? {
        facts.ends.insert((end.account_id, end.region), end.last_event);
    }
    Ok(facts)
}

/// Puts what is known of a key with its set.
fn put<T>(sets: &mut BTreeMap<SetId, Set>, key_arn: &str, list: impl Fn(&mut Set) -> &mut Vec<T>, row: T) {
    if let Some(set) = set_of(key_arn) {
        list(sets.entry(set).or_default()).push(row);
    }
}

/// The lake, and what each of the queries is asked with.
struct Source<'a> {
    engine: &'a Engine,
    catalog: &'a Catalog,
    given: Vec<(String, String)>,
    since: String,
    now: DateTime<Utc>,
}

impl Source<'_> {
    /// Asks about one set from now on. The lake's files are in order of the keys' ARNs, not of what siblings have in common.
    async fn narrow(&mut self, key_arn: &str, (account, key_id): &SetId) -> Result<(), VerdictError> {
        self.given.push(("account".to_owned(), account.clone()));
        self.given.push(("key_id".to_owned(), key_id.clone()));
        for (view, query) in NARROWED_BY_ID {
            self.engine.put(view, self.answer(query, &[]).await?)?;
        }
        let found = self.rows::<Named>("deletion-arns").await?;
        let mut arns: BTreeSet<String> = found.into_iter().map(|row| row.key_arn).collect();
        // There may be no event of it.
        arns.insert(key_arn.to_owned());
        // A record may say anything; an ARN with a blank in it cannot be one of a list, and then the id has to do.
        if !arns.iter().any(|arn| arn.contains(' ')) {
            self.given.push(("key_arns".to_owned(), arns.into_iter().collect::<Vec<_>>().join(" ")));
            // Of other keys nothing is asked.
            for (view, query) in NARROWED_BY_ARN {
                self.engine.put(view, self.answer(query, &[]).await?)?;
            }
        }
        Ok(())
    }

    async fn rows<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, VerdictError> {
        self.rows_with(name, &[]).await
    }

    /// The rows of a query that takes more than the others do.
    async fn rows_with<T: DeserializeOwned>(
        &self,
        name: &str,
        more: &[(String, String)],
    ) -> Result<Vec<T>, VerdictError> {
        Ok(self.answer(name, more).await?.read()?)
    }

    async fn answer(&self, name: &str, more: &[(String, String)]) -> Result<Rows, VerdictError> {
        let query = self.catalog.get(name)?;
        let takes = |name: &str| query.params.iter().any(|param| param.name == name);
        let mut given: Vec<(String, String)> =
            self.given.iter().filter(|(name, _)| takes(name)).chain(more).cloned().collect();
        if takes("since") {
            given.push(("since".to_owned(), self.since.clone()));
        }
        Ok(self.engine.run(query, query.bind(&given, self.now)?).await?)
    }
}
