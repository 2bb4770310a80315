//! A seeded CloudTrail generator that knows what it planted.
//!
//! ```text
//! Plan ─► world (accounts, keys, people) ─► workloads ─► background ─┐
//!                └─► incidents ──────────────────────────────────────┴─► delivery ─► objects ─► sink
//!                                                        (stream: one object after another) └─► Truth
//! ```
//!
//! It serves `generate`, `demo`, tests and benches. The same plan gives the same bytes, on any machine; memory does not grow
//! with the events; [`Truth`] says what an engine must find, to the last call. It refuses to imitate any real account. Digests
//! are written when the plan asks for them, signed with a key that proves nothing: it is part of this crate.

mod background;
mod choices;
mod clock;
mod delivery;
mod dice;
mod digests;
mod event;
mod folder;
mod identity;
mod incidents;
mod key;
mod noise;
mod objects;
mod oddities;
mod operation;
mod record;
mod schedule;
mod services;
mod stream;
mod sts;
#[cfg(test)]
mod tests;
mod truth;
mod upkeep;
mod usage;
mod workload;
mod world;

use std::io;

use chrono::{DateTime, Utc};

pub use digests::{public_keys, sign_logs};
pub use folder::write_folder;
pub use truth::{Call, Incident, TRUTH_VERSION, Truth};

/// What to generate.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Plan {
    /// The same seed (and plan) gives the same bytes.
    pub seed: u64,
    /// Unique events, over all accounts; second deliveries come on top. The incidents' few hundred events are among them,
    /// and are written even if there are more of them than this.
    pub events: u64,
    /// The share of KMS events, from 0 to 1.
    pub kms_share: f64,
    /// The first instant.
    pub start: DateTime<Utc>,
    /// Days that the events span; at least 1.
    pub days: u32,
    /// Accounts of our own, 1 to 200; the incidents bring one more.
    pub accounts: u32,
    /// Regions, 1 to 8.
    pub regions: u32,
    /// KMS keys of the background; the incidents bring three more.
    pub keys: u32,
    /// People and workloads; each account has a fixed cast besides (its root, the services, one of each rare kind).
    pub principals: u32,
    /// The average size of an object; sizes spread from a handful to many times this. Plans of few events over many days
    /// get smaller objects, so that no account-Region is silent for a day.
    pub events_per_object: u32,
    /// The share of events delivered a second time.
    pub duplicate_share: f64,
    /// Whether to plant the incidents.
    pub incidents: bool,
    /// Whether strangers choose harmful strings.
    pub hostile: bool,
    /// Whether some records and objects have odd shapes.
    pub odd_shapes: bool,
    /// Whether the trails write digests.
    pub digests: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 7,
            events: 20_000,
            kms_share: 0.4,
            start: DateTime::from_timestamp(1_767_571_200, 0).unwrap_or_default(),
            days: 3,
            accounts: 3,
            regions: 2,
            keys: 40,
            principals: 60,
            events_per_object: 600,
            duplicate_share: 0.01,
            incidents: true,
            hostile: true,
            odd_shapes: true,
            digests: false,
        }
    }
}

/// A log object or a digest as CloudTrail delivers it to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogObject {
    /// The object's key, such as `AWSLogs/111122223333/CloudTrail/eu-central-1/2026/01/05/….json.gz`.
    pub path: String,
    /// The object itself.
    pub gzip: Vec<u8>,
    /// The records in it; a digest has none.
    pub records: u32,
    /// What S3 keeps beside it, by name without `x-amz-meta-`: a digest's signature. Logs have none.
    pub metadata: Vec<(&'static str, String)>,
}

/// Where objects go.
type Sink<'s> = &'s mut dyn FnMut(LogObject) -> io::Result<()>;

/// Generates the objects of a plan, roughly in the order of their delivery, and hands each to `sink`.
///
/// # Errors
///
/// The first error of `sink` ends the run and is returned.
pub fn generate(plan: &Plan, sink: &mut dyn FnMut(LogObject) -> io::Result<()>) -> io::Result<Truth> {
    stream::run(plan, sink)
}
