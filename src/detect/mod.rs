//! Runs detectors: each a query whose rows are findings, told apart by fingerprints and compared with the run before.
//!
//! ```text
//! catalog ─► what each needs ─┬─ missing ─► not evaluated: why
//!                             └─ there ──► rows ─► findings ─► accepted? new? ─► Detection ─► findings, detections
//! ```
//!
//! There is no detector in here and no SQL: they are files. This module decides what a row means as a finding, never
//! whether there should be one.

mod evidence;
mod finding;
mod history;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;
use serde::Serialize;

use crate::engine::{Engine, EngineError, Span};
use crate::expectations::Expectations;
use crate::query::{Catalog, Kind, Need, ParamKind, Query, QueryError, Severity};

pub use finding::{Finding, NotEvaluated, Status};
pub use history::{Unseen, findings_as_of, open_findings, recorded, run_instant, unseen};

/// What can keep detectors from running.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The request is wrong: a name, a parameter or a value.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A detector's statement is wrong, or failed.
    #[error("detector {detector}: {source}")]
    Failed {
        /// Which.
        detector: String,
        /// Why.
        source: Box<EngineError>,
    },
    /// A detector does not return the columns that make a finding.
    #[error("detector {detector}: {why}")]
    Columns {
        /// Which.
        detector: String,
        /// What is wrong with them.
        why: String,
    },
    /// The name is no detector's.
    #[error("{name} is no detector; `keytrail detect --list` lists them")]
    NoDetector {
        /// The name.
        name: String,
    },
    /// The window is empty.
    #[error("the window is empty: {since} is not before {until}")]
    EmptyWindow {
        /// Its begin.
        since: DateTime<Utc>,
        /// Its end.
        until: DateTime<Utc>,
    },
}

/// Views that many detectors read, worked out once: with a row per account, key, trail or change of one, and what the calls
/// of the time that is looked at come to by day and half hour.
const KEPT: [&str; 18] = [
    "control_calls",
    "coverage",
    "decrypts_by_day",
    "decrypts_by_half_hour",
    "event_hours",
    "expected_keys",
    "key_changes",
    "key_inventory",
    "known_keys",
    "lanes",
    "logged_days",
    "own_accounts",
    "shutdown_uses",
    "shutdowns",
    "trail_changes",
    "trail_states",
    "trusted_keys",
    "use_coverage",
];

/// The time that a run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From this instant on.
    pub since: DateTime<Utc>,
    /// Before this instant.
    pub until: DateTime<Utc>,
}

impl Window {
    /// In whole minutes: two runs of one schedule are not begun to the second.
    fn length(self) -> i64 {
        (self.until - self.since).num_minutes()
    }
}

/// A finding that a run left open, and the window of that run.
#[derive(Debug, Clone)]
pub struct Open {
    /// The finding.
    pub finding: Finding,
    /// The window.
    pub window: Option<Window>,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time to look at.
    pub window: Window,
    /// Look from here on, before the window: the run before has not seen all that there is by now.
    pub unseen_from: Option<DateTime<Utc>>,
    /// These detectors; all when empty.
    pub only: Vec<String>,
    /// Parameters by detector and name, before those of the expectations file.
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    /// The instant of the run.
    pub now: DateTime<Utc>,
}

impl Options {
    /// The window, and what is looked at before it.
    fn looked_at(&self) -> Window {
        let since = self.unseen_from.map_or(self.window.since, |from| from.min(self.window.since));
        Window { since, ..self.window }
    }
}

/// What a run found; its JSON is part of the command line's contract.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Detection {
    /// What someone should look at, the worst first.
    pub findings: Vec<Finding>,
    /// What the expectations file accepts.
    pub accepted: Vec<Finding>,
    /// What the run before found and this one did not, though it looked at the same time.
    pub resolved: Vec<Finding>,
    /// What the run before found and what lies before the window by now.
    pub aged: Vec<Finding>,
    /// What the run before found and this one could not judge.
    pub unjudged: Vec<Finding>,
    /// What could not be judged, and why.
    pub not_evaluated: Vec<NotEvaluated>,
    /// The detectors that were evaluated.
    pub evaluated: Vec<String>,
    /// File, line and fault of each detector of the user's own that is wrong; they are among what could not be judged.
    #[serde(skip)]
    pub broken: Vec<String>,
    /// Why nothing that was found means nothing: the lake has no event of the window.
    pub no_events: Option<String>,
    /// Version of the events table.
    pub lake_version: u64,
    /// The time that was looked at.
    pub window: Option<Window>,
    /// From when on, where that is before the window: the run before had not seen all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_from: Option<DateTime<Utc>>,
}

