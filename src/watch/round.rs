//! A round: every channel is told what is pending for it, whatever becomes of the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::future::join_all;

use super::channel::Failure;
use super::message::messages;
use super::retry::{ASKED_MAX, Patience};
use super::{Message, Pending, Target, WatchError, pending};
use crate::engine::Engine;
use crate::lake::Lake;
use crate::lake::findings::NotificationRow;
use crate::lake::snapshots::record_notified;
use crate::query::{Catalog, Severity};

/// How often a wait looks up to see whether the run was stopped.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Messages that are refused for good before a round gives up: what is wrong with one finding is not wrong with the next, and
/// a message that is refused is tried again in halves; but a channel that takes none is not to be asked a thousand times.
const REFUSED_MAX: u32 = 200;

/// A target, and what a run knows of it that the lake does not.
#[derive(Debug)]
pub struct Channel {
    target: Target,
    id: String,
    /// What was delivered and could not be recorded, because the lake failed. It is recorded before anything else is told.
    unrecorded: Vec<NotificationRow>,
    /// Until when its receiver asked to be left alone.
    not_before: Option<Instant>,
}

impl Channel {
    /// To this target.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let id = target.id();
        Self { target, id, unrecorded: Vec::new(), not_before: None }
    }

    /// What kind of channel it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.target.kind()
    }
}

/// What a round came to on one channel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Round {
    /// The channel's kind.
    pub channel: &'static str,
    /// Findings that it was told.
    pub told: u64,
    /// Messages that it took.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Findings that are still to be told; none is known when the lake could not be asked.
    pub left: Option<u64>,
    /// Findings that were told and of which the lake could take no note: another run tells them again.
    pub unrecorded: u64,
    /// Why some are, in words that hold no secret; nothing when it was stopped.
    pub trouble: Option<String>,
}

/// How a message fared.
enum Fate {
    Delivered,
    /// The channel takes nothing now.
    Away(String),
    /// The channel does not take this one.
    Refused(String),
    Stopped,
}

/// What is told, and how.
pub struct Outbox<'a> {
    /// Where it is kept what was told.
    pub lake: &'a Lake,
    /// The name of the lake in messages.
    pub name: &'a str,
    /// The queries.
    pub catalog: &'a Catalog,
    /// What is less bad than this is not told.
    pub bar: Severity,
    /// Findings of these detectors are told; of all when empty.
    pub only: &'a [String],
    /// How often a channel is tried.
    pub patience: Patience,
    /// Set from outside to end a round: what is on its way is waited for, nothing else.
    pub stop: &'a AtomicBool,
    /// Tells the instant.
    pub clock: fn() -> DateTime<Utc>,
}

