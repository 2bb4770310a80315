//! `keytrail chain`: from a call or an access key back to the first identity that is known.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::Utc;
use keytrail::chain::{self, Chain, Link};
use keytrail::engine::Rows;
use keytrail::render::{Format, chain_text};

use super::args::ChainCommand;
use super::{Context, Hinted, Outcome};

pub(super) fn run(context: &Context, arguments: &ChainCommand) -> Result<Outcome> {
    let engine = context.engine()?;
    let id = arguments.id.trim();
    let found = context.runtime.block_on(chain::chain(&engine, &context.catalog, id, Utc::now()))?;
    let Some(chain) = found else {
        return Err(Hinted::new(
            format!("no event and no access key {id} in this lake"),
            "`keytrail timeline` tells both; calls of other services than KMS are counted and not kept, and an access key \
             that only they saw is not known",
        )
        .into());
    };
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(&chain)?,
        Format::Table => context.printer.line(&chain_text(&chain))?,
        Format::Csv | Format::Markdown => context.printer.rows(&links(&chain)?)?,
    }
    Ok(if chain.trail.end.is_known { Outcome::Done } else { Outcome::Incomplete })
}

/// A row for each link, and one for the end.
fn links(chain: &Chain) -> Result<Rows> {
    let (links, end) = (&chain.trail.links, &chain.trail.end);
    let text = |get: &dyn Fn(&Link) -> Option<String>, last: Option<String>| -> ArrayRef {
        Arc::new(links.iter().map(get).chain([last]).collect::<StringArray>())
    };
    let at = links.iter().map(|link| Some(link.start.started_at.timestamp_micros())).chain([None]);
    let at: TimestampMicrosecondArray = at.collect();
    let (principal, why) = (end.principal.clone(), Some(end.message.clone()));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("started_at", Arc::new(at.with_timezone("UTC")) as ArrayRef, true),
        ("event_name", text(&|link| Some(link.start.event_name.clone()), None), true),
        ("caller", text(&|link| link.start.caller.clone(), principal), true),
        ("caller_session_name", text(&|link| link.start.caller_session_name.clone(), None), true),
        ("source_ip", text(&|link| link.start.source_ip.clone(), None), true),
        ("opened", text(&|link| link.start.session_arn.clone().or(link.start.principal.clone()), None), true),
        ("known_by", text(&|link| Some(link.proof.name().to_owned()), Some(end.code.name().to_owned())), true),
        ("why", text(&|link| Some(link.why.clone()), why), true),
        ("event_id", text(&|link| Some(link.start.event_id.clone()), None), true),
        ("source_object", text(&|link| link.start.source_object.clone(), None), true),
    ])?;
    Ok(Rows { schema: batch.schema(), batches: vec![batch] })
}
