//! STS events that gave out credentials: read from the lake as far as a chain needs them, and found by what a call carries.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ChainError, Identity, LINKS_MAX, Sought, Subject};
use crate::engine::Engine;
use crate::instant::{EARLIEST, LATEST, plain};
use crate::query::Catalog;

/// The longest that credentials of STS last: those of `GetSessionToken` and `GetFederationToken`.
const LIFETIME_MAX: TimeDelta = TimeDelta::hours(36);

/// Clocks of the service that logs a call and of STS may differ by so much.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// Starts that are named where several fit.
pub(super) const CANDIDATES_MAX: usize = 5;

/// A row of the view `session_starts`, which says what the columns are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the view")]
pub struct SessionStart {
    pub event_id: String,
    pub event_name: String,
    pub started_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub principal: Option<String>,
    pub session_name: Option<String>,
    pub session_arn: Option<String>,
    pub session_id: Option<String>,
    pub access_key_id: Option<String>,
    pub source_identity: Option<String>,
    pub caller: Option<String>,
    pub caller_type: Option<String>,
    pub caller_id: Option<String>,
    pub caller_account_id: Option<String>,
    pub caller_session_name: Option<String>,
    pub caller_session_arn: Option<String>,
    pub caller_access_key_id: Option<String>,
    pub caller_session_start: Option<DateTime<Utc>>,
    pub caller_mfa: Option<bool>,
    pub via: Option<String>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub source_object: Option<String>,
    pub record_index: Option<i64>,
}

impl SessionStart {
    /// Who asked for the credentials.
    #[must_use]
    pub fn caller(&self) -> Identity {
        Identity {
            principal: self.caller.clone(),
            principal_type: self.caller_type.clone(),
            principal_id: self.caller_id.clone(),
            principal_account_id: self.caller_account_id.clone(),
            session_name: self.caller_session_name.clone(),
            session_arn: self.caller_session_arn.clone(),
            access_key_id: self.caller_access_key_id.clone(),
            session_start: self.caller_session_start,
            source_identity: self.source_identity.clone(),
            mfa: self.caller_mfa,
        }
    }

    /// The call that asked for them, as something to follow.
    pub(super) fn sought(&self) -> Sought {
        Sought { identity: self.caller(), at: self.started_at, via: self.via.clone(), shared_event_id: None }
    }

    /// The session that it opened, as if it had made a call at once.
    pub(super) fn into_subject(self) -> Subject {
        let kind = match self.event_name.as_str() {
            "AssumeRoot" => Some("Root".to_owned()),
            "GetFederationToken" => Some("FederatedUser".to_owned()),
            "GetSessionToken" => self.caller_type,
            _ => Some("AssumedRole".to_owned()),
        };
        let (id, name) = match self.session_id.as_deref().and_then(|id| id.split_once(':')) {
            Some((id, name)) if kind.as_deref() == Some("AssumedRole") => (Some(id.to_owned()), Some(name.to_owned())),
            _ => (self.session_id.clone(), self.session_name.clone()),
        };
        let identity = Identity {
            principal_account_id: self.principal.as_deref().and_then(|arn| arn.split(':').nth(4)).map(str::to_owned),
            principal: self.principal,
            principal_type: kind,
            principal_id: id,
            session_name: name,
            session_arn: self.session_arn,
            access_key_id: self.access_key_id,
            session_start: Some(self.started_at),
            source_identity: self.source_identity,
            mfa: None,
        };
        Subject { event_time: self.started_at, identity, ..Subject::default() }
    }
}

/// How it is known that an STS event opened a session, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The event gave out the access key that signed the calls.
    AccessKey,
    /// It opened a session of the same id in the same second; a service called for it, signed with another key.
    CreationDate,
    /// It opened the only session of the same id that had begun before the call and had not ended.
    Time,
}

impl Proof {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Proof::AccessKey => "access_key",
            Proof::CreationDate => "creation_date",
            Proof::Time => "time",
        }
    }
}

