//! Findings in the AWS Security Finding Format, a batch a line: each line is the input of one call of `BatchImportFindings`, which
//! takes at most 100 findings of one account and Region, 240 KB each and 6 MB in all ("Guidelines for using the
//! `BatchImportFindings` API", AWS Security Hub partner guide).
//!
//! Security Hub knows no finding without an account and a Region; those are counted and left out. What has aged is left as it
//! was: nobody has ended it. Limits of lengths are those of Security Hub's API reference.

use std::collections::BTreeMap;

use chrono::SubsecRound;
use serde_json::{Value, json};

use super::{arn, present, section};
use crate::cloudtrail::arn::partition;
use crate::detect::{Finding, Status};
use crate::instant::plain;
use crate::overview::Overview;
use crate::query::Severity;
use crate::render::json_text;

/// Findings that one call takes.
const FINDINGS_MAX: usize = 100;

/// Bytes that one call takes, of its findings and what is around them.
const BATCH_BYTES_MAX: usize = 6_000_000;

/// Bytes that a finding may have.
const FINDING_BYTES_MAX: usize = 240_000;

/// Bytes around the findings of a batch: `{"Findings":[]}`.
const AROUND_BYTES: usize = 16;

/// The batches, and how many findings are in none.
pub(super) fn batches(overview: &Overview) -> (Vec<Value>, usize) {
    let mut lanes: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    let mut left_out = 0;
    for finding in overview.findings.all().filter(|finding| finding.status != Status::Aged) {
        let key = finding.key_arn.as_deref().map(arn::Parts::of).unwrap_or_default();
        let account = finding.account_id.as_deref().or(key.account).filter(|id| is_account(id));
        let region = finding.region.as_deref().or(key.region).filter(|name| is_region(name));
        match (account, region) {
            (Some(account), Some(region)) => {
                lanes.entry((account, region)).or_default().push(imported(overview, finding, account, region));
            }
            _ => left_out += 1,
        }
    }
    let mut batches = Vec::new();
    for findings in lanes.into_values() {
        let sized = findings.into_iter().map(|finding| (bytes(&finding), finding));
        let (fitting, too_large): (Vec<_>, Vec<_>) = sized.partition(|(bytes, _)| *bytes <= FINDING_BYTES_MAX);
        left_out += too_large.len();
        batches.extend(cut_up(fitting).into_iter().map(|batch| json!({ "Findings": batch })));
    }
    (batches, left_out)
}

/// The bytes of a finding as they are written, and of the comma before the next.
fn bytes(finding: &Value) -> usize {
    json_text(finding, false).map_or(usize::MAX, |text| text.len() + 1)
}

/// Findings, each with its bytes, in batches that one call takes.
fn cut_up(findings: Vec<(usize, Value)>) -> Vec<Vec<Value>> {
    let mut batches: Vec<Vec<Value>> = Vec::new();
    let mut filled = 0;
    for (bytes, finding) in findings {
        match batches.last_mut() {
            Some(batch) if batch.len() < FINDINGS_MAX && filled + bytes <= BATCH_BYTES_MAX => {
                batch.push(finding);
                filled += bytes;
            }
            _ => {
                batches.push(vec![finding]);
                filled = AROUND_BYTES + bytes;
            }
        }
    }
    batches
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_region(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn imported(overview: &Overview, finding: &Finding, account: &str, region: &str) -> Value {
    let partition =
        finding.key_arn.as_deref().and_then(|arn| arn::Parts::of(arn).partition).unwrap_or_else(|| partition(region));
    let about = overview.detectors.iter().find(|about| about.detector == finding.detector);
    // Security Hub takes no update that is not later than what it has.
    let updated = plain(overview.run_at.trunc_subsecs(3));
    let description = super::detail(finding)
        .map_or_else(|| finding.message.clone(), |detail| format!("{}; {detail}", finding.message));
    let severity = json!({ "Label": label(finding.severity), "Original": finding.severity.name() });
    let types = json!([kind(about.map(|about| about.attack.as_slice()).unwrap_or_default(), &finding.detector)]);
    let (state, workflow) = match finding.status {
        Status::Resolved => ("ARCHIVED", "RESOLVED"),
        // The workflow counts at the first import only; what is archived is so at any.
        Status::Accepted => ("ARCHIVED", "SUPPRESSED"),
        _ => ("ACTIVE", "NEW"),
    };
    present(json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("keytrail/{}", finding.fingerprint),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "ProductName": "keytrail",
        "CompanyName": "keytrail",
        "Region": region,
        "GeneratorId": cut(&format!("keytrail/{}", finding.detector), 512),
        "AwsAccountId": account,
        "Types": types,
        "FirstObservedAt": finding.first_seen.map(plain),
        "LastObservedAt": finding.last_seen.map(plain),
        "CreatedAt": finding.first_seen.map_or_else(|| plain(overview.window.since), plain),
        "UpdatedAt": updated,
        "Severity": severity,
        "FindingProviderFields": { "Severity": severity, "Types": types },
        "Title": cut(about.map_or(finding.detector.as_str(), |about| about.title.as_str()), 256),
        "Description": cut(&description, 1024),
        "Remediation": section(overview, &finding.detector, super::NEXT)
            .map(|next| json!({ "Recommendation": { "Text": cut(next, 512) } })),
        "ProductFields": fields(finding),
        "Resources": resources(finding, account, region, partition),
        "RecordState": state,
        "Workflow": { "Status": workflow },
        "Note": finding.reason.as_ref().filter(|reason| !reason.is_empty()).map(|reason| json!({
            "Text": cut(reason, 512),
            "UpdatedBy": "keytrail",
            "UpdatedAt": updated,
        })),
    }))
}

