//! From sources to the lake, with an account of every record.
//!
//! ```text
//! walk ─► [objects] ─► workers: read, inflate, split, decode ─► [parcels] ─► committer: dedupe, write, commit
//!                                                                           └ then the ledger
//! ```
//!
//! Both queues are bounded, so memory does not grow with the input. The committer is one, because two commits on one
//! lane would only conflict; decoding, which is most of the work, runs on every worker. This module prints nothing: it
//! counts in [`Progress`], which anyone may look at meanwhile, and tells the end in a [`Report`].

mod committer;
mod worker;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;

use crate::lake::events::EventsWriter;
use crate::lake::ledger::{Known, Ledger};
use crate::lake::{Lake, LakeError};
use crate::source::local::Listed;
use crate::source::{LocalSource, ObjectRef, Prune};

use committer::Committer;
use worker::{Finished, Parcel, Worker};

/// Objects that wait for a worker.
const QUEUED_OBJECTS: usize = 256;

/// Inflated bytes that one object may have, unless told otherwise.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Objects that are decoded at the same time.
    pub jobs: usize,
    /// Inflated bytes that one object may have; the rest is not read, and said so.
    pub object_bytes_max: u64,
    /// Which objects to read.
    pub prune: Prune,
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
    /// Set from outside to end the run: what is begun is finished and committed.
    pub stop: AtomicBool,
}

impl Report {
    /// Whether every object of the sources is in the lake in full.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Objects { partial, rejected, unchanged_damaged, .. } = self.objects;
        partial + rejected + unchanged_damaged == 0 && !self.interrupted
    }
}

impl Progress {
    fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What became of the objects.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Objects {
    /// Seen in the sources.
    pub listed: u64,
    /// Read in full.
    pub ingested: u64,
    /// In the ledger already, and the same since.
    pub unchanged: u64,
    /// Of the unchanged ones, those that could not be used in full when they were read.
    pub unchanged_damaged: u64,
    /// No log objects by their names, or not asked for.
    pub skipped: u64,
    /// Read as far as it went.
    pub partial: u64,
    /// Of no use.
    pub rejected: u64,
}

/// What became of the records: `read = kept + other + duplicate + rejected`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the law above says them all")]
pub struct Records {
    pub read: u64,
    pub kept: u64,
    pub other: u64,
    pub duplicate: u64,
    pub rejected: u64,
}

/// Bytes read, before and after inflating.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Bytes {
    pub compressed: u64,
    pub decompressed: u64,
}

/// An object that is not wholly in the lake, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Rejected {
    pub object: String,
    pub reason: String,
}

/// The end of a run; its JSON is part of the command line's contract.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Report {
    /// What became of the objects.
    pub objects: Objects,
    /// What became of the records.
    pub records: Records,
    /// Bytes read.
    pub bytes: Bytes,
    /// Objects that were rejected or are partial.
    pub rejects: Vec<Rejected>,
    /// Version of the events table after the run.
    pub lake_version: u64,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Reads sources into a lake.