impl Outbox<'_> {
    /// Tells every channel what is pending for it. The engine is to be one that was opened after what it is to tell of was
    /// recorded.
    pub async fn round(&self, engine: &Engine, channels: &mut [Channel]) -> Vec<Round> {
        join_all(channels.iter_mut().map(|channel| self.tell(engine, channel))).await
    }

    async fn tell(&self, engine: &Engine, channel: &mut Channel) -> Round {
        let mut round = Round { channel: channel.kind(), ..Round::default() };
        if let Err(error) = self.tell_pending(engine, channel, &mut round).await {
            round.trouble = Some(error.to_string());
        }
        round.unrecorded = channel.unrecorded.len() as u64;
        round
    }

    async fn tell_pending(&self, engine: &Engine, channel: &mut Channel, round: &mut Round) -> Result<(), WatchError> {
        let settled = std::mem::take(&mut channel.unrecorded);
        self.record(channel, settled.clone()).await?;
        let mut pending = pending(engine, self.catalog, &channel.id, self.bar, (self.clock)()).await?;
        pending.retain(|one| self.only.is_empty() || self.only.contains(&one.finding.detector));
        // The engine may be older than what was recorded just now.
        pending.retain(|one| !settled.iter().any(|row| is_of(row, one)));
        let mut left = pending.len() as u64;
        round.left = Some(left);
        if channel.not_before.is_some_and(|until| Instant::now() < until) {
            if left > 0 {
                round.trouble = Some("its receiver asked for a longer wait".to_owned());
            }
            return Ok(());
        }
        let mut refused = 0;
        let mut waiting = VecDeque::from(messages(pending, channel.target.limits()));
        while let Some(message) = waiting.pop_front() {
            match self.deliver(channel, &message, round).await {
                Fate::Delivered => {
                    let findings = message.findings.len() as u64;
                    left -= findings;
                    round.left = Some(left);
                    round.told += findings;
                    round.delivered += 1;
                    self.record(channel, self.rows(&channel.id, &message)).await?;
                }
                Fate::Away(why) => {
                    round.trouble = Some(why);
                    break;
                }
                Fate::Refused(why) => {
                    round.trouble = Some(why);
                    refused += 1;
                    if refused == REFUSED_MAX {
                        break;
                    }
                    // One finding that is not taken must not hold back those beside it.
                    for half in message.halves().into_iter().flatten().rev() {
                        waiting.push_front(half);
                    }
                }
                Fate::Stopped => break,
            }
        }
        Ok(())
    }

    /// Tries a message until it is taken, or there is no point in it for now.
    async fn deliver(&self, channel: &mut Channel, message: &Message, round: &mut Round) -> Fate {
        let mut failed = 0;
        loop {
            if self.is_stopped() {
                return Fate::Stopped;
            }
            let (why, after) = match channel.target.deliver(message, self.name).await {
                Ok(()) => return Fate::Delivered,
                Err(Failure::Lasting { why }) => {
                    round.failed += 1;
                    return Fate::Refused(why);
                }
                Err(Failure::Closed { why }) => {
                    round.failed += 1;
                    return Fate::Away(why);
                }
                Err(Failure::Passing { why, after }) => (why, after),
            };
            failed += 1;
            round.failed += 1;
            tracing::debug!("{}: attempt {failed}: {why}", channel.kind());
            if let Some(asked) = after.filter(|asked| *asked > ASKED_MAX) {
                channel.not_before = Instant::now().checked_add(asked);
                return Fate::Away(why);
            }
            if failed >= self.patience.attempts {
                return Fate::Away(format!("{why}, {failed} times"));
            }
            self.wait(self.patience.after(failed).max(after.unwrap_or_default())).await;
        }
    }

    /// Waits, unless it is stopped.
    async fn wait(&self, length: Duration) {
        let began = Instant::now();
        while began.elapsed() < length && !self.is_stopped() {
            tokio::time::sleep(LOOK_UP.min(length.saturating_sub(began.elapsed()))).await;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn rows(&self, channel: &str, message: &Message) -> Vec<NotificationRow> {
        let notified_at = (self.clock)().timestamp_micros();
        let row = |Pending { finding, run_at, .. }: &Pending| NotificationRow {
            notified_at,
            run_at: run_at.timestamp_micros(),
            channel: channel.to_owned(),
            fingerprint: finding.fingerprint.clone(),
            severity: finding.severity.name().to_owned(),
            detector: finding.detector.clone(),
        };
        message.findings.iter().map(row).collect()
    }

    /// Takes note of what was delivered; what the lake does not take is remembered until it does.
    async fn record(&self, channel: &mut Channel, rows: Vec<NotificationRow>) -> Result<(), WatchError> {
        if rows.is_empty() {
            return Ok(());
        }
        let recorded = record_notified(self.lake, &rows).await;
        if recorded.is_err() {
            channel.unrecorded = rows;
        }
        Ok(recorded?)
    }
}

/// Whether a row says that a finding was told, as bad as it is, since it opened.
fn is_of(row: &NotificationRow, pending: &Pending) -> bool {
    let severity = Severity::ALL.into_iter().find(|severity| severity.name() == row.severity);
    row.fingerprint == pending.finding.fingerprint
        && row.run_at >= pending.opened_at.timestamp_micros()
        && severity.is_some_and(|told| told >= pending.finding.severity)
}
