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

use super::{Objects, Options, Progress};
use crate::cloudtrail::inflate::WHOLE_COMPRESSED_MAX;
use crate::cloudtrail::object::{Account, Input, ObjectDecoder, Reject};
use crate::lake::ledger::{ObjectRow, RejectRow, State, UNREADABLE};
use crate::source::{Body, ObjectRef, Place};

/// Objects whose accounts wait for a batch to fill; beyond it they are handed on with the rows so far, so that an
/// archive of objects without a single KMS event still makes progress that lasts.
const FINISHED_MAX: usize = 2000;

/// Bytes of rejected records that wait likewise.
const RAW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An object to be read.
pub(super) struct Job {
    pub object: ObjectRef,
    /// Its bytes, when they were fetched already; a file is read by the worker.
    pub fetched: Option<Fetched>,
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
    pub counted: Objects,
}

/// The ledger's row for an object, and what was rejected in it.
#[derive(Debug)]
pub(super) struct Finished {
    pub row: ObjectRow,
    pub rejects: Vec<RejectRow>,
}

impl Finished {
    /// An object or folder whose bytes could not be had.
    pub fn unreadable(uri: String, why: &str) -> Self {
        let reason = format!("{UNREADABLE}: {why}");
        let reject = RejectRow { object: uri.clone(), record_index: None, reason: reason.clone(), raw: None };
        let row = ObjectRow { uri, state: Some(State::Rejected), reason: Some(reason), ..ObjectRow::default() };
        Self { row, rejects: vec![reject] }
    }

    fn of(object: &ObjectRef, account: Account) -> Self {
        let healthy = account.kept + account.other;
        let state = match (&account.problem, account.rejected) {
            (None, 0) => State::Ingested,
            _ if healthy > 0 => State::Partial,
            _ => State::Rejected,
        };
        let first = account.rejects.first().map(|reject| reject.reason.clone());
        let reason = account.problem.or_else(|| match account.rejected {
            0 => None,
            1 => first,
            more => first.map(|first| format!("{more} records could not be used, the first: {first}")),
        });
        let uri = &object.uri;
        let reject =
            |Reject { record_index, reason, raw }| RejectRow { object: uri.clone(), record_index, reason, raw };
        Self {
            rejects: account.rejects.into_iter().map(reject).collect(),
            row: ObjectRow {
                uri: uri.clone(),
                version_tag: object.version_tag.clone(),
                kind: object.name.kind.name(),
                account_id: object.name.account_id.clone(),
                region: object.name.region.clone(),
                delivered_at: object.name.delivered_at.map(|time| time.timestamp_micros()),
                state: Some(state),
                reason,
                bytes_compressed: object.size,
                bytes_decompressed: account.bytes_decompressed,
                records_read: account.read,
                records_kept: account.kept,
                records_other: account.other,
                records_duplicate: 0,
                records_rejected: account.rejected,
                first_event_time: account.first_event_time,
                last_event_time: account.last_event_time,
                first_kms_read: account.first_kms_read,
            },
        }
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
    commit_each: Option<Duration>,
    handed_on: Instant,
    parcels: SyncSender<Parcel>,
}

impl Worker {
    pub fn new(options: &Options, parcels: SyncSender<Parcel>) -> Self {
        let (decoder, bytes, finished) = (ObjectDecoder::default(), Vec::new(), Vec::new());
        let Options { object_bytes_max, commit_each, .. } = *options;
        Self {
            decoder,
            bytes,
            finished,
            raw_bytes: 0,
            object_bytes_max,
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
            let finished = self.read(&job)?;
            Progress::add(&progress.objects_finished, 1);
            Progress::add(&progress.bytes_finished, job.object.size);
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

    fn read(&mut self, job: &Job) -> Result<Finished, Stopped> {
        let object = &job.object;
        let unreadable = |why: std::io::Error| Ok(Finished::unreadable(object.uri.clone(), &why.to_string()));
        let opened = match (&job.fetched, &object.place) {
            (Some(Fetched { body: Body::Memory(bytes), .. }), _) => {
                return Ok(Finished::of(object, self.decode(bytes, None, &object.uri)?));
            }
            (Some(Fetched { body: Body::File(file), .. }), _) => file.try_clone(),
            (None, Place::File(path)) => File::open(path),
            (None, Place::Remote) => Err(std::io::Error::other("it was not fetched")),
        };
        let mut file = match opened {
            Ok(file) => file,
            Err(why) => return unreadable(why),
        };
        // What was listed as small may have grown, and some files do not tell their size at all.
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let read = (&mut file).take(WHOLE_COMPRESSED_MAX + 1).read_to_end(&mut bytes);
        let finished = match read {
            Ok(_) => Ok(Finished::of(object, self.decode(&bytes, Some(file), &object.uri)?)),
            Err(why) => unreadable(why),
        };
        self.bytes = bytes;
        finished
    }

    /// Decodes bytes, and what of the object is still to be read behind them.
    fn decode(&mut self, bytes: &[u8], rest: Option<File>, uri: &str) -> Result<Account, Stopped> {
        let Self { decoder, finished, object_bytes_max, parcels, .. } = self;
        let mut full = |batch| {
            // Objects that ended before this batch was full are complete with it; this one is not.
            let parcel = Parcel { batch: Some(batch), finished: std::mem::take(finished), counted: Objects::default() };
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
        let parcel = Parcel { batch, finished, counted: Objects::default() };
        self.parcels.send(parcel).map_err(|_| Stopped::NobodyListens)
    }
}