/// What is known of the start of a session.
pub(super) enum Fit<'a> {
    /// It is this.
    Is(&'a SessionStart, Proof),
    /// Any of these, and they are of different callers.
    OneOf(Vec<&'a SessionStart>),
    /// The lake does not have it.
    Missing,
}

/// Session starts, by what calls of the session carry.
#[derive(Debug, Default)]
pub(super) struct Starts {
    met: BTreeSet<String>,
    by_key: BTreeMap<String, Vec<SessionStart>>,
    /// By `session_id`, or by `session_arn` where STS told no id; in order of time.
    by_id: BTreeMap<String, Vec<SessionStart>>,
}

impl Starts {
    /// Reads every start that leads to one of these, step by step.
    pub(super) async fn leading_to(engine: &Engine, catalog: &Catalog, sought: &[Sought]) -> Result<Self, ChainError> {
        let mut this = Self::default();
        let mut frontier = sought.to_vec();
        let mut followed = BTreeSet::new();
        for _ in 0..=LINKS_MAX {
            let Some(request) = Request::of(&frontier) else { break };
            this.add(request.ask(engine, catalog).await?);
            let mut next = Vec::new();
            for sought in &frontier {
                if let Fit::Is(start, _) = this.fit(sought)
                    && followed.insert(start.event_id.clone())
                {
                    next.push(start.sought());
                }
            }
            frontier = next;
        }
        Ok(this)
    }

    pub(super) fn add(&mut self, starts: Vec<SessionStart>) {
        for start in starts {
            if !self.met.insert(start.event_id.clone()) {
                continue;
            }
            // For services such as EC2 and Lambda, STS does not log the session's id.
            let id = if start.session_id.is_some() { &start.session_id } else { &start.session_arn };
            for (index, name) in [(&mut self.by_key, &start.access_key_id), (&mut self.by_id, id)] {
                if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
                    index.entry(name.clone()).or_default().push(start.clone());
                }
            }
        }
        for starts in self.by_id.values_mut() {
            starts.sort_by(|a, b| (a.started_at, &a.event_id).cmp(&(b.started_at, &b.event_id)));
        }
    }

    /// The starts of an identity's sessions that began no later than an instant: by its id, and by its ARN; each in order of
    /// time.
    fn of_id(&self, identity: &Identity, at: DateTime<Utc>) -> [&[SessionStart]; 2] {
        let named = [identity.session_id(), identity.session_arn.clone()];
        named.map(|name| {
            let starts = name.and_then(|name| self.by_id.get(&name)).map_or(&[][..], Vec::as_slice);
            &starts[..starts.partition_point(|start| start.started_at <= at)]
        })
    }

    /// The start of the session that a call was made in (facts §2.4: by access key, then by id and creation date, then by id
    /// and time).
    pub(super) fn fit(&self, sought: &Sought) -> Fit<'_> {
        let Sought { identity, at, via, .. } = sought;
        let key = identity.access_key_id.as_deref().filter(|key| !key.is_empty());
        if let Some(starts) = key.and_then(|key| self.by_key.get(key)) {
            // A key is given out once: of two copies of that call, the one that names the caller is followed.
            let given = || starts.iter().filter(|start| start.started_at <= *at + SLACK);
            let named = |start: &&SessionStart| start.caller_type.as_deref() != Some("AWSAccount");
            let is_named = given().any(|start| named(&start));
            return fit(Proof::AccessKey, given().filter(|start| !is_named || named(start)));
        }
        let of_id = self.of_id(identity, *at + SLACK);
        if let Some(began) = identity.session_start {
            // A call that nobody forwarded is signed with the key that STS gave out: another key is another session.
            if key.is_some() && via.is_none() {
                return Fit::Missing;
            }
            let second = began.timestamp();
            let same = of_id.into_iter().flat_map(|starts| {
                let first = starts.partition_point(|start| start.started_at.timestamp() < second);
                starts[first..].iter().take_while(|start| start.started_at.timestamp() == second)
            });
            return fit(Proof::CreationDate, same);
        }
        // A user's own key needs no session, and has no creation date.
        if !identity.is("AssumedRole") && !identity.is("AWSAccount") || identity.session_name.is_none() {
            return Fit::Missing;
        }
        let recent = of_id
            .into_iter()
            .flat_map(|starts| starts.iter().rev().take_while(|start| start.started_at + LIFETIME_MAX >= *at));
        fit(Proof::Time, recent.filter(|start| start.expires_at.is_none_or(|end| *at <= end + SLACK)))
    }

    /// The last session of the identity's id that began before, whether or not it fits.
    pub(super) fn last_of_id(&self, identity: &Identity, at: DateTime<Utc>) -> Option<&SessionStart> {
        let last = self.of_id(identity, at).into_iter().filter_map(<[SessionStart]>::last);
        last.max_by_key(|start| start.started_at)
    }
}

