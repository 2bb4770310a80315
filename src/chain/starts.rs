//! STS events that gave out credentials: read from the lake as far as a chain needs them, and found by what a call carries.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::walk::Proof;
use super::{ChainError, Identity, LINKS_MAX, Subject};
use crate::engine::Engine;
use crate::instant::plain;
use crate::query::Catalog;

/// The longest that credentials of STS last: those of `GetSessionToken` and `GetFederationToken`.
const LIFETIME_MAX: TimeDelta = TimeDelta::hours(36);

/// Clocks of the service that logs a call and of STS may differ by so much.
const SLACK: TimeDelta = TimeDelta::seconds(2);

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

    /// The session that it opened, as if it had made a call at once.
    pub(super) fn into_subject(self) -> Subject {
        let (id, name) = match self.session_id.as_deref().and_then(|id| id.split_once(':')) {
            Some((id, name)) if id.starts_with("AROA") => (Some(id.to_owned()), Some(name.to_owned())),
            _ => (self.session_id.clone(), self.session_name.clone()),
        };
        let role = self.event_name.starts_with("AssumeRole");
        let identity = Identity {
            principal_account_id: self.principal.as_deref().and_then(|arn| arn.split(':').nth(4)).map(str::to_owned),
            principal: self.principal,
            principal_type: if role { Some("AssumedRole".to_owned()) } else { self.caller_type },
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

/// Session starts, by what calls of the session carry.
#[derive(Debug, Default)]
pub(super) struct Starts {
    all: BTreeMap<String, SessionStart>,
    by_key: BTreeMap<String, Vec<String>>,
    by_id: BTreeMap<String, Vec<String>>,
}

/// A session start that fits an identity.
pub(super) struct Fit<'a> {
    pub(super) start: &'a SessionStart,
    pub(super) proof: Proof,
    /// Callers of every start that fits as well.
    pub(super) callers: BTreeSet<&'a str>,
}

impl Starts {
    /// Reads every start that leads to one of these, step by step.
    pub(super) async fn leading_to(
        engine: &Engine,
        catalog: &Catalog,
        sought: &[(Identity, DateTime<Utc>)],
    ) -> Result<Self, ChainError> {
        let mut this = Self::default();
        let mut frontier = sought.to_vec();
        let mut followed = BTreeSet::new();
        for _ in 0..LINKS_MAX {
            let Some(request) = Request::of(&frontier) else { break };
            for start in request.ask(engine, catalog).await? {
                this.add(start);
            }
            let mut next = Vec::new();
            for (identity, at) in &frontier {
                if let Some(fit) = this.fit(identity, *at)
                    && followed.insert(fit.start.event_id.clone())
                {
                    next.push((fit.start.caller(), fit.start.started_at));
                }
            }
            frontier = next;
        }
        Ok(this)
    }

    pub(super) fn add(&mut self, start: SessionStart) {
        if self.all.contains_key(&start.event_id) {
            return;
        }
        let id = &start.event_id;
        for (index, name) in [(&mut self.by_key, &start.access_key_id), (&mut self.by_id, &start.session_id)] {
            if let Some(name) = name {
                index.entry(name.clone()).or_default().push(id.clone());
            }
        }
        self.all.insert(id.clone(), start);
    }

    /// The starts under a name that began no later than an instant, the latest first.
    fn before<'a>(
        &'a self,
        index: &BTreeMap<String, Vec<String>>,
        name: Option<&str>,
        at: DateTime<Utc>,
    ) -> Vec<&'a SessionStart> {
        let named = name.filter(|name| !name.is_empty()).and_then(|name| index.get(name));
        let starts = named.into_iter().flatten().filter_map(|id| self.all.get(id));
        let mut starts: Vec<&SessionStart> = starts.filter(|start| start.started_at <= at + SLACK).collect();
        starts.sort_by(|a, b| (b.started_at, &a.event_id).cmp(&(a.started_at, &b.event_id)));
        starts
    }

    /// The start of the session that an identity, seen at an instant, is of (facts §2.4: by access key, then by id and
    /// creation date, then by id and time).
    pub(super) fn fit(&self, identity: &Identity, at: DateTime<Utc>) -> Option<Fit<'_>> {
        let by_key = self.before(&self.by_key, identity.access_key_id.as_deref(), at);
        if !by_key.is_empty() {
            return fit(Proof::AccessKey, &by_key);
        }
        let of_id = self.before(&self.by_id, identity.session_id().as_deref(), at);
        if let Some(began) = identity.session_start {
            let second = |at: DateTime<Utc>| at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(at);
            let same: Vec<_> = of_id.into_iter().filter(|start| second(start.started_at) == second(began)).collect();
            return fit(Proof::CreationDate, &same);
        }
        // A user's own key needs no session, and has no creation date.
        if !identity.is("AssumedRole") && !identity.is("AWSAccount") || identity.session_name.is_none() {
            return None;
        }
        let lasting: Vec<_> =
            of_id.into_iter().filter(|start| start.expires_at.is_none_or(|end| at <= end + SLACK)).collect();
        fit(Proof::Time, &lasting)
    }

    /// The last session of the identity's id that began before, whether or not it fits.
    pub(super) fn last_of_id(&self, identity: &Identity, at: DateTime<Utc>) -> Option<&SessionStart> {
        self.before(&self.by_id, identity.session_id().as_deref(), at).first().copied()
    }
}

fn fit<'a>(proof: Proof, starts: &[&'a SessionStart]) -> Option<Fit<'a>> {
    let start = starts.first().copied()?;
    let callers = starts.iter().map(|start| start.caller.as_deref().unwrap_or("someone unnamed")).collect();
    Some(Fit { start, proof, callers })
}

/// One question for the starts of several sessions.
struct Request {
    keys: BTreeSet<String>,
    ids: BTreeSet<String>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Request {
    fn of(frontier: &[(Identity, DateTime<Utc>)]) -> Option<Self> {
        let at = frontier.iter().map(|(_, at)| *at);
        let (since, until) = (at.clone().min()? - LIFETIME_MAX, at.max()? + SLACK);
        let keys = frontier.iter().filter_map(|(identity, _)| identity.access_key_id.clone()).collect();
        let ids = frontier.iter().filter_map(|(identity, _)| identity.session_id()).collect();
        Some(Self { keys, ids, since, until })
    }

    async fn ask(&self, engine: &Engine, catalog: &Catalog) -> Result<Vec<SessionStart>, ChainError> {
        let joined = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let given = [
            ("keys", joined(&self.keys)),
            ("ids", joined(&self.ids)),
            ("since", plain(self.since)),
            ("until", plain(self.until)),
        ];
        let given: Vec<_> = given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let query = catalog.get("chain-sessions")?;
        Ok(engine.run(query, query.bind(&given, self.until)?).await?.read()?)
    }
}

/// The start that gave out an access key, whenever it was.
pub(super) async fn issued(
    engine: &Engine,
    catalog: &Catalog,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<SessionStart>, ChainError> {
    let keys = BTreeSet::from([key.to_owned()]);
    let request = Request { keys, ids: BTreeSet::new(), since: DateTime::UNIX_EPOCH, until: now + LIFETIME_MAX };
    let starts = request.ask(engine, catalog).await?;
    Ok(starts.into_iter().find(|start| start.access_key_id.as_deref() == Some(key)))
}
