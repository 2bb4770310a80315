//! What detectors found, run by run.
//!
//! A finding is told apart by its fingerprint: two runs that find the same thing write two rows with one fingerprint, and
//! what a later run no longer finds gets a last row, `resolved` or `aged`. `detections` says of each run and detector whether it was
//! evaluated at all, without which silence would mean nothing. `notifications` says who was told of what: a row per finding
//! and channel, written after the channel took it.

use arrow::datatypes::SchemaRef;

use super::columns::{Column, flag, instant, number, schema, text};

/// A finding of one run. Instants are microseconds UTC; `evidence` is a JSON list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `findings` table")]
pub struct FindingRow {
    pub run_at: i64,
    pub fingerprint: String,
    pub detector: String,
    pub status: &'static str,
    pub severity: String,
    pub key_arn: Option<String>,
    pub principal: Option<String>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub asset: Option<String>,
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    pub events: i64,
    pub evidence: String,
    pub message: String,
    pub detail: Option<String>,
    pub reason: Option<String>,
}

/// A detector in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `detections` table")]
pub struct DetectionRow {
    pub run_at: i64,
    pub detector: String,
    pub is_evaluated: bool,
    pub why: Option<String>,
    pub findings: i64,
    pub since: i64,
    pub until: i64,
    pub looked_from: Option<i64>,
    pub lake_version: i64,
}

/// The columns of `findings`.
pub static FINDING_COLUMNS: &[Column<FindingRow>] = &[
    instant("run_at", |row| Some(row.run_at), "When the detectors ran; one run has one instant"),
    text("fingerprint", |row| Some(&row.fingerprint), "Which finding: the same for as long as it is found"),
    text("detector", |row| Some(&row.detector), "Which detector found it"),
    text(
        "status",
        |row| Some(row.status),
        "`new`, `ongoing` (found by the run before too), `accepted` by the expectations, `unjudged` (found before, and not to be judged now), `resolved` (no longer found), or `aged` (before the window by now)",
    ),
    text("severity", |row| Some(&row.severity), "`info`, `low`, `medium`, `high` or `critical`"),
    text("key_arn", |row| row.key_arn.as_deref(), "The key"),
    text("principal", |row| row.principal.as_deref(), "Who did it"),
    text("account_id", |row| row.account_id.as_deref(), "Account where someone must act"),
    text("region", |row| row.region.as_deref(), "Region"),
    text("asset", |row| row.asset.as_deref(), "The resource, where the finding is about one"),
    instant("first_seen", |row| row.first_seen, "First event that made it"),
    instant("last_seen", |row| row.last_seen, "Last event that made it"),
    number("events", |row| Some(row.events), "How many events made it; 0: an inventory did"),
    text("evidence", |row| Some(&row.evidence), "Ids of the first events, at most ten, a JSON list"),
    text("message", |row| Some(&row.message), "The finding in a sentence"),
    text("detail", |row| row.detail.as_deref(), "What else there is to know"),
    text("reason", |row| row.reason.as_deref(), "Why it is accepted"),
];

/// The columns of `detections`.
pub static DETECTION_COLUMNS: &[Column<DetectionRow>] = &[
    instant("run_at", |row| Some(row.run_at), "When the detectors ran"),
    text("detector", |row| Some(&row.detector), "Which detector"),
    flag("is_evaluated", |row| Some(row.is_evaluated), "Whether it could be evaluated"),
    text("why", |row| row.why.as_deref(), "Why not"),
    number("findings", |row| Some(row.findings), "How many findings it had"),
    instant("since", |row| Some(row.since), "The window's begin"),
    instant("until", |row| Some(row.until), "The window's end"),
    instant("looked_from", |row| row.looked_from, "From when on it looked, where that was before the window"),
    number("lake_version", |row| Some(row.lake_version), "Version of `events` that it read"),
];

/// A finding that was told on a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `notifications` table")]
pub struct NotificationRow {
    pub notified_at: i64,
    pub run_at: i64,
    pub channel: String,
    pub fingerprint: String,
    pub severity: String,
    pub detector: String,
}

/// The columns of `notifications`.
pub static NOTIFICATION_COLUMNS: &[Column<NotificationRow>] = &[
    instant("notified_at", |row| Some(row.notified_at), "When the channel had taken it"),
    instant("run_at", |row| Some(row.run_at), "The run that it was told from"),
    text("channel", |row| Some(&row.channel), "Which channel: its kind and a hash of its target, never the target"),
    text("fingerprint", |row| Some(&row.fingerprint), "Which finding"),
    text("severity", |row| Some(&row.severity), "How bad it was when it was told"),
    text("detector", |row| Some(&row.detector), "Which detector found it"),
];

pub(super) fn notifications_schema() -> SchemaRef {
    schema(NOTIFICATION_COLUMNS)
}

pub(super) fn findings_schema() -> SchemaRef {
    schema(FINDING_COLUMNS)
}

pub(super) fn detections_schema() -> SchemaRef {
    schema(DETECTION_COLUMNS)
}

/// What one run found.
#[derive(Debug, Default)]
pub struct Detected {
    /// Its findings, those that are resolved included.
    pub findings: Vec<FindingRow>,
    /// The detectors that it went through.
    pub detections: Vec<DetectionRow>,
}
