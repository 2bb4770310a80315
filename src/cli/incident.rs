//! `keytrail report --incident`: what happened, as a document.

use std::path::PathBuf;

use anyhow::Result;
use chrono::Utc;
use keytrail::evidence::hash::{Inside, inside};
use keytrail::incident::{self, Incident, LogObject, Scope};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::instant;
use keytrail::report::{Form, Format, incident_markdown, json_text};
use keytrail::source::{self, SourceError, SourceOptions};

use super::args::Report;
use super::{Context, Hinted, Outcome, event, key, report};

pub(super) fn run(context: &Context, arguments: &Report) -> Result<Outcome> {
    let form = context.form.unwrap_or_default();
    if !matches!(form, Form::Rows(Format::Table | Format::Markdown | Format::Json)) {
        let message = format!("an incident is not written as {}", form.name());
        return Err(Hinted::new(message, "--format markdown (the default) or json").into());
    }
    if arguments.output.len() > 1 {
        return Err(Hinted::new("an incident is written to one file", "give --output once").into());
    }
    let now = Utc::now();
    let time = |text: &Option<String>| text.as_ref().map(|text| instant::parse(text, now)).transpose();
    let (since, until) = (time(&arguments.time.since)?, time(&arguments.time.until)?);
    let engine = context.engine()?;
    let named = arguments.involved.key.as_ref();
    let key_arn = named.map(|name| key::one(context, &engine, name, "a report")).transpose()?;
    let scope = Scope {
        key_arn,
        principal: arguments.involved.principal.clone(),
        session: arguments.involved.session.clone(),
        source_ip: arguments.involved.source_ip.clone(),
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
    let spoiled = incident.evidence.objects.iter().filter(|object| object.trouble.is_some()).count();
    if spoiled == 0 {
        return Ok(Outcome::Done);
    }
    context.printer.warn(&format!(
        "{spoiled} of the log objects are not as they were when they were ingested, or not verified as they are: the document \
         says which under Evidence"
    ));
    Ok(Outcome::Incomplete)
}

fn write(context: &Context, arguments: &Report, incident: &Incident) -> Result<()> {
    let text = match context.printer.format() {
        Format::Json => json_text(incident, true)?,
        _ => incident_markdown(incident),
    };
    report::write(context, arguments.output.first().map(PathBuf::as_path), &text)
}

/// Reads every log object of the incident once more.
fn read_again(context: &Context, incident: &mut Incident) {
    let options = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let bar = context.printer.bar("{msg} {wide_bar} {pos}/{len}");
    let all = incident.evidence.objects.len() as u64;
    for (object, done) in incident.evidence.objects.iter_mut().zip(0..) {
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
    let is_another = object.version_tag.as_deref().is_some_and(|tag| tag != again.version_tag);
    match inside(&again.bytes, OBJECT_BYTES_MAX) {
        Inside::Hash(hash) => object.sha256 = Some(hash),
        Inside::Damaged(_) => object.trouble = Some("it cannot be inflated".to_owned()),
        Inside::TooLarge => object.trouble = Some("it is too large to be hashed".to_owned()),
    }
    if is_another {
        (object.object_state, object.digest_state) = (None, None);
        object.trouble = Some("it was written anew since it was ingested".to_owned());
    }
    let (Some(digest), Some(found), None) = (&object.digest_uri, &object.sha256, &object.trouble) else { return };
    match event::named_hash(digest, &object.source_object, options).await {
        Ok(Some(named)) if named.eq_ignore_ascii_case(found) => {}
        Ok(Some(_)) => object.trouble = Some("its digest names it with another hash".to_owned()),
        Ok(None) => object.trouble = Some("its digest does not name it any more".to_owned()),
        Err(why) => object.trouble = Some(format!("its digest cannot be read: {why}")),
    }
}
