//! Asks the lake for each part of an incident, and puts the parts together.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Actor, Address, AssetTouched, Counts, DayCovered, Incident, IncidentError, KeyTouched, Listed, LogObject, Moment,
    Scope, Timeline,
};
use crate::chain::{self, Identity, SessionStart};
use crate::engine::Engine;
use crate::instant::plain;
use crate::query::Catalog;

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
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    counts: Counts,
}

impl Counted {
    /// The accounts that it speaks of: whose log it is, whose key, and who called.
    fn accounts(&self) -> impl Iterator<Item = String> {
        let owner = self.key_arn.as_deref().and_then(|arn| arn.split(':').nth(4)).map(str::to_owned);
        let named = [self.account_id.clone(), owner, self.identity.principal_account_id.clone()];
        named.into_iter().flatten().filter(|account| !account.is_empty())
    }
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
        accounts_without_logs: Vec::new(),
        evidence: Vec::new(),
        lake_version: engine.events_version(),
    };
    let mut actors = Vec::new();
    let mut accounts = BTreeSet::new();
    for part in parts {
        accounts.extend(part.accounts());
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
    accounts.extend(timeline.iter().filter_map(|moment| moment.account_id.clone()));
    incident.coverage = ask.coverage(&timeline, &incident.counts, &accounts).await?;
    let is_covered = |account: &String| incident.coverage.iter().any(|day| day.account_id == *account);
    incident.accounts_without_logs = accounts.into_iter().filter(|account| !is_covered(account)).collect();
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

    /// The days of the incident, in every Region that the lake knows of the accounts that are part of it: whoever called in one
    /// may have called in another.
    async fn coverage(
        &self,
        timeline: &[Moment],
        counts: &Counts,
        accounts: &BTreeSet<String>,
    ) -> Result<Vec<DayCovered>, IncidentError> {
        let first = timeline.first().map(|moment| moment.event_time).or(counts.first_seen);
        let last = timeline.last().map(|moment| moment.event_time).max(counts.last_seen);
        // Of a time that is not over nothing can be said.
        let until = self.scope.until.map(|until| until.min(self.now)).or(last.map(|last| last + TimeDelta::seconds(1)));
        let (Some(since), Some(until)) = (self.scope.since.or(first), until) else { return Ok(Vec::new()) };
        let window = [("since", plain(since)), ("until", plain(until))];
        let mut days: Vec<DayCovered> = self.rows("coverage", self.limit, &window).await?;
        days.retain(|day| accounts.contains(&day.account_id));
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
