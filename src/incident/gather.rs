//! Asks the lake for each part of an incident, and puts the parts together.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Actor, Address, AssetTouched, Counts, DayCovered, Evidence, Incident, IncidentError, KeyTouched, Listed, LogObject,
    Moment, Record, Scope, Timeline,
};
use crate::chain::{self, EndCode, Identity, SessionStart, Sought, Trail};
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
    forwarded_by: Option<String>,
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
        evidence: Evidence::default(),
        lake_version: engine.events_version(),
    };
    let mut actors = Vec::new();
    let mut accounts = BTreeSet::new();
    for part in parts {
        accounts.extend(part.accounts());
        take(&mut incident, &mut actors, part);
    }
    // A session may have signed with several keys, and each may lead elsewhere: those that lead alike are one.
    let sought: Vec<Sought> = actors.iter().map(|(sought, _)| sought.clone()).collect();
    let trails = chain::trails(engine, catalog, &sought).await?;
    let unmerged = actors.len();
    let merged = merged(actors.into_iter().zip(trails));
    let fewer = i64::try_from(unmerged - merged.len()).unwrap_or_default();
    incident.identities.total -= fewer;
    incident.identities.rows = merged;
    incident.identities.rows.truncate(limit);
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
    incident.timeline = Timeline { is_whole, rows: timeline };
    incident.evidence = ask.evidence(&incident).await?;
    Ok(incident)
}

/// Puts a row where it belongs.
fn take(incident: &mut Incident, actors: &mut Vec<(Sought, Counts)>, part: Counted) {
    let Counted { in_part: total, counts, key_arn, key_alias, via, .. } = part;
    match (part.part.as_str(), key_arn) {
        ("all", _) => incident.counts = counts,
        ("identity", _) => {
            incident.identities.total = total;
            let at = counts.first_seen.unwrap_or_default();
            // Who forwarded it does not matter, only whether someone did.
            let sought = Sought { identity: part.identity, at, via: part.forwarded_by, shared_event_id: None };
            actors.push((sought, counts));
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
        // That nothing was found is a claim about every log that there is.
        days.retain(|day| accounts.is_empty() || accounts.contains(&day.account_id));
        Ok(days)
    }

    /// Where the records lie of everything that the document tells of: its timeline, the links of its chains, and the sessions
    /// that were opened.
    async fn evidence(&self, incident: &Incident) -> Result<Evidence, IncidentError> {
        let moments = incident.timeline.rows.iter();
        let moments = moments.map(|moment| (&moment.event_id, &moment.source_object, moment.record_index));
        let links = incident.identities.rows.iter().flat_map(|actor| &actor.trail.links).map(|link| &link.start);
        let starts = links.chain(&incident.sessions_opened.rows);
        let starts = starts.map(|start| (&start.event_id, &start.source_object, start.record_index));
        let mut met = BTreeSet::new();
        let records: Vec<Record> = moments
            .chain(starts)
            .filter(|place| met.insert(*place))
            .map(|(event_id, source_object, record_index)| Record {
                event_id: event_id.clone(),
                source_object: source_object.clone(),
                record_index,
            })
            .collect();
        let named: BTreeSet<&str> = records.iter().filter_map(|record| record.source_object.as_deref()).collect();
        let list = named.iter().copied().collect::<Vec<_>>().join("\n");
        let mut objects: Vec<LogObject> = self.rows("incident-objects", self.limit, &[("objects", list)]).await?;
        let known: BTreeSet<String> = objects.iter().map(|object| object.source_object.clone()).collect();
        objects.extend(named.into_iter().filter(|name| !known.contains(*name)).map(LogObject::unknown));
        objects.iter_mut().for_each(LogObject::only_of_this_version);
        Ok(Evidence { records, objects })
    }
}

/// Principal, session, events that lead back, and end.
type Alike = (Option<String>, Option<String>, Vec<String>, EndCode, String);

/// Those whose sessions lead to the same STS events and the same end, as one; those with the most decrypts first.
fn merged(actors: impl Iterator<Item = ((Sought, Counts), Trail)>) -> Vec<Actor> {
    let mut merged: Vec<Actor> = Vec::new();
    let mut places: BTreeMap<Alike, usize> = BTreeMap::new();
    for ((sought, counts), trail) in actors {
        let Sought { identity, .. } = sought;
        let links = trail.links.iter().map(|link| link.start.event_id.clone()).collect();
        let mut end = format!("{:?} {}", trail.end.principal, trail.end.message);
        if trail.end.code == EndCode::Ambiguous {
            // The candidates are told as hints, and others are another doubt.
            end.extend(trail.end.hints.iter().map(String::as_str));
        }
        let same = (identity.principal.clone(), identity.session_name.clone(), links, trail.end.code, end);
        let key = identity.access_key_id.clone().filter(|key| !key.is_empty());
        if let Some(actor) = places.get(&same).and_then(|place| merged.get_mut(*place)) {
            actor.counts.add(&counts);
            actor.access_keys.extend(key);
            // Of several, the surest link is the one to show.
            if trail.links.first().map(|link| link.proof) < actor.trail.links.first().map(|link| link.proof) {
                (actor.identity, actor.trail) = (identity, trail);
            }
            continue;
        }
        places.insert(same, merged.len());
        merged.push(Actor { identity, access_keys: key.into_iter().collect(), counts, trail });
    }
    merged.sort_by_key(|actor| std::cmp::Reverse((actor.counts.decrypts, actor.counts.calls)));
    merged
}
