//! `keytrail detect`: runs detectors, tells what they found, and keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Duration, Utc};
use keytrail::detect::{
    Detection, Finding, NotEvaluated, Options, Status, Window, chosen, detect, open_findings, recorded, run_instant,
    unseen,
};
use keytrail::engine::{Engine, Rows};
use keytrail::instant;
use keytrail::lake::LakeError;
use keytrail::lake::snapshots::record_detected;
use keytrail::query::{Query, Severity};
use keytrail::render::{Format, gaps, texts};
use serde::Serialize;

use super::args::Detect;
use super::{Context, Hinted, Outcome};

/// How long the window is, unless told otherwise.
pub(super) const WINDOW_DAYS: i64 = 30;

/// Logs that end longer ago than this are looked at as they are: a window that ends now would hold nothing.
pub(super) const FRESH: Duration = Duration::days(1);

pub(super) fn run(context: &Context, arguments: &Detect) -> Result<Outcome> {
    if arguments.list {
        return list(context, arguments);
    }
    let now = Utc::now();
    let engine = context.engine()?;
    let asked = (arguments.since.as_deref(), arguments.until.as_deref());
    let (window, is_stale) = window(context, &engine, asked, WINDOW_DAYS, now)?;
    let unseen_from = if arguments.no_save { None } else { unseen_from(context, &engine, arguments, window)? };
    let mut params: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (detector, name, value) in &arguments.params {
        chosen(&context.catalog, std::slice::from_ref(detector))?;
        if !arguments.only.is_empty() && !arguments.only.contains(detector) {
            let message = format!("--param is for {detector}, which --only leaves out");
            return Err(Hinted::new(message, "name it with --only too, or leave the parameter out").into());
        }
        if matches!(name.as_str(), "since" | "until") {
            let message = format!("{name} is the window of all detectors");
            return Err(Hinted::new(message, format!("give --{name}")).into());
        }
        params.entry(detector.clone()).or_default().insert(name.clone(), value.clone());
    }
    let options = Options { window, unseen_from, only: arguments.only.clone(), params, now };
    let (mut detection, unsaved) = detected(context, &engine, &options, !arguments.no_save)?;
    let (worst, open) = (detection.worst(), detection.findings.len());
    if arguments.new {
        detection.findings.retain(|finding| finding.status == Status::New);
    }
    tell(context, &detection, arguments.new.then_some(open))?;
    if let Some(error) = unsaved {
        context.printer.fault(&format!("what was found is not in the lake, and is new to the next run: {error}"));
    }
    let bar = arguments.fail_on.as_deref().and_then(|name| Severity::ALL.into_iter().find(|one| one.name() == name));
    let shown = if arguments.new { detection.worst() } else { worst };
    let is_bad = bar.is_some_and(|bar| shown.is_some_and(|worst| worst >= bar));
    Ok(match (is_bad, bar) {
        (true, _) => Outcome::BadNews,
        // Whoever asks for an exit code must not take "nothing could be judged" for "nothing is wrong".
        (false, Some(_)) if detection.evaluated.is_empty() || detection.no_events.is_some() || is_stale => {
            Outcome::Incomplete
        }
        (false, _) => Outcome::Done,
    })
}

/// Runs detectors, and tells how far they are.
pub(super) fn found(context: &Context, engine: &Engine, options: &Options) -> Result<Detection> {
    let all = chosen(&context.catalog, &options.only)?.len() as u64;
    let bar = context.printer.bar("{bar:24} {pos}/{len} {msg}");
    let done = std::cell::Cell::new(0);
    let told = |name: &str| {
        bar.show(done.get(), all, format!("evaluating {name}"));
        done.set(done.get() + 1);
    };
    let found = detect(engine, &context.catalog, &context.expectations, options, &told);
    let found = context.runtime.block_on(found);
    bar.finish();
    let found = found?;
    found.broken.iter().for_each(|fault| context.printer.fault(fault));
    Ok(found)
}

