//! A finding: what it is, what tells it apart, and how it is said.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use crate::instant;
use crate::query::{Query, Severity};

/// Ids of events that a finding names.
pub(super) const EVIDENCE_MAX: usize = 10;

/// What stands for the key in the sentence of a finding about more than one.
const SEVERAL_KEYS: &str = "several keys";

/// How a finding relates to the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not found by the run before, or not as bad.
    New,
    /// Found by the run before too.
    Ongoing,
    /// Accepted by the expectations file.
    Accepted,
    /// Found by the run before, and could not be judged by this one.
    Unjudged,
    /// Found by the run before, and no more.
    Resolved,
    /// Found by the run before, and before the window by now: nobody has ended it.
    Aged,
}

impl Status {
    /// Its name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing => "ongoing",
            Self::Accepted => "accepted",
            Self::Unjudged => "unjudged",
            Self::Resolved => "resolved",
            Self::Aged => "aged",
        }
    }
}

/// What a detector found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which detector.
    pub detector: String,
    /// How bad it is.
    pub severity: Severity,
    /// How it relates to the run before.
    pub status: Status,
    /// The finding in a sentence.
    pub message: String,
    /// The key.
    pub key_arn: Option<String>,
    /// Who did it.
    pub principal: Option<String>,
    /// Account where someone must act.
    pub account_id: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// The resource, where the finding is about one.
    pub asset: Option<String>,
    /// First event that made it.
    #[serde(serialize_with = "told")]
    pub first_seen: Option<DateTime<Utc>>,
    /// Last event that made it.
    #[serde(serialize_with = "told")]
    pub last_seen: Option<DateTime<Utc>>,
    /// How many events made it.
    pub events: i64,
    /// Ids of the first of them.
    pub evidence: Vec<String>,
    /// What else there is to know.
    pub detail: Option<String>,
    /// Why it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What tells it apart, over all runs.
    pub fingerprint: String,
}

#[allow(clippy::ref_option, reason = "serde hands over what the field is")]
fn told<S: Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_str(&instant::plain(*at)),
        None => serializer.serialize_none(),
    }
}

impl Finding {
    /// What tells a finding apart: the detector, the key, the principal and the asset, and where there is no key the account and
    /// the Region. Never a time, a session or an event.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let place = if self.key_arn.is_none() { [&self.account_id, &self.region] } else { [&None, &None] };
        let mut text = self.detector.clone();
        for part in [&self.key_arn, &self.principal, &self.asset].into_iter().chain(place) {
            text.push('\0');
            text.push_str(part.as_deref().unwrap_or("\u{1}"));
        }
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }

    /// The worst first, then the latest, then in a fixed order.
    pub(super) fn by_weight(&self, other: &Self) -> Ordering {
        let order = other.severity.cmp(&self.severity).then_with(|| other.last_seen.cmp(&self.last_seen));
        order.then_with(|| self.detector.cmp(&other.detector)).then_with(|| self.fingerprint.cmp(&other.fingerprint))
    }

    /// Whether this one tells together what the other tells of one key.
    pub(super) fn is_group_of(&self, other: &Self) -> bool {
        self.key_arn.is_none()
            && self.message.contains(SEVERAL_KEYS)
            && other.key_arn.is_some()
            && self.detector == other.detector
            && self.principal == other.principal
            && self.account_id == other.account_id
            && self.region == other.region
    }

    /// Takes in another row of the same finding.
    pub(super) fn merge(&mut self, other: Self) {
        self.severity = self.severity.max(other.severity);
        self.first_seen = self.first_seen.into_iter().chain(other.first_seen).min();
        self.last_seen = self.last_seen.into_iter().chain(other.last_seen).max();
        self.events += other.events;
        let more: Vec<String> = other.evidence.into_iter().filter(|id| !self.evidence.contains(id)).collect();
        self.evidence.extend(more);
        self.evidence.truncate(EVIDENCE_MAX);
    }
}

/// Something that a detector could not judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotEvaluated {
    /// Which detector.
    pub detector: String,
    /// Of which key; of all when null, or of those of the account and Region.
    pub key_arn: Option<String>,
    /// Of which principal; of all when null.
    pub principal: Option<String>,
    /// Of which account's keys.
    pub account_id: Option<String>,
    /// Of which Region's keys.
    pub region: Option<String>,
    /// Why not, and what would settle it.
    pub why: String,
}

impl NotEvaluated {
    /// Of a detector that could not run at all.
    pub(super) fn whole(detector: &str, why: String) -> Self {
        Self { detector: detector.to_owned(), key_arn: None, principal: None, account_id: None, region: None, why }
    }

    /// Whether a finding of the detector is about what could not be judged: one principal's says nothing of another's.
    pub(super) fn is_about(&self, finding: &Finding) -> bool {
        let same = |this: &Option<String>, that: &Option<String>| this.is_none() || this == that;
        same(&self.key_arn, &finding.key_arn)
            && same(&self.principal, &finding.principal)
            && same(&self.account_id, &finding.account_id)
            && same(&self.region, &finding.region)
    }
}

/// The detector's sentence with the row's columns in it.
pub(super) fn message(detector: &Query, column: &dyn Fn(&str) -> Option<String>) -> String {
    let template = detector.message.as_deref().unwrap_or("{detail}");
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = after;
            break;
        };
        let unnamed = if name == "key_arn" { SEVERAL_KEYS } else { "?" };
        text.push_str(&column(name).unwrap_or_else(|| unnamed.to_owned()));
        rest = behind;
    }
    text.push_str(rest);
    text
}
