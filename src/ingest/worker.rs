//! A worker: takes objects off the queue, decodes them, and hands on parcels of rows with the accounts of the objects
//! that ended with them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

use super::passed::Counted;
use super::{Options, Progress, bounds};
use crate::cloudtrail::inflate::WHOLE_COMPRESSED_MAX;
use crate::cloudtrail::object::{Account, Input, ObjectDecoder, Reject};
use crate::lake::ledger::{ARCHIVED, FILTERED, ObjectRow, RejectRow, State, UNREADABLE};
use crate::source::s3::archive::restore_command;
use crate::source::{Body, ObjectRef, Place};

/// Objects whose accounts wait for a batch to fill; beyond it they are handed on with the rows so far, so that an
/// archive of objects without a single KMS event still makes progress that lasts.
const FINISHED_MAX: usize = 2000;

/// Bytes of rejected records that wait likewise.
const RAW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a worker is to do.
pub(super) enum Job {
    /// Read a file, and decode it.
    Read(ObjectRef),
    /// Decode what was fetched.
    Decode(ObjectRef, Fetched),
    /// Account for what could not be had, together with what could: a commit for each would take for ever.
    Account(Finished),
}

impl Job {
    /// Bytes as stored, as far as they are known.
    fn size(&self) -> u64 {
        match self {
            Self::Read(object) | Self::Decode(object, _) => object.size,
            Self::Account(_) => 0,
        }
    }
}

/// Bytes that were fetched ahead, and the room that they take up until they are decoded.
pub(super) struct Fetched {
    pub body: Body,
    pub _room: OwnedSemaphorePermit,
}

/// Rows, and the objects that are complete once the rows are in the lake.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    pub batch: Option<RecordBatch>,
    pub finished: Vec<Finished>,
    pub counted: Counted,
}

/// The ledger's row for an object, and what was rejected in it.
#[derive(Debug)]
pub(super) struct Finished {
    pub row: ObjectRow,
    pub rejects: Vec<RejectRow>,
    /// Records that the bounds of the run left out.
    pub filtered: u64,
}

impl Finished {
    /// An object or folder whose bytes could not be had.
    pub fn unreadable(uri: String, why: &str) -> Self {
        let reason = format!("{UNREADABLE}: {why}");
        let reject = RejectRow { object: uri.clone(), record_index: None, reason: reason.clone(), raw: None };
        let row = ObjectRow { uri, state: Some(State::Rejected), reason: Some(reason), ..ObjectRow::default() };
        Self { row, rejects: vec![reject], filtered: 0 }
    }

    /// An object that must be taken out of an archive first. It is known by its version, so that it is said once.
    pub fn archived(object: &ObjectRef, class: &str) -> Self {
        let reason = format!("{ARCHIVED} ({class}), restore it with: {}", restore_command(&object.uri, class));
        let reject = RejectRow { object: object.uri.clone(), record_index: None, reason: reason.clone(), raw: None };
        let row = ObjectRow { state: Some(State::Rejected), reason: Some(reason), ..row_of(object) };
        Self { row, rejects: vec![reject], filtered: 0 }
    }

    /// What came of an object that was read within these bounds.
    fn of(object: &ObjectRef, account: Account, bounds: &str) -> Self {
        let healthy = account.kept + account.other;
        let state = match (&account.problem, account.rejected) {
            (None, 0) if account.filtered > 0 => State::Filtered,
            (None, 0) => State::Ingested,
            _ if healthy > 0 => State::Partial,
            _ => State::Rejected,
        };
        let first = account.rejects.first().map(|reject| reject.reason.clone());
        let damage = account.problem.or_else(|| match account.rejected {
            0 => None,
            1 => first,
            more => first.map(|first| format!("{more} records could not be used, the first: {first}")),
        });
        // What was left out must be read by a run that asks for it, whatever else is to say of the object.
        let left_out = (account.filtered > 0).then(|| format!("{FILTERED}{bounds}"));
        let reason = match (damage, left_out) {
            (Some(damage), Some(left_out)) => Some(format!("{damage}; {left_out}")),
            (one, other) => one.or(other),
        };
        let uri = &object.uri;
        let reject =
            |Reject { record_index, reason, raw }| RejectRow { object: uri.clone(), record_index, reason, raw };
        Self {
            rejects: account.rejects.into_iter().map(reject).collect(),
            filtered: account.filtered,
            row: ObjectRow {
                state: Some(state),
                reason,
                bytes_compressed: object.size,
                bytes_decompressed: account.bytes_decompressed,
                records_read: account.read,
                records_kept: account.kept,
                records_other: account.other,
                records_rejected: account.rejected,
                first_event_time: account.first_event_time,
                last_event_time: account.last_event_time,
                first_kms_read: account.first_kms_read,
                ..row_of(object)
            },
        }
    }
}

/// What the listing tells of an object.
fn row_of(object: &ObjectRef) -> ObjectRow {
    ObjectRow {
        uri: object.uri.clone(),
        version_tag: object.version_tag.clone(),
        kind: object.name.kind.name(),
        account_id: object.name.account_id.clone(),
        region: object.name.region.clone(),
        delivered_at: object.name.delivered_at.map(|time| time.timestamp_micros()),
        ..ObjectRow::default()
    }
}

/// Why a worker stops before the queue is empty.
enum Stopped {
    /// The committer is gone; it tells why.
    NobodyListens,
    /// The rows did not fit their columns.
    Columns(ArrowError),
}

impl From<ArrowError> for Stopped {
    fn from(error: ArrowError) -> Self {
        Self::Columns(error)
    }
}

