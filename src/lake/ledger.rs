//! The ledger of source objects, and the records that could not be used.
//!
//! Both are committed after the events that they speak of. After a crash in between, the objects are read again and the
//! dedupe drops what is there already; a ledger row therefore always means that the object's events are in the lake.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_128;

use super::identity::Texts;
use super::parquet::{self, Read};
use super::table::{Commit, LakeTable};
use super::tables::{OBJECTS, REJECTS};
use super::{Lake, LakeError};

mod known;

pub use known::{ARCHIVED, BOUND, FILTERED, Known, Met, UNREADABLE, is_to_be_read_again};

/// How an object ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything in it was read.
    Ingested,
    /// Some of it could not be used; the rest is in the lake.
    Partial,
    /// Nothing in it could be used.
    Rejected,
    /// Everything in it was read, and the bounds of the run left something out.
    Filtered,
}

impl State {
    /// The name in the `state` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingested => "ingested",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Filtered => "filtered",
        }
    }
}

/// One attempt at one object. Counts are records, `bytes_*` bytes, instants microseconds UTC.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the fields are the columns of the `objects` table")]
pub struct ObjectRow {
    pub uri: String,
    pub version_tag: String,
    pub kind: &'static str,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub delivered_at: Option<i64>,
    pub state: Option<State>,
    pub reason: Option<String>,
    pub bytes_compressed: u64,
    pub bytes_decompressed: u64,
    pub records_read: u64,
    pub records_kept: u64,
    pub records_other: u64,
    pub records_duplicate: u64,
    pub records_rejected: u64,
    pub first_event_time: Option<i64>,
    pub last_event_time: Option<i64>,
    pub first_kms_read: Option<i64>,
}

/// Something that could not be used.
#[derive(Debug, Clone)]
pub struct RejectRow {
    /// The object it was in.
    pub object: String,
    /// Position among the object's records; null when it is about the object as a whole.
    pub record_index: Option<u64>,
    /// Why.
    pub reason: String,
    /// Its bytes as far as they are kept, without session tokens.
    pub raw: Option<Vec<u8>>,
}

/// Writes the ledger and the rejects.
#[derive(Debug)]
pub struct Ledger {
    objects: LakeTable,
    rejects: LakeTable,
    /// What is in the rejects already, once it was asked for.
    rejected: Option<HashSet<u128>>,
}

impl Ledger {
    /// Opens both tables for writing.
    ///
    /// # Errors
    /// When a table cannot be opened or created.
    pub async fn open(lake: &Lake) -> Result<Self, LakeError> {
        let (objects, rejects) = (lake.open_or_create(&OBJECTS).await?, lake.open_or_create(&REJECTS).await?);
        Ok(Self { objects, rejects, rejected: None })
    }

