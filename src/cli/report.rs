//! `keytrail report`: what happened, as a document.

use std::fs;

use anyhow::{Context as _, Result};
use chrono::Utc;
use keytrail::evidence::hash::{Inside, inside};
use keytrail::incident::{self, Incident, LogObject, Scope};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::instant;
use keytrail::report::{Format, incident_markdown};
use keytrail::source::{self, SourceError, SourceOptions};

use super::args::Report;
use super::{Context, Hinted, Outcome, key};

pub(super) fn run(context: &Context, arguments: &Report) -> Result<Outcome> {
    let format = context.printer.format();
    if matches!(format, Format::Csv | Format::Ndjson) {
        let message = format!("an incident is not written as {}", format.name());
        return Err(Hinted::new(message, "--format markdown (the default) or json").into());
    }
    let now = Utc::now();
    let time = |text: &Option<String>| text.as_ref().map(|text| instant::parse(text, now)).transpose();
    let (since, until) = (time(&arguments.time.since)?, time(&arguments.time.until)?);
    let engine = context.engine()?;
    let named = arguments.key.as_ref();
    let key_arn = named.map(|name| key::one(context, &engine, name, "a report")).transpose()?;
    let scope = Scope {
        key_arn,
        principal: arguments.principal.clone(),
        session: arguments.session.clone(),
        source_ip: arguments.source_ip.clone(),
        since,
        until,
    };
    let limit = usize::try_from(arguments.limit)?;
    let gathered = incident::gather(&engine, &context.catalog, &scope, limit, now);
    let mut incident = context.runtime.block_on(gathered)?;
    if incident.timeline.rows.is_empty() {
        context
            .printer
            .note("note: no event is like that; a name is compared as a whole, and `*` stands for any characters");
    }
    if !arguments.no_hashes {
        read_again(context, &mut incident);
    }
    write(context, arguments, &incident)?;
    let is_sound = incident.evidence.iter().all(|object| object.trouble.is_none());
    Ok(if is_sound { Outcome::Done } else { Outcome::Incomplete })
}

fn write(context: &Context, arguments: &Report, incident: &Incident) -> Result<()> {
    let text = match context.printer.format() {
        Format::Json => serde_json::to_string_pretty(incident)?,
        _ => incident_markdown(incident),
    };
    match &arguments.output {
        Some(file) => {
            fs::write(file, text.trim_end().to_owned() + "\n").with_context(|| file.display().to_string())?;
            context.printer.note(&format!("written to {}", file.display()));
            Ok(())
        }
        None => context.printer.line(text.trim_end()),
    }
}

/// Reads every log object of the incident once more.
fn read_again(context: &Context, incident: &mut Incident) {
    let options = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let bar = context.printer.bar("{msg} {wide_bar} {pos}/{len}");
    let all = incident.evidence.len() as u64;
    for (object, done) in incident.evidence.iter_mut().zip(0..) {
        bar.show(done, all, format!("reading log objects again: {done} of {all}"));
        context.runtime.block_on(hash(object, &options));
    }
    bar.finish();
}

async fn hash(object: &mut LogObject, options: &SourceOptions) {
    let again = match source::read(&object.source_object, options).await {
        Ok(Some(again)) => again,
        Ok(None) => return object.trouble = Some("it is no longer there".to_owned()),
        // CloudTrail's event history has no objects.
        Err(SourceError::NoObject) => return,
        Err(error) => return object.trouble = Some(error.to_string()),
    };
    match inside(&again.bytes, OBJECT_BYTES_MAX) {
        Inside::Hash(hash) => object.sha256 = Some(hash),
        Inside::Damaged(_) => object.trouble = Some("it cannot be inflated".to_owned()),
        Inside::TooLarge => object.trouble = Some("it is too large to be hashed".to_owned()),
    }
    if object.version_tag.as_deref().is_some_and(|tag| tag != again.version_tag) {
        object.trouble = Some("it was written anew since it was ingested".to_owned());
    }
}