pub(super) struct Worker {
    decoder: ObjectDecoder,
    bytes: Vec<u8>,
    finished: Vec<Finished>,
    raw_bytes: usize,
    object_bytes_max: u64,
    /// The bounds of the run, as the ledger has them.
    bounds: String,
    commit_each: Option<Duration>,
    handed_on: Instant,
    parcels: SyncSender<Parcel>,
}

impl Worker {
    pub fn new(options: &Options, parcels: SyncSender<Parcel>) -> Self {
        let decoder = ObjectDecoder::keeping(bounds::only(&options.prune));
        let (bytes, finished) = (Vec::new(), Vec::new());
        let Options { object_bytes_max, commit_each, .. } = *options;
        Self {
            decoder,
            bytes,
            finished,
            raw_bytes: 0,
            object_bytes_max,
            bounds: bounds::text(&options.prune),
            commit_each,
            handed_on: Instant::now(),
            parcels,
        }
    }

    /// Works until the queue closes or the run is stopped, and hands on what is left.
    ///
    /// # Panics
    /// When rows do not fit their columns, which would be a fault of keytrail.
    pub fn run(mut self, jobs: &Mutex<Receiver<Job>>, progress: &Progress) {
        let done = self.work(jobs, progress).and_then(|()| {
            let rest = self.decoder.finish()?;
            self.hand_on(rest)
        });
        if let Err(Stopped::Columns(error)) = done {
            panic!("rows do not fit their columns: {error}");
        }
    }

    fn work(&mut self, jobs: &Mutex<Receiver<Job>>, progress: &Progress) -> Result<(), Stopped> {
        loop {
            // A poisoned lock means that another worker panicked, and the run with it.
            let next = jobs.lock().map_or(None, |mut queue| queue.blocking_recv());
            let Some(job) = next else { return Ok(()) };
            if progress.stopped() {
                // What is queued is left for the next run; emptying the queue lets the walk come to its end.
                continue;
            }
            let size = job.size();
            let finished = self.finish(job)?;
            Progress::add(&progress.objects_finished, 1);
            Progress::add(&progress.bytes_finished, size);
            Progress::add(&progress.records_read, finished.row.records_read);
            self.raw_bytes +=
                finished.rejects.iter().filter_map(|reject| reject.raw.as_ref()).map(Vec::len).sum::<usize>();
            self.finished.push(finished);
            let is_due = self.commit_each.is_some_and(|each| self.handed_on.elapsed() >= each);
            if is_due || self.finished.len() >= FINISHED_MAX || self.raw_bytes >= RAW_BYTES_MAX {
                let rest = self.decoder.finish()?;
                self.hand_on(rest)?;
            }
        }
    }

    fn finish(&mut self, job: Job) -> Result<Finished, Stopped> {
        let (object, opened) = match job {
            Job::Account(finished) => return Ok(finished),
            Job::Decode(object, Fetched { body: Body::Memory(bytes), .. }) => {
                let account = self.decode(&bytes, None, &object.uri)?;
                return Ok(Finished::of(&object, account, &self.bounds));
            }
            Job::Decode(object, Fetched { body: Body::File(file), .. }) => (object, Ok(file)),
            Job::Read(object) => {
                let opened = match &object.place {
                    Place::File(path) => File::open(path),
                    Place::Remote | Place::Slice(_) => Err(std::io::Error::other("it was not fetched")),
                };
                (object, opened)
            }
        };
        let mut file = match opened {
            Ok(file) => file,
            Err(why) => return Ok(Finished::unreadable(object.uri, &why.to_string())),
        };
        // What was listed as small may have grown, and some files do not tell their size at all.
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let read = (&mut file).take(WHOLE_COMPRESSED_MAX + 1).read_to_end(&mut bytes);
        let finished = match read {
            Ok(_) => {
                let account = self.decode(&bytes, Some(file), &object.uri)?;
                Finished::of(&object, account, &self.bounds)
            }
            Err(why) => Finished::unreadable(object.uri, &why.to_string()),
        };
        self.bytes = bytes;
        Ok(finished)
    }

    /// Decodes bytes, and what of the object is still to be read behind them.
    fn decode(&mut self, bytes: &[u8], rest: Option<File>, uri: &str) -> Result<Account, Stopped> {
        let Self { decoder, finished, object_bytes_max, parcels, .. } = self;
        let mut full = |batch| {
            // Objects that ended before this batch was full are complete with it; this one is not.
            let parcel = Parcel { batch: Some(batch), finished: std::mem::take(finished), counted: Counted::default() };
            parcels.send(parcel).map_err(|_| Stopped::NobodyListens)
        };
        match rest {
            Some(rest) if bytes.len() as u64 > WHOLE_COMPRESSED_MAX => {
                let mut stream = BufReader::with_capacity(256 * 1024, bytes.chain(rest));
                decoder.decode(Input::Stream(&mut stream), uri, *object_bytes_max, &mut full)
            }
            None if bytes.len() as u64 > WHOLE_COMPRESSED_MAX => {
                decoder.decode(Input::Stream(&mut { bytes }), uri, *object_bytes_max, &mut full)
            }
            _ => decoder.decode(Input::Whole(bytes), uri, *object_bytes_max, &mut full),
        }
    }

    fn hand_on(&mut self, batch: Option<RecordBatch>) -> Result<(), Stopped> {
        let finished = std::mem::take(&mut self.finished);
        (self.raw_bytes, self.handed_on) = (0, Instant::now());
        if batch.is_none() && finished.is_empty() {
            return Ok(());
        }
        let parcel = Parcel { batch, finished, counted: Counted::default() };
        self.parcels.send(parcel).map_err(|_| Stopped::NobodyListens)
    }
}