fn label(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFORMATIONAL",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

/// The taxonomy of Security Hub: an attacker's technique, or how something is set up.
fn kind(attack: &[String], detector: &str) -> String {
    let detector = detector.replace('/', "-");
    match attack.first() {
        Some(technique) => format!("TTPs/{}/{detector}", technique.replace('/', "-")),
        None => format!("Software and Configuration Checks/AWS KMS/{detector}"),
    }
}

fn fields(finding: &Finding) -> Value {
    let pairs = [
        ("keytrail/status", Some(finding.status.name().to_owned())),
        ("keytrail/principal", finding.principal.clone()),
        ("keytrail/asset", finding.asset.clone()),
        ("keytrail/events", Some(finding.events.to_string())),
        ("keytrail/evidence", (!finding.evidence.is_empty()).then(|| finding.evidence.join(" "))),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), cut(&value?, 2048).into())));
    Value::Object(pairs.filter(|(_, value): &(_, Value)| value != "").collect())
}

fn resources(finding: &Finding, account: &str, region: &str, partition: &str) -> Vec<Value> {
    let mut resources = Vec::new();
    if let Some(key_arn) = &finding.key_arn {
        let key = arn::Parts::of(key_arn);
        let id = key.resource.and_then(|resource| resource.strip_prefix("key/"));
        resources.push(json!({
            "Type": "AwsKmsKey",
            "Id": cut(key_arn, 512),
            "Partition": partition,
            "Region": key.region.filter(|name| is_region(name)),
            "Details": { "AwsKmsKey": { "AWSAccountId": key.account, "KeyId": id } },
        }));
    }
    if let Some(asset) = finding.asset.as_deref().filter(|asset| !asset.is_empty()) {
        resources.push(json!({ "Type": "Other", "Id": cut(asset, 512), "Partition": partition, "Region": region }));
    }
    if resources.is_empty() {
        let id = format!("AWS::::Account:{account}");
        resources.push(json!({ "Type": "AwsAccount", "Id": id, "Partition": partition, "Region": region }));
    }
    resources
}

/// So much of the text as Security Hub takes.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_no_more_findings_or_bytes_than_one_call_takes() {
        let lengths = |findings: Vec<(usize, Value)>| -> Vec<usize> { cut_up(findings).iter().map(Vec::len).collect() };
        let of = |count: usize, bytes: usize| vec![(bytes, json!({})); count];
        assert_eq!(lengths(of(250, 1_000)), [100, 100, 50]);
        // 25 of 240 KB are 6 MB, and what is around them is too much.
        assert_eq!(lengths(of(60, 240_000)), [24, 24, 12]);
        assert_eq!(lengths(of(1, 240_000)), [1]);
        assert_eq!(lengths(Vec::new()), [0; 0]);
    }

    #[test]
    fn the_bytes_of_a_finding_are_those_of_the_line_it_is_in() {
        let findings = [json!({ "Id": "ü\u{202e}" }), json!({ "Id": "b" })];
        let line = json_text(&json!({ "Findings": findings }), false).unwrap();
        assert!(findings.iter().map(bytes).sum::<usize>() + AROUND_BYTES >= line.len());
    }
}
