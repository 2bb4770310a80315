//! Tells once of events whose time cannot be: answers leave them out, and nobody should take that for their not being there.

use std::sync::atomic::Ordering;

use anyhow::Result;
use chrono::Utc;
use keytrail::engine::Engine;
use serde::Deserialize;

use super::Context;

/// The report that lists them.
const LISTED_BY: &str = "impossible-times";

#[derive(Deserialize)]
struct Listed {
    in_all: u64,
}

/// Tells how many there are, unless it was told before.
pub(super) fn tell(context: &Context, engine: &Engine) -> Result<()> {
    if context.untimely_told.load(Ordering::Relaxed) {
        return Ok(());
    }
    let query = context.catalog.get(LISTED_BY)?;
    let values = query.bind(&[("limit".to_owned(), "1".to_owned())], Utc::now())?;
    let rows: Vec<Listed> = context.runtime.block_on(engine.run(query, values))?.read()?;
    let Some(Listed { in_all }) = rows.first() else { return Ok(()) };
    context.untimely_told.store(true, Ordering::Relaxed);
    let (from, until) = (engine.horizon().from.date_naive(), engine.horizon().until.date_naive());
    let (have, are) = if *in_all == 1 { ("1 event has", "is") } else { (&*format!("{in_all} events have"), "are") };
    context.printer.note(&format!(
        "note: {have} a time outside {from} to {until} and {are} left out: `keytrail query {LISTED_BY}` shows them"
    ));
    Ok(())
}
