//! From sources to the lake, with an account of every record.
//!
//! ```text
//! lister ─► [jobs] ─► workers: read, inflate, split, decode ─► [parcels] ─► committer: dedupe, write, commit
//!    └ fetches what is far away                                            └ then the ledger
//! ```
//!
//! Both queues are bounded, so memory does not grow with the input. The committer is one, because two commits on one
//! lane would only conflict; decoding, which is most of the work, runs on every worker. This module prints nothing: it
//! counts in [`Progress`], which anyone may look at meanwhile, and tells the end in a [`Report`].

mod bounds;
mod committer;
pub mod follow;
mod lister;
mod passed;
mod plan;
mod report;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::mpsc::channel;

use crate::cloudtrail::operation::{CONTEXT_EVENTS, KMS};
use crate::lake::events::EventsWriter;
use crate::lake::ledger::{Known, Ledger, is_to_be_read_again};
use crate::lake::listings::Listings;
use crate::lake::{Lake, LakeError};
use crate::source::lookup::attributes;
use crate::source::{Prune, Source, SourceOptions};

use committer::Committer;
use lister::Lister;
pub use passed::{Named, PassedOver};
use plan::{Plan, Planned};
pub use report::{Bytes, Objects, Records, Rejected, Report};
use worker::{Job, Parcel, Worker};

/// Objects that wait for a worker.
const QUEUED_JOBS: usize = 256;

/// How many days after its end a day is listed again, unless told otherwise: objects may be delivered late.
pub const RELIST_DAYS: u32 = 7;

/// Inflated bytes that one object may have, unless told otherwise.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// Which days of a bucket a pass lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every day asked for, also those that are settled.
    Everything,
    /// The days that can have changed since they were listed.
    Unsettled,
    /// Where objects of the last hours are.
    Recent,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Objects that are decoded at the same time.
    pub jobs: usize,
    /// Inflated bytes that one object may have; the rest is not read, and said so.
    pub object_bytes_max: u64,
    /// Which objects to read.
    pub prune: Prune,
    /// How sources are reached.
    pub source: SourceOptions,
    /// For so many days after its end, a day of a bucket is listed again.
    pub relist_days: u32,
    /// Which days of a bucket to list.
    pub scope: Scope,
    /// How long rows may wait to be committed, in a run of several passes; what cannot be fetched is then left for the
    /// next pass. None in a run of one pass, which commits when a batch is full and accounts for everything.
    pub commit_each: Option<Duration>,
    /// The instant of the run.
    pub now: DateTime<Utc>,
}

impl Options {
    /// Everything there is, by one worker per processor.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            jobs: std::thread::available_parallelism().map_or(1, Into::into),
            object_bytes_max: OBJECT_BYTES_MAX,
            prune: Prune::default(),
            source: SourceOptions { lookup: attributes(KMS, CONTEXT_EVENTS), ..SourceOptions::default() },
            relist_days: RELIST_DAYS,
            scope: Scope::Unsettled,
            commit_each: None,
            now,
        }
    }
}

/// What can end a run early.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A source that cannot be read at all.
    #[error("source {uri}: {why}")]
    Source {
        /// As it was given.
        uri: String,
        /// Why not.
        why: String,
    },
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Counts that grow while a run goes on. Objects and records are counts, bytes are bytes.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the fields say what they count")]
pub struct Progress {
    pub objects_listed: AtomicU64,
    pub objects_finished: AtomicU64,
    pub bytes_listed: AtomicU64,
    pub bytes_finished: AtomicU64,
    pub records_read: AtomicU64,
    pub listing_done: AtomicBool,
    /// Whether everything is read, and small files of the lake are being merged.
    pub merging: AtomicBool,
    /// Set from outside to end the run: what is begun is finished and committed.
    pub stop: AtomicBool,
    /// Whether the pass has failed.
    failed: AtomicBool,
    /// What could not be listed or fetched and was left for the next pass, by its address.
    put_off: Mutex<Vec<String>>,
}

impl Progress {
    fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// Leaves something for the next pass.
    fn put_off(&self, uri: String) {
        if let Ok(mut put_off) = self.put_off.lock() {
            put_off.push(uri);
        }
    }

