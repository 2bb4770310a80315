//! Keeping up: one pass after the other over the same sources.
//!
//! A pass in between looks only where new objects appear: the latest day of each lane, by names of the last hours. Once an
//! hour, and after any trouble, a pass looks everywhere that a run of its own would. A pass that fails is told and tried
//! again; what it had committed stays, and what it had not is found again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;

use super::{Ingest, IngestError, Options, Progress, Report, Scope};
use crate::lake::Lake;
use crate::lake::ledger::ARCHIVED;

/// How often a pass looks everywhere.
const EVERYWHERE_EACH: TimeDelta = TimeDelta::hours(1);

/// How often a pause looks up to see whether the run was stopped.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What there is to tell of a pass.
#[derive(Debug)]
pub enum Passed<'a> {
    /// It came to its end.
    Done(&'a Report),
    /// It failed, and will be tried again.
    Failed(&'a IngestError),
}

/// A run that keeps up with its sources.
pub struct Follow<'a> {
    /// Drives the I/O.
    pub runtime: &'a Handle,
    /// Where to.
    pub lake: &'a Lake,
    /// Where from.
    pub sources: &'a [String],
    /// How.
    pub options: Options,
    /// How long from the beginning of one pass to that of the next, and at most until rows are committed.
    pub each: Duration,
    /// Counts, and how it is stopped.
    pub progress: &'a Arc<Progress>,
    /// Tells the instant of each pass.
    pub clock: &'a dyn Fn() -> DateTime<Utc>,
}

impl Follow<'_> {
    /// Reads until it is stopped; `tell` hears of each pass. Returns the sum of all of them.
    ///
    /// # Errors
    /// When the first pass fails: the sources or the lake are then probably not what was meant.
    pub fn run(mut self, tell: &mut dyn FnMut(Passed<'_>)) -> Result<Report, IngestError> {
        self.options.commit_each = Some(self.each);
        let mut total = Report::default();
        let mut opened = None;
        let (mut everywhere_at, mut troubled): (Option<DateTime<Utc>>, u32) = (None, 0);
        for first in std::iter::once(true).chain(std::iter::repeat(false)) {
            let began = Instant::now();
            self.options.now = (self.clock)();
            let is_recent = everywhere_at.is_some_and(|at| self.options.now < at);
            self.options.scope = if is_recent { Scope::Recent } else { Scope::Unsettled };
            if !is_recent {
                // What a source has given up, such as a Region that refused, is given another chance.
                opened = None;
            }
            match self.pass(&mut opened) {
                Ok(report) => {
                    // What was put off is looked for soon, and then less and less often: some of it may never be had.
                    let patience = if report.put_off == 0 { EVERYWHERE_EACH } else { self.patience(&mut troubled) };
                    if report.put_off == 0 {
                        troubled = 0;
                    }
                    if report.put_off > 0 || !is_recent {
                        everywhere_at = Some(self.options.now + patience);
                    }
                    tell(Passed::Done(&report));
                    total.add(report, first);
                }
                Err(error) if first => return Err(error),
                Err(error) => {
                    (opened, everywhere_at) = (None, None);
                    tell(Passed::Failed(&error));
                }
            }
            self.pause(began);
            if self.is_stopped() {
                break;
            }
        }
        // To be stopped is how it ends.
        total.interrupted = false;
        Ok(total)
    }

    fn pass(&self, opened: &mut Option<Ingest>) -> Result<Report, IngestError> {
        let ingest = match opened {
            Some(ingest) => ingest,
            None => opened.insert(Ingest::open(self.runtime, self.lake, self.sources, &self.options)?),
        };
        ingest.pass(&self.options, self.progress)
    }

    /// Whether someone asked for the end; a pass that failed did not.
    fn is_stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// How long to leave alone what could not be had, after so many passes in a row with something of the kind.
    fn patience(&self, troubled: &mut u32) -> TimeDelta {
        let each = TimeDelta::from_std(self.each).unwrap_or(EVERYWHERE_EACH);
        let times = if *troubled == 0 { 0 } else { 1 << (*troubled - 1).min(10) };
        *troubled += 1;
        (each * times).min(EVERYWHERE_EACH)
    }

    fn pause(&self, began: Instant) {
        while began.elapsed() < self.each && !self.is_stopped() {
            std::thread::sleep(LOOK_UP.min(self.each.saturating_sub(began.elapsed())));
        }
    }
}

impl Report {
    /// Adds a later pass. What is unchanged or skipped is met again at each pass, and counts at the first.
    fn add(&mut self, pass: Self, first: bool) {
        let (objects, more) = (&mut self.objects, &pass.objects);
        let read = more.ingested + more.partial + more.rejected;
        objects.listed += if first { more.listed } else { read };
        objects.ingested += more.ingested;
        objects.partial += more.partial;
        objects.rejected += more.rejected;
        let newly = pass.rejects.iter().filter(|reject| reject.reason.starts_with(ARCHIVED)).count() as u64;
        objects.archived += if first { more.archived } else { newly };
        if first {
            objects.unchanged = more.unchanged;
            objects.unchanged_damaged = more.unchanged_damaged;
            objects.skipped = more.skipped;
        }
        let (records, more) = (&mut self.records, &pass.records);
        records.read += more.read;
        records.kept += more.kept;
        records.other += more.other;
        records.duplicate += more.duplicate;
        records.rejected += more.rejected;
        records.filtered += more.filtered;
        self.bytes.compressed += pass.bytes.compressed;
        self.bytes.decompressed += pass.bytes.decompressed;
        self.put_off = pass.put_off;
        self.newest_delivery = self.newest_delivery.max(pass.newest_delivery);
        self.untimely += pass.untimely;
        self.rejects.extend(pass.rejects);
        self.lake_version = pass.lake_version;
        self.seconds += pass.seconds;
    }
}
