//! `keytrail watch`: keeps up with logs, detects now and then, and tells what is new.
//!
//! ```text
//! pass ─► detection, when one is due ─► round, when there was one or a channel is behind ─► pass …
//! ```

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use keytrail::detect::{self, Detection, Status, Window, chosen};
use keytrail::ingest::follow::{Follow, Passed};
use keytrail::ingest::{Options, Progress, Report};
use keytrail::instant;
use keytrail::query::Severity;
use keytrail::render::thousands;
use keytrail::watch::{
    Channel, Command, NotifyFile, Outbox, Patience, Round, Stage, Tally, Target, Webhook, WebhookFormat,
    newest_delivery, serve,
};

use super::args::Watch;
use super::detect::{Detected, WINDOW_DAYS, detected, stale_end};
use super::ingest::{hinted, shown, stop_when_asked, tell_nothing, tell_pass, tell_passed_over};
use super::ingested::tell_rejects;
use super::watched::{Sent, account, still};
use super::{Context, Hinted, Outcome};

pub(super) fn run(context: &Context, arguments: &Watch) -> Result<Outcome> {
    let channels = channels(arguments)?;
    if channels.is_empty() && arguments.metrics.is_none() {
        return Err(Hinted::new(
            "there is nobody to tell",
            "give --webhook (or KEYTRAIL_WEBHOOK), --command or --notify-file, or --metrics alone; \
             `keytrail detect` keeps findings in the lake as well",
        )
        .into());
    }
    chosen(&context.catalog, &arguments.only)?;
    let detect_each = instant::length(&arguments.detect_each)?.to_std().unwrap_or_default();
    let options = options(context, arguments)?;
    let progress = Arc::new(Progress::default());
    let tally = Arc::new(Tally::new(Duration::from_secs(arguments.interval)));
    if let Some(port) = arguments.metrics {
        serve_metrics(context, port, &tally)?;
    }
    let mut watch = Watching {
        context,
        // A receiver need not know where the lake lies.
        name: context.lake.name().to_owned(),
        only: &arguments.only,
        bar: arguments.severity,
        patience: Patience { wait: Duration::from_millis(arguments.notify_wait), ..Patience::default() },
        detect_each,
        progress: &progress,
        tally: &tally,
        channels,
        detected_at: None,
        told_end: None,
        findings: 0,
        is_unsaved: false,
        failed: None,
        sent: Vec::new(),
        is_behind: false,
    };
    let stop = context.runtime.spawn(stop_when_asked(Arc::clone(&progress), context.printer));
    let report = if arguments.once { watch.once(arguments, &options) } else { watch.follow(arguments, options) };
    stop.abort();
    let report = report?;
    account(context.printer, &report, watch.findings, &watch.sent)?;
    if let Some(error) = watch.failed {
        return Err(error);
    }
    if !arguments.once {
        tell_rejects(context, &report);
    }
    let is_empty_handed = arguments.once && report.is_empty_handed();
    if is_empty_handed {
        tell_passed_over(context, &report);
        tell_nothing(context, &arguments.sources, &arguments.which, &report);
    }
    let is_whole = report.is_whole()
        && !is_empty_handed
        && watch.sent.iter().all(|sent| sent.left == Some(0) && sent.unrecorded == 0);
    Ok(if arguments.once && !is_whole { Outcome::Incomplete } else { Outcome::Done })
}

/// Where to tell, as it was asked for.
fn channels(arguments: &Watch) -> Result<Vec<Channel>> {
    let mut targets = Vec::new();
    // An empty variable is how an environment file says that there is none.
    if let Some(address) = arguments.webhook.as_deref().filter(|address| !address.is_empty()) {
        if arguments.webhook_format != "slack" && address.contains("//hooks.slack.com/") {
            let message = "Slack does not take the webhook format json";
            return Err(Hinted::new(message, "give --webhook-format slack").into());
        }
        let format = if arguments.webhook_format == "slack" { WebhookFormat::Slack } else { WebhookFormat::Json };
        targets.push(Target::Webhook(Webhook::new(address, format, Duration::from_secs(arguments.notify_timeout))?));
    }
    targets.extend(arguments.command.as_deref().map(Command::new).map(Target::Command));
    if let Some(path) = &arguments.notify_file {
        targets.push(Target::File(NotifyFile::new(path)?));
    }
    Ok(targets.into_iter().map(Channel::new).collect())
}

fn options(context: &Context, arguments: &Watch) -> Result<Options> {
    let now = Utc::now();
    let mut options = Options::at(now);
    options.jobs = arguments.jobs.unwrap_or(options.jobs);
    options.prune = arguments.which.prune(now)?;
    options.source.aws = context.aws.clone();
    options.source.s3.requester_pays = arguments.requester_pays;
    Ok(options)
}