    /// Reads what was ingested before.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn known(&self) -> Result<Known, LakeError> {
        let mut known = Known::default();
        for file in self.objects.files() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let read = Read::Columns(&["uri", "version_tag", "reason", "ingested_at"]);
            let mut rows = parquet::open(self.objects.store(), &file, read).await?;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                let (uris, tags) = (Texts::of(&batch, "uri")?, Texts::of(&batch, "version_tag")?);
                let reasons = Texts::of(&batch, "reason")?;
                let times = batch["ingested_at"].as_primitive::<TimestampMicrosecondType>();
                for row in 0..batch.num_rows() {
                    let text = |texts: Texts<'_>| texts.get(row).unwrap_or_default().to_owned();
                    known.learn(&text(uris), &text(tags), times.value(row), reasons.get(row));
                }
            }
        }
        Ok(known)
    }

    /// Records objects and what was rejected in them, all as of the instant `at`.
    ///
    /// # Errors
    /// When the lake cannot be written.
    pub async fn record(&mut self, objects: &[ObjectRow], rejects: &[RejectRow], at: i64) -> Result<(), LakeError> {
        if !rejects.is_empty() {
            self.reject(rejects, at).await?;
        }
        if !objects.is_empty() {
            self.objects.append(&objects_batch(objects, at)?).await?;
        }
        Ok(())
    }

    /// Merges small files of rejects, if there are many.
    pub async fn upkeep(&mut self) {
        self.rejects.upkeep().await;
    }

    /// Adds those rejects that are not there already: an object that is read again is rejected again, once.
    async fn reject(&mut self, rejects: &[RejectRow], at: i64) -> Result<(), LakeError> {
        let key = |reject: &RejectRow| reject_key(&reject.object, reject.record_index, &reject.reason);
        loop {
            let mut known = match self.rejected.take() {
                Some(known) => known,
                None => self.known_rejects().await?,
            };
            let fresh: Vec<&RejectRow> = rejects.iter().filter(|reject| known.insert(key(reject))).collect();
            if fresh.is_empty() {
                self.rejected = Some(known);
                return Ok(());
            }
            let add = parquet::write(self.rejects.store().as_ref(), &rejects_batch(&fresh, at)?, None, true).await?;
            if self.rejects.commit(vec![add], Vec::new(), &["rejects".to_owned()]).await? != Commit::Conflict {
                self.rejected = Some(known);
                return Ok(());
            }
            self.rejects.refresh().await?;
        }
    }

    async fn known_rejects(&self) -> Result<HashSet<u128>, LakeError> {
        let mut known = HashSet::new();
        for file in self.rejects.files() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let mut rows =
                parquet::open(self.rejects.store(), &file, Read::Columns(&["object", "record_index", "reason"]))
                    .await?;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                let (objects, reasons) = (Texts::of(&batch, "object")?, Texts::of(&batch, "reason")?);
                let indices = batch["record_index"].as_primitive::<Int64Type>();
                known.extend((0..batch.num_rows()).map(|row| {
                    let index = indices.is_valid(row).then(|| indices.value(row));
                    let index = index.and_then(|index| u64::try_from(index).ok());
                    reject_key(objects.get(row).unwrap_or_default(), index, reasons.get(row).unwrap_or_default())
                }));
            }
        }
        Ok(known)
    }
}

fn reject_key(object: &str, index: Option<u64>, reason: &str) -> u128 {
    xxh3_128(format!("{object}\n{index:?}\n{reason}").as_bytes())
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn objects_batch(rows: &[ObjectRow], at: i64) -> Result<RecordBatch, LakeError> {
    let text =
        |get: fn(&ObjectRow) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<StringArray>()) };
    let number = |get: fn(&ObjectRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(count(get(row)))).collect::<Int64Array>())
    };
    let instant = |get: &dyn Fn(&ObjectRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(get).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let columns = vec![
        text(|row| Some(&row.uri)),
        text(|row| Some(&row.version_tag)),
        text(|row| Some(row.kind)),
        text(|row| row.account_id.as_deref()),
        text(|row| row.region.as_deref()),
        instant(&|row| row.delivered_at),
        text(|row| row.state.map(State::name)),
        text(|row| row.reason.as_deref()),
        number(|row| row.bytes_compressed),
        number(|row| row.bytes_decompressed),
        number(|row| row.records_read),
        number(|row| row.records_kept),
        number(|row| row.records_other),
        number(|row| row.records_duplicate),
        number(|row| row.records_rejected),
        instant(&|row| row.first_event_time),
        instant(&|row| row.last_event_time),
        instant(&|row| row.first_kms_read),
        instant(&|_| Some(at)),
    ];
    Ok(RecordBatch::try_new((OBJECTS.schema)(), columns)?)
}

fn rejects_batch(rows: &[&RejectRow], at: i64) -> Result<RecordBatch, LakeError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.object.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.record_index.map(count)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.reason.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.raw.as_deref()).collect::<BinaryArray>()),
        Arc::new(rows.iter().map(|_| Some(at)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new((REJECTS.schema)(), columns)?)
}