/// The first of these starts, unless others that fit as well are another caller's.
fn fit<'a>(proof: Proof, starts: impl Iterator<Item = &'a SessionStart>) -> Fit<'a> {
    let caller = |start: &SessionStart| Identity { source_identity: None, mfa: None, ..start.caller() };
    let mut candidates: Vec<&SessionStart> = Vec::new();
    for start in starts {
        if candidates.iter().all(|other| caller(other) != caller(start)) {
            candidates.push(start);
        }
        if candidates.len() == CANDIDATES_MAX {
            break;
        }
    }
    match candidates[..] {
        [] => Fit::Missing,
        [start] => Fit::Is(start, proof),
        _ => Fit::OneOf(candidates),
    }
}

/// Asks for rows that are named in a list, around some instants.
async fn asked<T: DeserializeOwned>(
    engine: &Engine,
    catalog: &Catalog,
    name: &str,
    given: &[(&str, String)],
    until: DateTime<Utc>,
) -> Result<Vec<T>, ChainError> {
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let query = catalog.get(name)?;
    Ok(engine.run(query, query.bind(&given, until)?).await?.read()?)
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether anything can have been logged in a window: not if it is about an event of the year 0 or 9999.
fn can_be(since: DateTime<Utc>, until: DateTime<Utc>) -> bool {
    since < LATEST && until > EARLIEST
}

/// One question for the starts of several sessions.
struct Request {
    keys: BTreeSet<String>,
    ids: BTreeSet<String>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Request {
    fn of(frontier: &[Sought]) -> Option<Self> {
        let at = frontier.iter().map(|sought| sought.at);
        let (since, until) = (at.clone().min()? - LIFETIME_MAX, at.max()? + SLACK + TimeDelta::seconds(1));
        if !can_be(since, until) {
            return None;
        }
        let keys = frontier.iter().filter_map(|sought| sought.identity.access_key_id.clone()).collect();
        let ids = frontier.iter().map(|sought| &sought.identity);
        let ids = ids.flat_map(|identity| [identity.session_id(), identity.session_arn.clone()]).flatten().collect();
        Some(Self { keys, ids, since, until })
    }

    async fn ask(&self, engine: &Engine, catalog: &Catalog) -> Result<Vec<SessionStart>, ChainError> {
        let given = [
            ("keys", joined(&self.keys)),
            ("ids", joined(&self.ids)),
            ("since", plain(self.since)),
            ("until", plain(self.until)),
        ];
        asked(engine, catalog, "chain-sessions", &given, self.until).await
    }
}

/// When something was, as a row tells it.
#[derive(Deserialize)]
struct At {
    event_time: DateTime<Utc>,
}

/// The start that gave out an access key, whenever it was.
pub(super) async fn issued(engine: &Engine, catalog: &Catalog, key: &str) -> Result<Option<SessionStart>, ChainError> {
    let given = [("key", key.to_owned())];
    let found: Vec<At> = asked(engine, catalog, "chain-issued", &given, DateTime::UNIX_EPOCH).await?;
    let Some(At { event_time }) = found.into_iter().next() else { return Ok(None) };
    let keys = BTreeSet::from([key.to_owned()]);
    let request = Request { keys, ids: BTreeSet::new(), since: event_time, until: event_time + SLACK };
    let starts = request.ask(engine, catalog).await?;
    Ok(starts.into_iter().find(|start| start.access_key_id.as_deref() == Some(key)))
}

/// Puts the caller whom the other account's log names in the place of an account and an opaque id.
pub(super) async fn name_callers(engine: &Engine, catalog: &Catalog, sought: &mut [Sought]) -> Result<(), ChainError> {
    let nameless = || sought.iter().filter(|sought| sought.identity.is("AWSAccount"));
    let ids: BTreeSet<String> = nameless().filter_map(|sought| sought.shared_event_id.clone()).collect();
    let at = nameless().map(|sought| sought.at);
    let (Some(since), Some(until), false) = (at.clone().min(), at.max(), ids.is_empty()) else { return Ok(()) };
    let until = until + SLACK;
    if !can_be(since, until) {
        return Ok(());
    }
    let given = [("ids", joined(&ids)), ("since", plain(since)), ("until", plain(until))];
    let named: Vec<Sought> = asked(engine, catalog, "chain-twins", &given, until).await?;
    let named: BTreeMap<(Option<String>, DateTime<Utc>), Sought> =
        named.into_iter().map(|named| ((named.shared_event_id.clone(), named.at), named)).collect();
    for sought in sought.iter_mut().filter(|sought| sought.identity.is("AWSAccount")) {
        if let Some(named) = named.get(&(sought.shared_event_id.clone(), sought.at)) {
            *sought = named.clone();
        }
    }
    Ok(())
}
