//! Findings over time: what was open before a run, and what the run leaves in the lake.

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, TimeDelta, Utc};

use super::{DetectError, Detection, Finding, Open, Status, Window};
use crate::engine::{Engine, Rows};
use crate::instant;
use crate::lake::findings::{Detected, DetectionRow, FindingRow};
use crate::query::{Catalog, Query, Severity};

/// The findings that the latest runs left open, accepted ones included.
///
/// # Errors
/// When the lake cannot be read.
pub async fn open_findings(engine: &Engine, catalog: &Catalog, now: DateTime<Utc>) -> Result<Vec<Open>, DetectError> {
    earlier(engine, catalog.get("findings")?, &[], now).await
}

/// The findings that were open at an instant, as the runs until then left them.
///
/// # Errors
/// When the lake cannot be read.
pub async fn findings_as_of(engine: &Engine, catalog: &Catalog, at: DateTime<Utc>) -> Result<Vec<Open>, DetectError> {
    let given = [("at".to_owned(), instant::plain(at))];
    earlier(engine, catalog.get("findings-as-of")?, &given, at).await
}

/// The instant of a run: now, or a moment after the latest run that was kept, where that one's clock was ahead. The latest run is
/// what counts, and a later one must be later.
///
/// # Errors
/// When the lake cannot be read.
pub async fn run_instant(engine: &Engine, catalog: &Catalog, now: DateTime<Utc>) -> Result<DateTime<Utc>, DetectError> {
    #[derive(serde::Deserialize)]
    struct Run {
        run_at: DateTime<Utc>,
    }
    let query = catalog.get("last-run")?;
    let runs: Vec<Run> = engine.run(query, query.bind(&[], now)?).await?.read()?;
    Ok(runs.into_iter().map(|run| run.run_at + TimeDelta::microseconds(1)).fold(now, DateTime::max))
}

/// What the runs of some detectors have not seen; a row of `unjudged-logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub struct Unseen {
    /// Until when they looked.
    pub seen_until: DateTime<Utc>,
    /// How many logs came after a run over their time, and have events of before the next window.
    pub logs: i64,
    /// The time of their first event.
    pub late_from: Option<DateTime<Utc>>,
}

impl Unseen {
    /// From when on there is something before a window that no run has seen.
    #[must_use]
    pub fn from(&self, window: Window) -> Option<DateTime<Utc>> {
        let from = self.late_from.map_or(self.seen_until, |late| late.min(self.seen_until));
        (from < window.since).then_some(from)
    }
}

/// What the runs of these detectors have not seen of the time before a window; nothing where none was ever evaluated.
///
/// # Errors
/// When the lake cannot be read.
pub async fn unseen(
    engine: &Engine,
    catalog: &Catalog,
    detectors: &[&Query],
    window: Window,
) -> Result<Option<Unseen>, DetectError> {
    let query = catalog.get("unjudged-logs")?;
    let names: Vec<&str> = detectors.iter().map(|detector| detector.name.as_str()).collect();
    let earliest = window.since - (window.until - window.since);
    let given =
        [("detectors", names.join(" ")), ("since", window.since.to_rfc3339()), ("earliest", earliest.to_rfc3339())];
    let given = given.map(|(name, value)| (name.to_owned(), value));
    let found = engine.run(query, query.bind(&given, window.until)?).await?;
    Ok(found.read()?.into_iter().next())
}

