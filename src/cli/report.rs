//! `keytrail report`: how the keys stand, as a document.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Duration, Utc};
use keytrail::detect::{Options, findings_as_of, run_instant};
use keytrail::engine::Engine;
use keytrail::instant;
use keytrail::lake::LakeError;
use keytrail::lake::reports::ReportRow;
use keytrail::lake::snapshots::{record_report, reports_written};
use keytrail::overview::{self, Asked, Frame, Made, Overview, Windows, gather};
use keytrail::query::Severity;
use keytrail::render::{Form, Format, overview_document};

use super::args::Report;
use super::detect::{FRESH, compared, found};
use super::{Context, Hinted, Outcome};

pub(super) fn run(context: &Context, arguments: &Report) -> Result<Outcome> {
    let forms = forms(context, arguments)?;
    let now = Utc::now();
    // Before the lake is read: of two reports at once the second must not count.
    let written = context.runtime.block_on(reports_written(&context.lake, &arguments.series))?;
    let engine = context.engine()?;
    let times = times(context, arguments, &engine, now)?;
    let is_saved = times.asked.is_next() && !arguments.no_save;
    let run_at = context.runtime.block_on(run_instant(&engine, &context.catalog, now))?;
    let (mut overview, unsaved) = looked(context, arguments, &engine, &times, is_saved, (now, run_at))?;
    let (worst_new, is_blind) = (overview.findings.worst_new(), overview.no_events.is_some());
    let (new, lake_version) = (overview.findings.new.len(), overview.provenance.lake_version);
    if arguments.new {
        overview.findings.only_new();
    }
    let documents = forms.iter().map(|(form, _)| overview_document(&overview, *form)).collect::<Result<Vec<_>, _>>()?;
    let is_latest =
        || anyhow::Ok(context.runtime.block_on(reports_written(&context.lake, &arguments.series))? == written);
    if is_saved && unsaved.is_none() && !is_latest()? {
        return Err(overtaken(arguments));
    }
    for ((form, file), document) in forms.iter().zip(&documents) {
        write(context, *file, &document.text)?;
        if document.left_out > 0 {
            context.printer.warn(&format!(
                "{} of the findings are not in the {} document, which takes none without an account and a Region, nor more than there \
                 is room for; the other forms have them",
                document.left_out,
                form.name()
            ));
        }
    }
    if let Some(error) = unsaved {
        context
            .printer
            .fault(&format!("the lake could take no note of this report, and the next one tells it again: {error}"));
    } else if is_saved && !(context.printer.is_closed() && forms.iter().any(|(_, file)| file.is_none())) {
        // Written first: a report that nobody got must not move the window.
        let micros = |at: DateTime<Utc>| at.timestamp_micros();
        let row = ReportRow {
            number: 0,
            made_at: micros(Utc::now()),
            run_at: micros(run_at),
            series: arguments.series.clone(),
            since: micros(times.windows.window.since),
            until: micros(times.windows.window.until),
            lake_version: i64::try_from(lake_version)?,
            new_findings: i64::try_from(new)?,
        };
        if !context.runtime.block_on(record_report(&context.lake, row, written))? {
            return Err(overtaken(arguments));
        }
    }
    let bar = arguments.fail_on.as_deref().and_then(|name| Severity::ALL.into_iter().find(|one| one.name() == name));
    Ok(match bar {
        Some(bar) if worst_new.is_some_and(|worst| worst >= bar) => Outcome::BadNews,
        Some(_) if is_blind || times.is_stale => Outcome::Incomplete,
        _ => Outcome::Done,
    })
}

/// Another report of the series came between.
fn overtaken(arguments: &Report) -> anyhow::Error {
    let message = format!("another report of the series {} was written meanwhile", arguments.series);
    Hinted::new(message, "both tell of the same time; --series gives each a series of its own").into()
}

/// The times of a report, and what they follow from.
struct Times {
    asked: Asked,
    windows: Windows,
    last: Option<Made>,
    is_stale: bool,
}

fn times(context: &Context, arguments: &Report, engine: &Engine, now: DateTime<Utc>) -> Result<Times> {
    let catalog = &context.catalog;
    let end = context.runtime.block_on(overview::latest_event(engine, catalog, now))?;
    let end = end.map(|at| at + Duration::seconds(1));
    let until = arguments.time.until.as_ref().map(|text| instant::parse(text, now)).transpose()?;
    // An age counts back from the end of the window.
    let base = until.or(end).unwrap_or(now);
    let since = arguments.time.since.as_ref().map(|text| instant::parse(text, base)).transpose()?;
    let asked = Asked { since, until };
    let last = |before| overview::last_report(engine, catalog, &arguments.series, before, now);
    let last_of_series = if asked.is_next() { context.runtime.block_on(last(None))? } else { None };
    let windows = overview::windows(asked, last_of_series.as_ref(), end, now).map_err(|error| {
        Hinted::new(
            error.to_string(),
            "--until is the end of the logs, and an age such as --since -7d counts back from it",
        )
    })?;
    // What a report by itself is compared with is the last one before its window, whatever came later.
    let last = match last_of_series {
        Some(last) => Some(last),
        None if asked.is_next() => None,
        None => context.runtime.block_on(last(Some(windows.window.since)))?,
    };
    let is_stale = until.is_none() && end.is_none_or(|end| end + FRESH < now);
    if let (true, Some(end)) = (is_stale, end) {
        let (days, end) = ((now - end).num_days(), instant::plain(end));
        context.printer.note(&format!("note: the logs end at {end}, {days} days ago, and so does this report"));
    }
    Ok(Times { asked, windows, last, is_stale })
}

