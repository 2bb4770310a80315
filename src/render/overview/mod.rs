//! How the keys stand, as a document: for a terminal, a browser, a ticket, or another tool.
//!
//! ```text
//! Overview ─┬─ text, markdown, html         for people: what needs a person first
//!           ├─ json                         all of it, versioned
//!           └─ csv, ocsf, asff, sarif       findings, in the words of others
//! ```

mod arn;
mod asff;
mod charts;
mod finding_csv;
mod html;
mod markdown;
mod ocsf;
mod sarif;
mod text;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Form, Format, Gap, json_text, thousands};
use crate::detect::Finding;
use crate::incident::DayCovered;
use crate::overview::Overview;
use crate::query::Severity;

/// What can keep a document from being written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Its page could not be filled in.
    #[error("the page cannot be written: {0}")]
    Page(#[from] askama::Error),
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is no CSV.
    #[error(transparent)]
    Csv(#[from] std::io::Error),
}

/// A report in some form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text of it.
    pub text: String,
    /// Findings that the form cannot express, and that are not in it.
    pub left_out: usize,
}

/// The report in the form that was asked for.
///
/// # Errors
/// When the form cannot be written; no content of a report is a reason.
pub fn overview_document(overview: &Overview, form: Form) -> Result<Document, DocumentError> {
    let mut left_out = 0;
    let text = match form {
        Form::Rows(Format::Table) => text::write(overview),
        Form::Rows(Format::Markdown) => markdown::write(overview),
        Form::Rows(Format::Json | Format::Ndjson) => json_text(overview, true)?,
        Form::Rows(Format::Csv) => finding_csv::write(overview)?,
        Form::Html => html::write(overview)?,
        Form::Ocsf => json_text(&ocsf::findings(overview), true)?,
        Form::Asff => {
            let (batches, without_place) = asff::batches(overview);
            left_out = without_place;
            let lines = batches.iter().map(|batch| json_text(batch, false));
            lines.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        Form::Sarif => {
            left_out = overview.findings.open().count().saturating_sub(sarif::RESULTS_MAX);
            json_text(&sarif::log(overview), true)?
        }
    };
    Ok(Document { text, left_out })
}

/// The value without members that are null or empty: what is not known is not there.
fn present(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, present(value)));
            Value::Object(members.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(present).collect()),
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A count for people.
fn count(number: i64) -> String {
    thousands(number.unsigned_abs())
}