/// Answers for as long as the runtime lives.
fn serve_metrics(context: &Context, port: u16, tally: &Arc<Tally>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Hinted::new(format!("--metrics {port}: {error}"), "choose another port, or 0 for any that is free")
    })?;
    let address = listener.local_addr()?;
    context.printer.note(&format!("metrics at http://{address}/metrics, health at http://{address}/health"));
    let tally = Arc::clone(tally);
    let printer = context.printer;
    context.runtime.spawn(async move {
        if let Err(error) = serve(listener, tally, Utc::now).await {
            printer.warn(&format!("metrics: {error}"));
        }
    });
    Ok(())
}

/// A watch that goes on.
struct Watching<'a> {
    context: &'a Context,
    /// The lake's name in messages.
    name: String,
    /// These detectors; all when empty.
    only: &'a [String],
    bar: Severity,
    patience: Patience,
    detect_each: Duration,
    progress: &'a Arc<Progress>,
    tally: &'a Arc<Tally>,
    channels: Vec<Channel>,
    /// When the latest detection that succeeded began.
    detected_at: Option<Instant>,
    /// The end of logs that end long ago, once that was told.
    told_end: Option<DateTime<Utc>>,
    /// Findings that the latest detection left open.
    findings: usize,
    /// Whether the lake could take no note of what the latest detection found: it is told once the lake can.
    is_unsaved: bool,
    /// Why the one detection or round failed of a watch that has one.
    failed: Option<anyhow::Error>,
    /// What the channels were told, in their order.
    sent: Vec<Sent>,
    /// Whether the latest round left anything to be told, or could not tell.
    is_behind: bool,
}

