//! `keytrail timeline`: what happened, event by event, and who was at the origin of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, TimeDelta, Utc};
use keytrail::chain::{self, Identity, Sought, Trail};
use keytrail::engine::{Engine, Rows};
use keytrail::instant::{self, plain};
use keytrail::render::texts;

use super::args::Timeline;
use super::ask::{Given, answer, per_key, set, set_window};
use super::{Context, Hinted, Outcome, names};

/// How far around an event one may look.
const WINDOW_MAX: TimeDelta = TimeDelta::days(366);

/// The column behind which the origin stands.
const BEFORE_ORIGIN: &str = "session_name";

pub(super) fn run(context: &Context, arguments: &Timeline) -> Result<Outcome> {
    let engine = context.engine()?;
    let keys = match &arguments.involved.key {
        Some(name) => names::keys(context, &engine, name)?,
        None => Vec::new(),
    };
    let mut given = Given::new();
    let principal = arguments.involved.principal.as_deref();
    let principal = principal.map(|name| names::principal(context, &engine, name)).transpose()?;
    set(&mut given, "principal", principal.as_deref());
    set(&mut given, "session", arguments.involved.session.as_deref());
    set(&mut given, "person", arguments.person.as_deref());
    set(&mut given, "access_key", arguments.access_key.as_deref());
    set(&mut given, "asset", arguments.asset.as_deref());
    set(&mut given, "source_ip", arguments.involved.source_ip.as_deref());
    set(&mut given, "limit", arguments.limit.map(|limit| limit.to_string()).as_deref());
    set_window(&mut given, &arguments.time);
    if let Some(id) = &arguments.around {
        around(context, &engine, id, &arguments.window, &mut given)?;
    }
    let query = context.catalog.get("timeline")?;
    let mut rows = per_key(context, &engine, query, &keys, &given)?;
    if let (true, Some(name)) = (rows.is_empty()?, &arguments.involved.key) {
        names::must_be_known(context, &engine, name, &keys)?;
    }
    if arguments.chain {
        rows = with_origins(context, &engine, &rows.rows()?)?.into();
    }
    answer(context, query, &given, rows)
}

/// The time around an event, both ends included.
fn around(context: &Context, engine: &Engine, id: &str, length: &str, given: &mut Given) -> Result<()> {
    let length = instant::length(length).ok().filter(|length| *length <= WINDOW_MAX);
    let length = length
        .ok_or_else(|| Hinted::new("the window is no length of time", "write it as 30m, 6h or 2d; a year at most"))?;
    let rows = context.ask(engine, "event", &[("event_id", id)])?;
    let found = texts(&rows.batches, "event_time").into_iter().flatten().next();
    let Some(at) = found else {
        let hint = "`keytrail timeline` tells ids; an event of another service than KMS may be counted and not kept";
        return Err(Hinted::new(format!("no event {id} in this lake"), hint).into());
    };
    let at: DateTime<Utc> = at.parse()?;
    given.push(("since".to_owned(), plain(at - length)));
    given.push(("until".to_owned(), plain(at + length + TimeDelta::seconds(1))));
    Ok(())
}

/// Calls that are of one session: by whom, through a service or not, and when, if nothing else tells.
type Asked<'a> = (&'a Identity, bool, Option<DateTime<Utc>>);

fn asked(call: &Sought) -> Asked<'_> {
    (&call.identity, call.via.is_some(), call.is_opaque().then_some(call.at))
}

/// The rows with three columns more: who is at the origin of the session, what the chain ends with, and how many sessions
/// lie between.
fn with_origins(context: &Context, engine: &Engine, rows: &Rows) -> Result<Rows> {
    let seen: Vec<Sought> = rows.read()?;
    // A session has one origin, however many calls it made, and the first of them is asked about. Of a record that tells neither
    // key nor second each call may be another session's.
    let mut first: BTreeMap<Asked<'_>, usize> = BTreeMap::new();
    let mut sought: Vec<Sought> = Vec::new();
    for call in &seen {
        first.entry(asked(call)).or_insert_with(|| {
            sought.push(call.clone());
            sought.len() - 1
        });
    }
    let trails = context.runtime.block_on(chain::trails(engine, &context.catalog, &sought))?;
    let trail = |call: &Sought| -> Option<&Trail> { first.get(&asked(call)).and_then(|at| trails.get(*at)) };
    let text = |get: fn(&Trail) -> Option<String>| -> ArrayRef {
        Arc::new(seen.iter().map(|seen| trail(seen).and_then(get)).collect::<StringArray>())
    };
    let hops = |call: &Sought| trail(call).and_then(|trail| i64::try_from(trail.links.len()).ok());
    let added: [(&str, ArrayRef); 3] = [
        ("origin", text(|trail| trail.end.principal.clone())),
        ("origin_end", text(|trail| Some(trail.end.code.name().to_owned()))),
        ("hops", Arc::new(seen.iter().map(hops).collect::<Int64Array>())),
    ];
    let all = concat_batches(&rows.schema, &rows.batches)?;
    let mut fields: Vec<Arc<Field>> = rows.schema.fields().iter().cloned().collect();
    let mut columns = all.columns().to_vec();
    let behind = fields.iter().position(|field| field.name() == BEFORE_ORIGIN).map_or(0, |at| at + 1);
    for ((name, column), place) in added.into_iter().zip(behind..) {
        let kind: DataType = column.data_type().clone();
        fields.insert(place, Arc::new(Field::new(name, kind, true)));
        columns.insert(place, column);
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(Rows { batches: vec![RecordBatch::try_new(Arc::clone(&schema), columns)?], schema })
}