/// What was found, and why the lake has not taken it, where it was to be kept there.
pub(super) type Detected = (Detection, Option<LakeError>);

/// Runs detectors and compares what they find with what was open before; keeps it in the lake, where it is to be kept.
pub(super) fn detected(context: &Context, engine: &Engine, options: &Options, is_kept: bool) -> Result<Detected> {
    let found = found(context, engine, options)?;
    let run_at = context.runtime.block_on(run_instant(engine, &context.catalog, options.now))?;
    compared(context, engine, found, run_at, is_kept)
}

/// What was found, compared with what was open before; kept in the lake, where it is to be kept. A lake that does not take it
/// keeps nobody from seeing it.
pub(super) fn compared(
    context: &Context,
    engine: &Engine,
    mut found: Detection,
    run_at: DateTime<Utc>,
    is_kept: bool,
) -> Result<Detected> {
    context.runtime.block_on(async {
        found.compare(open_findings(engine, &context.catalog, run_at).await?);
        let mut unsaved = None;
        if is_kept {
            unsaved = record_detected(&context.lake, &recorded(&found, run_at)).await.err();
        }
        Ok((found, unsaved))
    })
}

/// The window of a question: as asked, or so many days before now, or before the end of logs that ended earlier; and
/// whether it was for the latter. An age is counted back from the end of the window.
pub(super) fn window(
    context: &Context,
    engine: &Engine,
    (since, until): (Option<&str>, Option<&str>),
    days: i64,
    now: DateTime<Utc>,
) -> Result<(Window, bool)> {
    let ended = match until {
        Some(_) => None,
        None => stale_end(context, engine, now)?,
    };
    // A window that begins after the logs have ended is one without events, and no mistake of who asks.
    let is_beyond = |end: &DateTime<Utc>| {
        since.is_some_and(|text| instant::parse(text, *end).is_ok_and(|since| since >= *end && since < now))
    };
    if let Some(end) = ended {
        let (end_of_logs, days) = (instant::plain(end), (now - end).num_days());
        let what = if is_beyond(&end) {
            ", before the window begins: it contains no events"
        } else {
            ": the window ends there"
        };
        context.printer.note(&format!("note: the logs end at {end_of_logs}, {days} days ago{what}"));
    }
    let until = match until {
        Some(text) => instant::parse(text, now)?,
        None => ended.filter(|end| !is_beyond(end)).unwrap_or(now),
    };
    let since = match since {
        Some(text) => instant::parse(text, until)?,
        None => until - Duration::days(days),
    };
    if since >= until {
        return Err(Hinted::new(
            format!("the window is empty: {} is not before {}", instant::plain(since), instant::plain(until)),
            "--until is now, or the end of the logs where that is more than a day ago; an age such as -7d counts back from it",
        )
        .into());
    }
    Ok((Window { since, until }, ended.is_some()))
}

/// From when on to look, where earlier runs have not seen everything before the window: the time since they ended, and logs that came
/// late. A window that begins at a fixed instant stays as it is, and a note says what it leaves out.
fn unseen_from(
    context: &Context,
    engine: &Engine,
    arguments: &Detect,
    window: Window,
) -> Result<Option<DateTime<Utc>>> {
    let detectors = chosen(&context.catalog, &arguments.only)?;
    let found = context.runtime.block_on(unseen(engine, &context.catalog, &detectors, window))?;
    let Some((found, from)) = found.and_then(|found| Some((found, found.from(window)?))) else { return Ok(None) };
    let what = match found.logs {
        0 => format!("the last run looked until {}", instant::plain(found.seen_until)),
        1 => "a log with events of before the window came since the last run".to_owned(),
        logs => format!("{logs} logs with events of before the window came since the last run"),
    };
    if arguments.since.as_ref().is_some_and(|since| !since.starts_with('-')) {
        context.printer.note(&format!("note: {what}; --since {} looks at that, too", instant::plain(from)));
        return Ok(None);
    }
    let least = window.since - (window.until - window.since);
    let looked_from = from.max(least);
    context.printer.note(&format!("note: {what}: this run looks from {} on", instant::plain(looked_from)));
    if from < least {
        let (from, until) = (instant::plain(from), instant::plain(least));
        context.printer.note(&format!("note: no run has seen all from {from} to {until}; --since {from} looks at it"));
    }
    Ok(Some(looked_from))
}

