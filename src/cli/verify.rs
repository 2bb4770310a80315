//! `keytrail verify`: digests, their chain, and the logs that they vouch for.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::Utc;
use keytrail::evidence::{
    Archive, CloudTrailKeys, Digests, EvidenceError, LocalArchive, Logs, Options, Outcome as Ended, Problem, Progress,
    PublicKeys, Report, S3Archive, verify,
};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::lake::evidence::EvidenceLog;
use keytrail::lake::tables::EVENTS;
use keytrail::render::Format;
use keytrail::source::{self, Source, SourceOptions};

use super::args::Verify;
use super::printer::Bar;
use super::{Context, Hinted, Outcome, way_to};
use keytrail::render::thousands;

/// Problems that are told one by one on a terminal; JSON and the lake's tables have more.
const NAMED_MAX: usize = 100;

pub(super) fn run(context: &Context, arguments: &Verify) -> Result<Outcome> {
    let now = Utc::now();
    let options = Options {
        prune: arguments.which.prune(now)?,
        jobs: std::thread::available_parallelism()?.into(),
        object_bytes_max: OBJECT_BYTES_MAX,
        now,
    };
    let source = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let archive = archive(context, &arguments.source, &source, &options)?;
    let mut keys = keys(context, &arguments.public_keys)?;
    let report = watched(context, archive.as_ref(), &mut keys, &options)?;
    tell(context, &report)?;
    Ok(outcome(&report))
}

/// Tells the report in the format asked for.
pub(super) fn tell(context: &Context, report: &Report) -> Result<()> {
    match context.printer.format() {
        Format::Json | Format::Ndjson => Ok(context.printer.json(report)?),
        _ => told(context, report),
    }
}

/// How the command ends: what is not proven is not valid, and not invalid either.
pub(super) fn outcome(report: &Report) -> Outcome {
    match report.outcome {
        Ended::Valid => Outcome::Done,
        Ended::Incomplete => Outcome::Incomplete,
        Ended::Invalid => Outcome::BadNews,
    }
}

/// The archive at an address.
pub(super) fn archive(
    context: &Context,
    address: &str,
    source: &SourceOptions,
    options: &Options,
) -> Result<Box<dyn Archive>> {
    context.runtime.block_on(async {
        match Source::open(address, source).await {
            Ok(Source::Local(folder)) => Ok(Box::new(LocalArchive::open(folder.path())?) as Box<dyn Archive>),
            Ok(Source::Lookup(_)) => Err(Hinted::new(
                format!("{address}: event history has no digests"),
                "give the folder or bucket that a trail delivers to",
            )
            .into()),
            Ok(Source::S3(bucket)) => Ok(Box::new(S3Archive::open(bucket, &options.prune, options.now).await?) as _),
            Err(error) => Err(Hinted::new(
                format!("{address}: {error}"),
                way_to(address, &error.to_string()).unwrap_or(
                    "give a folder or s3://bucket/prefix with CloudTrail-Digest and CloudTrail folders below it",
                ),
            )
            .into()),
        }
    })
}

/// The keys of the files that are named, or else those that AWS gives.
pub(super) fn keys(context: &Context, files: &[PathBuf]) -> Result<PublicKeys> {
    if files.is_empty() {
        let sdk = context.runtime.block_on(source::aws::config(&context.aws));
        let client = aws_sdk_cloudtrail::Client::new(&sdk);
        return Ok(PublicKeys::from_source(Box::new(CloudTrailKeys::new(client))));
    }
    let mut keys = PublicKeys::default();
    for path in files {
        let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        keys.add_json(&json, &path.display().to_string())?;
    }
    Ok(keys)
}

/// Verifies under a spinner; results go into the lake if there is one.
pub(super) fn watched(
    context: &Context,
    archive: &dyn Archive,
    keys: &mut PublicKeys,
    options: &Options,
) -> Result<Report> {
    let progress = Arc::new(Progress::default());
    let bar = context.printer.bar("{spinner} {msg}");
    let watch = context.runtime.spawn(watch(Arc::clone(&progress), bar.clone()));
    let verified = context.runtime.block_on(async {
        let at = options.now.timestamp_micros();
        let kept = match context.lake.open(&EVENTS).await? {
            Some(_) => EvidenceLog::open(&context.lake, at).await.map(Some),
            None => Ok(None),
        };
        let verified = match kept {
            Ok(mut log) => verify(archive, keys, options, &progress, log.as_mut()).await,
            Err(error) => Err(EvidenceError::Lake(error)),
        };
        match verified {
            // What the lake does not take is told all the same, which takes looking again.
            Err(EvidenceError::Lake(error)) => {
                context.printer.fault(&format!("the lake could take no note of what was verified: {error}"));
                verify(archive, keys, options, &progress, None).await
            }
            verified => verified,
        }
        .map_err(anyhow::Error::from)
    });
    watch.abort();
    bar.finish();
    let report = verified?;
    if report.digests.key_unknown + report.backfill_digests.key_unknown > 0 {
        context.printer.warn(
            "keys of digests were not found; name files with the answer of `aws cloudtrail list-public-keys` in their \
             Regions with --public-keys, or give credentials",
        );
    }
    Ok(report)
}

