//! May a key be deleted? What the lake has seen of its use, and whether its logs can vouch that this was all.
//!
//! ```text
//! queries deletion-*.sql ── users, facts ──► judge ──► Verdict: in_use | unknown | no_use_found
//!                                             │
//!     needs: who uses it, or holds a grant ───┤
//!     doubts, calendar: what is not known ────┤
//!     phase, caveats, steps ──────────────────┘  what is told with it
//! ```
//!
//! There is no verdict "safe". `unknown` is what evidence must overcome: every hour of the look-back vouched for, in every
//! Region that has the key, and an inventory that read everything. What is taken away of that leads to `unknown`, never
//! to `no_use_found`; and whatever shows that someone needs the key is `in_use`, however little else is known.

mod calendar;
mod caveats;
mod doubts;
mod facts;
#[cfg(test)]
mod growth_tests;
mod judge;
mod needs;
mod phase;
mod steps;
#[cfg(test)]
mod tests;
mod users;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use calendar::{Hours, LaneCoverage, Week};
pub use facts::{Asset, Worth};
use judge::judge;
pub use users::Dependent;

use crate::engine::{Engine, EngineError};
use crate::query::{Catalog, QueryError};

/// What can keep a key from being judged.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// A query is not there, or takes other parameters.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What a person wrote on the command line beside the question, to be written again in the commands that a verdict prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What every command of keytrail takes, such as ` --lake s3://b/lake`: empty, or with a space before it.
    pub everywhere: String,
    /// What `check-deletion` takes besides, such as ` --lookback 30d`.
    pub check: String,
    /// Whether the end of the look-back was given.
    pub has_until: bool,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The key, by its ARN; every key when not given.
    pub key_arn: Option<String>,
    /// Where the look-back begins.
    pub since: DateTime<Utc>,
    /// Where it ends: the instant that the verdict is about.
    pub until: DateTime<Utc>,
    /// The instant of the run: what happened up to it counts, whatever the verdict is about.
    pub now: DateTime<Utc>,
    /// How many days a disabled key is watched before it is scheduled for deletion.
    pub watch_days: i64,
    /// Whether an hour that nothing proves counts where `GetKeyLastUsage` tells of no use since the look-back began.
    pub accept_observed: bool,
    /// What the commands that are printed repeat.
    pub options: Options,
}

/// The answer, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Someone needs the key.
    InUse,
    /// The evidence does not suffice.
    Unknown,
    /// Nobody used the key in the look-back, as far as logs can tell; they vouch for all of it.
    NoUseFound,
}

impl Answer {
    /// Its name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InUse => "in_use",
            Self::Unknown => "unknown",
            Self::NoUseFound => "no_use_found",
        }
    }
}

/// Where a key stands on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It can be used.
    Enabled,
    /// It cannot, and nothing is lost.
    Disabled,
    /// It will be deleted.
    PendingDeletion,
    /// It has no key material yet or no more, or its key store is not connected.
    Unavailable,
    /// It is gone.
    Deleted,
    /// Neither the inventory nor a log says.
    Unknown,
}

impl Phase {
    /// Its name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending_deletion",
            Self::Unavailable => "unavailable",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }
}

/// Something to do, and the command that does it; commands are printed, and never run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// In words.
    pub what: String,
    /// The command, if there is one. In those of keytrail, SOURCE stands for where the logs are.
    pub command: Option<String>,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What it speaks for.
    pub supports: Answer,
    /// What kind of reason it is; a stable name.
    pub code: &'static str,
    /// The key that it is about.
    pub key_arn: Option<String>,
    /// In words.
    pub message: String,
    /// What would settle it.
    pub settle: Option<Step>,
}

impl Reason {
    fn new(supports: Answer, code: &'static str, key_arn: Option<&str>, message: String, settle: Option<Step>) -> Self {
        Self { supports, code, key_arn: key_arn.map(str::to_owned), message, settle }
    }
}

