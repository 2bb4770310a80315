//! One log object: its bytes in, rows and an account of every record out.
//!
//! ```text
//! bytes ─► text ─► Splitter ─┬─ not ours: counted, never parsed
//!                            ├─ ours: UTF-8 check ─► decode ─► EventBuilder ─► batch when full
//!                            └─ damaged: counted, kept aside
//! ```
//!
//! For every object `read = kept + other + rejected`; duplicates are found later, by the lake. What a run does not ask for
//! is among the other ones, and counted apart as well. What is wrong with an object never stops the reading of what is
//! right in it.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind, Read};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use memchr::memmem;

use super::columns::{BATCH_ROWS, Event, EventBuilder};
use super::decode::{Decoded, Unusable, decode};
use super::filter::is_surely_other;
use super::inflate::{GzipDamage, Inflater, TextStream, is_corrupt};
use super::only::Only;
use super::operation::KMS;
use super::redact::redact_bytes;
use super::split::{Damage, RECORD_BYTES_MAX, RecordSlice, Splitter, Step};
use super::surrogates::without_lone_surrogates;

/// Text of the records in a batch, which bounds what its columns can hold however long a context or a message is.
const BATCH_TEXT_BYTES: usize = 96 * 1024 * 1024;

/// Bytes read from a stream at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Bytes of one object's damaged records that are kept aside.
const RAW_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rejected records of one object that are named one by one.
const REJECTS_MAX: usize = 10_000;

/// An object's bytes.
pub enum Input<'a> {
    /// All of them.
    Whole(&'a [u8]),
    /// To be read.
    Stream(&'a mut dyn BufRead),
}

/// A record, or an object as a whole, that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Position among the object's records; null when it is about the whole object.
    pub record_index: Option<u64>,
    /// Why.
    pub reason: String,
    /// The bytes, without session tokens, up to 256 KiB.
    pub raw: Option<Vec<u8>>,
}

/// The account of one object.
#[derive(Debug, Default, Clone)]
pub struct Account {
    /// Records met.
    pub read: u64,
    /// Records that became rows.
    pub kept: u64,
    /// Records of no interest, or not asked for.
    pub other: u64,
    /// Of the other ones, those that the bounds of a run have left out.
    pub filtered: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// Bytes of text.
    pub bytes_decompressed: u64,
    /// Earliest event kept, microseconds UTC.
    pub first_event_time: Option<i64>,
    /// Latest event kept.
    pub last_event_time: Option<i64>,
    /// Earliest call that reads from KMS (facts §3.1, `readOnly`): with it, the trail that wrote the object records them.
    pub first_kms_read: Option<i64>,
    /// What is wrong with the object as a whole.
    pub problem: Option<String>,
    /// What could not be used, one by one.
    pub rejects: Vec<Reject>,
    raw_bytes: usize,
}

impl Account {
    fn reject(&mut self, record_index: Option<u64>, reason: String, raw: &[u8]) {
        if self.rejects.len() == REJECTS_MAX {
            return;
        }
        let raw = &raw[..raw.len().min(RECORD_BYTES_MAX)];
        self.raw_bytes += raw.len();
        // Bytes in which a secret could not be found are not kept: another encoding, or something compressed.
        let legible = std::str::from_utf8(raw).is_ok() || memmem::find(raw, b"\"event").is_some();
        let raw = (self.raw_bytes <= RAW_BYTES_MAX && legible).then(|| redact_bytes(raw));
        self.rejects.push(Reject { record_index, reason, raw });
    }

    fn fail(&mut self, problem: String, raw: &[u8]) {
        self.reject(None, problem.clone(), raw);
        self.problem = Some(problem);
    }
}

/// Decodes objects one after the other into batches of rows; one per worker, with all its buffers.
#[derive(Default)]
pub struct ObjectDecoder {
    inflater: Inflater,
    window: Vec<u8>,
    rows: EventBuilder,
    text_bytes: usize,
    /// The bounds that records are held to, where there are any.
    only: Option<Only>,
}

impl ObjectDecoder {
    /// A decoder that keeps only the records within these bounds.
    #[must_use]
    pub fn keeping(only: Only) -> Self {
        Self { only: (only != Only::default()).then_some(only), ..Self::default() }
    }

