//! Where log objects come from, and what their names tell before a byte is read.
//!
//! Nothing here knows of events. A source lists [`ObjectRef`]s in a steady order, prunes what a run does not ask for,
//! and opens them.

pub mod local;
pub mod name;

pub use local::LocalSource;
pub use name::{Kind, ObjectName};

use chrono::{DateTime, Utc};

/// An object that a source lists.
#[derive(Debug, Clone)]
pub struct ObjectRef {
    /// Its address, the same at every run.
    pub uri: String,
    /// Where a local source finds it.
    pub path: std::path::PathBuf,
    /// Bytes as stored.
    pub size: u64,
    /// Changes whenever the object's content may have: an etag, or size and time of change.
    pub version_tag: String,
    /// What its name tells.
    pub name: ObjectName,
}

/// Which objects a run asks for; what an object's name does not tell, counts as asked for.
#[derive(Debug, Clone, Default)]
pub struct Prune {
    /// Events from this instant on.
    pub since: Option<DateTime<Utc>>,
    /// Events before this instant.
    pub until: Option<DateTime<Utc>>,
    /// These accounts only; all when empty.
    pub accounts: Vec<String>,
    /// These Regions only; all when empty.
    pub regions: Vec<String>,
}

/// How much later than its events an object may be delivered and still be read for them (facts §1.1: read at least the
/// day after; redelivery after an outage takes longer and is found by a run without `--until`).
const DELIVERY_DAYS: i64 = 1;

impl Prune {
    /// Whether the run asks for an object of this name.
    #[must_use]
    pub fn admits(&self, name: &ObjectName) -> bool {
        let among = |wanted: &[String], found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_none_or(|found| wanted.contains(found))
        };
        let delivered = name.delivered_at;
        let late = chrono::Duration::days(DELIVERY_DAYS);
        among(&self.accounts, &name.account_id)
            && among(&self.regions, &name.region)
            && self.since.is_none_or(|since| delivered.is_none_or(|at| at >= since))
            && self.until.is_none_or(|until| delivered.is_none_or(|at| at < until + late))
    }
}