/// The end of the logs, where that is long ago.
pub(super) fn stale_end(context: &Context, engine: &Engine, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    Ok(latest(context, engine, now)?.filter(|end| *end + FRESH < now))
}

/// The end of the logs: the second after the latest event.
fn latest(context: &Context, engine: &Engine, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let query = context.catalog.get("span")?;
    let rows = context.runtime.block_on(engine.run(query, query.bind(&[], now)?))?;
    let latest = texts(&rows.batches, "last_event_time").into_iter().flatten().next();
    Ok(latest.and_then(|text| instant::parse(&text, now).ok()).map(|at| at + Duration::seconds(1)))
}

/// Tells what was found. With --new, `open` is how many findings there are in all.
fn tell(context: &Context, detection: &Detection, open: Option<usize>) -> Result<()> {
    match context.printer.format() {
        Format::Json => return context.printer.json(detection),
        Format::Ndjson => {
            let Detection { findings, accepted, unjudged, resolved, aged, .. } = detection;
            for finding in findings.iter().chain(accepted).chain(unjudged).chain(resolved).chain(aged) {
                context.printer.json(finding)?;
            }
            for gap in &detection.not_evaluated {
                context.printer.json(&Line { status: "not_evaluated", gap })?;
            }
            return Ok(());
        }
        _ => context.printer.rows(&rows(detection)?)?,
    }
    let counted = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let mut said: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .filter_map(|severity| {
            let count = detection.findings.iter().filter(|finding| finding.severity == severity).count();
            counted(count, severity.name())
        })
        .collect();
    if said.is_empty() {
        said.push(if open.is_some() { "nothing new" } else { "nothing found" }.to_owned());
    }
    if let Some(open) = open {
        said.push(format!("{open} open in all"));
    }
    said.extend(counted(detection.accepted.len(), "accepted"));
    said.extend(counted(detection.resolved.len(), "resolved"));
    said.extend(counted(detection.aged.len(), "before the window by now"));
    said.extend(counted(detection.unjudged.len(), "found before and not to be judged now"));
    let skipped: BTreeSet<&str> = detection.not_evaluated.iter().map(|gap| gap.detector.as_str()).collect();
    let partly = skipped.iter().filter(|name| detection.evaluated.iter().any(|one| one == **name)).count();
    let mut line = format!(
        "{}; {} detectors evaluated{}, {} not",
        said.join(", "),
        detection.evaluated.len(),
        counted(partly, "of them not for everything").map_or_else(String::new, |partly| format!(" ({partly})")),
        skipped.len() - partly
    );
    if let Some(Window { since, until }) = detection.window {
        // Writing to a String cannot fail.
        let _ = write!(line, ", {} to {}", instant::plain(since), instant::plain(until));
    }
    context.printer.note(&line);
    if let Some(why) = &detection.no_events {
        context.printer.warn(&format!("{why}; that nothing was found means nothing"));
    }
    if context.expectations.accounts.is_empty() {
        context.printer.note(
            "note: no accounts are declared in an expectations file: every account whose log is here counts as yours",
        );
    }
    Ok(())
}

/// What could not be judged, as a line among findings.
#[derive(Serialize)]
struct Line<'a> {
    status: &'static str,
    #[serde(flatten)]
    gap: &'a NotEvaluated,
}