    /// Reads one object. Whenever enough rows have come together, of this object or several, `full` takes them.
    ///
    /// `text_max` bounds the bytes that the object may inflate to; what lies beyond is not read, and said so.
    ///
    /// # Errors
    /// Only those of `full`; whatever is wrong with the object is in its account.
    ///
    /// # Panics
    /// When the account does not add up, which would mean that a record was lost.
    pub fn decode<E: From<ArrowError>>(
        &mut self,
        input: Input<'_>,
        source_object: &str,
        text_max: u64,
        full: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<Account, E> {
        let mut account = Account::default();
        match input {
            Input::Stream(stream) => self.stream(stream, source_object, text_max, &mut account, full)?,
            Input::Whole(bytes) => {
                // The buffers are taken out for the time that the text borrows them.
                let mut inflater = std::mem::take(&mut self.inflater);
                let text = match inflater.whole(bytes, text_max) {
                    Some(text) => Some(text),
                    None if !bytes.starts_with(&[0x1F, 0x8B]) && bytes.len() as u64 <= text_max => Some(bytes),
                    None => None,
                };
                match text {
                    // A flipped bit makes other names and ids of the ones that AWS wrote.
                    None if is_corrupt(bytes, text_max) => {
                        account.fail(format!("{}: nothing of it is kept, fetch it again", GzipDamage::Corrupt), &[]);
                    }
                    Some(text) if is_not_json(text) => {
                        account.bytes_decompressed = text.len() as u64;
                        account.fail(not_json(text.as_ptr() != bytes.as_ptr()), text);
                    }
                    Some(text) => self.whole(text, source_object, &mut account, full)?,
                    None => self.stream(&mut { bytes }, source_object, text_max, &mut account, full)?,
                }
                self.inflater = inflater;
            }
        }
        if account.bytes_decompressed == 0 && account.problem.is_none() {
            account.fail("empty object".to_owned(), &[]);
        }
        assert_eq!(account.read, account.kept + account.other + account.rejected, "every record is accounted for");
        Ok(account)
    }

    /// Takes the rows that no batch was filled with yet.
    ///
    /// # Errors
    /// When Arrow finds the columns of different lengths, which appending whole rows rules out.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.text_bytes = 0;
        if self.rows.rows() == 0 { Ok(None) } else { self.rows.finish().map(Some) }
    }

    fn whole<E: From<ArrowError>>(
        &mut self,
        text: &[u8],
        source_object: &str,
        account: &mut Account,
        full: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        account.bytes_decompressed = text.len() as u64;
        let mut splitter = Splitter::default();
        self.steps(&mut splitter, text, true, source_object, account, full).map(|_| ())
    }

    fn stream<E: From<ArrowError>>(
        &mut self,
        stream: &mut dyn BufRead,
        source_object: &str,
        text_max: u64,
        account: &mut Account,
        full: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut text = match TextStream::new(stream) {
            Ok(text) => text,
            Err(error) => {
                account.fail(format!("unreadable: {error}"), &[]);
                return Ok(());
            }
        };
        let mut window = std::mem::take(&mut self.window);
        window.clear();
        let mut splitter = Splitter::default();
        loop {
            let room = text_max - account.bytes_decompressed;
            let had = window.len();
            let read = fill(&mut text, &mut window, room);
            account.bytes_decompressed += (window.len() - had) as u64;
            if account.bytes_decompressed == (window.len() - had) as u64 && is_not_json(&window) {
                account.fail(not_json(text.is_gzip()), &window);
                break;
            }
            let last = match read {
                Ok(more) => !more,
                Err(error) => {
                    let used = self.steps(&mut splitter, &window, false, source_object, account, full)?;
                    window.drain(..used);
                    account.fail(stream_problem(&error), &[]);
                    true
                }
            };
            if last && account.bytes_decompressed == text_max && account.problem.is_none() && has_more(&mut text) {
                account.fail(format!("inflates to more than the {text_max} bytes that --max-object-bytes allows"), &[]);
            }
            let used = self.steps(&mut splitter, &window, last, source_object, account, full)?;
            window.drain(..used);
            if last {
                break;
            }
        }
        self.window = window;
        Ok(())
    }

