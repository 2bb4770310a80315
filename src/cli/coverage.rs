//! `keytrail coverage`: for which hours the lake can vouch.

use anyhow::Result;
use chrono::Utc;

use super::args::Coverage;
use super::{Context, Outcome};

pub(super) fn run(context: &Context, arguments: &Coverage) -> Result<Outcome> {
    let query = context.catalog.get("coverage")?;
    let given = [
        ("account", &arguments.account),
        ("region", &arguments.region),
        ("since", &arguments.window.since),
        ("until", &arguments.window.until),
    ];
    let given: Vec<(String, String)> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
    let values = query.bind(&given, Utc::now())?;
    let engine = context.engine()?;
    let rows = context.runtime.block_on(engine.run(query, values))?;
    context.printer.rows(&rows)?;
    if rows.count() == 0 {
        context.printer.warn("the lake has no data for the account, Region and time asked for");
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Done)
}
