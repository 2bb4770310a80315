//! What a watch has come to so far: counters for Prometheus, and whether all is well.
//!
//! What is not known yet has no sample: a gauge of zero findings before the first detection would be a claim.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Round;
use crate::instant;
use crate::query::Severity;

/// How many passes may be missed before a watch counts as stuck.
const PASSES_MISSED_MAX: u32 = 3;

/// How much longer than that a watch may be silent: a detection over a large lake, and receivers that hang.
const SILENCE_MAX: Duration = Duration::from_mins(15);

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reads logs.
    Ingest,
    /// Runs detectors.
    Detect,
    /// Tells findings.
    Notify,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Ingest, Self::Detect, Self::Notify];

    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Detect => "detect",
            Self::Notify => "notify",
        }
    }
}

/// How one stage fares.
#[derive(Debug, Default, Clone)]
struct Course {
    errors: u64,
    succeeded_at: Option<DateTime<Utc>>,
    /// Since when, and what is wrong with it; nothing when the latest of it was well.
    trouble: Option<(DateTime<Utc>, String)>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<&'static str, u64>,
    records: BTreeMap<&'static str, u64>,
    newest_delivery: Option<DateTime<Utc>>,
    findings: BTreeMap<&'static str, u64>,
    messages: BTreeMap<(&'static str, &'static str), u64>,
    told: BTreeMap<&'static str, u64>,
    left: BTreeMap<&'static str, u64>,
    stages: BTreeMap<Stage, Course>,
    /// When the latest pass ended, well or not.
    passed_at: Option<DateTime<Utc>>,
}

/// The counts of a watch, for whoever asks meanwhile.
#[derive(Debug)]
pub struct Tally {
    /// From the beginning of one pass to that of the next.
    each: Duration,
    state: Mutex<State>,
}

impl Tally {
    /// Nothing yet, of a watch that looks for new objects this often.
    #[must_use]
    pub fn new(each: Duration) -> Self {
        Self { each, state: Mutex::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Counts stay counts, whatever happened to whoever held them.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds objects and records by what became of them.
    pub fn count(&self, objects: &[(&'static str, u64)], records: &[(&'static str, u64)]) {
        self.with(|state| {
            for (name, count) in objects {
                *state.objects.entry(name).or_default() += count;
            }
            for (name, count) in records {
                *state.records.entry(name).or_default() += count;
            }
        });
    }

    /// Takes note of an object's delivery.
    pub fn delivered(&self, at: Option<DateTime<Utc>>) {
        self.with(|state| state.newest_delivery = state.newest_delivery.max(at));
    }

    /// Takes note of the findings that are open.
    pub fn open(&self, severities: impl Iterator<Item = Severity>) {
        let mut findings: BTreeMap<_, _> = Severity::ALL.into_iter().map(|severity| (severity.name(), 0)).collect();
        severities.for_each(|severity| *findings.entry(severity.name()).or_default() += 1);
        self.with(|state| state.findings = findings);
    }

    /// Takes note of what a round came to on a channel.
    pub fn told(&self, round: &Round) {
        self.with(|state| {
            *state.messages.entry((round.channel, "delivered")).or_default() += round.delivered;
            *state.messages.entry((round.channel, "failed")).or_default() += round.failed;
            *state.told.entry(round.channel).or_default() += round.told;
            if let Some(left) = round.left {
                state.left.insert(round.channel, left);
            }
        });
    }

    /// Takes note that a stage did its work, or of what kept it from it. The words are shown to whoever asks.
    pub fn ended(&self, stage: Stage, now: DateTime<Utc>, trouble: Option<String>) {
        self.with(|state| {
            let course = state.stages.entry(stage).or_default();
            match trouble {
                None => (course.succeeded_at, course.trouble) = (Some(now), None),
                Some(why) => {
                    course.errors += 1;
                    let since = course.trouble.take().map_or(now, |(since, _)| since);
                    course.trouble = Some((since, why));
                }
            }
            if stage == Stage::Ingest {
                state.passed_at = Some(now);
            }
        });
    }

    /// What is wrong, a line each; empty when nothing is.
    #[must_use]
    pub fn troubles(&self, now: DateTime<Utc>) -> String {
        let patience = self.each * PASSES_MISSED_MAX + SILENCE_MAX;
        self.with(|state| {
            let mut text = String::new();
            for (stage, course) in &state.stages {
                if let Some((since, why)) = &course.trouble {
                    line(&mut text, format_args!("{}: {why} (since {})", stage.name(), instant::plain(*since)));
                }
            }
            let is_late = |at: &DateTime<Utc>| (now - *at).to_std().is_ok_and(|silence| silence > patience);
            if let Some(at) = state.passed_at.filter(is_late) {
                line(&mut text, format_args!("ingest: no pass has ended since {}", instant::plain(at)));
            }
            text
        })
    }

    /// All of it in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn text(&self, now: DateTime<Utc>) -> String {
        self.with(|state| state.text(now))
    }
}

impl State {
    fn text(&self, now: DateTime<Utc>) -> String {
        let mut text = String::new();
        let one = |name: &'static str, counts: &BTreeMap<&'static str, u64>| -> Vec<(String, String)> {
            counts.iter().map(|(value, count)| (format!("{{{name}=\"{value}\"}}"), count.to_string())).collect()
        };
        let seconds = |at: DateTime<Utc>| decimal(at.timestamp_millis());
        let delivery = self.newest_delivery;
        let messages = self.messages.iter().map(|((channel, result), count)| {
            (format!("{{channel=\"{channel}\",result=\"{result}\"}}"), count.to_string())
        });
        let stage = |get: &dyn Fn(Stage) -> Option<String>| -> Vec<(String, String)> {
            let label = |stage: Stage| format!("{{stage=\"{}\"}}", stage.name());
            Stage::ALL.into_iter().filter_map(|stage| Some((label(stage), get(stage)?))).collect()
        };
        let course = |stage: Stage| self.stages.get(&stage);
        let bare = |value: Option<String>| value.map(|value| (String::new(), value)).into_iter().collect();
        let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
            if samples.is_empty() {
                return;
            }
            line(&mut text, format_args!("# HELP keytrail_{name} {help}"));
            line(&mut text, format_args!("# TYPE keytrail_{name} {kind}"));
            for (labels, value) in samples {
                line(&mut text, format_args!("keytrail_{name}{labels} {value}"));
            }
        };
        family("objects_total", "counter", "Log objects read, by what became of them.", one("state", &self.objects));
        family("records_total", "counter", "Records read, by what became of them.", one("fate", &self.records));
        family(
            "newest_object_timestamp_seconds",
            "gauge",
            "When the newest log object of the lake was delivered, by its name.",
            bare(delivery.map(seconds)),
        );
        family(
            "lag_seconds",
            "gauge",
            "How long ago that was.",
            bare(delivery.map(|at| decimal((now - at).num_milliseconds()))),
        );
        family("findings", "gauge", "Open findings of the latest detection.", one("severity", &self.findings));
        family(
            "notifications_total",
            "counter",
            "Attempts to deliver a message, by what came of them.",
            messages.collect(),
        );
        family("notified_findings_total", "counter", "Findings told.", one("channel", &self.told));
        family("pending_findings", "gauge", "Findings still to be told.", one("channel", &self.left));
        family(
            "errors_total",
            "counter",
            "Passes, detections and rounds in which something failed.",
            stage(&|stage| Some(course(stage).map_or(0, |course| course.errors).to_string())),
        );
        family(
            "last_success_timestamp_seconds",
            "gauge",
            "When a stage last did all of its work.",
            stage(&|stage| course(stage)?.succeeded_at.map(seconds)),
        );
        text
    }
}