    /// Whether the run is to end, because it was asked to or because the pass has failed.
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// Reads sources into a lake.
///
/// Runs on threads of its own; `runtime` drives the I/O of the lake and of what is fetched. Must not be called from
/// within an async task.
///
/// # Errors
/// When a source does not exist or the lake fails. What is wrong with an object is in the report.
///
/// # Panics
/// When the records do not add up, which would mean that one was lost.
pub fn ingest(
    runtime: &Handle,
    lake: &Lake,
    sources: &[String],
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Report, IngestError> {
    Ingest::open(runtime, lake, sources, options)?.pass(options, progress)
}

/// How often a wait looks up to see whether the run was stopped.
const LOOK_UP: Duration = Duration::from_millis(200);

/// What comes of a future; nothing when the run is stopped before.
async fn unless_stopped<T>(progress: &Progress, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        match tokio::time::timeout(LOOK_UP, future.as_mut()).await {
            Ok(done) => return Some(done),
            Err(_) if progress.stopped() => return None,
            Err(_) => {}
        }
    }
}

/// Sources and a lake, opened for one pass after the other.
pub struct Ingest {
    runtime: Handle,
    sources: Vec<(String, Source)>,
    known: Known,
    listings: Listings,
    committer: Committer,
}

impl Ingest {
    /// Opens them.
    ///
    /// # Errors
    /// When a source does not exist or the lake cannot be opened.
    pub fn open(runtime: &Handle, lake: &Lake, sources: &[String], options: &Options) -> Result<Self, IngestError> {
        let open = |uri: &String| match runtime.block_on(Source::open(uri, &options.source)) {
            Ok(source) => Ok((uri.clone(), source)),
            Err(error) => Err(IngestError::Source { uri: uri.clone(), why: error.to_string() }),
        };
        let sources = sources.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        runtime.block_on(async {
            let ledger = Ledger::open(lake).await?;
            let known = ledger.known().await?;
            let listings = Listings::open(lake).await?;
            let events = EventsWriter::open(lake).await?;
            let committer = Committer::new(runtime.clone(), events, ledger);
            Ok(Self { runtime: runtime.clone(), sources, known, listings, committer })
        })
    }

    /// Reads what is new since the last pass.
    ///
    /// # Errors
    /// When a bucket cannot be listed at all or the lake fails. What is wrong with an object is in the report.
    ///
    /// # Panics
    /// When the records do not add up, which would mean that one was lost.
    pub fn pass(&mut self, options: &Options, progress: &Arc<Progress>) -> Result<Report, IngestError> {
        let started = Instant::now();
        progress.failed.store(false, Ordering::Relaxed);
        let mut plan = Plan::default();
        let mut planned = Vec::with_capacity(self.sources.len());
        for (address, source) in &self.sources {
            let looked_up = plan.source(source, address, options, &self.listings, &self.known);
            match self.runtime.block_on(unless_stopped(progress, looked_up)) {
                Some(source) => planned.push(source?),
                None => return Ok(Report { interrupted: true, ..Report::default() }),
            }
        }
        let ran = self.run(planned, options, progress);
        // A stop from here on interrupts no reading.
        let interrupted = progress.stopped();
        if ran.is_ok() && !interrupted {
            progress.merging.store(true, Ordering::Relaxed);
            self.committer.upkeep();
            progress.merging.store(false, Ordering::Relaxed);
        }
        let (mut report, learned) = self.committer.report();
        self.known.extend(learned);
        ran?;
        let records = &report.records;
        assert_eq!(
            records.read,
            records.kept + records.other + records.duplicate + records.rejected,
            "every record is accounted for"
        );
        report.interrupted = interrupted;
        let put_off = progress.put_off.lock().map(|mut put_off| std::mem::take(&mut *put_off)).unwrap_or_default();
        report.put_off = put_off.len() as u64;
        report.settled_lanes = plan.settled_lanes;
        report.lanes = plan.lanes_found();
        // They are in their archives as far as anyone knows.
        report.objects.archived += plan.archived_beyond;
        report.archived_beyond = plan.archived_beyond;
        if !report.interrupted && options.scope != Scope::Recent {
            let open = report.rejects.iter().filter(|reject| is_to_be_read_again(&reject.reason));
            let open: Vec<&str> =
                open.map(|reject| reject.object.as_str()).chain(put_off.iter().map(String::as_str)).collect();
            let listed = plan.listed(options, &open, &report.left_out, options.now);
            let at = options.now.timestamp_micros();
            self.runtime.block_on(self.listings.record(&listed, at, options.relist_days))?;
        }
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    fn run(&mut self, sources: Vec<Planned>, options: &Options, progress: &Arc<Progress>) -> Result<(), IngestError> {
        let (job_sender, jobs) = channel::<Job>(QUEUED_JOBS);
        let (parcel_sender, parcels) = sync_channel::<Parcel>(0);
        let jobs = Arc::new(Mutex::new(jobs));
        let (known, committer) = (&self.known, &mut self.committer);
        std::thread::scope(|scope| {
            for _ in 0..options.jobs.max(1) {
                let worker = Worker::new(options, parcel_sender.clone());
                let jobs = Arc::clone(&jobs);
                scope.spawn(move || worker.run(&jobs, progress));
            }
            // The workers' ends are theirs alone from here on, so that a queue closes when its last user is gone.
            drop(jobs);
            let lister = Lister::new(self.runtime.clone(), options, known, progress, job_sender, parcel_sender);
            scope.spawn(move || lister.run(sources));
            for parcel in parcels {
                if let Err(error) = committer.take(parcel) {
                    progress.failed.store(true, Ordering::Relaxed);
                    return Err(error.into());
                }
            }
            Ok(())
        })
    }
}
