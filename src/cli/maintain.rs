//! `keytrail maintain`: upkeep of the lake.

use anyhow::Result;
use chrono::Duration;
use keytrail::lake::maintain::maintain;
use keytrail::report::Format;

use super::args::Maintain;
use super::{Context, Outcome};

pub(super) fn run(context: &Context, arguments: &Maintain) -> Result<Outcome> {
    // Opening it for questions first tells a missing lake from an empty one.
    context.engine()?;
    let retention = Duration::days(i64::from(arguments.keep_days));
    let done = context.runtime.block_on(maintain(&context.lake, retention))?;
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(&done)?,
        _ => context.printer.account(&format!(
            "{} small files became {}; {} unused files deleted",
            done.files_merged, done.files_written, done.files_deleted
        ))?,
    }
    Ok(Outcome::Done)
}