/// The detectors that a run goes through, in the order of their names.
///
/// # Errors
/// When a name is no detector's.
pub fn chosen<'c>(catalog: &'c Catalog, only: &[String]) -> Result<Vec<&'c Query>, DetectError> {
    for name in only {
        if !catalog.has_detector(name) {
            return Err(DetectError::NoDetector { name: name.clone() });
        }
    }
    Ok(catalog.detectors().filter(|detector| only.is_empty() || only.contains(&detector.name)).collect())
}

/// Runs detectors over a window. `told` hears the name of each before it runs. What a detector lacks is in the result, and so
/// is what is wrong with one of the user's own: it keeps no other from running.
///
/// # Errors
/// When what was asked for is wrong, a shipped detector fails, or the lake cannot be read.
pub async fn detect(
    engine: &Engine,
    catalog: &Catalog,
    expectations: &Expectations,
    options: &Options,
    told: &dyn Fn(&str),
) -> Result<Detection, DetectError> {
    let Window { since, until } = options.looked_at();
    if since >= until {
        return Err(DetectError::EmptyWindow { since, until });
    }
    engine.keep(&KEPT);
    let detectors = chosen(catalog, &options.only)?;
    engine.look_at(span(&detectors, expectations, options));
    let mut lacks = lacking(engine, catalog, expectations, options).await?;
    let mut detection = Detection {
        lake_version: engine.events_version(),
        window: Some(options.window),
        looked_from: Some(since).filter(|since| *since < options.window.since),
        no_events: lacks.remove("events"),
        ..Detection::default()
    };
    for broken in catalog.broken() {
        let is_chosen = options.only.is_empty() || options.only.contains(&broken.name);
        if broken.kind == Kind::Detector && is_chosen {
            detection.not_evaluated.push(NotEvaluated::whole(&broken.name, broken.why.clone()));
        }
    }
    for detector in detectors {
        // Bound in any case: a parameter that is wrong is wrong whether the detector can be evaluated or not.
        let values = match bind(detector, expectations, options) {
            Err(error @ DetectError::Query(QueryError::MissingParam { .. })) if detector.path.is_some() => {
                detection.set_aside(detector, &error);
                continue;
            }
            values => values?,
        };
        let lack: Vec<&str> =
            detector.needs.iter().filter_map(|need| lacks.get(need.name())).map(String::as_str).collect();
        if !lack.is_empty() {
            detection.not_evaluated.push(NotEvaluated::whole(&detector.name, lack.join("; ")));
            continue;
        }
        told(&detector.name);
        let (findings, not_evaluated) = match evaluated(engine, detector, values).await {
            Err(error) if detector.path.is_some() => {
                detection.set_aside(detector, &error);
                continue;
            }
            found => found?,
        };
        detection.evaluated.push(detector.name.clone());
        detection.not_evaluated.extend(not_evaluated);
        for mut finding in findings {
            let (key, principal) = (finding.key_arn.as_deref(), finding.principal.as_deref());
            match expectations.acceptance(&finding.detector, key, principal, until) {
                Some(accepted) => {
                    finding.status = Status::Accepted;
                    finding.reason = Some(accepted.reason.clone());
                    detection.accepted.push(finding);
                }
                None => detection.findings.push(finding),
            }
        }
    }
    evidence::fetch(engine, catalog, options.now, detection.findings.iter_mut().chain(&mut detection.accepted)).await?;
    detection.findings.sort_by(Finding::by_weight);
    detection.accepted.sort_by(Finding::by_weight);
    Ok(detection)
}

/// The window, and as much time before it as any of the detectors looks back.
fn span(detectors: &[&Query], expectations: &Expectations, options: &Options) -> Span {
    let Window { since, until } = options.looked_at();
    // What cannot be bound is told when it is to run.
    let bound = detectors.iter().filter_map(|detector| Some((detector, bind(detector, expectations, options).ok()?)));
    let reaches = bound.flat_map(|(detector, values)| {
        let values = detector.params.iter().zip(values);
        values.filter_map(|(param, (_, value))| param.kind.reach(&value))
    });
    let back = reaches.max().unwrap_or_default();
    Span { from: since - back, since, until }
}

/// What a detector finds, and what it cannot judge.
async fn evaluated(
    engine: &Engine,
    detector: &Query,
    values: Vec<(String, ScalarValue)>,
) -> Result<(Vec<Finding>, Vec<NotEvaluated>), DetectError> {
    let failed = |source| DetectError::Failed { detector: detector.name.clone(), source: Box::new(source) };
    let rows = engine.run(detector, values).await.map_err(failed)?;
    rows::read(detector, &rows)
}

