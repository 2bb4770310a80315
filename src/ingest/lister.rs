//! The lister: walks the sources, sorts out what need not be read, and sees to it that bytes from afar are there when a
//! worker has time for them.
//!
//! ```text
//! Source ─► listed ─┬─ skipped, unchanged: counted
//!                   ├─ a file ─────────────────────────────► [jobs] ─► workers
//!                   └─ far away ─► room for its bytes ─► fetch ─┘   in the order in which they arrive
//! ```
//!
//! The room is bounded in bytes, so memory does not depend on how far the fetching is ahead of the decoding.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::{JoinError, JoinSet};
use xxhash_rust::xxh3::xxh3_128;

use super::bounds;
use super::passed::Counted;
use super::plan::Planned;
use super::worker::{Fetched, Finished, Job, Parcel};
use super::{LOOK_UP, Options, Progress};
use crate::lake::ledger::{Known, Met};
use crate::source::body::MEMORY_MAX;
use crate::source::s3::{S3Error, archive};
use crate::source::{Body, Listed, LookupSource, ObjectRef, Place, S3Source, Skip};

/// Objects that are fetched at the same time.
const FETCHES_IN_FLIGHT: usize = 256;

/// Bytes as stored that are fetched and not yet decoded; at least [`MEMORY_MAX`], or the largest would never fit.
const FETCHED_BYTES_MAX: u64 = MEMORY_MAX;

/// What a permit stands for: a semaphore counts in 32 bits.
const ROOM_BYTES: u64 = 1024;

/// A source whose objects are fetched before a worker gets them.
#[derive(Clone)]
enum Far {
    S3(S3Source),
    Lookup(LookupSource),
}

/// Why the bytes of an object are not there.
enum Missing {
    /// They are in this archive.
    Archived(String),
    /// They could not be had.
    Failed(String),
}

impl From<S3Error> for Missing {
    fn from(error: S3Error) -> Self {
        if error.is_archived() { Self::Archived(archive::TIER.to_owned()) } else { Self::Failed(error.why) }
    }
}

impl Far {
    /// The bytes of an object, and the tag of their version where the source has one. One that was in an archive is looked at
    /// before it is asked for.
    async fn fetch(&self, object: &ObjectRef, was_archived: bool) -> Result<(Body, Option<String>), Missing> {
        match (self, &object.place) {
            (Self::Lookup(source), Place::Slice(slice)) => match source.fetch(slice).await {
                Ok(body) => Ok((body, None)),
                Err(error) => Err(Missing::Failed(error.to_string())),
            },
            (Self::S3(source), _) => {
                if was_archived && let Some(class) = source.archive_of(object).await? {
                    return Err(Missing::Archived(class));
                }
                let stored = source.fetch(object).await?;
                Ok((stored.body, stored.etag))
            }
            (Self::Lookup(_), _) => Err(Missing::Failed("it is no slice of event history".to_owned())),
        }
    }
}

/// The run is over: it was stopped, or the committer failed, which tells why.
#[derive(Debug)]
pub(super) struct Over;

impl<T> From<T> for Over
where
    T: std::error::Error,
{
    fn from(_: T) -> Self {
        Self
    }
}

pub(super) struct Lister<'a> {
    pub runtime: Handle,
    pub options: &'a Options,
    pub known: &'a Known,
    pub progress: &'a Arc<Progress>,
    pub jobs: Sender<Job>,
    pub parcels: SyncSender<Parcel>,
    counted: Counted,
    /// Objects of which it turned out on the way that they are still in an archive.
    still_archived: Arc<AtomicU64>,
    /// Addresses met, when there are several sources: an object that two of them name is read once.
    met: Option<HashSet<u128>>,
    fetches: JoinSet<()>,
    room: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

impl<'a> Lister<'a> {
    pub fn new(
        runtime: Handle,
        options: &'a Options,
        known: &'a Known,
        progress: &'a Arc<Progress>,
        jobs: Sender<Job>,
        parcels: SyncSender<Parcel>,
    ) -> Self {
        let room = usize::try_from(FETCHED_BYTES_MAX / ROOM_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            runtime,
            options,
            known,
            progress,
            jobs,
            parcels,
            counted: Counted::default(),
            still_archived: Arc::default(),
            met: None,
            fetches: JoinSet::new(),
            room: Arc::new(Semaphore::new(room)),
            slots: Arc::new(Semaphore::new(FETCHES_IN_FLIGHT)),
        }
    }

