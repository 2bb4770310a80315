//! Step by step from a session to its beginning.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::starts::{Fit, SessionStart, Starts};
use super::{End, Identity, LINKS_MAX, Trail};

/// How it is known that an STS event opened a session, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The event gave out the access key that signed the calls.
    AccessKey,
    /// It opened a session of the same id in the same second; the calls are signed with another key of that session.
    CreationDate,
    /// It opened the last session of the same id before the calls, and that had not ended.
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

/// A step back: the event that opened the session, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// How it is known.
    pub proof: Proof,
    /// The same in words.
    pub why: String,
    /// The event.
    #[serde(flatten)]
    pub start: SessionStart,
}

impl Link {
    fn of(fit: &Fit<'_>) -> Self {
        let start = fit.start;
        let key = start.access_key_id.as_deref().unwrap_or("the key");
        let mut why = match fit.proof {
            Proof::AccessKey => format!("it gave out the access key {key} that signed"),
            Proof::CreationDate => {
                "it opened a session of the same id in the same second; another key of that session signed, as when a service \
                 forwards it"
                    .to_owned()
            }
            Proof::Time => {
                "it opened the last session of the same id before, which had not ended; the record tells no more".to_owned()
            }
        };
        let others = fit.callers.iter().filter(|caller| Some(**caller) != start.caller.as_deref());
        let others: Vec<&str> = others.copied().collect();
        if !others.is_empty() {
            why.push_str("; others fit as well, by ");
            why.push_str(&others.join(", "));
        }
        Self { proof: fit.proof, why, start: start.clone() }
    }
}

/// The way back from an identity that was seen at an instant.
pub(super) fn back(starts: &Starts, identity: &Identity, at: DateTime<Utc>) -> Trail {
    let (mut identity, mut at) = (identity.clone(), at);
    let (mut links, mut met) = (Vec::new(), BTreeSet::new());
    loop {
        let Some(fit) = starts.fit(&identity, at) else {
            let end = End::of(&identity, at, starts.last_of_id(&identity, at));
            return Trail { links, end };
        };
        if links.len() == LINKS_MAX || !met.insert(fit.start.event_id.clone()) {
            return Trail { links, end: End::too_long(&identity) };
        }
        links.push(Link::of(&fit));
        (identity, at) = (fit.start.caller(), fit.start.started_at);
    }
}
