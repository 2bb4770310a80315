//! `keytrail maintain`: upkeep of the lake.

use anyhow::{Result, anyhow};
use chrono::Duration;
use keytrail::lake::maintain::maintain;
use keytrail::render::{Format, thousands};

use super::args::Maintain;
use super::{Context, Outcome};

pub(super) fn run(context: &Context, arguments: &Maintain) -> Result<Outcome> {
    let retention = Duration::days(i64::from(arguments.keep_days));
    let done = context.runtime.block_on(maintain(&context.lake, retention));
    if done.tables == 0 {
        return Err(context.no_lake());
    }
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(&done)?,
        _ => context.printer.account(&format!(
            "{} small files became {}; {} unused files and {} old log entries deleted",
            thousands(done.files_merged),
            thousands(done.files_written),
            thousands(done.files_deleted),
            thousands(done.log_entries_deleted)
        ))?,
    }
    let Some((last, others)) = done.failed.split_last() else { return Ok(Outcome::Done) };
    for failed in others {
        context.printer.error(&anyhow!("the table {} could not be maintained: {}", failed.table, failed.why));
    }
    Err(anyhow!("the table {} could not be maintained: {}", last.table, last.why))
}
