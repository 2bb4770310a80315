//! What a channel is given at once: some findings, and a key by which a receiver drops what it has already.
//!
//! ```text
//! pending, the worst first ─► messages of so many findings and bytes ─► JSON, lines, or what Slack shows
//! ```

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::Pending;
use crate::render::json_text;

/// The form of a message; another form gets another name.
const SCHEMA: &str = "keytrail-notification/1";

/// How much one message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Findings.
    pub findings: usize,
    /// Bytes of the findings' JSON; a finding that is larger by itself is a message by itself.
    pub bytes: usize,
}

/// Findings that are told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for the same findings, as bad as they are and opened when they were; another for any others.
    pub key: String,
    /// The findings, the worst first.
    pub findings: Vec<Pending>,
}

/// A message as JSON.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    lake: &'a str,
    idempotency_key: &'a str,
    findings: &'a [Pending],
}

/// One finding as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    lake: &'a str,
    #[serde(flatten)]
    finding: &'a Pending,
}

impl Message {
    /// Of these findings.
    #[must_use]
    pub fn new(findings: Vec<Pending>) -> Self {
        let mut text = String::new();
        for Pending { finding, opened_at, .. } in &findings {
            let parts = [&finding.fingerprint, finding.severity.name(), &opened_at.timestamp_micros().to_string()];
            text.push_str(&parts.join("\0"));
            text.push('\n');
        }
        Self { key: format!("{:032x}", xxh3_128(text.as_bytes())), findings }
    }

    /// The same in two, unless it is of one finding.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let (first, second) = self.findings.split_at(self.findings.len() / 2);
        (!first.is_empty()).then(|| [first, second].map(|half| Self::new(half.to_vec())))
    }

    /// As one JSON value, `lake` being the name of the lake.
    ///
    /// # Errors
    /// Never, as far as is known: a finding is always JSON.
    pub fn json(&self, lake: &str) -> serde_json::Result<String> {
        let document = Document { schema: SCHEMA, lake, idempotency_key: &self.key, findings: &self.findings };
        json_text(&document, false)
    }

    /// A line of JSON for each finding.
    ///
    /// # Errors
    /// As [`Message::json`].
    pub fn lines(&self, lake: &str) -> serde_json::Result<String> {
        let mut lines = String::new();
        for finding in &self.findings {
            lines.push_str(&json_text(&Line { schema: SCHEMA, lake, finding }, false)?);
            lines.push('\n');
        }
        Ok(lines)
    }
}

/// Findings in messages, in their order.
pub(super) fn messages(pending: Vec<Pending>, limits: Limits) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut findings, mut bytes): (Vec<Pending>, usize) = (Vec::new(), 0);
    for finding in pending {
        let size = serde_json::to_string(&finding).map_or(0, |text| text.len());
        if !findings.is_empty() && (findings.len() == limits.findings || bytes + size > limits.bytes) {
            messages.push(Message::new(std::mem::take(&mut findings)));
            bytes = 0;
        }
        bytes += size;
        findings.push(finding);
    }
    if !findings.is_empty() {
        messages.push(Message::new(findings));
    }
    messages
}