    /// Walks all sources and waits for what is being fetched. When the run is over early, what is not finished is left
    /// for the next.
    pub fn run(mut self, sources: Vec<Planned>) {
        self.met = (sources.len() > 1).then(HashSet::new);
        let walked = sources.into_iter().try_for_each(|source| self.walk(source));
        let _ = self.parcels.send(Parcel { counted: std::mem::take(&mut self.counted), ..Parcel::default() });
        self.progress.listing_done.store(true, Ordering::Relaxed);
        if walked.is_ok() {
            self.wait_for_fetches();
        }
        // What is still under way is given up with `self`.
        self.counted.objects.archived = self.still_archived.load(Ordering::Relaxed);
        let _ = self.parcels.send(Parcel { counted: self.counted, ..Parcel::default() });
    }

    fn walk(&mut self, source: Planned) -> Result<(), Over> {
        match source {
            Planned::Local(source) => source.walk(&mut |listed| self.visit(listed, None)),
            Planned::Nothing => Ok(()),
            Planned::Lookup(source) => {
                let slices = source.slices(self.options.now, &self.options.prune);
                let far = Far::Lookup(source);
                slices.iter().try_for_each(|slice| self.visit(Listed::Object(slice.object()), Some(&far)))
            }
            Planned::S3 { source, found, lanes, archived } => {
                let runtime = self.runtime.clone();
                let (mut listed, listing) = {
                    let _inside = runtime.enter();
                    source.list(found, lanes, archived, self.options.now)
                };
                let far = Far::S3(source);
                loop {
                    match runtime.block_on(async { tokio::time::timeout(LOOK_UP, listed.recv()).await }) {
                        Ok(Some(listed)) => self.visit(listed, Some(&far))?,
                        Ok(None) => {
                            propagate(runtime.block_on(listing));
                            return Ok(());
                        }
                        Err(_) if self.progress.stopped() => return Err(Over),
                        Err(_) => {}
                    }
                }
            }
        }
    }

    fn visit(&mut self, listed: Listed, source: Option<&Far>) -> Result<(), Over> {
        if self.progress.stopped() {
            return Err(Over);
        }
        if let (Listed::Unreadable { uri, why }, Some(_), Some(_)) = (&listed, source, self.options.commit_each) {
            tracing::debug!(uri, why, "not listed, to be tried again");
            self.progress.put_off(uri.clone());
            return Ok(());
        }
        self.counted.objects.listed += 1;
        match listed {
            Listed::Skipped { uri, why } => {
                tracing::debug!(uri, "skipped: not a log object");
                self.counted.objects.skipped += 1;
                match why {
                    Skip::Beside => {}
                    Skip::Stranger => self.counted.passed_over.strangers.push(uri),
                    Skip::Link => self.counted.passed_over.links.push(uri),
                }
                Ok(())
            }
            Listed::Unreadable { uri, why } => self.account(Finished::unreadable(uri, &why)),
            Listed::Object(object) => self.object(object, None, source),
            Listed::Archived { object, class } => self.object(object, Some(&class), source),
        }
    }