async fn earlier(
    engine: &Engine,
    query: &Query,
    given: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<Vec<Open>, DetectError> {
    let rows = engine.run(query, query.bind(given, now)?).await?;
    read(&rows).ok_or_else(|| DetectError::Columns {
        detector: query.name.clone(),
        why: "what runs before this one found cannot be read".to_owned(),
    })
}

fn read(rows: &Rows) -> Option<Vec<Open>> {
    let mut findings = Vec::new();
    for batch in &rows.batches {
        let text = |name: &str| -> Option<StringArray> {
            Some(cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?.as_string::<i32>().clone())
        };
        let instants =
            |name: &str| Some(batch.column_by_name(name)?.as_primitive::<TimestampMicrosecondType>().clone());
        let (detector, severity, status, message) =
            (text("detector")?, text("severity")?, text("status")?, text("message")?);
        let place = [text("key_arn")?, text("principal")?, text("account_id")?, text("region")?, text("asset")?];
        // What is recorded again is told again, by `watch` too: it keeps all of its text.
        let words = [text("detail")?, text("reason")?];
        let (first, last, events) =
            (instants("first_seen")?, instants("last_seen")?, batch["events"].as_primitive::<Int64Type>().clone());
        let (evidence, fingerprint) = (text("evidence")?, text("fingerprint")?);
        let (since, until) = (instants("since")?, instants("until")?);
        for row in 0..batch.num_rows() {
            let text = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
            let [key_arn, principal, account_id, region, asset] = place.each_ref().map(text);
            let [detail, reason] = words.each_ref().map(text);
            let at = |column: &arrow::array::TimestampMicrosecondArray| {
                column.is_valid(row).then(|| DateTime::from_timestamp_micros(column.value(row))).flatten()
            };
            let finding = Finding {
                detector: detector.value(row).to_owned(),
                severity: Severity::ALL.into_iter().find(|one| one.name() == severity.value(row))?,
                status: if status.value(row) == Status::Accepted.name() { Status::Accepted } else { Status::Ongoing },
                message: message.value(row).to_owned(),
                key_arn,
                principal,
                account_id,
                region,
                asset,
                first_seen: at(&first),
                last_seen: at(&last),
                events: events.value(row),
                evidence: serde_json::from_str(evidence.value(row)).unwrap_or_default(),
                detail,
                reason,
                fingerprint: fingerprint.value(row).to_owned(),
            };
            let window = at(&since).zip(at(&until)).map(|(since, until)| Window { since, until });
            findings.push(Open { finding, window });
        }
    }
    Some(findings)
}

/// What a run leaves in the lake.
#[must_use]
pub fn recorded(detection: &Detection, now: DateTime<Utc>) -> Detected {
    let run_at = now.timestamp_micros();
    let micros = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
    let finding = |finding: &Finding| FindingRow {
        run_at,
        fingerprint: finding.fingerprint.clone(),
        detector: finding.detector.clone(),
        status: finding.status.name(),
        severity: finding.severity.name().to_owned(),
        key_arn: finding.key_arn.clone(),
        principal: finding.principal.clone(),
        account_id: finding.account_id.clone(),
        region: finding.region.clone(),
        asset: finding.asset.clone(),
        first_seen: micros(finding.first_seen),
        last_seen: micros(finding.last_seen),
        events: finding.events,
        // A list of texts is always JSON.
        evidence: serde_json::to_string(&finding.evidence).unwrap_or_default(),
        message: finding.message.clone(),
        detail: finding.detail.clone(),
        reason: finding.reason.clone(),
    };
    let all = detection.findings.iter().chain(&detection.accepted);
    let of = |name: &str| all.clone().filter(|finding| finding.detector == name).count();
    let Window { since, until } = detection.window.unwrap_or(Window { since: now, until: now });
    let row = |detector: &str, why: Option<&str>| DetectionRow {
        run_at,
        detector: detector.to_owned(),
        is_evaluated: why.is_none(),
        why: why.map(str::to_owned),
        findings: i64::try_from(of(detector)).unwrap_or(i64::MAX),
        since: since.timestamp_micros(),
        until: until.timestamp_micros(),
        looked_from: micros(detection.looked_from),
        lake_version: i64::try_from(detection.lake_version).unwrap_or(i64::MAX),
    };
    let skipped = detection.not_evaluated.iter().filter(|gap| !detection.evaluated.contains(&gap.detector));
    Detected {
        findings: all
            .clone()
            .chain(&detection.unjudged)
            .chain(&detection.resolved)
            .chain(&detection.aged)
            .map(finding)
            .collect(),
        detections: detection
            .evaluated
            .iter()
            .map(|name| row(name, None))
            .chain(skipped.map(|gap| row(&gap.detector, Some(&gap.why))))
            .collect(),
    }
}
