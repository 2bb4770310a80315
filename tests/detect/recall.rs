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

/// Days of logs, of which the first are the baseline.
const DAYS: u32 = 30;
const BASELINE_DAYS: i64 = 13;

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

/// Everything that is wrong with what the detectors say of these logs.
pub fn faults(logs: &Logs) -> Vec<String> {
    let (truth, detection) = run(logs);
    let mut faults = Vec::new();
    for incident in &truth.incidents {
        for (detector, is_own) in wakes(incident) {
            if !detection.findings.iter().any(|finding| is_of(finding, incident, detector, *is_own)) {
                faults.push(format!("{detector} misses {}: {}", incident.name, incident.story));
            }
        }
    }
    if !logs.is_planted {
        let loud = detection.findings.iter().filter(|finding| finding.severity >= Severity::Medium);
        faults.extend(
            loud.map(|finding| format!("{} {}: {}", finding.severity.name(), finding.detector, finding.message)),
        );
    }
    faults
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

/// The logs' truth, and what all detectors say of them.
pub fn run(logs: &Logs) -> (Truth, Detection) {
    let plan = Plan { seed: logs.seed, events: logs.events, days: DAYS, incidents: logs.is_planted, ..Plan::default() };
    let folder = tempfile::tempdir().unwrap();
    let truth = write_folder(&plan, &folder.path().join("logs"), &mut |_| {}).unwrap();
    let until = plan.start + Duration::days(DAYS.into());
    let window = Window { since: plan.start + Duration::days(BASELINE_DAYS), until };
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
    // Thirteen days of history are fewer than who decrypts with what is learned from, unless asked for.
    let learned = BTreeMap::from([("baseline_min_days".to_owned(), "10".to_owned())]);
    let params = BTreeMap::from([("unexpected-decryptor".to_owned(), learned)]);
    let options = Options { window, only: Vec::new(), params, now };
    let detection = runtime.block_on(async {
        let engine = Engine::open(&lake, &catalog, &expectations).await.unwrap();
        detect(&engine, &catalog, &expectations, &options, &|_| {}).await.unwrap()
    });
    (truth, detection)
}
