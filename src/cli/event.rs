//! `keytrail event`: the record of an event as it lies in its source today, and whether that is still what was ingested
//! and what a digest vouches for.

use anyhow::Result;
use keytrail::engine::Rows;
use keytrail::evidence::record::{Again, Origin, Record, Vouched, distinct};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::render::{Format, clean, json_text, texts};
use keytrail::source::SourceOptions;

use super::args::Event;
use super::{Context, Hinted, Outcome};

pub(super) fn run(context: &Context, arguments: &Event) -> Result<Outcome> {
    let origins = origins(context, &arguments.id)?;
    let mut worst = Outcome::Done;
    let mut answers = Vec::new();
    let options = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let again = Again { options: &options, object_bytes_max: OBJECT_BYTES_MAX };
    for origin in origins {
        let answer = context.runtime.block_on(again.record(origin));
        worst = match (answer.vouched, worst) {
            (Vouched::Contradicted, _) | (_, Outcome::BadNews) => Outcome::BadNews,
            (Vouched::Unreadable, _) | (_, Outcome::Incomplete) => Outcome::Incomplete,
            _ => Outcome::Done,
        };
        answers.push(answer);
    }
    match context.printer.format() {
        Format::Json => context.printer.json(&answers)?,
        Format::Ndjson => {
            answers.iter().try_for_each(|answer| context.printer.line(&json_text(answer, false)?))?;
        }
        _ => answers.iter().try_for_each(|answer| tell(context, answer))?,
    }
    Ok(worst)
}

/// Where the event's rows came from; one, unless accounts or digests share the id.
fn origins(context: &Context, id: &str) -> Result<Vec<Origin>> {
    let engine = context.engine()?;
    let rows = context.ask(&engine, "event", &[("event_id", id)])?;
    let origins = distinct(of_rows(&rows));
    if origins.is_empty() {
        return Err(Hinted::new(
            format!("no event {id} in this lake"),
            "`keytrail timeline` tells ids; an event of another service than KMS may be counted and not kept",
        )
        .into());
    }
    Ok(origins)
}

fn of_rows(rows: &Rows) -> Vec<Origin> {
    let column = |name: &str| texts(&rows.batches, name);
    let names = ["event_id", "event_time", "event_name", "account_id", "region", "source_object", "record_index"];
    let [ids, times, names, accounts, regions, objects, places] = names.map(column);
    let [tags, digests, states, checked] = ["version_tag", "digest_uri", "digest_state", "checked_at"].map(column);
    let [versions, found] = ["checked_version", "object_state"].map(column);
    let at = |column: &Vec<Option<String>>, row: usize| column.get(row).cloned().flatten();
    let origin = |row| Origin {
        event_id: at(&ids, row).unwrap_or_default(),
        event_time: at(&times, row),
        event_name: at(&names, row),
        account_id: at(&accounts, row),
        region: at(&regions, row),
        source_object: at(&objects, row).unwrap_or_default(),
        record_index: at(&places, row).and_then(|place| place.parse().ok()).unwrap_or_default(),
        version_tag: at(&tags, row),
        checked_version: at(&versions, row),
        object_state: at(&found, row),
        digest_uri: at(&digests, row),
        digest_state: at(&states, row),
        checked_at: at(&checked, row),
    };
    (0..ids.len()).map(origin).collect()
}

fn tell(context: &Context, answer: &Record) -> Result<()> {
    let Record { origin, vouched, why, sha256, record } = answer;
    let line = |text: &str| context.printer.line(&clean(text));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    line(&format!("event   {} {} {}", origin.event_id, text(&origin.event_name), text(&origin.event_time)))?;
    line(&format!("object  {} record {}", origin.source_object, origin.record_index))?;
    if let Some(sha256) = sha256 {
        line(&format!("sha256  {sha256}"))?;
    }
    if let Some(digest) = &origin.digest_uri {
        line(&format!("digest  {digest} {}, verified {}", text(&origin.digest_state), text(&origin.checked_at)))?;
    }
    let state = match vouched {
        Vouched::Proven => "PROVEN",
        Vouched::Unproven => "unproven",
        Vouched::Contradicted => "CONTRADICTED",
        Vouched::Unreadable => "UNREADABLE",
    };
    line(&format!("{state}: {why}"))?;
    record.as_ref().map_or(Ok(()), |record| line(record.get()))
}