/// Milliseconds as seconds.
fn decimal(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000)
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_known_has_no_sample() {
        let tally = Tally::new(Duration::from_mins(1));
        let text = tally.text(at("2026-01-05T10:00:00Z"));
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "keytrail_errors_total{stage=\"ingest\"} 0",
                "keytrail_errors_total{stage=\"detect\"} 0",
                "keytrail_errors_total{stage=\"notify\"} 0",
            ]
        );
        tally.open(std::iter::empty());
        assert!(tally.text(at("2026-01-05T10:00:00Z")).contains("keytrail_findings{severity=\"critical\"} 0\n"));
    }

    #[test]
    fn lag_grows_with_the_clock_from_the_newest_delivery() {
        let tally = Tally::new(Duration::from_mins(1));
        for time in ["2026-01-05T09:50:00Z", "2026-01-05T09:40:00Z"] {
            tally.delivered(Some(at(time)));
        }
        tally.delivered(None);
        assert!(tally.text(at("2026-01-05T10:00:00.250Z")).contains("\nkeytrail_lag_seconds 600.250\n"));
        assert!(tally.text(at("2026-01-05T09:49:59.500Z")).contains("\nkeytrail_lag_seconds -0.500\n"));
    }

    #[test]
    fn trouble_lasts_until_the_stage_is_well_again_and_silence_is_trouble() {
        let tally = Tally::new(Duration::from_mins(1));
        let ten = at("2026-01-05T10:00:00Z");
        assert_eq!(tally.troubles(ten), "", "it has only begun");
        tally.ended(Stage::Ingest, ten, None);
        tally.ended(Stage::Detect, ten, Some("no disk".to_owned()));
        tally.ended(Stage::Detect, at("2026-01-05T10:01:00Z"), Some("still none".to_owned()));
        assert_eq!(tally.troubles(ten), "detect: still none (since 2026-01-05T10:00:00Z)\n");
        tally.ended(Stage::Detect, at("2026-01-05T10:02:00Z"), None);
        assert_eq!(tally.troubles(at("2026-01-05T10:18:00Z")), "");
        let late = at("2026-01-05T10:18:01Z");
        assert_eq!(tally.troubles(late), "ingest: no pass has ended since 2026-01-05T10:00:00Z\n");
        tally.ended(Stage::Ingest, late, Some("no network".to_owned()));
        assert_eq!(tally.troubles(late), "ingest: no network (since 2026-01-05T10:18:01Z)\n");
        assert!(tally.text(late).contains("keytrail_errors_total{stage=\"detect\"} 2\n"));
    }
}
