//! The findings for a spreadsheet, those that are no more included.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};

use crate::detect::Finding;
use crate::overview::Overview;
use crate::render::{Format, RowOptions, write_rows};

pub(super) fn write(overview: &Overview) -> std::io::Result<String> {
    let batch = rows(overview).map_err(std::io::Error::other)?;
    let mut out = Vec::new();
    let (schema, rows) = (batch.schema(), [std::io::Result::Ok(batch)]);
    write_rows(&mut out, Format::Csv, &schema, rows, &RowOptions::default())?;
    String::from_utf8(out).map_err(std::io::Error::other)
}

fn rows(overview: &Overview) -> Result<RecordBatch, arrow::error::ArrowError> {
    let findings: Vec<&Finding> = overview.findings.all().collect();
    let text = |get: &dyn Fn(&Finding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(|finding| get(finding)).collect::<StringArray>())
    };
    let time = |get: &dyn Fn(&Finding) -> Option<DateTime<Utc>>| -> ArrayRef {
        let instants = findings.iter().map(|finding| get(finding).map(|at| at.timestamp_micros()));
        Arc::new(instants.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("severity", text(&|finding| Some(finding.severity.name().to_owned())), true),
        ("status", text(&|finding| Some(finding.status.name().to_owned())), true),
        ("detector", text(&|finding| Some(finding.detector.clone())), true),
        ("message", text(&|finding| Some(finding.message.clone())), true),
        ("key_arn", text(&|finding| finding.key_arn.clone()), true),
        ("principal", text(&|finding| finding.principal.clone()), true),
        ("account_id", text(&|finding| finding.account_id.clone()), true),
        ("region", text(&|finding| finding.region.clone()), true),
        ("asset", text(&|finding| finding.asset.clone()), true),
        ("first_seen", time(&|finding| finding.first_seen), true),
        ("last_seen", time(&|finding| finding.last_seen), true),
        ("events", Arc::new(findings.iter().map(|finding| Some(finding.events)).collect::<Int64Array>()), true),
        ("evidence", text(&|finding| Some(finding.evidence.join(" "))), true),
        ("detail", text(&|finding| finding.detail.clone()), true),
        ("reason", text(&|finding| finding.reason.clone()), true),
        ("fingerprint", text(&|finding| Some(finding.fingerprint.clone())), true),
    ])
}