/// The last use that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUse {
    /// When.
    pub at: DateTime<Utc>,
    /// `log` or `GetKeyLastUsage`.
    pub source: &'static str,
    /// Whose, where a log tells.
    pub principal: Option<String>,
    /// The event.
    pub event_id: Option<String>,
}

/// A grant that someone holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveGrant {
    /// The key.
    pub key_arn: String,
    /// Its id.
    pub grant_id: Option<String>,
    /// Who holds it.
    pub grantee: Option<String>,
    /// Since when.
    pub created_at: Option<DateTime<Utc>>,
    /// `inventory` or `log`.
    pub source: &'static str,
}

/// Another key of the multi-Region set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sibling {
    /// Its ARN.
    pub key_arn: String,
    /// Its Region.
    pub region: String,
    /// Where it stands.
    pub phase: Phase,
    /// `PRIMARY` or `REPLICA`, where the inventory knows.
    pub multi_region_type: Option<String>,
}

/// What the logs are worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// The hours of the look-back, of all accounts and Regions that have the key.
    pub hours: Hours,
    /// Until when the logs of all of them vouch; null when those of one do nowhere.
    pub known_until: Option<DateTime<Utc>>,
    /// By account and Region.
    pub lanes: Vec<LaneCoverage>,
    /// By week.
    pub weeks: Vec<Week>,
}

/// What the key was seen to encrypt or decrypt, over all that the lake has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assets {
    /// How many in all.
    pub total: i64,
    /// The latest of them.
    pub latest: Vec<Asset>,
}

/// The answer; its JSON is part of the command line's contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The answer.
    pub verdict: Answer,
    /// The key.
    pub key_arn: String,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// Who answers for it and what it is for, as the expectations file says.
    pub owner: Option<String>,
    /// See `owner`.
    pub purpose: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// When it will be deleted, while that is pending and known.
    pub deletion_date: Option<DateTime<Utc>>,
    /// Where the look-back begins.
    pub since: DateTime<Utc>,
    /// Where it ends.
    pub until: DateTime<Utc>,
    /// Why, the reasons for the verdict first.
    pub reasons: Vec<Reason>,
    /// What to think of before trusting the verdict.
    pub warnings: Vec<String>,
    /// The last use that is known, whenever it was.
    pub last_use: Option<LastUse>,
    /// Who used it in the look-back, or failed to because it cannot be used.
    pub dependents: Vec<Dependent>,
    /// What the logs are worth.
    pub coverage: Coverage,
    /// Who holds grants.
    pub grants: Vec<LiveGrant>,
    /// Its siblings in other Regions.
    pub replicas: Vec<Sibling>,
    /// What may still be encrypted with it; null where many keys were asked about.
    pub assets: Option<Assets>,
    /// What no log shows.
    pub cannot_see: Vec<String>,
    /// What it costs a year, at most, in USD.
    pub yearly_cost_usd: i64,
    /// What to do next.
    pub next_steps: Vec<Step>,
    /// Version of the events table.
    pub lake_version: u64,
}

/// Judges the key that is asked about, or every key of the organization that AWS does not manage.
///
/// # Errors
/// When the lake cannot be read.
pub async fn check(engine: &Engine, catalog: &Catalog, asked: &Asked) -> Result<Vec<Verdict>, VerdictError> {
    let facts = facts::read(engine, catalog, asked).await?;
    let is_asked = |member: &facts::Member| match &asked.key_arn {
        Some(arn) => member.key_arn == *arn,
        None => member.is_own && member.key_manager.as_deref() != Some("AWS"),
    };
    let keys = facts.sets.values().flat_map(|set| set.members.iter().map(move |member| (set, member)));
    let verdicts = keys.filter(|(_, member)| is_asked(member)).map(|(set, member)| Verdict {
        lake_version: engine.events_version(),
        ..judge(&member.key_arn, set, &facts, asked)
    });
    Ok(verdicts.collect())
}

/// How a number of things is said.
fn count(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
