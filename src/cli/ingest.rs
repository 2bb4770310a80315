//! `keytrail ingest`: log files into the lake.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use keytrail::evidence;
use keytrail::ingest::follow::{Follow, Passed};
use keytrail::ingest::{IngestError, Named, Options, PassedOver, Progress, Report, Scope, ingest};
use keytrail::instant;
use keytrail::render::Format;
use keytrail::source::Prune;
use keytrail::source::aws::AwsOptions;

use super::args::{Aws, Ingest, Which};
use super::ingested::{closing_line, tell_rejects};
use super::printer::Bar;
use super::{Context, Hinted, Outcome, verify, way_to};
use keytrail::render::thousands;

/// Objects that were passed over, likewise; -v names all.
const PASSED_OVER_NAMED_MAX: usize = 5;

pub(super) fn run(context: &Context, arguments: &Ingest) -> Result<Outcome> {
    let options = options(context, arguments)?;
    let report = if arguments.follow {
        followed(context, arguments, options.clone())?
    } else {
        watched(context, &arguments.sources, &options)?
    };
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(&report)?,
        _ => context.printer.account(&closing_line(&report))?,
    }
    tell_rejects(context, &report);
    tell_passed_over(context, &report);
    let is_empty_handed = report.is_empty_handed() && !arguments.follow;
    if is_empty_handed {
        tell_nothing(context, &arguments.sources, &arguments.which, &report);
    } else if report.objects.listed == report.objects.skipped && !report.interrupted && !arguments.follow {
        tell_nothing_new(context, arguments, &report);
    }
    let read = if report.is_whole() && !is_empty_handed { Outcome::Done } else { Outcome::Incomplete };
    if !arguments.verify || report.interrupted {
        return Ok(read);
    }
    let verified = verify_sources(context, arguments, &options)?;
    Ok(if verified == Outcome::Done { read } else { verified })
}

/// That there was nothing to read this time, in sources that have something at others.
fn tell_nothing_new(context: &Context, arguments: &Ingest, report: &Report) {
    let sources = arguments.sources.join(", ");
    if report.settled_lanes > 0 {
        context.printer.note(&format!(
            "nothing new in {sources}: days that were over for {} days when they were last listed are not listed again \
             (--full lists them)",
            arguments.relist_days
        ));
    } else {
        let when = if arguments.which.is_narrow() { " in that time" } else { "" };
        context.printer.note(&format!("note: nothing was delivered{when} to {sources}"));
    }
}

/// Why a run found nothing at all of what it was asked for.
pub(super) fn tell_nothing(context: &Context, sources: &[String], which: &Which, report: &Report) {
    let named = sources.join(", ");
    let passed = &report.passed_over;
    let why = if report.records.filtered > 0 {
        format!(
            "no record of that account, Region and time in {named}: all {} are of others",
            thousands(report.records.filtered)
        )
    } else if passed.elsewhere > 0 {
        format!("no log object of that account and Region in {named}: {} are of others", thousands(passed.elsewhere))
    } else if which.is_narrow() {
        format!("no log object of that account, Region and time in {named}")
    } else if passed.strangers.count > 0 {
        format!("nothing was read: no log object in {named}")
    } else if passed.other_kinds > 0 {
        format!(
            "no log object in {named}: it has only digests, Insights or aggregated events, which contain none of the events that keytrail keeps"
        )
    } else {
        format!("no log object in {named}")
    };
    context.printer.warn(&why);
    if sources.iter().any(|source| source.starts_with("s3://")) {
        context.printer.note(
            "hint: give the bucket, or a prefix that contains AWSLogs/ or is inside it: s3://BUCKET/PREFIX/AWSLogs/ACCOUNT/CloudTrail/REGION/",
        );
    }
}

/// What was passed over although it may be meant: not that digests hold no events.
pub(super) fn tell_passed_over(context: &Context, report: &Report) {
    let PassedOver { strangers, links, .. } = &report.passed_over;
    let is_remote = strangers.first.first().is_some_and(|first| first.starts_with("s3://"));
    let why = if is_remote {
        "outside a trail's folders (to read one, give its address or copy it to a local folder)"
    } else {
        "because neither name nor content looks like a log"
    };
    tell_named(context, strangers, ["object was", "objects were"], why);
    tell_named(
        context,
        links,
        ["link to a folder was", "links to folders were"],
        "because a link to a folder is followed only if you give it as a source",
    );
}