    /// An object that may hold records, as far as its name tells, in an archive or not.
    fn object(&mut self, object: ObjectRef, archive: Option<&str>, source: Option<&Far>) -> Result<(), Over> {
        if self.is_passed_over(&object) {
            self.counted.objects.skipped += 1;
            return Ok(());
        }
        let ledger = self.known;
        let known = ledger.met(&object.uri, &object.version_tag);
        let is_unchanged = match known {
            Met::Read | Met::Damaged => true,
            Met::Filtered { bounds, .. } => bounds::cover(bounds, &self.options.prune),
            Met::New | Met::Archived => false,
        };
        if is_unchanged {
            self.counted.objects.unchanged += 1;
            let is_damaged = matches!(known, Met::Damaged | Met::Filtered { damaged: true, .. });
            self.counted.objects.unchanged_damaged += u64::from(is_damaged);
            if let Met::Filtered { .. } = known {
                self.counted.left_out(&object);
            }
            return Ok(());
        }
        match (archive, source) {
            // It was said already.
            (Some(_), _) if known == Met::Archived => {
                self.still_archived.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            (Some(class), _) => self.account(Finished::archived(&object, class)),
            (None, Some(source)) => {
                let was_archived = known == Met::Archived;
                self.begin(&object);
                self.fetch(object, source, was_archived)
            }
            (None, None) => {
                self.begin(&object);
                Ok(self.jobs.blocking_send(Job::Read(object))?)
            }
        }
    }

    fn account(&self, finished: Finished) -> Result<(), Over> {
        Progress::add(&self.progress.objects_listed, 1);
        Ok(self.jobs.blocking_send(Job::Account(finished))?)
    }

    fn begin(&self, object: &ObjectRef) {
        Progress::add(&self.progress.objects_listed, 1);
        Progress::add(&self.progress.bytes_listed, object.size);
    }

    /// Whether an object is of no interest by its name, or was met in another source; and notes why.
    fn is_passed_over(&mut self, object: &ObjectRef) -> bool {
        let prune = &self.options.prune;
        if !object.name.kind.holds_events() {
            self.counted.passed_over.other_kinds += 1;
        } else if !prune.admits_place(&object.name) {
            self.counted.passed_over.elsewhere += 1;
            self.counted.left_out(object);
        } else if !prune.admits(&object.name) {
            self.counted.passed_over.other_times += 1;
            self.counted.left_out(object);
        } else {
            return self.met.as_mut().is_some_and(|met| !met.insert(xxh3_128(object.uri.as_bytes())));
        }
        tracing::debug!(uri = object.uri, "skipped: holds no events, or none that were asked for");
        true
    }

    /// Begins to fetch an object, once there is room for it.
    fn fetch(&mut self, object: ObjectRef, source: &Far, was_archived: bool) -> Result<(), Over> {
        let bytes = object.size.clamp(1, FETCHED_BYTES_MAX);
        let permits = u32::try_from(bytes.div_ceil(ROOM_BYTES)).unwrap_or(u32::MAX);
        let slot = self.wait_for(&self.slots, 1)?;
        let room = self.wait_for(&self.room, permits)?;
        let (source, jobs) = (source.clone(), self.jobs.clone());
        let (keeps_on, progress) = (self.options.commit_each.is_some(), Arc::clone(self.progress));
        let still_archived = Arc::clone(&self.still_archived);
        self.fetches.spawn_on(
            async move {
                let fetched = source.fetch(&object, was_archived).await;
                drop(slot);
                match fetched {
                    Ok((body, etag)) => {
                        let mut object = object;
                        // What was fetched is what the ledger shall speak of.
                        if let Some(etag) = etag {
                            object.version_tag = etag;
                        }
                        let _ = jobs.send(Job::Decode(object, Fetched { body, _room: room })).await;
                    }
                    Err(Missing::Archived(_)) if was_archived => {
                        still_archived.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(Missing::Archived(class)) => {
                        let _ = jobs.send(Job::Account(Finished::archived(&object, &class))).await;
                    }
                    // The next pass will list it again.
                    Err(Missing::Failed(why)) if keeps_on => {
                        tracing::debug!(uri = object.uri, why, "not fetched, to be tried again");
                        progress.put_off(object.uri);
                    }
                    Err(Missing::Failed(why)) => {
                        let _ = jobs.send(Job::Account(Finished::unreadable(object.uri, &why))).await;
                    }
                }
            },
            &self.runtime,
        );
        while let Some(ended) = self.fetches.try_join_next() {
            propagate(ended);
        }
        Ok(())
    }

    fn wait_for(&self, what: &Arc<Semaphore>, permits: u32) -> Result<tokio::sync::OwnedSemaphorePermit, Over> {
        loop {
            let acquired = Arc::clone(what).acquire_many_owned(permits);
            if let Ok(permit) = self.runtime.block_on(async { tokio::time::timeout(LOOK_UP, acquired).await }) {
                return Ok(permit?);
            }
            if self.progress.stopped() {
                return Err(Over);
            }
        }
    }

    fn wait_for_fetches(&mut self) {
        loop {
            let next = self.fetches.join_next();
            match self.runtime.block_on(async { tokio::time::timeout(LOOK_UP, next).await }) {
                Ok(None) => return,
                Err(_) if self.progress.stopped() => return,
                Ok(Some(ended)) => propagate(ended),
                Err(_) => {}
            }
        }
    }
}

/// Panics with a task that panicked: what it was about would otherwise pass for read.
fn propagate(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
