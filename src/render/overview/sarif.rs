//! Findings in the Static Analysis Results Interchange Format, 2.1.0 (OASIS), for code scanning: what is open, each with its rule.
//!
//! A key is no file; GitHub shows only what has a place in one. The place is therefore a path that is made of the account, the
//! Region and the key's id, and the ARN is the logical location. What is resolved, has aged or is accepted is left out: scanners
//! close what is no longer told.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Gap, arn, present};
use crate::detect::{Finding, Status};
use crate::overview::{About, Overview};
use crate::query::Severity;

/// Results that GitHub takes; the worst come first.
pub(super) const RESULTS_MAX: usize = 25_000;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn log(overview: &Overview) -> Value {
    let rules: Vec<&About> = overview.detectors.iter().collect();
    let results: Vec<Value> =
        overview.findings.open().take(RESULTS_MAX).map(|finding| result(&rules, finding)).collect();
    let gaps = super::gaps(overview);
    let told = |gap: &Gap<'_>, detector: &str| {
        let of = gap.scope().map_or_else(String::new, |scope| format!(" for {scope}"));
        let text = format!("not evaluated{of}: {}", gap.why);
        json!({ "level": "warning", "message": message(&text), "associatedRule": { "id": detector } })
    };
    let gaps: Vec<Value> =
        gaps.iter().flat_map(|gap| gap.detectors.iter().map(|detector| told(gap, detector))).collect();
    let mut log = present(json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "keytrail",
                "version": overview.provenance.keytrail_version,
                "semanticVersion": overview.provenance.keytrail_version,
                "rules": rules.iter().map(|about| rule(overview, about)).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": format!("keytrail/{}/", encoded(&overview.series)) },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "AWS": { "description": { "text": "Places in AWS, not files" } } },
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": gaps }],
        }],
    }));
    // Also where there are none: a run without them would mean that nothing was looked for.
    log["runs"][0]["results"] = results.into();
    log
}

fn level(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Info => ("note", "0.0"),
        Severity::Low => ("note", "3.0"),
        Severity::Medium => ("warning", "5.0"),
        Severity::High => ("error", "8.0"),
        Severity::Critical => ("error", "9.5"),
    }
}

fn rule(overview: &Overview, about: &About) -> Value {
    // GitHub takes the severity of a result from its rule.
    let found = overview.findings.open().filter(|finding| finding.detector == about.detector);
    let worst = found.map(|finding| finding.severity).max().unwrap_or(about.severity);
    let markdown: Vec<String> =
        about.sections.iter().map(|section| format!("## {}\n\n{}", section.heading, section.text)).collect();
    let plain: Vec<String> =
        about.sections.iter().map(|section| format!("{}: {}", section.heading, section.text)).collect();
    let tags = ["security", "aws", "kms"].into_iter().map(str::to_owned);
    let tags: Vec<String> = tags.chain(about.attack.iter().map(|technique| format!("attack/{technique}"))).collect();
    json!({
        "id": about.detector,
        "shortDescription": { "text": about.title },
        "fullDescription": { "text": about.sections.first().map_or(&about.title, |section| &section.text) },
        "help": { "text": plain.join("\n\n"), "markdown": markdown.join("\n\n") },
        "defaultConfiguration": { "level": level(about.severity).0 },
        "properties": { "security-severity": level(worst).1, "tags": tags },
    })
}

fn result(rules: &[&About], finding: &Finding) -> Value {
    let key = finding.key_arn.as_deref().map(arn::Parts::of).unwrap_or_default();
    let account = finding.account_id.as_deref().or(key.account).unwrap_or("account");
    let region = finding.region.as_deref().or(key.region).unwrap_or("region");
    let thing = key
        .resource
        .map_or_else(|| "kms".to_owned(), |resource| resource.split('/').map(encoded).collect::<Vec<_>>().join("/"));
    let named = [finding.key_arn.as_deref(), finding.asset.as_deref()];
    let logical: Vec<Value> =
        named.into_iter().flatten().map(|name| json!({ "fullyQualifiedName": name, "kind": "resource" })).collect();
    let properties: Map<String, Value> = [
        ("status", Some(finding.status.name())),
        ("severity", Some(finding.severity.name())),
        ("principal", finding.principal.as_deref()),
        ("detail", finding.detail.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
    .chain([("evidence".to_owned(), finding.evidence.clone().into())])
    .collect();
    present(json!({
        "ruleId": finding.detector,
        "ruleIndex": rules.iter().position(|about| about.detector == finding.detector),
        "level": level(finding.severity).0,
        "message": message(&finding.message),
        "baselineState": if finding.status == Status::New { "new" } else { "unchanged" },
        "partialFingerprints": {
            "keytrail/v1": finding.fingerprint,
            "primaryLocationLineHash": format!("{}:1", finding.fingerprint),
        },
        "occurrenceCount": (finding.events > 0).then_some(finding.events),
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": format!("aws/{}/{}/{thing}", encoded(account), encoded(region)), "uriBaseId": "AWS" },
                "region": { "startLine": 1 },
            },
            "logicalLocations": logical,
        }],
        "properties": properties,
    }))
}

/// A message in which brackets are no links and braces no placeholders (SARIF 2.1.0, 3.11.5 and 3.11.6).
fn message(text: &str) -> Value {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '[' | ']' | '\\' => escaped.extend(['\\', character]),
            '{' | '}' => escaped.extend([character, character]),
            _ => escaped.push(character),
        }
    }
    json!({ "text": escaped })
}

/// A part of a path in which nothing but letters, digits and `-_.` stand for themselves.
fn encoded(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            b'.' if part.bytes().any(|byte| byte != b'.') => out.push('.'),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