async fn watch(progress: Arc<Progress>, bar: Bar) {
    loop {
        let load = |counter: &std::sync::atomic::AtomicU64| thousands(counter.load(Ordering::Relaxed));
        let megabytes = thousands(progress.bytes.load(Ordering::Relaxed) / 1_000_000);
        let words = format!("{} digests, {} logs, {megabytes} MB", load(&progress.digests), load(&progress.logs));
        bar.show(0, 0, words);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The report as a person reads it: what is wrong, and the closing lines of AWS's own validator, with more.
fn told(context: &Context, report: &Report) -> Result<()> {
    let line = |text: &str| context.printer.line(&keytrail::render::clean(text));
    for problem in report.problems.iter().take(NAMED_MAX) {
        line(&told_problem(problem))?;
    }
    let more = report.problems.len().saturating_sub(NAMED_MAX) as u64 + report.problems_more;
    if more > 0 {
        line(&format!("and {} more problems; --format json tells them", thousands(more)))?;
    }
    line(&match report.from.as_deref().zip(report.to.as_deref()) {
        Some((from, to)) => format!("deliveries between {from} and {to}, in {} chains:", thousands(report.chains)),
        None => "no digest was found: nothing is vouched for".to_owned(),
    })?;
    let (is_found, has_backfill) = (report.chains > 0, report.backfill_digests != Digests::default());
    for (name, digests, is_told) in
        [("digest", &report.digests, is_found), ("backfill digest", &report.backfill_digests, has_backfill)]
    {
        if is_told {
            line(&digests_line(name, digests))?;
        }
    }
    for (name, logs, is_told) in
        [("log", &report.logs, is_found), ("backfill log", &report.backfill_logs, has_backfill)]
    {
        if is_told {
            line(&logs_line(name, logs))?;
        }
    }
    for (count, told) in [
        (report.unnamed.extra, "log files that no digest names: EXTRA"),
        (report.unnamed.moved, "log files that belong elsewhere: MOVED"),
        (report.unnamed.uncovered, "log files of times that no digest covers"),
        (report.unnamed.pending, "log files so recent that their digest may still come"),
    ] {
        if count > 0 {
            line(&format!("{} {told}", thousands(count)))?;
        }
    }
    Ok(())
}

fn told_problem(problem: &Problem) -> String {
    let backfill = if problem.is_backfill { "(backfill) " } else { "" };
    let state = problem.state.to_uppercase();
    format!("{backfill}{} {}: {state}: {}", problem.about, problem.object, problem.reason)
}

fn digests_line(name: &str, digests: &Digests) -> String {
    let Digests { valid, invalid, missing, unsigned, key_unknown, unreadable } = digests;
    let all = valid + invalid + missing + unsigned + key_unknown + unreadable;
    let others = [
        (*invalid, "INVALID"),
        (*missing, "MISSING"),
        (*unsigned, "without a signature"),
        (*key_unknown, "signed with an unknown key"),
        (*unreadable, "unreadable"),
    ];
    summary(name, *valid, all, &others)
}

fn logs_line(name: &str, logs: &Logs) -> String {
    let Logs { valid, invalid, missing, unreadable } = logs;
    let others = [(*invalid, "INVALID"), (*missing, "MISSING"), (*unreadable, "unreadable")];
    summary(name, *valid, valid + invalid + missing + unreadable, &others)
}

/// `3/4 digest files valid, 1/4 digest files INVALID`
fn summary(name: &str, valid: u64, all: u64, others: &[(u64, &str)]) -> String {
    let mut text = format!("{}/{} {name} files valid", thousands(valid), thousands(all));
    for (count, state) in others.iter().filter(|(count, _)| *count > 0) {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {}/{} {name} files {state}", thousands(*count), thousands(all));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_as_that_of_aws() {
        let logs = Logs { valid: 3, invalid: 1, ..Logs::default() };
        assert_eq!(logs_line("log", &logs), "3/4 log files valid, 1/4 log files INVALID");
        assert_eq!(
            digests_line("digest", &Digests { valid: 1200, ..Digests::default() }),
            "1,200/1,200 digest files valid"
        );
    }
}