/// Runs the detectors and gathers the rest.
fn looked(
    context: &Context,
    arguments: &Report,
    engine: &Engine,
    times: &Times,
    is_saved: bool,
    (now, run_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(Overview, Option<LakeError>)> {
    let catalog = &context.catalog;
    let options =
        Options { window: times.windows.looked_at, unseen_from: None, only: Vec::new(), params: BTreeMap::new(), now };
    let mut detection = found(context, engine, &options)?;
    let mut unsaved = None;
    if is_saved {
        (_, unsaved) = compared(context, engine, detection.clone(), run_at, true)?;
    }
    let frame = Frame {
        series: arguments.series.clone(),
        windows: times.windows,
        last: times.last.clone(),
        has_expectations: context.expectations.is_given,
        run_at,
    };
    context.runtime.block_on(async {
        let before = match &times.last {
            Some(last) => findings_as_of(engine, catalog, last.run_at).await?,
            None => Vec::new(),
        };
        detection.compare(before);
        Ok((gather(engine, catalog, detection, &frame).await?, unsaved))
    })
}

/// The forms that were asked for, and where each goes: by the name of the form, or by that of the file.
fn forms<'a>(context: &Context, arguments: &'a Report) -> Result<Vec<(Form, Option<&'a Path>)>> {
    let files = &arguments.output;
    if files.len() > 1 && context.form.is_some() {
        return Err(
            Hinted::new("several files are not of one format", "leave --format out: their names tell it").into()
        );
    }
    let is_sarif = |form: Option<Form>| form == Some(Form::Sarif);
    if arguments.new && (is_sarif(context.form) || files.iter().any(|file| is_sarif(named(file)))) {
        let message = "SARIF tells all that is open: what it leaves out counts as fixed";
        return Err(Hinted::new(message, "leave --new out").into());
    }
    let forms = match files.as_slice() {
        [] => vec![(context.form.unwrap_or_default(), None)],
        files => files.iter().map(|file| form_of(context, file)).collect::<Result<Vec<_>>>()?,
    };
    if forms.iter().any(|(form, _)| *form == Form::Rows(Format::Ndjson)) {
        return Err(Hinted::new("a report is not written as ndjson", "`keytrail detect --format ndjson` is").into());
    }
    Ok(forms)
}

/// The form in which a file is to be written, and the file, unless it is standard output. What was asked for by name and what
/// the file is called must not contradict each other.
pub(super) fn form_of<'a>(context: &Context, file: &'a Path) -> Result<(Form, Option<&'a Path>)> {
    if file.as_os_str() == "-" {
        return Ok((context.form.unwrap_or_default(), None));
    }
    let told = named(file);
    if let (Some(form), Some(told)) = (context.form, told)
        && !form.fits(told)
    {
        let message = format!("--format {} would be written to {}", form.name(), file.display());
        return Err(Hinted::new(message, format!("leave --format out for {}, or rename the file", told.name())).into());
    }
    let unknown = || Hinted::new(format!("{} does not tell its format", file.display()), "give --format");
    Ok((context.form.or(told).ok_or_else(unknown)?, Some(file)))
}

fn named(file: &Path) -> Option<Form> {
    file.file_name().and_then(|name| Form::of_file(name.to_str()?))
}

/// Writes a document to a file, all of it or none, or to standard output.
pub(super) fn write(context: &Context, file: Option<&Path>, text: &str) -> Result<()> {
    let Some(file) = file else { return context.printer.line(text.trim_end()) };
    let text = text.trim_end().to_owned() + "\n";
    replace(file, text.as_bytes()).with_context(|| format!("the report cannot be written to {}", file.display()))?;
    context.printer.note(&format!("written to {}", file.display()));
    Ok(())
}

fn replace(file: &Path, text: &[u8]) -> Result<()> {
    let place = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if place.exists() && !place.is_file() {
        // A pipe or a device.
        fs::write(place, text)?;
        return Ok(());
    }
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any file that is made, of which the mask takes away what others may not do; or as the one that it replaces.
        let kept = fs::metadata(&place).map(|before| before.permissions());
        options.permissions(kept.unwrap_or_else(|_| fs::Permissions::from_mode(0o666)));
    }
    let mut written = options.prefix(".keytrail-").tempfile_in(folder)?;
    written.write_all(text)?;
    written.as_file().sync_all()?;
    written.persist(place)?;
    Ok(())
}
