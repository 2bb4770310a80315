//! The account of a watch: what each channel was told, and what it still has to be told.

use anyhow::Result;
use keytrail::ingest::Report;
use keytrail::render::{Format, thousands};
use keytrail::watch::Round;
use serde::Serialize;

use super::ingested::closing_line;
use super::printer::Printer;

/// What a channel was told in all.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sent {
    pub channel: &'static str,
    pub findings: u64,
    pub messages: u64,
    pub failed_attempts: u64,
    /// How many are still to be told; null when that is not known.
    pub left: Option<u64>,
    /// How many were told and could not be recorded as told.
    pub unrecorded: u64,
}

/// What a watch came to; its JSON is part of the command line's contract.
#[derive(Serialize)]
struct Watched<'a> {
    ingest: &'a Report,
    findings: usize,
    notifications: &'a [Sent],
}

/// What a round that had trouble left to be told, before the words on why.
pub(super) fn still(round: &Round) -> String {
    match (round.left, round.unrecorded) {
        (Some(0), 0) => String::new(),
        (Some(0), many) => format!("{} told and not recorded as told: ", thousands(many)),
        (Some(left), 0) => format!("{} to be told later: ", thousands(left)),
        (None, 0) => "findings are told later: ".to_owned(),
        (left, many) => {
            let left = left.map_or("others".to_owned(), thousands);
            format!("{} told and not recorded as told, {left} to be told later: ", thousands(many))
        }
    }
}

/// The account of it all.
pub(super) fn account(printer: Printer, report: &Report, findings: usize, sent: &[Sent]) -> Result<()> {
    if matches!(printer.format(), Format::Json | Format::Ndjson) {
        return printer.json(&Watched { ingest: report, findings, notifications: sent });
    }
    printer.account(&closing_line(report))?;
    for Sent { channel, findings, left, unrecorded, .. } in sent {
        let left = left.map_or("an unknown number".to_owned(), thousands);
        let more = match unrecorded {
            0 => String::new(),
            many => format!(", {} of those told not recorded as told", thousands(*many)),
        };
        printer.account(&format!("{channel}: {} told, {left} to be told{more}", thousands(*findings)))?;
    }
    Ok(())
}
