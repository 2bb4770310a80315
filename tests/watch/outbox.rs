//! What is pending, from what the lake says: runs and notifications put there by hand.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::Utc;
use keytrail::engine::Engine;
use keytrail::expectations::Expectations;
use keytrail::lake::Lake;
use keytrail::lake::findings::{Detected, DetectionRow, FindingRow, NotificationRow};
use keytrail::lake::snapshots::{record_detected, record_notified};
use keytrail::query::{Catalog, Severity};
use keytrail::watch::{Channel, Outbox, Patience, Round, Target, Webhook, WebhookFormat, pending};
use tokio::runtime::Runtime;

use super::receiver::{Answer, Receiver};
use crate::support::Dir;

/// A lake of which one says, run by run, what was found and told.
struct Story {
    dir: Dir,
    runtime: Runtime,
    lake: Lake,
    catalog: Catalog,
    /// When the last event was that made the findings of the runs to come, in microseconds.
    last_seen: Cell<Option<i64>>,
}

impl Story {
    fn new() -> Self {
        let dir = Dir::new();
        let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
        Self { dir, runtime: Runtime::new().unwrap(), lake, catalog: Catalog::shipped(), last_seen: Cell::new(None) }
    }

    /// A run at this second that left these findings: a fingerprint, a status and a severity.
    fn run(&self, at: i64, findings: &[(&str, &'static str, &str)]) {
        self.findings(at, findings);
        let row =
            DetectionRow { run_at: at * 1_000_000, detector: "d".to_owned(), is_evaluated: true, ..Default::default() };
        let detected = Detected { findings: Vec::new(), detections: vec![row] };
        self.runtime.block_on(record_detected(&self.lake, &detected)).unwrap();
    }

    /// The same, of a run that was killed before it said that it had run.
    fn findings(&self, at: i64, findings: &[(&str, &'static str, &str)]) {
        let row = |(fingerprint, status, severity): &(&str, &'static str, &str)| FindingRow {
            run_at: at * 1_000_000,
            fingerprint: (*fingerprint).to_owned(),
            detector: "d".to_owned(),
            status,
            severity: (*severity).to_owned(),
            evidence: "[\"e1\"]".to_owned(),
            message: format!("it is {fingerprint}"),
            detail: Some("more".to_owned()),
            events: 1,
            last_seen: self.last_seen.get(),
            ..Default::default()
        };
        let detected = Detected { findings: findings.iter().map(row).collect(), detections: Vec::new() };
        self.runtime.block_on(record_detected(&self.lake, &detected)).unwrap();
    }

    /// A channel was told of a finding of this run.
    fn told(&self, run: i64, channel: &str, fingerprint: &str, severity: &str) {
        let row = NotificationRow {
            // Long after: what counts is the run that it was told from.
            notified_at: (run + 1_000_000) * 1_000_000,
            run_at: run * 1_000_000,
            channel: channel.to_owned(),
            fingerprint: fingerprint.to_owned(),
            severity: severity.to_owned(),
            detector: "d".to_owned(),
        };
        self.runtime.block_on(record_notified(&self.lake, &[row])).unwrap();
    }

    fn engine(&self) -> Engine {
        self.runtime.block_on(Engine::open(&self.lake, &self.catalog, &Expectations::default())).unwrap()
    }

    /// What channel `c` is still to be told, with the second since which it is open.
    #[track_caller]
    fn pending(&self, bar: Severity, expected: &[(&str, i64)]) {
        let engine = self.engine();
        let found = pending(&engine, &self.catalog, "c", bar, Utc::now());
        let found = self.runtime.block_on(found).unwrap();
        let found: Vec<(&str, i64)> =
            found.iter().map(|one| (one.finding.fingerprint.as_str(), one.opened_at.timestamp())).collect();
        assert_eq!(found, expected);
    }

    /// One round to a webhook.
    fn round(&self, channels: &mut [Channel]) -> Vec<Round> {
        let stop = AtomicBool::new(false);
        let outbox = Outbox {
            lake: &self.lake,
            name: "lake",
            catalog: &self.catalog,
            bar: Severity::Medium,
            only: &[],
            patience: Patience { wait: Duration::from_millis(1), ..Patience::default() },
            stop: &stop,
            clock: Utc::now,
        };
        self.runtime.block_on(outbox.round(&self.engine(), channels))
    }
}

fn webhook(receiver: &Receiver, format: WebhookFormat) -> Channel {
    Channel::new(Target::Webhook(Webhook::new(&receiver.url(), format, Duration::from_mins(5)).unwrap()))
}

#[test]
fn what_was_told_is_not_told_again_until_it_gets_worse() {
    let story = Story::new();
    story.run(1, &[("a", "new", "medium"), ("b", "new", "high"), ("c", "new", "low")]);
    story.pending(Severity::Medium, &[("b", 1), ("a", 1)]);
    story.pending(Severity::Info, &[("b", 1), ("a", 1), ("c", 1)]);
    story.told(1, "c", "a", "medium");
    story.told(1, "other", "b", "high");
    story.pending(Severity::Medium, &[("b", 1)]);
    story.told(1, "c", "b", "high");
    story.run(2, &[("a", "ongoing", "medium"), ("b", "ongoing", "high"), ("c", "ongoing", "low")]);
    story.pending(Severity::Medium, &[]);
    // One gets worse, one becomes bad enough, one gets better and then as bad again.
    story.run(3, &[("a", "new", "critical"), ("b", "ongoing", "medium"), ("c", "new", "medium")]);
    story.pending(Severity::Medium, &[("a", 1), ("c", 1)]);
    story.told(3, "c", "a", "critical");
    story.told(3, "c", "c", "medium");
    story.run(4, &[("a", "ongoing", "critical"), ("b", "new", "high"), ("c", "ongoing", "medium")]);
    story.pending(Severity::Medium, &[]);
}

#[test]
fn what_ended_and_came_back_is_told_again() {
    for end in ["resolved", "aged", "accepted"] {
        let story = Story::new();
        story.run(1, &[("a", "new", "high")]);
        story.told(1, "c", "a", "high");
        story.run(2, &[("a", end, "high")]);
        story.pending(Severity::Medium, &[]);
        story.run(3, &[]);
        story.pending(Severity::Medium, &[]);
        story.run(4, &[("a", "new", "medium")]);
        story.run(5, &[("a", "ongoing", "medium")]);
        story.pending(Severity::Medium, &[("a", 4)]);
        // A message that was on its way while it ended tells of the time before.
        story.told(1, "c", "a", "critical");
        story.pending(Severity::Medium, &[("a", 4)]);
        story.told(4, "c", "a", "medium");
        story.pending(Severity::Medium, &[]);
    }
}

/// Runs over other windows lose sight of a finding, and meet it again.
#[test]
fn what_only_left_and_entered_a_window_is_not_told_again() {
    for end in ["resolved", "aged"] {
        let story = Story::new();
        story.last_seen.set(Some(100));
        story.run(1, &[("a", "new", "high")]);
        story.told(1, "c", "a", "high");
        story.run(2, &[("a", end, "high")]);
        story.run(3, &[("a", "new", "high")]);
        story.pending(Severity::Medium, &[]);
        story.run(4, &[("a", end, "high")]);
        story.last_seen.set(Some(101));
        story.run(5, &[("a", "new", "high")]);
        story.pending(Severity::Medium, &[("a", 5)]);
    }
}

#[test]
fn what_cannot_be_judged_for_a_while_has_not_ended() {
    let story = Story::new();
    story.run(1, &[("a", "new", "high"), ("b", "new", "high")]);
    story.told(1, "c", "a", "high");
    story.run(2, &[("a", "unjudged", "high"), ("b", "unjudged", "high")]);
    story.pending(Severity::Medium, &[("b", 1)]);
    story.run(3, &[("a", "ongoing", "high"), ("b", "accepted", "high")]);
    story.pending(Severity::Medium, &[]);
}

#[test]
fn a_run_that_was_killed_ends_nothing_and_opens_nothing() {
    let story = Story::new();
    story.run(1, &[("a", "new", "high")]);
    story.told(1, "c", "a", "high");
    story.findings(2, &[("a", "resolved", "high"), ("b", "new", "high")]);
    story.pending(Severity::Medium, &[]);
    story.run(3, &[("a", "ongoing", "high"), ("b", "new", "high")]);
    story.pending(Severity::Medium, &[("b", 3)]);
}

#[test]
fn a_severity_that_is_none_hides_nothing() {
    let story = Story::new();
    story.run(1, &[("a", "new", "info")]);
    let query = ["query", "pending-notifications", "--param", "channel=c", "--param", "severity=urgent"];
    let rows = story.dir.keytrail(query).format("ndjson").ok().ndjson();
    assert_eq!(rows.len(), 1);
}

#[test]
fn many_findings_are_several_messages_and_each_is_noted_as_it_is_taken() {
    let story = Story::new();
    let names: Vec<String> = (0..250).map(|number| format!("{number:03}")).collect();
    let findings: Vec<(&str, &'static str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "new", if name < &"020".to_owned() { "high" } else { "medium" }))
        .collect();
    story.run(1, &findings);
    // The second message is never taken: the first is not told again with it.
    let fails = vec![Answer::Status(500); 5];
    let receiver = Receiver::start(std::iter::once(Answer::Status(200)).chain(fails));
    let mut channels = [webhook(&receiver, WebhookFormat::Json)];
    let round = story.round(&mut channels).remove(0);
    assert_eq!((round.told, round.delivered, round.failed, round.left), (100, 1, 5, Some(150)));
    let round = story.round(&mut channels).remove(0);
    assert_eq!((round.told, round.delivered, round.left), (150, 2, Some(0)));
    assert_eq!(receiver.taken(), names, "each once, the worst first");
    let requests = receiver.received();
    assert_eq!(requests.iter().map(|one| one.fingerprints().len()).max(), Some(100));

    let receiver = Receiver::start([]);
    let round = story.round(&mut [webhook(&receiver, WebhookFormat::Slack)]).remove(0);
    assert_eq!((round.told, round.delivered), (250, 13));
    let sections = receiver.received();
    let sections = sections.iter().map(|one| one.body["blocks"].as_array().unwrap().len() - 1);
    assert_eq!(sections.clone().max(), Some(20));
    assert_eq!(sections.sum::<usize>(), 250);
}

#[test]
fn a_receiver_that_asks_for_a_wait_is_left_alone_for_as_long() {
    let story = Story::new();
    story.run(1, &[("a", "new", "high")]);
    let receiver = Receiver::start([Answer::With(503, "Retry-After: 0"), Answer::With(429, "Retry-After: 3600")]);
    let mut channels = [webhook(&receiver, WebhookFormat::Json)];
    let round = story.round(&mut channels).remove(0);
    assert_eq!((round.failed, round.left), (2, Some(1)));
    assert!(round.trouble.unwrap().contains("429"));
    let round = story.round(&mut channels).remove(0);
    assert_eq!((round.failed, round.left, round.trouble.is_some()), (0, Some(1), true));
    assert_eq!(receiver.received().len(), 2, "it is not asked again before its time");
}

#[test]
fn a_message_that_is_refused_keeps_no_other_back() {
    let story = Story::new();
    let names: Vec<String> = (0..150).map(|number| format!("{number:03}")).collect();
    let findings: Vec<_> = names.iter().map(|name| (name.as_str(), "new", "high")).collect();
    story.run(1, &findings);
    // A hundred, fifty, 25, twelve, six, three: refused with the first finding in them, and at last that one alone.
    let receiver = Receiver::start((0..7).map(|_| Answer::Status(400)));
    let round = story.round(&mut [webhook(&receiver, WebhookFormat::Json)]).remove(0);
    assert_eq!((round.told, round.failed, round.left), (149, 7, Some(1)));
    assert_eq!(receiver.taken(), names[1..]);
}

#[test]
fn an_address_that_is_gone_is_asked_once() {
    for status in [401, 403, 404, 410] {
        let story = Story::new();
        story.run(1, &[("a", "new", "high"), ("b", "new", "high")]);
        let receiver = Receiver::start((0..3).map(|_| Answer::Status(status)));
        let round = story.round(&mut [webhook(&receiver, WebhookFormat::Json)]).remove(0);
        assert_eq!((round.told, round.failed, round.left), (0, 1, Some(2)), "{status}");
    }
}

#[test]
fn a_stopped_round_tells_nothing_more() {
    let story = Story::new();
    story.run(1, &[("a", "new", "high")]);
    let receiver = Receiver::start([]);
    let stop = AtomicBool::new(true);
    let outbox = Outbox {
        lake: &story.lake,
        name: "lake",
        catalog: &story.catalog,
        bar: Severity::Medium,
        only: &[],
        patience: Patience::default(),
        stop: &stop,
        clock: Utc::now,
    };
    let mut channels = [webhook(&receiver, WebhookFormat::Json)];
    let engine = story.engine();
    let round = story.runtime.block_on(outbox.round(&engine, &mut channels)).remove(0);
    assert_eq!((round.told, round.left, round.trouble), (0, Some(1), None));
    stop.store(false, Ordering::Relaxed);
    story.runtime.block_on(outbox.round(&engine, &mut channels));
    assert_eq!(receiver.taken(), ["a"]);
}
