//! `keytrail report --incident`: what happened, as a document.

use anyhow::Result;
use chrono::Utc;
use keytrail::engine::Engine;
use keytrail::evidence::record::Again;
use keytrail::incident::{self, Incident, Scope};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::instant;
use keytrail::naming::{Meant, listed};
use keytrail::render::{Form, Format, incident_markdown, json_text};
use keytrail::source::SourceOptions;

use super::args::Report;
use super::{Context, Hinted, Outcome, names, report};

pub(super) fn run(context: &Context, arguments: &Report) -> Result<Outcome> {
    let (form, file) = match arguments.output.as_slice() {
        [] => (context.form.unwrap_or_default(), None),
        [file] => report::form_of(context, file)?,
        _ => return Err(Hinted::new("an incident is written to one file", "give --output once").into()),
    };
    let format = match form {
        Form::Rows(format @ (Format::Table | Format::Markdown | Format::Json)) => format,
        form => {
            let message = format!("an incident is not written as {}", form.name());
            let hint = "--format markdown (the default) or json; a file's name ends in .md or .json";
            return Err(Hinted::new(message, hint).into());
        }
    };
    let now = Utc::now();
    let time = |text: &Option<String>| text.as_ref().map(|text| instant::parse(text, now)).transpose();
    let (since, until) = (time(&arguments.time.since)?, time(&arguments.time.until)?);
    let engine = context.engine()?;
    let named = arguments.involved.key.as_ref();
    let key_arn = named.map(|name| names::key(context, &engine, name, "a report")).transpose()?;
    let principal = |name: &str| names::principal(context, &engine, name);
    let scope = Scope {
        key_arn,
        principal: arguments.involved.principal.as_deref().map(principal).transpose()?,
        session: arguments.involved.session.clone(),
        source_ip: arguments.involved.source_ip.clone(),
        since,
        until,
    };
    let limit = usize::try_from(arguments.limit)?;
    let gathered = incident::gather(&engine, &context.catalog, &scope, limit, now);
    let mut incident = context.runtime.block_on(gathered)?;
    let is_of_nobody = incident.timeline.rows.is_empty() && incident.counts.calls == 0;
    if is_of_nobody && incident.sessions_opened.total == 0 {
        return Err(nobody(context, &engine, &scope)?);
    }
    if !arguments.no_hashes {
        read_again(context, &mut incident);
    }
    let text = match format {
        Format::Json => json_text(&incident, true)?,
        _ => incident_markdown(&incident),
    };
    report::write(context, file, &text)?;
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

/// That no event is of what was asked about, and what else may have been meant. A document about nobody would read as proof that
/// nothing happened.
fn nobody(context: &Context, engine: &Engine, scope: &Scope) -> Result<anyhow::Error> {
    let asked = [
        ("principal", &scope.principal),
        ("session", &scope.session),
        ("address", &scope.source_ip),
        ("key", &scope.key_arn),
    ];
    let asked = asked.iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_deref()?)));
    let time = if scope.since.or(scope.until).is_some() { " in that time" } else { "" };
    let message = format!("no event in this lake matches {}{time}", asked.collect::<Vec<_>>().join(" and "));
    for name in [&scope.principal, &scope.session].into_iter().flatten() {
        let meant = names::like(context, engine, name.rsplit(['/', ':', '*']).next().unwrap_or(name))?;
        let (principals, sessions): (Vec<_>, Vec<_>) = meant.into_iter().partition(Meant::is_principal);
        let told = [("--principal", principals), ("--session", sessions)];
        let told = told.iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told.map(|(option, meant)| format!("{option} {}", listed(meant))).collect();
        if !told.is_empty() && time.is_empty() {
            return Ok(Hinted::new(message, format!("there is {}", told.join(", and "))).into());
        }
    }
    let hint = "names match exactly, and `*` stands for any characters; that there is no event is no proof where logs are missing: \
                see `keytrail coverage`";
    Ok(Hinted::new(message, hint).into())
}

/// Reads every log object of the incident once more.
fn read_again(context: &Context, incident: &mut Incident) {
    let options = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let again = Again { options: &options, object_bytes_max: OBJECT_BYTES_MAX };
    let bar = context.printer.bar("{msg} {wide_bar} {pos}/{len}");
    let all = incident.evidence.objects.len() as u64;
    for (object, done) in incident.evidence.objects.iter_mut().zip(0..) {
        bar.show(done, all, format!("reading log objects again: {done} of {all}"));
        // Of an object in trouble its digest tells no more.
        let digest = object.digest_uri.as_deref().filter(|_| object.trouble.is_none());
        let version_tag = object.version_tag.as_deref();
        let found = context.runtime.block_on(again.object(&object.source_object, version_tag, digest));
        if found.is_another {
            (object.object_state, object.digest_state) = (None, None);
        }
        object.sha256 = found.sha256;
        object.trouble = found.trouble.or(object.trouble.take());
    }
    bar.finish();
}