/// What is missing, by the need that it would meet.
async fn lacking(
    engine: &Engine,
    catalog: &Catalog,
    expectations: &Expectations,
    options: &Options,
) -> Result<BTreeMap<String, String>, DetectError> {
    let query = catalog.get("needs")?;
    let Window { since, until } = options.looked_at();
    let given = [("since".to_owned(), since.to_rfc3339()), ("until".to_owned(), until.to_rfc3339())];
    let values = query.bind(&given, options.now)?;
    let rows = engine.run(query, values).await?;
    let mut lacks: BTreeMap<String, String> = rows::pairs(&rows, "need", "why").into_iter().collect();
    if !expectations.is_given {
        let why = "there is no expectations file: keytrail expectations --learn writes one";
        lacks.insert(Need::Expectations.name().to_owned(), why.to_owned());
    }
    Ok(lacks)
}

fn bind(
    detector: &Query,
    expectations: &Expectations,
    options: &Options,
) -> Result<Vec<(String, ScalarValue)>, DetectError> {
    let mut given: BTreeMap<&str, String> = BTreeMap::new();
    let of_file = expectations.params.get(&detector.name).into_iter().flatten();
    given.extend(of_file.map(|(name, given)| (name.as_str(), given.value.clone())));
    let of_run = options.params.get(&detector.name).into_iter().flatten();
    given.extend(of_run.map(|(name, value)| (name.as_str(), value.clone())));
    let Window { since, until } = options.looked_at();
    for (name, instant) in [("since", since), ("until", until)] {
        if detector.params.iter().any(|param| param.name == name && param.kind == ParamKind::Timestamp) {
            given.insert(name, instant.to_rfc3339());
        }
    }
    let given: Vec<(String, String)> = given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(detector.bind(&given, options.now)?)
}

impl Detection {
    /// Compares with what was open before the run, so that each finding is new or ongoing, and tells what has ended. What has
    /// become worse is new again. What could not be judged this time has not ended, nor has what lies before a window that is
    /// shorter than that of the run before; what lies before one that moved on has aged. Of detectors that this run was not
    /// about nothing is said.
    pub fn compare(&mut self, open: Vec<Open>) {
        // What was accepted until now, and is no more, is news.
        let seen = open.iter().map(|open| &open.finding).filter(|finding| finding.status != Status::Accepted);
        let before: BTreeMap<&str, Severity> =
            seen.map(|finding| (finding.fingerprint.as_str(), finding.severity)).collect();
        for finding in &mut self.findings {
            let was = before.get(finding.fingerprint.as_str());
            finding.status =
                if was.is_some_and(|was| *was >= finding.severity) { Status::Ongoing } else { Status::New };
        }
        let still: BTreeSet<String> =
            self.findings.iter().chain(&self.accepted).map(|finding| finding.fingerprint.clone()).collect();
        let is_gone = |open: &Open| !still.contains(&open.finding.fingerprint);
        for Open { finding, window } in open.into_iter().filter(is_gone) {
            let is_run = self.evaluated.contains(&finding.detector);
            let told = || self.findings.iter().chain(&self.accepted);
            // Told together with others by now, or alone again: it has not ended.
            if told().any(|one| one.is_group_of(&finding) || finding.is_group_of(one)) {
                continue;
            }
            let is_chosen = is_run || self.not_evaluated.iter().any(|gap| gap.detector == finding.detector);
            if !is_chosen {
                continue;
            }
            let is_gap = self
                .not_evaluated
                .iter()
                .any(|gap| gap.detector == finding.detector && (!is_run || gap.is_about(&finding)));
            let (is_before, is_later) = self
                .window
                .zip(finding.last_seen)
                .map_or((false, false), |(now, at)| (at < now.since, at >= now.until));
            let is_shorter = self.window.zip(window).is_some_and(|(now, then)| now.length() < then.length());
            let is_unjudged = is_gap || self.no_events.is_some() || is_later || (is_before && is_shorter);
            match (is_unjudged, is_before) {
                (true, _) if finding.status == Status::Accepted => self.unjudged.push(finding),
                (true, _) => self.unjudged.push(Finding { status: Status::Unjudged, ..finding }),
                (false, true) => self.aged.push(Finding { status: Status::Aged, ..finding }),
                (false, false) => self.resolved.push(Finding { status: Status::Resolved, ..finding }),
            }
        }
    }

    /// Takes note of what is wrong with a detector of the user's own.
    fn set_aside(&mut self, detector: &Query, error: &DetectError) {
        let why = match error {
            // It says where the fault is.
            DetectError::Failed { source, .. } => source.to_string(),
            _ => format!("{}: {error}", detector.place(None)),
        };
        self.not_evaluated.push(NotEvaluated::whole(&detector.name, why.clone()));
        self.broken.push(why);
    }

    /// The worst severity of what someone should look at.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
