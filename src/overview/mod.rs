//! How do the keys stand? What a report over a window tells, gathered from the lake.
//!
//! ```text
//! last-report ─► window ─► detect ─► findings, compared with those of the report before ─┐
//!                  └─► overview-*, coverage ─► figures of the days that were looked at ──┴─► Overview
//! ```
//!
//! The window begins where the window of the report before ended. Detectors and figures look further back, over
//! [`LOOKED_AT_DAYS`]: a log that comes late is then found by the next report, and not by none. Nothing in here is of the moment
//! at which it is made, so that the same lake and window make the same report.

mod gather;
mod window;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use gather::days;
pub use gather::{Frame, gather, last_report, latest_event};
pub use window::{Asked, LOOKED_AT_DAYS, NoWindow, Windows, windows};

use crate::detect::{DetectError, Detection, Finding, NotEvaluated, Status, Window};
use crate::engine::EngineError;
use crate::incident::{DayCovered, Listed};
use crate::query::{QueryError, Severity};

/// Which shape the JSON of a report has; a member that goes or changes its meaning makes it another.
pub const SCHEMA: &str = "keytrail-report/1";

/// What can keep a report from being gathered.
#[derive(Debug, thiserror::Error)]
pub enum OverviewError {
    /// A query is not there, or takes other parameters.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What earlier runs found cannot be read.
    #[error(transparent)]
    Detect(#[from] DetectError),
}

/// A report that was made before.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// When it was.
    pub made_at: DateTime<Utc>,
    /// The run of the detectors that it told of.
    pub run_at: DateTime<Utc>,
    /// Where its window began.
    pub since: DateTime<Utc>,
    /// Where its window ended.
    pub until: DateTime<Utc>,
}

/// A report; its JSON is part of the command line's contract (`schemas/report.schema.json`).
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The series that it is one of.
    pub series: String,
    /// What it is about: from the end of the report before to the end of the logs.
    pub window: Window,
    /// What detectors and figures looked at.
    pub looked_at: Window,
    /// Where the window of the report before ended; null for the first of its series.
    pub previous_until: Option<DateTime<Utc>>,
    /// How many findings there are of each fate, also where `findings` has only those that are new.
    pub counts: FindingCounts,
    /// What changed.
    pub findings: Findings,
    /// Keys with findings that someone should look at, the worst first.
    pub keys_at_risk: Vec<KeyAtRisk>,
    /// Who decrypts, with what, through which service, when.
    pub decrypts: Activity,
    /// Keys that nobody needs, or that nobody can explain.
    pub idle_keys: IdleKeys,
    /// What lies under keys that AWS manages.
    pub aws_managed: Vec<AssetsUnder>,
    /// What the logs of each day are worth.
    pub coverage: Vec<DayCovered>,
    /// What could not be judged, and why.
    pub not_evaluated: Vec<NotEvaluated>,
    /// The detectors that were evaluated.
    pub evaluated: Vec<String>,
    /// Why nothing that was found means nothing, where that is so.
    pub no_events: Option<String>,
    /// What the detectors look for that found something.
    pub detectors: Vec<About>,
    /// What it rests on.
    pub provenance: Provenance,
    /// When the detectors ran: for formats that ask for the time of an update, and in no other.
    #[serde(skip)]
    pub run_at: DateTime<Utc>,
}

/// Findings by what became of them since the report before; each list the worst first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Findings {
    /// Not in the report before, or not as bad.
    pub new: Vec<Finding>,
    /// In the report before too.
    pub ongoing: Vec<Finding>,
    /// In the report before, and not to be judged now.
    pub unjudged: Vec<Finding>,
    /// In the report before, and no more.
    pub resolved: Vec<Finding>,
    /// In the report before, and too long ago by now.
    pub aged: Vec<Finding>,
    /// Accepted by the expectations file.
    pub accepted: Vec<Finding>,
}

impl Findings {
    /// By what became of them. Where no report was before, those are new that have an event of the window, or none at all.
    fn of(detection: Detection, begun: Option<DateTime<Utc>>) -> Self {
        let Detection { findings, unjudged, resolved, aged, accepted, .. } = detection;
        let (new, mut ongoing): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| match begun {
            Some(since) => finding.last_seen.is_none_or(|at| at >= since),
            None => finding.status == Status::New,
        });
        for finding in &mut ongoing {
            finding.status = Status::Ongoing;
        }
        Self { new, ongoing, unjudged, resolved, aged, accepted }
    }

    fn counts(&self) -> FindingCounts {
        let Self { new, ongoing, unjudged, resolved, aged, accepted } = self;
        let [new, ongoing, unjudged, resolved, aged, accepted] =
            [new, ongoing, unjudged, resolved, aged, accepted].map(Vec::len);
        FindingCounts { open: new + ongoing + unjudged, new, ongoing, unjudged, resolved, aged, accepted }
    }

    /// Leaves out what the report before told.
    pub fn only_new(&mut self) {
        *self = Self { new: std::mem::take(&mut self.new), ..Self::default() };
    }

    /// Those that someone should look at: new and ongoing ones, and those that could not be judged again.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.new.iter().chain(&self.ongoing).chain(&self.unjudged)
    }

    /// Every one of them.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        self.open().chain(&self.resolved).chain(&self.aged).chain(&self.accepted)
    }

    /// The worst of those that are new.
    #[must_use]
    pub fn worst_new(&self) -> Option<Severity> {
        self.new.iter().map(|finding| finding.severity).max()
    }
}