/// A count of things, in words.
fn counted(number: i64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// A size as a count.
fn sized(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An instant to the minute, as a page has room for.
fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// What a person calls it: the last part of an ARN; of a key its first alias, or the beginning of its id.
fn short(arn: &str, aliases: Option<&str>) -> String {
    if let Some(alias) = aliases.and_then(|names| names.split(", ").next()).filter(|name| !name.is_empty()) {
        return alias.strip_prefix("alias/").unwrap_or(alias).to_owned();
    }
    let (is_key, last) = match arn.split_once(":key/") {
        Some((_, id)) => (true, id),
        None => (false, arn.rsplit(['/', ':']).next().filter(|last| !last.is_empty()).unwrap_or(arn)),
    };
    let room = if is_key { 12 } else { 40 };
    match last.char_indices().nth(room) {
        Some((at, _)) => format!("{}…", &last[..at]),
        None => last.to_owned(),
    }
}

/// What else there is to know of a finding, unless its message says it.
fn detail(finding: &Finding) -> Option<&str> {
    finding.detail.as_deref().filter(|detail| !finding.message.contains(detail))
}

/// How many findings there are of each severity, the worst first, in words.
fn by_severity(findings: &[Finding]) -> String {
    let told = Severity::ALL.into_iter().rev().filter_map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        (count > 0).then(|| format!("{} {}", thousands(count as u64), severity.name()))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// The report's findings in one sentence: what a person wants to know first.
fn headline(overview: &Overview) -> String {
    let counts = overview.counts;
    let still = counts.open - counts.new;
    let still = (still > 0).then(|| counted(sized(still), "finding is still open", "findings are still open"));
    match (counts.new, still, &overview.no_events) {
        (0, _, Some(_)) => "Nothing could be judged: there is no event to look at.".to_owned(),
        (0, None, None) => "Nothing new, and nothing open.".to_owned(),
        (0, Some(still), None) => format!("Nothing new. {still}."),
        (new, ..) => {
            let findings = counted(sized(new), "new finding", "new findings");
            format!("{findings}: {}.", by_severity(&overview.findings.new))
        }
    }
}

const DAY: TimeDelta = TimeDelta::days(1);

/// What keeps "nothing new" from being good news, in sentences.
fn caveats(overview: &Overview) -> Vec<String> {
    let mut caveats = Vec::new();
    if let Some(why) = &overview.no_events {
        caveats.push(format!("That nothing was found means nothing: {why}."));
    } else if overview.window.since == overview.window.until {
        let end = minute(overview.window.until);
        let new = if overview.counts.new > 0 { " What is new came late, or from an inventory." } else { "" };
        caveats.push(format!("No later log has come since the report before: the logs still end at {end}.{new}"));
    }
    if let Some(begin) = overview.provenance.sources.first_event.filter(|begin| *begin - overview.looked_at.since > DAY)
    {
        caveats.push(format!("The logs begin at {}: of the time before nothing is known.", minute(begin)));
    }
    let hours = Hours::of(&overview.coverage);
    if hours.blind > 0 {
        let hours = counted(hours.blind, "hour", "hours");
        caveats.push(format!("The trail did not record KMS for {hours}: what happened then may be in no log."));
    }
    if hours.unknown > 0 {
        let (unknown, all) = (count(hours.unknown), hours.proven + hours.observed + hours.unknown + hours.blind);
        caveats.push(format!("Of {unknown} of {} nothing is known.", counted(all, "hour", "hours")));
    }
    let skipped: BTreeSet<&str> = overview.not_evaluated.iter().map(|gap| gap.detector.as_str()).collect();
    let partly = skipped.iter().filter(|name| overview.evaluated.iter().any(|one| one == *name)).count();
    let whole = skipped.len() - partly;
    let told = match (whole, partly) {
        (0, 0) => None,
        (0, partly) => {
            Some(format!("{} not evaluated for everything", counted(sized(partly), "detector was", "detectors were")))
        }
        (whole, 0) => Some(format!("{} not evaluated", counted(sized(whole), "detector was", "detectors were"))),
        (whole, partly) => Some(format!(
            "{} not evaluated, and {} not for everything",
            counted(sized(whole), "detector was", "detectors were"),
            count(sized(partly))
        )),
    };
    caveats.extend(told.map(|told| format!("{told}; why is told below.")));
    if overview.provenance.sources.damaged > 0 {
        let objects = counted(overview.provenance.sources.damaged, "log object", "log objects");
        caveats.push(format!("{objects} could not be read to the end."));
    }
    caveats
}

/// Hours of each account and Region, by what they are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hours {
    proven: i64,
    observed: i64,
    unknown: i64,
    blind: i64,
}

impl Hours {
    fn of(days: &[DayCovered]) -> Self {
        days.iter().fold(Self::default(), |sum, day| Self {
            proven: sum.proven + day.proven,
            observed: sum.observed + day.observed,
            unknown: sum.unknown + day.unknown,
            blind: sum.blind + day.blind,
        })
    }

    /// All of them in words.
    fn told(self) -> String {
        let Self { proven, observed, unknown, blind } = self;
        format!(
            "{} proven, {} observed, {} unknown, {} blind",
            count(proven),
            count(observed),
            count(unknown),
            count(blind)
        )
    }
}

/// What could not be judged: of whole detectors each reason once, of keys and principals each detector's.
fn gaps(overview: &Overview) -> Vec<Gap<'_>> {
    let mut gaps: Vec<Gap<'_>> = Vec::new();
    for gap in super::gaps(&overview.not_evaluated) {
        let is_alike = |known: &&mut Gap<'_>| known.why == gap.why && known.scope().is_none() && gap.scope().is_none();
        match gaps.iter_mut().find(is_alike) {
            Some(known) => known.detectors.extend(gap.detectors),
            None => gaps.push(gap),
        }
    }
    gaps
}

/// The first section of what a detector's documentation says under a heading.
fn section<'p>(overview: &'p Overview, detector: &str, heading: &str) -> Option<&'p str> {
    let about = overview.detectors.iter().find(|about| about.detector == detector)?;
    about.sections.iter().find(|section| section.heading == heading).map(|section| section.text.as_str())
}

/// The heading under which a detector says what to do.
const NEXT: &str = "What to do next";
