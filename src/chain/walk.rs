//! Step by step from a session to its beginning.

use std::collections::BTreeSet;

use serde::Serialize;

use super::starts::{Fit, Proof, SessionStart, Starts};
use super::{End, LINKS_MAX, Sought, Trail};

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
    fn of(start: &SessionStart, proof: Proof) -> Self {
        let key = start.access_key_id.as_deref().unwrap_or("the key");
        let why = match proof {
            Proof::AccessKey => format!("it gave out the access key {key} that signed"),
            Proof::CreationDate => {
                "it opened a session of the same id in the same second; the service that called for it signed with a key of its \
                 own"
                    .to_owned()
            }
            Proof::Time => "it opened the only session of the same id that had begun and not ended; the record of the call \
                 tells no more"
                .to_owned(),
        };
        Self { proof, why, start: start.clone() }
    }
}

/// The way back from an identity that was seen at an instant.
pub(super) fn back(starts: &Starts, sought: &Sought) -> Trail {
    let mut sought = sought.clone();
    let (mut links, mut met) = (Vec::new(), BTreeSet::new());
    loop {
        let (start, proof) = match starts.fit(&sought) {
            Fit::Is(start, proof) => (start, proof),
            Fit::OneOf(candidates) => return Trail { links, end: End::ambiguous(&sought.identity, &candidates) },
            Fit::Missing => {
                let last = starts.last_of_id(&sought.identity, sought.at);
                let opened = links.last().map(|link: &Link| &link.start);
                let end = End::of(&sought, last).with_session(opened);
                return Trail { links, end };
            }
        };
        let is_circle = !met.insert(start.event_id.clone());
        if links.len() == LINKS_MAX || is_circle {
            return Trail { links, end: End::too_long(&sought.identity, is_circle) };
        }
        links.push(Link::of(start, proof));
        sought = start.sought();
    }
}
