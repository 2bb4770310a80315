//! A worker: takes objects off the queue, decodes them, and hands on parcels of rows with the accounts of the objects
//! that ended with them.

use std::io::{self, BufReader, Read};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::{Objects, Progress};
use crate::cloudtrail::inflate::WHOLE_COMPRESSED_MAX;
use crate::cloudtrail::object::{Account, Input, ObjectDecoder, Reject};
use crate::lake::ledger::{ObjectRow, RejectRow, State, UNREADABLE};
use crate::source::{ObjectRef, local};

/// Objects whose accounts wait for a batch to fill; beyond it they are handed on with the rows so far, so that an
/// archive of objects without a single KMS event still makes progress that lasts.
const FINISHED_MAX: usize = 2000;

/// Bytes of rejected records that wait likewise.
const RAW_BYTES_MAX: usize = 32 * 1024 * 1024;

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
    pub fn unreadable(uri: String, why: &io::Error) -> Self {
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
    parcels: SyncSender<Parcel>,
}

impl Worker {
    pub fn new(object_bytes_max: u64, parcels: SyncSender<Parcel>) -> Self {
        let (decoder, bytes, finished) = (ObjectDecoder::default(), Vec::new(), Vec::new());
        Self { decoder, bytes, finished, raw_bytes: 0, object_bytes_max, parcels }
    }

    /// Works until the queue closes or the run is stopped, and hands on what is left.
    ///
    /// # Panics
    /// When rows do not fit their columns, which would be a fault of keytrail.
    pub fn run(mut self, objects: &Mutex<Receiver<ObjectRef>>, progress: &Progress) {
        let done = self.work(objects, progress).and_then(|()| {
            let rest = self.decoder.finish()?;
            self.hand_on(rest)
        });
        if let Err(Stopped::Columns(error)) = done {
            panic!("rows do not fit their columns: {error}");
        }
    }

    fn work(&mut self, objects: &Mutex<Receiver<ObjectRef>>, progress: &Progress) -> Result<(), Stopped> {
        loop {
            // A poisoned lock means that another worker panicked, and the run with it.
            let next = objects.lock().map_or(None, |queue| queue.recv().ok());
            let Some(object) = next else { return Ok(()) };
            if progress.stopped() {
                // What is queued is left for the next run; emptying the queue lets the walk come to its end.
                continue;
            }
            let finished = self.read(&object)?;
            Progress::add(&progress.objects_finished, 1);
            Progress::add(&progress.bytes_finished, object.size);
            Progress::add(&progress.records_read, finished.row.records_read);
            self.raw_bytes +=
                finished.rejects.iter().filter_map(|reject| reject.raw.as_ref()).map(Vec::len).sum::<usize>();
            self.finished.push(finished);
            if self.finished.len() >= FINISHED_MAX || self.raw_bytes >= RAW_BYTES_MAX {
                let rest = self.decoder.finish()?;
                self.hand_on(rest)?;
            }
        }
    }

    fn read(&mut self, object: &ObjectRef) -> Result<Finished, Stopped> {
        let mut file = match local::open(object) {
            Ok(file) => file,
            Err(why) => return Ok(Finished::unreadable(object.uri.clone(), &why)),
        };
        let Self { decoder, bytes, finished, object_bytes_max, parcels, .. } = self;
        let mut full = |batch| {
            // Objects that ended before this batch was full are complete with it; this one is not.
            let parcel = Parcel { batch: Some(batch), finished: std::mem::take(finished), counted: Objects::default() };
            parcels.send(parcel).map_err(|_| Stopped::NobodyListens)
        };
        // What was listed as small may have grown, and some files do not tell their size at all.
        bytes.clear();
        if let Err(why) = (&mut file).take(WHOLE_COMPRESSED_MAX + 1).read_to_end(bytes) {
            return Ok(Finished::unreadable(object.uri.clone(), &why));
        }
        let account = if bytes.len() as u64 <= WHOLE_COMPRESSED_MAX {
            decoder.decode(Input::Whole(bytes), &object.uri, *object_bytes_max, &mut full)?
        } else {
            let mut stream = BufReader::with_capacity(256 * 1024, bytes.as_slice().chain(file));
            decoder.decode(Input::Stream(&mut stream), &object.uri, *object_bytes_max, &mut full)?
        };
        Ok(Finished::of(object, account))
    }

    fn hand_on(&mut self, batch: Option<RecordBatch>) -> Result<(), Stopped> {
        let finished = std::mem::take(&mut self.finished);
        self.raw_bytes = 0;
        if batch.is_none() && finished.is_empty() {
            return Ok(());
        }
        let parcel = Parcel { batch, finished, counted: Objects::default() };
        self.parcels.send(parcel).map_err(|_| Stopped::NobodyListens)
    }
}
