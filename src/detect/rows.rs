//! From a detector's rows to findings. The columns are a contract; what does not keep it is an error with the detector's name.

use std::collections::BTreeMap;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use super::finding::{EVIDENCE_MAX, message};
use super::{DetectError, Finding, NotEvaluated, Status};
use crate::engine::Rows;
use crate::instant;
use crate::query::{Query, Severity};

/// What a detector may return (design §6). What it leaves out is null.
pub(super) const COLUMNS: [&str; 12] = [
    "key_arn",
    "principal",
    "account_id",
    "region",
    "first_seen",
    "last_seen",
    "events",
    "evidence",
    "detail",
    "severity",
    "asset",
    "not_evaluated",
];

/// A finding without it says nothing.
const REQUIRED: &str = "detail";

/// The columns of one batch, each of its one type.
struct Columns {
    texts: BTreeMap<&'static str, StringArray>,
    first_seen: TimestampMicrosecondArray,
    last_seen: TimestampMicrosecondArray,
    events: Int64Array,
    evidence: ArrayRef,
}

/// The findings of a detector's rows, one per fingerprint, and what it could not judge.
pub(super) fn read(detector: &Query, rows: &Rows) -> Result<(Vec<Finding>, Vec<NotEvaluated>), DetectError> {
    let wrong = |why: String| DetectError::Columns { detector: detector.name.clone(), why };
    let names: Vec<&str> = rows.schema.fields().iter().map(|field| field.name().as_str()).collect();
    if let Some(odd) = names.iter().find(|name| !COLUMNS.contains(name)) {
        return Err(wrong(format!("it returns `{odd}`, which is none of {}", COLUMNS.join(", "))));
    }
    if !names.contains(&REQUIRED) {
        return Err(wrong(format!("it does not return `{REQUIRED}`; it returns {}", names.join(", "))));
    }
    // The batches' own types: of text, the plan's may be others.
    let Some(first) = rows.batches.first() else { return Ok((Vec::new(), Vec::new())) };
    let all = concat_batches(&first.schema(), &rows.batches).map_err(|error| wrong(error.to_string()))?;
    let columns = Columns::of(&all).map_err(|error| wrong(error.to_string()))?;
    let (mut found, mut gaps): (Vec<Finding>, Vec<NotEvaluated>) = (Vec::new(), Vec::new());
    for row in 0..all.num_rows() {
        if let Some(why) = columns.text("not_evaluated", row) {
            gaps.push(NotEvaluated {
                detector: detector.name.clone(),
                key_arn: columns.text("key_arn", row),
                principal: columns.text("principal", row),
                account_id: columns.text("account_id", row),
                region: columns.text("region", row),
                why,
            });
            continue;
        }
        found.push(columns.finding(detector, row).map_err(&wrong)?);
    }
    // Rows of one finding are put together in an order of their own: a detector's may differ from run to run.
    found.sort_by(|a, b| (a.first_seen, &a.message, &a.evidence).cmp(&(b.first_seen, &b.message, &b.evidence)));
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    for finding in found {
        match findings.get_mut(&finding.fingerprint) {
            Some(known) => known.merge(finding),
            None => drop(findings.insert(finding.fingerprint.clone(), finding)),
        }
    }
    gaps.sort_by(|a, b| {
        let place = |gap: &NotEvaluated| [&gap.key_arn, &gap.principal, &gap.account_id, &gap.region].map(Clone::clone);
        place(a).cmp(&place(b)).then_with(|| a.why.cmp(&b.why))
    });
    Ok((findings.into_values().collect(), gaps))
}

impl Columns {
    fn of(all: &RecordBatch) -> Result<Self, arrow::error::ArrowError> {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let get = |name: &str, kind: &DataType| match all.column_by_name(name) {
            Some(column) => cast(column, kind),
            None => Ok(new_null_array(kind, all.num_rows())),
        };
        let mut texts = BTreeMap::new();
        for name in ["key_arn", "principal", "account_id", "region", "detail", "severity", "asset", "not_evaluated"] {
            texts.insert(name, get(name, &DataType::Utf8)?.as_string::<i32>().clone());
        }
        let list = DataType::new_list(DataType::Utf8, true);
        Ok(Self {
            texts,
            first_seen: get("first_seen", &micros)?.as_primitive::<TimestampMicrosecondType>().clone(),
            last_seen: get("last_seen", &micros)?.as_primitive::<TimestampMicrosecondType>().clone(),
            events: get("events", &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            evidence: get("evidence", &list)?,
        })
    }

    fn text(&self, column: &str, row: usize) -> Option<String> {
        let texts = self.texts.get(column)?;
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    fn finding(&self, detector: &Query, row: usize) -> Result<Finding, String> {
        let at = |column: &TimestampMicrosecondArray| {
            column.is_valid(row).then(|| DateTime::<Utc>::from_timestamp_micros(column.value(row))).flatten()
        };
        let (first_seen, last_seen) = (at(&self.first_seen), at(&self.last_seen));
        let events = if self.events.is_valid(row) { self.events.value(row) } else { 0 };
        let severity = match self.text("severity", row) {
            Some(name) => {
                Severity::ALL.into_iter().find(|one| one.name() == name).ok_or(format!("{name:?} is no severity"))?
            }
            None => detector.severity.unwrap_or(Severity::Medium),
        };
        let column = |name: &str| match name {
            "events" => Some(events.to_string()),
            "first_seen" => first_seen.map(instant::plain),
            "last_seen" => last_seen.map(instant::plain),
            "severity" => Some(severity.name().to_owned()),
            name => self.text(name, row),
        };
        let mut finding = Finding {
            detector: detector.name.clone(),
            severity,
            status: Status::New,
            message: message(detector, &column),
            key_arn: self.text("key_arn", row),
            principal: self.text("principal", row),
            account_id: self.text("account_id", row),
            region: self.text("region", row),
            asset: self.text("asset", row),
            first_seen,
            last_seen,
            events,
            evidence: self.evidence(row),
            detail: self.text("detail", row),
            reason: None,
            fingerprint: String::new(),
        };
        finding.fingerprint = finding.fingerprint();
        Ok(finding)
    }

    fn evidence(&self, row: usize) -> Vec<String> {
        let lists = self.evidence.as_list::<i32>();
        if lists.is_null(row) {
            return Vec::new();
        }
        let ids = lists.value(row);
        ids.as_string::<i32>().iter().flatten().take(EVIDENCE_MAX).map(str::to_owned).collect()
    }
}

/// Two columns of texts, where both have one.
pub(super) fn pairs(rows: &Rows, first: &str, second: &str) -> Vec<(String, String)> {
    let column = |batch: &RecordBatch, name: &str| {
        let column = cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?;
        Some(column.as_string::<i32>().clone())
    };
    let mut pairs = Vec::new();
    for batch in &rows.batches {
        if let (Some(first), Some(second)) = (column(batch, first), column(batch, second)) {
            let both = first.iter().zip(second.iter());
            pairs.extend(both.filter_map(|(a, b)| Some((a?.to_owned(), b?.to_owned()))));
        }
    }
    pairs
}