/// How many findings there are of each fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are the lists of `Findings`, but for those that say otherwise")]
pub struct FindingCounts {
    /// New, ongoing, and those that could not be judged again.
    pub open: usize,
    pub new: usize,
    pub ongoing: usize,
    pub unjudged: usize,
    pub resolved: usize,
    pub aged: usize,
    pub accepted: usize,
}

/// A key that open findings of medium severity or worse are about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyAtRisk {
    /// The key.
    pub key_arn: String,
    /// Its names, where any is known.
    pub aliases: Option<String>,
    /// `KeyState`, as the latest inventory has it.
    pub state: Option<String>,
    /// When it will be deleted.
    pub deletion_date: Option<DateTime<Utc>>,
    /// How bad the worst of the findings is.
    pub severity: Severity,
    /// How many findings there are.
    pub findings: usize,
    /// Decrypts that succeeded, in the days that were looked at.
    pub decrypts: i64,
    /// The last of them.
    pub last_decrypt: Option<DateTime<Utc>>,
    /// Decrypts by day, for each day that was looked at.
    pub days: Vec<i64>,
}

/// Decrypts in the days that were looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Activity {
    /// In all, those without a key's name included.
    pub total: Decrypts,
    /// By day and service.
    pub days: Vec<DayDecrypts>,
    /// By key, those with the most first.
    pub keys: Listed<KeyDecrypts>,
    /// By key and principal, those with the most first.
    pub pairs: Listed<PairDecrypts>,
    /// By key and day, of the keys in `keys`.
    pub key_days: Vec<KeyDay>,
}

/// Counts of decrypts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Decrypts {
    /// That succeeded.
    pub decrypts: i64,
    /// That did not.
    pub failed: i64,
    /// That succeeded, with a time within the window; of those, the report before may have told of what came late to it.
    pub recent: i64,
    /// The first that succeeded.
    pub first_seen: Option<DateTime<Utc>>,
    /// The last that succeeded.
    pub last_seen: Option<DateTime<Utc>>,
}

/// Decrypts of a day through a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayDecrypts {
    /// The day, UTC.
    pub day: NaiveDate,
    /// The service; null for direct calls.
    pub via: Option<String>,
    /// That succeeded.
    pub decrypts: i64,
    /// That did not.
    pub failed: i64,
}

/// Decrypts with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyDecrypts {
    /// The key.
    pub key_arn: String,
    /// Its names.
    pub aliases: Option<String>,
    /// How many.
    #[serde(flatten)]
    pub counts: Decrypts,
}

/// Decrypts with a key by a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairDecrypts {
    /// The key.
    pub key_arn: String,
    /// Who; null where no record tells.
    pub principal: Option<String>,
    /// How many.
    #[serde(flatten)]
    pub counts: Decrypts,
}

/// Decrypts with a key on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyDay {
    /// The key.
    pub key_arn: String,
    /// The day, UTC.
    pub day: NaiveDate,
    /// That succeeded.
    pub decrypts: i64,
}

/// Keys that nobody needs or nobody can explain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdleKeys {
    /// The keys.
    pub keys: Vec<IdleKey>,
    /// What those that were not used cost at least, in whole US dollars a month.
    pub unused_usd_a_month: u64,
}

/// A key that was not used, or that nothing explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdleKey {
    /// The key.
    pub key_arn: String,
    /// Its names.
    pub aliases: Option<String>,
    /// `unused-key` or `unexplained-key`.
    pub detector: String,
    /// Whether calls used it in the time that the detector looked at.
    pub is_used: bool,
    /// What the detector says of it.
    pub detail: Option<String>,
}

/// Assets under a key that AWS manages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct AssetsUnder {
    /// The key.
    pub key_arn: String,
    /// Its names.
    pub aliases: Option<String>,
    /// What kind of assets.
    pub asset_type: Option<String>,
    /// How many different ones.
    pub assets: i64,
    /// Calls that encrypted or decrypted them, with success.
    pub calls: i64,
    /// The last of them.
    pub last_seen: Option<DateTime<Utc>>,
}

/// A detector, as `explain` tells of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// Its name.
    pub detector: String,
    /// In one line.
    pub title: String,
    /// How bad its findings are, unless one says otherwise.
    pub severity: Severity,
    /// MITRE ATT&CK techniques.
    pub attack: Vec<String>,
    /// What it does, why it matters, when it is wrong, and what to do next.
    pub sections: Vec<Section>,
}

/// A section of a detector's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// Its text; paragraphs are a line each, names are between backticks.
    pub text: String,
}

/// What a report rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Version of keytrail.
    pub keytrail_version: &'static str,
    /// Version of the table `events`.
    pub lake_version: u64,
    /// Log objects and digests of the days that were looked at.
    #[serde(flatten)]
    pub sources: Sources,
    /// Whether an expectations file was given.
    pub has_expectations: bool,
}

/// Log objects, digests and inventories that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sources {
    /// Log objects with events of the time.
    pub objects: i64,
    /// Those of them that could not be read to their end.
    pub damaged: i64,
    /// First event in them.
    pub first_event: Option<DateTime<Utc>>,
    /// Last event in them.
    pub last_event: Option<DateTime<Utc>>,
    /// Digests that were found valid.
    pub digests_valid: i64,
    /// Digests that were not.
    pub digests_not_valid: i64,
    /// When the last inventory was taken.
    pub inventory_at: Option<DateTime<Utc>>,
}