///
/// Runs on threads of its own; `runtime` drives the lake's I/O. Must not be called from within an async task.
///
/// # Errors
/// When a source does not exist or the lake fails. What is wrong with an object is in the report.
///
/// # Panics
/// When the records do not add up, which would mean that one was lost.
pub fn ingest(
    runtime: &tokio::runtime::Handle,
    lake: &Lake,
    sources: &[String],
    options: &Options,
    progress: &Progress,
) -> Result<Report, IngestError> {
    let started = Instant::now();
    let sources = sources.iter().map(|source| local(source)).collect::<Result<Vec<_>, _>>()?;
    let ledger = runtime.block_on(Ledger::open(lake))?;
    let known = runtime.block_on(ledger.known())?;
    let events = runtime.block_on(EventsWriter::open(lake))?;
    let mut committer = Committer::new(runtime.clone(), events, ledger);
    run(&sources, options, &known, progress, &mut committer)?;
    let mut report = committer.report();
    let records = &report.records;
    assert_eq!(
        records.read,
        records.kept + records.other + records.duplicate + records.rejected,
        "every record is accounted for"
    );
    report.interrupted = progress.stopped();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

fn local(source: &str) -> Result<LocalSource, IngestError> {
    let failed = |why: String| IngestError::Source { uri: source.to_owned(), why };
    let path = match source.split_once("://") {
        Some(("file", path)) => path,
        Some((scheme, _)) => return Err(failed(format!("{scheme}:// is not a kind of source; give a folder or file"))),
        None => source,
    };
    LocalSource::new(Path::new(path)).map_err(|error| failed(error.to_string()))
}

fn run(
    sources: &[LocalSource],
    options: &Options,
    known: &Known,
    progress: &Progress,
    committer: &mut Committer,
) -> Result<(), IngestError> {
    let (object_sender, objects) = sync_channel::<ObjectRef>(QUEUED_OBJECTS);
    let (parcel_sender, parcels) = sync_channel::<Parcel>(0);
    let objects = Arc::new(Mutex::new(objects));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            let worker = Worker::new(options.object_bytes_max, parcel_sender.clone());
            let objects = Arc::clone(&objects);
            scope.spawn(move || worker.run(&objects, progress));
        }
        let lister = parcel_sender;
        // The workers' ends are theirs alone from here on, so that a queue closes when its last user is gone.
        drop(objects);
        scope.spawn(move || {
            // Nobody listens any more when the committer failed; its error is the one to tell.
            let _ = list(sources, options, known, progress, |listed| match listed {
                Found::Object(object) => object_sender.send(*object).map_err(|_| ()),
                Found::Account(finished) => {
                    lister.send(Parcel { finished: vec![*finished], ..Parcel::default() }).map_err(|_| ())
                }
                Found::Counted(counted) => lister.send(Parcel { counted, ..Parcel::default() }).map_err(|_| ()),
            });
            progress.listing_done.store(true, Ordering::Relaxed);
        });
        for parcel in parcels {
            if let Err(error) = committer.take(parcel) {
                progress.stop.store(true, Ordering::Relaxed);
                return Err(error.into());
            }
        }
        Ok(())
    })
}

enum Found {
    Object(Box<ObjectRef>),
    Account(Box<Finished>),
    Counted(Objects),
}

/// Walks the sources and sorts out what need not be read.
fn list(
    sources: &[LocalSource],
    options: &Options,
    known: &Known,
    progress: &Progress,
    mut send: impl FnMut(Found) -> Result<(), ()>,
) -> Result<(), ()> {
    let mut counted = Objects::default();
    // Sources may overlap: a file that two of them name is read once.
    let mut met = HashSet::new();
    let mut visit = |listed: Listed| {
        if progress.stopped() {
            return Err(());
        }
        counted.listed += 1;
        match listed {
            Listed::Skipped { uri } => {
                tracing::debug!(uri, "skipped: not a log object by its name");
                counted.skipped += 1;
            }
            Listed::Unreadable { uri, why } => send(Found::Account(Box::new(Finished::unreadable(uri, &why))))?,
            Listed::Object(object) if !object.name.kind.holds_events() || !options.prune.admits(&object.name) => {
                tracing::debug!(uri = object.uri, "skipped: holds no events, or none that were asked for");
                counted.skipped += 1;
            }
            Listed::Object(object) if sources.len() > 1 && !met.insert(object.path.clone()) => counted.skipped += 1,
            Listed::Object(object) if known.has(&object.uri, &object.version_tag) => {
                counted.unchanged += 1;
                counted.unchanged_damaged += u64::from(known.is_damaged(&object.uri));
            }
            Listed::Object(object) => {
                Progress::add(&progress.objects_listed, 1);
                Progress::add(&progress.bytes_listed, object.size);
                send(Found::Object(Box::new(object)))?;
            }
        }
        Ok(())
    };
    let walked = sources.iter().try_for_each(|source| source.walk(&mut visit));
    send(Found::Counted(counted))?;
    walked
}