fn tell_named(context: &Context, named: &Named, [one, many]: [&str; 2], why: &str) {
    if named.count == 0 {
        return;
    }
    let shown = named.first.iter().take(PASSED_OVER_NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match named.count.saturating_sub(PASSED_OVER_NAMED_MAX as u64) {
        0 => String::new(),
        more => format!(" and {} more", thousands(more)),
    };
    let what = if named.count == 1 { one } else { many };
    context.printer.note(&format!("note: {} {what} passed over, {why}: {shown}{more}", thousands(named.count)));
}

/// Verifies what was read, source by source; the worst of it is how it ends.
fn verify_sources(context: &Context, arguments: &Ingest, options: &Options) -> Result<Outcome> {
    let wanted = evidence::Options {
        prune: options.prune.clone(),
        jobs: options.jobs,
        object_bytes_max: options.object_bytes_max,
        now: options.now,
    };
    let mut keys = verify::keys(context, &arguments.public_keys)?;
    let mut worst = Outcome::Done;
    for address in &arguments.sources {
        let archive = verify::archive(context, address, &options.source, &wanted)?;
        let report = verify::watched(context, archive.as_ref(), &mut keys, &wanted)?;
        verify::tell(context, &report)?;
        worst = match (worst, verify::outcome(&report)) {
            (Outcome::BadNews, _) | (_, Outcome::BadNews) => Outcome::BadNews,
            (Outcome::Incomplete, _) | (_, Outcome::Incomplete) => Outcome::Incomplete,
            _ => Outcome::Done,
        };
    }
    Ok(worst)
}

fn options(context: &Context, arguments: &Ingest) -> Result<Options> {
    let now = Utc::now();
    let mut options = Options::at(now);
    options.jobs = arguments.jobs.unwrap_or(options.jobs);
    options.object_bytes_max = arguments.max_object_bytes;
    options.prune = arguments.which.prune(now)?;
    options.source.aws = context.aws.clone();
    options.source.s3.requester_pays = arguments.requester_pays;
    options.relist_days = arguments.relist_days;
    options.scope = if arguments.full { Scope::Everything } else { Scope::Unsettled };
    Ok(options)
}

impl Which {
    /// Whether it leaves anything out.
    pub fn is_narrow(&self) -> bool {
        self.since.is_some() || self.until.is_some() || !self.account.is_empty() || !self.region.is_empty()
    }

    /// What the library makes of it.
    pub fn prune(&self, now: DateTime<Utc>) -> Result<Prune> {
        let time = |text: &Option<String>| text.as_ref().map(|text| instant::parse(text, now)).transpose();
        Ok(Prune {
            since: time(&self.since)?,
            until: time(&self.until)?,
            accounts: self.account.clone(),
            regions: self.region.clone(),
        })
    }
}

impl Aws {
    /// What the library makes clients of.
    pub fn options(&self) -> AwsOptions {
        AwsOptions { region: None, assume_role: self.assume_role.clone(), external_id: self.external_id.clone() }
    }
}

/// Runs an ingest under a progress bar that ends cleanly on Ctrl-C.
pub(super) fn watched(context: &Context, sources: &[String], options: &Options) -> Result<Report> {
    let progress = Arc::new(Progress::default());
    let stop = context.runtime.spawn(stop_when_asked(Arc::clone(&progress), context.printer));
    let report = shown(context, sources, options, &progress);
    stop.abort();
    report
}

/// Runs an ingest under a progress bar.
pub(super) fn shown(
    context: &Context,
    sources: &[String],
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Report> {
    let bar = context.printer.bar("{bar:24} {percent:>3}%  {msg}  {eta} left");
    let watch = context.runtime.spawn(watch(Arc::clone(progress), bar.clone()));
    let report = ingest(context.runtime.handle(), &context.lake, sources, options, progress);
    watch.abort();
    bar.finish();
    report.map_err(hinted)
}

/// Keeps up with the sources until it is stopped; each pass that read something is told in a line.
fn followed(context: &Context, arguments: &Ingest, options: Options) -> Result<Report> {
    let progress = Arc::new(Progress::default());
    let stop = context.runtime.spawn(stop_when_asked(Arc::clone(&progress), context.printer));
    let follow = Follow {
        runtime: context.runtime.handle(),
        lake: &context.lake,
        sources: &arguments.sources,
        options,
        each: Duration::from_secs(arguments.interval),
        progress: &progress,
        clock: &Utc::now,
    };
    let report = follow.run(&mut |passed| match passed {
        Passed::Done(report) => tell_pass(context, report),
        Passed::Failed(error) => context.printer.warn(&format!("{error}; the next look tries again")),
    });
    stop.abort();
    report.map_err(hinted)
}

/// Tells a pass of several, if it read something or failed to.
pub(super) fn tell_pass(context: &Context, report: &Report) {
    if report.objects.ingested + report.objects.partial + report.objects.rejected > 0 {
        context.printer.note(&closing_line(report));
    }
    if report.put_off > 0 {
        let more = thousands(report.put_off);
        context.printer.warn(&format!("{more} places or objects could not be read now; -v names them"));
    }
}

/// With what to look at, when it is the way to AWS that failed.
pub(super) fn hinted(error: IngestError) -> anyhow::Error {
    let hint = match &error {
        IngestError::Source { uri, why } => way_to(uri, why),
        IngestError::Lake(_) => None,
    };
    match hint {
        Some(hint) => Hinted::new(error.to_string(), hint).into(),
        None => error.into(),
    }
}

#[allow(clippy::exit, reason = "a second Ctrl-C asks for just that: the end, now")]
pub(super) async fn stop_when_asked(progress: Arc<Progress>, printer: super::Printer) {
    if asked_to_stop().await.is_ok() {
        progress.stop.store(true, Ordering::Relaxed);
        printer.note("stopping: what is read so far is being committed (Ctrl-C again to give up)");
    }
    if asked_to_stop().await.is_ok() {
        std::process::exit(130);
    }
}

/// Waits for Ctrl-C, or for what a service manager sends.
#[cfg(unix)]
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn asked_to_stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn watch(progress: Arc<Progress>, bar: Bar) {
    let started = std::time::Instant::now();
    loop {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        let bytes = load(&progress.bytes_finished);
        let listing = if progress.listing_done.load(Ordering::Relaxed) { "" } else { "+" };
        let words = format!(
            "{} of {}{listing} objects, {:.1} MB/s, {} events/s",
            load(&progress.objects_finished),
            load(&progress.objects_listed),
            approximate(bytes) / 1e6 / seconds,
            thousands(
                load(&progress.records_read) * 1000 / u64::try_from(started.elapsed().as_millis().max(1)).unwrap_or(1)
            ),
        );
        let words = if progress.merging.load(Ordering::Relaxed) { "merging small files".to_owned() } else { words };
        bar.show(bytes, load(&progress.bytes_listed), words);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate for the eye")]
fn approximate(bytes: u64) -> f64 {
    bytes as f64
}