    /// Works through a window; returns the bytes used.
    fn steps<E: From<ArrowError>>(
        &mut self,
        splitter: &mut Splitter,
        window: &[u8],
        last: bool,
        source_object: &str,
        account: &mut Account,
        full: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut at = 0;
        loop {
            let (used, step) = splitter.next(&window[at..], last);
            at += used;
            match step {
                Step::Record(record) => {
                    self.record(&record, source_object, account)?;
                    if (self.rows.rows() >= BATCH_ROWS || self.text_bytes >= BATCH_TEXT_BYTES)
                        && let Some(batch) = self.finish()?
                    {
                        full(batch)?;
                    }
                }
                Step::Damaged { bytes, why } => {
                    // The cut at the end of a shortened object is told by the object's own problem as well.
                    let index = account.read;
                    account.read += 1;
                    account.rejected += 1;
                    account.reject(Some(index), why.to_string(), bytes);
                    if why == Damage::Truncated && account.problem.is_none() {
                        account.problem = Some(why.to_string());
                    }
                }
                Step::More | Step::End => return Ok(at),
            }
        }
    }

    fn record(
        &mut self,
        record: &RecordSlice<'_>,
        source_object: &str,
        account: &mut Account,
    ) -> Result<(), ArrowError> {
        let index = account.read;
        account.read += 1;
        if is_surely_other(record) {
            account.other += 1;
            return Ok(());
        }
        let Ok(text) = std::str::from_utf8(record.bytes) else {
            account.rejected += 1;
            account.reject(Some(index), Unusable::Utf8.to_string(), record.bytes);
            return Ok(());
        };
        let repaired;
        let decoded = match decode(text) {
            Err(Unusable::Json(error)) => match without_lone_surrogates(text) {
                Cow::Owned(text) => {
                    repaired = text;
                    decode(&repaired)
                }
                Cow::Borrowed(_) => Err(Unusable::Json(error)),
            },
            decoded => decoded,
        };
        match decoded {
            Ok(Decoded::Other) => account.other += 1,
            Ok(Decoded::Kept(event)) if self.only.as_ref().is_some_and(|only| !only.admits(&event)) => {
                account.other += 1;
                account.filtered += 1;
            }
            Ok(Decoded::Kept(mut event)) => {
                event.source_object = Some(Cow::Borrowed(source_object));
                event.record_index = i32::try_from(index).ok();
                self.text_bytes += record.bytes.len();
                account.first_event_time = account.first_event_time.min(event.event_time).or(event.event_time);
                account.last_event_time = account.last_event_time.max(event.event_time);
                if is_management_read(&event) {
                    account.first_kms_read = account.first_kms_read.min(event.event_time).or(event.event_time);
                }
                self.rows.append(&event)?;
                account.kept += 1;
            }
            Err(why) => {
                account.rejected += 1;
                account.reject(Some(index), why.to_string(), record.bytes);
            }
        }
        Ok(())
    }
}

/// Whether an event shows that its trail records reads of KMS. Network activity has selectors of its own.
fn is_management_read(event: &Event<'_>) -> bool {
    event.read_only == Some(true) && event.event_source.as_deref() == Some(KMS) && !event.is_of_endpoint()
}

/// Whether the text does not even begin like JSON that could hold records.
fn is_not_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| !matches!(byte, b'{' | b'['))
}

fn not_json(gzip: bool) -> String {
    if gzip { "gzip of something that is not JSON" } else { "neither gzip nor JSON" }.to_owned()
}

/// Appends up to a chunk, but no more than `room` bytes; false at the end of the text or of the room.
fn fill(text: &mut impl Read, window: &mut Vec<u8>, room: u64) -> io::Result<bool> {
    let want = CHUNK_BYTES.min(usize::try_from(room).unwrap_or(usize::MAX));
    let start = window.len();
    window.resize(start + want, 0);
    let mut filled = start;
    let result = loop {
        if filled == window.len() {
            break Ok(want > 0 && (want as u64) < room);
        }
        match text.read(&mut window[filled..]) {
            Ok(0) => break Ok(false),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    window.truncate(filled);
    result
}

fn has_more(text: &mut impl Read) -> bool {
    matches!(text.read(&mut [0]), Ok(1))
}

/// What an error of the stream means.
fn stream_problem(error: &io::Error) -> String {
    GzipDamage::of(error).map_or_else(|| format!("unreadable: {error}"), |damage| damage.to_string())
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
