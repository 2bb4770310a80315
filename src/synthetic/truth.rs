//! What the generator knows that it planted: the answer sheet.
//!
//! The counts use the decoder's meaning of principal, key, outcome and via, so that an engine can be checked against them
//! to the last call. The tally is bounded by keys × principals × operations, never by events. It refuses to keep records.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::world::World;

/// The version of the shape of [`Truth`] that this crate writes.
pub const TRUTH_VERSION: u32 = 2;

/// The answer sheet of a generated set of logs.
///
/// `records == kept + other + duplicates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The version of this shape: [`TRUTH_VERSION`].
    pub version: u32,
    /// The seed of the plan.
    pub seed: u64,
    /// The organization's accounts; the logs hold those of an outsider too, when incidents are planted.
    pub accounts: Vec<String>,
    /// Records written in all objects.
    pub records: u64,
    /// Unique events that a lake must hold: KMS events and the context events. The two copies of a cross-account call
    /// are two events.
    pub kept: u64,
    /// Records of other services, extra deliveries among them.
    pub other: u64,
    /// Extra deliveries of kept events.
    pub duplicates: u64,
    /// Log objects written.
    pub objects: u64,
    /// Cryptographic calls (classes decrypt, encrypt, generate, sign and mac), sorted by their fields.
    pub calls: Vec<Call>,
    /// What was planted, by the time of its first event.
    pub incidents: Vec<Incident>,
}

/// How often one principal did one thing with one key.
///
/// Counted after removing duplicates; the two copies of a cross-account call count once, with the caller's full identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The key (for `ReEncrypt` the source key); none when the record does not say, and for `GenerateRandom`.
    pub key_arn: Option<String>,
    /// The stable identity: role or user ARN, `service:<host>` and so on.
    pub principal: String,
    /// The event name, such as `Decrypt`.
    pub operation: String,
    /// `ok`, `denied`, `key_unusable`, `dry_run`, `throttled` or `error`. Dry runs are listed, but are not use.
    pub outcome: String,
    /// The AWS service that the call came through; none for a direct call.
    pub via: Option<String>,
    /// Calls.
    pub count: u64,
}

/// A planted incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// `secret-harvest`, `key-scheduled-for-deletion` or `outsider-decrypt`.
    pub name: String,
    /// The key that it is about.
    pub key_arn: String,
    /// The stable identity of who did it.
    pub principal: String,
    /// The event time of the first of its events on the key (RFC 3339).
    pub first_seen: String,
    /// The event time of the last.
    pub last_seen: String,
    /// Events on the key that make it up; the two copies of a cross-account call are one.
    pub events: u64,
    /// The ids of the first of them, at most 10, in time order; of a cross-account call the key owner's copy.
    pub event_ids: Vec<String>,
    /// What happened, in a sentence or two.
    pub story: String,
}

/// The outcomes that the generator can give a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Outcome {
    Ok,
    Denied,
    KeyUnusable,
    DryRun,
    Throttled,
    Error,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::KeyUnusable => "key_unusable",
            Self::DryRun => "dry_run",
            Self::Throttled => "throttled",
            Self::Error => "error",
        }
    }
}

/// A call by its place in the world; small, so that counting one is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    pub(super) key: Option<usize>,
    pub(super) principal: usize,
    pub(super) operation: &'static str,
    pub(super) outcome: Outcome,
    pub(super) via: Option<&'static str>,
}

/// The running count behind a [`Truth`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) kept: u64,
    pub(super) other: u64,
    pub(super) duplicates: u64,
    pub(super) objects: u64,
    calls: HashMap<CallKey, u64>,
}

impl Tally {
    /// A new event; a call is counted apart with [`Self::call`].
    pub(super) fn event(&mut self, kept: bool) {
        *if kept { &mut self.kept } else { &mut self.other } += 1;
    }

    /// A second delivery of an event that was counted.
    pub(super) fn delivered_again(&mut self, kept: bool) {
        *if kept { &mut self.duplicates } else { &mut self.other } += 1;
    }

    pub(super) fn call(&mut self, call: CallKey) {
        *self.calls.entry(call).or_default() += 1;
    }

    pub(super) fn records(&self) -> u64 {
        self.kept + self.other + self.duplicates
    }

    /// The answer sheet. Principals that are one identity to the decoder (a service in two accounts) become one here.
    pub(super) fn into_truth(self, seed: u64, world: &World, incidents: Vec<Incident>) -> Truth {
        let mut sorted = BTreeMap::new();
        for (call, count) in &self.calls {
            let named = Call {
                key_arn: call.key.map(|key| world.keys[key].arn.clone()),
                principal: world.principals[call.principal].stable.clone(),
                operation: call.operation.to_owned(),
                outcome: call.outcome.name().to_owned(),
                via: call.via.map(str::to_owned),
                count: 0,
            };
            *sorted.entry(named).or_insert(0) += count;
        }
        Truth {
            version: TRUTH_VERSION,
            seed,
            accounts: world.own_accounts().to_vec(),
            records: self.records(),
            kept: self.kept,
            other: self.other,
            duplicates: self.duplicates,
            objects: self.objects,
            calls: sorted.into_iter().map(|(call, count)| Call { count, ..call }).collect(),
            incidents,
        }
    }
}
