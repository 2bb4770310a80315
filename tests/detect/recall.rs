//! What all detectors say of generated logs, against what was planted in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Duration;
use keytrail::detect::{Detection, Finding, Options, Window, detect};
use keytrail::engine::Engine;
use keytrail::expectations::Expectations;
use keytrail::ingest::{Options as IngestOptions, Progress, ingest};
use keytrail::lake::Lake;
use keytrail::query::{Catalog, Severity};
use keytrail::synthetic::{Incident, Plan, Truth, write_folder};

/// Logs to be generated.
#[derive(Debug, Clone, Copy)]
pub struct Logs {
    pub seed: u64,
    pub events: u64,
    pub is_planted: bool,
}

/// Days of logs.
const DAYS: u32 = 30;

/// On which days of them a run's window begins: all incidents lie in the first one; for the second, of a week, there is history
/// enough to learn from.
const WINDOWS: [i64; 2] = [13, 23];

/// The detectors that an incident must wake, and whether the finding is of the incident's own principal: a reader that
/// goes on failing is another's victim.
fn wakes(incident: &Incident) -> &'static [(&'static str, bool)] {
    match incident.name.as_str() {
        "secret-harvest" => &[("secret-harvest", true)],
        "key-scheduled-for-deletion" => &[
            ("key-deletion-scheduled", true),
            ("key-disabled", true),
            ("disable-then-schedule", true),
            ("doomed-key-still-used", false),
        ],
        "outsider-decrypt" => &[("foreign-account-decrypts", true)],
        other => panic!("{other}: no detector is known for it"),
    }
}

/// Findings of a low severity or none that a key may have in a week in which nothing was planted.
const LOW_OF_A_KEY_MAX: usize = 2;

/// What the detectors say of some logs.
#[derive(Debug, Default)]
pub struct Heard {
    /// Everything that is wrong with it.
    pub faults: Vec<String>,
    /// How many findings of the last week are of a low severity or none, by detector.
    pub low: BTreeMap<String, usize>,
}

/// Has all detectors look at these logs.
pub fn hear(logs: &Logs) -> Heard {
    let (truth, [first, second]) = run(logs);
    let mut faults = Vec::new();
    for incident in &truth.incidents {
        for (detector, is_own) in wakes(incident) {
            if !first.findings.iter().any(|finding| is_of(finding, incident, detector, *is_own)) {
                faults.push(format!("{detector} misses {}: {}", incident.name, incident.story));
            }
        }
    }
    for gap in second.not_evaluated.iter().filter(|gap| gap.key_arn.is_none() && gap.account_id.is_none()) {
        // There is no inventory, and no more is expected of keys than whose accounts they are in.
        if !["inventory", "digest"].iter().any(|lack| gap.why.contains(lack)) {
            faults.push(format!("{} is not evaluated: {}", gap.detector, gap.why));
        }
    }
    let low: Vec<&Finding> = second.findings.iter().filter(|finding| finding.severity < Severity::Medium).collect();
    if !logs.is_planted {
        for (key, count) in counts(low.iter().filter_map(|finding| finding.key_arn.as_deref())) {
            if count > LOW_OF_A_KEY_MAX {
                faults.push(format!("{count} low findings in a week of {key}"));
            }
        }
        let loud = first.findings.iter().chain(&second.findings).filter(|finding| finding.severity >= Severity::Medium);
        faults.extend(
            loud.map(|finding| format!("{} {}: {}", finding.severity.name(), finding.detector, finding.message)),
        );
    }
    Heard { faults, low: counts(low.iter().map(|finding| finding.detector.as_str())) }
}

fn counts<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name.to_owned()).or_default() += 1);
    counts
}

fn is_of(finding: &Finding, incident: &Incident, detector: &str, is_own: bool) -> bool {
    let ids: BTreeSet<&str> = incident.event_ids.iter().map(String::as_str).collect();
    let is_shown = finding.evidence.iter().any(|id| ids.contains(id.as_str()));
    // An incident names its first ten events; what goes on later is told by the key alone.
    finding.detector == detector
        && finding.key_arn.as_deref() == Some(&incident.key_arn)
        && (!is_own || (finding.principal.as_deref() == Some(&incident.principal) && is_shown))
        && finding.severity >= Severity::Medium
}

/// The logs' truth, and what all detectors say of each window of them.
fn run(logs: &Logs) -> (Truth, [Detection; 2]) {
    let plan = Plan { seed: logs.seed, events: logs.events, days: DAYS, incidents: logs.is_planted, ..Plan::default() };
    let folder = tempfile::tempdir().unwrap();
    let truth = write_folder(&plan, &folder.path().join("logs"), &mut |_| {}).unwrap();
    let until = plan.start + Duration::days(DAYS.into());
    let lake = Lake::at(folder.path().join("lake").to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = [folder.path().join("logs").to_str().unwrap().to_owned()];
    let now = until;
    let read =
        ingest(runtime.handle(), &lake, &source, &IngestOptions::at(now), &Arc::new(Progress::default())).unwrap();
    assert_eq!(read.records.read, truth.records);
    let catalog = Catalog::shipped();
    // Whose accounts they are, an organization knows; the logs hold the outsider's too.
    let expectations = Expectations { is_given: true, accounts: truth.accounts.clone(), ..Expectations::default() };
    let detected = WINDOWS.map(|day| {
        let window = Window { since: plan.start + Duration::days(day), until };
        let options = Options { window, unseen_from: None, only: Vec::new(), params: BTreeMap::new(), now };
        runtime.block_on(async {
            let engine = Engine::open(&lake, &catalog, &expectations).await.unwrap();
            detect(&engine, &catalog, &expectations, &options, &|_| {}).await.unwrap()
        })
    });
    (truth, detected)
}
