//! Findings in the words of the Open Cybersecurity Schema Framework: Detection Finding (class 2004) of version 1.6.0, one event
//! each, with the profile `cloud`.
//!
//! The time of an event is the end of the window, which is when the finding stood like this. What is not known is left out.

use serde_json::{Value, json};

use super::{arn, present, section};
use crate::detect::{Finding, Status};
use crate::overview::{About, Overview};
use crate::query::Severity;

pub(super) fn findings(overview: &Overview) -> Vec<Value> {
    overview.findings.all().map(|finding| event(overview, finding)).collect()
}

/// What became of it: OCSF's activity and status.
fn fate(status: Status) -> (i64, &'static str, i64, &'static str) {
    match status {
        Status::New => (1, "Create", 1, "New"),
        Status::Ongoing => (2, "Update", 1, "New"),
        Status::Accepted => (2, "Update", 3, "Suppressed"),
        Status::Unjudged => (2, "Update", 0, "Unknown"),
        Status::Resolved => (3, "Close", 4, "Resolved"),
        Status::Aged => (3, "Close", 5, "Archived"),
    }
}

fn severity(severity: Severity) -> (i64, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn event(overview: &Overview, finding: &Finding) -> Value {
    let (activity_id, activity, status_id, status) = fate(finding.status);
    let (severity_id, severity) = severity(finding.severity);
    let about = overview.detectors.iter().find(|about| about.detector == finding.detector);
    let account = |id: Option<&str>| id.map(|id| json!({ "uid": id, "type": "AWS Account", "type_id": 10 }));
    let (first, last) = (finding.first_seen, finding.last_seen);
    let (first, last) = (first.map(|at| at.timestamp_millis()), last.map(|at| at.timestamp_millis()));
    let until = overview.window.until.timestamp_millis();
    let next = section(overview, &finding.detector, super::NEXT);
    present(json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_400 + activity_id,
        "type_name": format!("Detection Finding: {activity}"),
        "time": until,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_detail": finding.status.name(),
        "message": finding.message,
        "is_alert": finding.severity >= Severity::Medium,
        "start_time": first,
        "end_time": last,
        "count": (finding.events > 0).then_some(finding.events),
        "metadata": {
            "version": "1.6.0",
            "profiles": ["cloud"],
            "uid": format!("{}-{until}-{}", finding.fingerprint, finding.status.name()),
            "log_name": "AWS CloudTrail",
            "product": {
                "name": "keytrail",
                "vendor_name": "keytrail",
                "version": overview.provenance.keytrail_version,
            },
        },
        "cloud": {
            "provider": "AWS",
            "region": finding.region,
            "account": account(finding.account_id.as_deref()),
        },
        "finding_info": {
            "uid": finding.fingerprint,
            "title": about.map_or(finding.detector.as_str(), |about| about.title.as_str()),
            "desc": finding.detail,
            "data_sources": ["AWS CloudTrail"],
            "first_seen_time": first,
            "last_seen_time": last,
            "analytic": {
                "uid": finding.detector,
                "name": finding.detector,
                "type_id": 1,
                "type": "Rule",
                "version": overview.provenance.keytrail_version,
            },
            "attacks": about.map(attacks),
            "related_events": finding.evidence.iter().map(|id| json!({ "uid": id })).collect::<Vec<_>>(),
            "related_events_count": (!finding.evidence.is_empty()).then_some(finding.evidence.len()),
        },
        "resources": resources(finding, &account),
        "evidences": finding.principal.as_ref().map(|principal| json!([{ "actor": { "user": { "uid": principal } } }])),
        "remediation": next.map(|next| json!({ "desc": next })),
        "unmapped": finding.reason.as_ref().map(|reason| json!({ "accepted_because": reason })),
    }))
}

/// The key and what else the finding is about; the account where it is about neither.
fn resources(finding: &Finding, account: &dyn Fn(Option<&str>) -> Option<Value>) -> Vec<Value> {
    let mut resources = Vec::new();
    if let Some(key_arn) = &finding.key_arn {
        let key = arn::Parts::of(key_arn);
        resources.push(json!({
            "uid": key_arn,
            "type": "AWS::KMS::Key",
            "cloud_partition": key.partition,
            "region": key.region,
            "owner": account(key.account).map(|account| json!({ "account": account })),
        }));
    }
    if let Some(asset) = &finding.asset {
        resources.push(json!({ "uid": asset }));
    }
    if let (true, Some(id)) = (resources.is_empty(), &finding.account_id) {
        resources.push(json!({ "uid": id, "type": "AWS::::Account" }));
    }
    resources
}

fn attacks(about: &About) -> Vec<Value> {
    let technique = |id: &String| match id.split_once('.') {
        Some((technique, _)) => json!({ "technique": { "uid": technique }, "sub_technique": { "uid": id } }),
        None => json!({ "technique": { "uid": id } }),
    };
    about.attack.iter().map(technique).collect()
}