impl Watching<'_> {
    fn is_stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// One pass, one detection, one round.
    fn once(&mut self, arguments: &Watch, options: &Options) -> Result<Report> {
        let report = shown(self.context, &arguments.sources, options, self.progress)?;
        tell_rejects(self.context, &report);
        if self.is_stopped() {
            return Ok(report);
        }
        let detected = self.detect();
        // What an earlier run found and could not tell is told even so.
        let told = self.round();
        self.failed = detected.and(told).err();
        Ok(Report { interrupted: report.interrupted || self.is_stopped(), ..report })
    }

    /// One pass after the other, until it is stopped.
    fn follow(&mut self, arguments: &Watch, options: Options) -> Result<Report> {
        let context = self.context;
        let progress = self.progress;
        let follow = Follow {
            runtime: context.runtime.handle(),
            lake: &context.lake,
            sources: &arguments.sources,
            options,
            each: Duration::from_secs(arguments.interval),
            progress,
            clock: &Utc::now,
        };
        follow.run(&mut |passed| self.passed(&passed)).map_err(hinted)
    }

    /// After each pass. Nothing of this ends the watch.
    fn passed(&mut self, passed: &Passed<'_>) {
        let now = Utc::now();
        match passed {
            Passed::Done(report) => {
                tell_pass(self.context, report);
                self.count(report);
                let put_off = format!("{} places or objects could not be read", report.put_off);
                self.tally.ended(Stage::Ingest, now, (report.put_off > 0).then_some(put_off));
            }
            Passed::Failed(error) => {
                self.context.printer.warn(&format!("{error}; the next look tries again"));
                self.tally.ended(Stage::Ingest, now, Some(error.to_string()));
            }
        }
        if self.is_stopped() {
            return;
        }
        let is_due = self.detected_at.is_none_or(|at| at.elapsed() >= self.detect_each);
        if is_due && let Err(error) = self.detect() {
            self.context.printer.warn(&format!("detect: {error}; the next look tries again"));
        }
        if (is_due || self.is_behind)
            && !self.is_stopped()
            && let Err(error) = self.round()
        {
            self.context.printer.warn(&format!("notify: {error}; the next look tries again"));
        }
    }

    fn count(&self, report: &Report) {
        let (objects, records) = (&report.objects, &report.records);
        self.tally.count(
            &[("ingested", objects.ingested), ("partial", objects.partial), ("rejected", objects.rejected)],
            &[
                ("kept", records.kept),
                ("other", records.other),
                ("duplicate", records.duplicate),
                ("rejected", records.rejected),
            ],
        );
        self.tally.delivered(report.newest_delivery);
    }

    /// Runs the detectors over the days that `detect` looks at.
    fn detect(&mut self) -> Result<()> {
        let began = Instant::now();
        let detection = self.detection();
        let trouble = match &detection {
            Ok((_, unsaved)) => unsaved.as_ref().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        self.tally.ended(Stage::Detect, Utc::now(), trouble);
        let (detection, unsaved) = detection?;
        self.tell(&detection);
        self.is_unsaved = unsaved.is_some();
        if let Some(error) = unsaved {
            let open = thousands(self.findings as u64);
            return Err(anyhow!(error)
                .context(format!("{open} open findings could not be recorded, and what is new is not told")));
        }
        self.detected_at = Some(began);
        Ok(())
    }

    fn detection(&mut self) -> Result<Detected> {
        let context = self.context;
        let now = Utc::now();
        let engine = context.engine()?;
        let newest = context.runtime.block_on(newest_delivery(&engine, &context.catalog, now))?;
        self.tally.delivered(newest);
        let ended = stale_end(context, &engine, now)?;
        if ended.is_some() && ended != self.told_end {
            let end = ended.map(instant::plain).unwrap_or_default();
            context
                .printer
                .note(&format!("note: the logs end at {end}: detectors look at the {WINDOW_DAYS} days before"));
        }
        self.told_end = ended;
        let until = ended.unwrap_or(now);
        let window = Window { since: until - chrono::Duration::days(WINDOW_DAYS), until };
        let options = detect::Options {
            window,
            unseen_from: None,
            only: self.only.to_vec(),
            params: std::collections::BTreeMap::new(),
            now,
        };
        detected(context, &engine, &options, true)
    }

    fn tell(&mut self, detection: &Detection) {
        let unjudged = detection.unjudged.iter().filter(|finding| finding.status != Status::Accepted);
        let open = || detection.findings.iter().chain(unjudged.clone());
        self.tally.open(open().map(|finding| finding.severity));
        self.findings = open().count();
        let new = detection.findings.iter().filter(|finding| finding.status == Status::New).count();
        let ended = detection.resolved.len() + detection.aged.len();
        if new + ended > 0 {
            let (new, open, ended) = (thousands(new as u64), thousands(self.findings as u64), thousands(ended as u64));
            self.context.printer.note(&format!("detect: {new} new, {ended} ended, {open} open in all"));
        }
        if let Some(why) = &detection.no_events {
            self.context.printer.warn(&format!("{why}; that nothing was found means nothing"));
        }
    }

    /// Tells every channel what it was not told yet.
    fn round(&mut self) -> Result<()> {
        let rounds = match self.rounds() {
            Ok(rounds) => rounds,
            Err(error) => {
                self.is_behind = true;
                self.tally.ended(Stage::Notify, Utc::now(), Some(error.to_string()));
                return Err(error);
            }
        };
        self.sent.resize_with(rounds.len(), || Sent {
            channel: "",
            findings: 0,
            messages: 0,
            failed_attempts: 0,
            left: None,
            unrecorded: 0,
        });
        self.is_behind = rounds.iter().any(|round| round.left != Some(0) || round.unrecorded > 0);
        let mut troubles = Vec::new();
        for (round, sent) in rounds.iter().zip(&mut self.sent) {
            self.tally.told(round);
            sent.channel = round.channel;
            sent.findings += round.told;
            sent.messages += round.delivered;
            sent.failed_attempts += round.failed;
            // What the lake does not have is not among what it knows to be left.
            sent.left = round.left.filter(|_| !self.is_unsaved);
            sent.unrecorded = round.unrecorded;
            if round.told > 0 {
                let noun = if round.told == 1 { "finding" } else { "findings" };
                self.context.printer.note(&format!("{}: told {} {noun}", round.channel, thousands(round.told)));
            }
            if let Some(why) = &round.trouble {
                let trouble = format!("{}: {}{why}", round.channel, still(round));
                self.context.printer.warn(&trouble);
                troubles.push(trouble);
            }
        }
        self.tally.ended(Stage::Notify, Utc::now(), (!troubles.is_empty()).then(|| troubles.join("; ")));
        Ok(())
    }

    fn rounds(&mut self) -> Result<Vec<Round>> {
        let context = self.context;
        if self.channels.is_empty() {
            return Ok(Vec::new());
        }
        // Opened anew, so that it knows of what was found and told meanwhile.
        let engine = context.engine()?;
        let outbox = Outbox {
            lake: &context.lake,
            name: &self.name,
            catalog: &context.catalog,
            bar: self.bar,
            only: self.only,
            patience: self.patience,
            stop: &self.progress.stop,
            clock: Utc::now,
        };
        Ok(context.runtime.block_on(outbox.round(&engine, &mut self.channels)))
    }
}