/// Findings and what could not be judged, as rows: the worst first, and what is not known at the end.
fn rows(detection: &Detection) -> Result<Rows> {
    // What could not be judged for many keys for one reason is one row.
    let gaps = gaps(&detection.not_evaluated);
    let Detection { findings, unjudged, resolved, aged, .. } = detection;
    let findings: Vec<&Finding> = findings.iter().chain(unjudged).chain(resolved).chain(aged).collect();
    let unjudged = gaps.iter().flat_map(|gap| {
        let of = gap.scope().map_or_else(String::new, |scope| format!("{scope}: "));
        gap.detectors.iter().map(move |detector| (*detector, format!("not evaluated: {of}{}", gap.why)))
    });
    let unjudged: Vec<(&str, String)> = unjudged.collect();
    let text = |get: &dyn Fn(&Finding) -> Option<String>| -> ArrayRef {
        let found = findings.iter().map(|finding| get(finding));
        Arc::new(found.chain(unjudged.iter().map(|_| None)).collect::<StringArray>())
    };
    let detectors = findings.iter().map(|finding| finding.detector.as_str());
    let detectors: StringArray = detectors.chain(unjudged.iter().map(|(detector, _)| *detector)).map(Some).collect();
    let messages = findings.iter().map(|finding| finding.message.as_str());
    let messages: StringArray =
        messages.chain(unjudged.iter().map(|(_, message)| message.as_str())).map(Some).collect();
    let seen = findings.iter().map(|finding| finding.last_seen.map(|at| at.timestamp_micros()));
    let seen: TimestampMicrosecondArray = seen.chain(unjudged.iter().map(|_| None)).collect();
    let events = findings.iter().map(|finding| Some(finding.events));
    let events: Int64Array = events.chain(unjudged.iter().map(|_| None)).collect();
    let status = findings.iter().map(|finding| finding.status.name());
    let status: StringArray = status.chain(unjudged.iter().map(|_| "not evaluated")).map(Some).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("severity", text(&|finding| Some(finding.severity.name().to_owned())), true),
        ("status", Arc::new(status) as ArrayRef, true),
        ("detector", Arc::new(detectors) as ArrayRef, true),
        ("message", Arc::new(messages) as ArrayRef, true),
        ("account_id", text(&|finding| finding.account_id.clone()), true),
        ("region", text(&|finding| finding.region.clone()), true),
        ("events", Arc::new(events) as ArrayRef, true),
        ("last_seen", Arc::new(seen.with_timezone("UTC")) as ArrayRef, true),
        ("evidence", text(&|finding| finding.evidence.first().cloned()), true),
    ])?;
    Ok(Rows { schema: batch.schema(), batches: vec![batch] })
}

/// A detector as `--list` tells it to programs.
#[derive(Serialize)]
struct Listed<'a> {
    detector: &'a str,
    severity: &'static str,
    title: &'a str,
    needs: Vec<&'static str>,
    attack: &'a [String],
}

fn listed(detector: &Query) -> Listed<'_> {
    Listed {
        detector: &detector.name,
        severity: detector.severity.map_or("", Severity::name),
        title: &detector.title,
        needs: detector.needs.iter().map(|need| need.name()).collect(),
        attack: &detector.attack,
    }
}

fn list(context: &Context, arguments: &Detect) -> Result<Outcome> {
    let detectors = chosen(&context.catalog, &arguments.only)?;
    if context.printer.format() == Format::Json {
        context.printer.json(&detectors.iter().map(|detector| listed(detector)).collect::<Vec<_>>())?;
        return Ok(Outcome::Done);
    }
    let column = |get: &dyn Fn(&Query) -> String| -> ArrayRef {
        Arc::new(detectors.iter().map(|detector| Some(get(detector))).collect::<StringArray>())
    };
    let batch = RecordBatch::try_from_iter([
        ("detector", column(&|detector| detector.name.clone())),
        ("severity", column(&|detector| detector.severity.map_or("", Severity::name).to_owned())),
        ("title", column(&|detector| detector.title.clone())),
        ("needs", column(&|detector| detector.needs.iter().map(|need| need.name()).collect::<Vec<_>>().join(", "))),
        ("attack", column(&|detector| detector.attack.join(", "))),
    ])?;
    context.printer.rows(&Rows { schema: batch.schema(), batches: vec![batch] })?;
    Ok(Outcome::Done)
}
