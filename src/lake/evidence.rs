//! What was found of digests and of the log objects that they name: one row per thing and check.
//!
//! Rows are only ever added; of several checks of one thing the latest counts, which the views say. Nothing here knows
//! how a check is done.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::TimestampMicrosecondType;
use futures::TryStreamExt;
use hashbrown::HashMap;

use super::identity::Texts;
use super::parquet::{self, Read};
use super::table::LakeTable;
use super::tables::{DIGEST_FILES, DIGESTS};
use super::{Lake, LakeError};

/// Rows that wait before they are written as a file: enough that a year's check is a handful of files.
const WAITING_MAX: usize = 100_000;

/// State of a log that no digest names.
pub const EXTRA: &str = "extra";

/// State of a log that lies where it does not belong.
pub const MOVED: &str = "moved";

/// State of a log that was extra or moved at an earlier check and is not there any more.
pub const GONE: &str = "gone";

/// One check of one digest. Instants are microseconds UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestRow {
    /// Address of the digest; of one that is missing, the address that it should have.
    pub uri: String,
    /// The account whose logs it names.
    pub account_id: String,
    /// The Region whose logs it names.
    pub region: String,
    /// Name of the trail.
    pub trail: String,
    /// The Region that the trail was made in.
    pub home_region: String,
    /// What stands before the account in its path; two trails of one name differ in it.
    pub prefix: String,
    /// Whether the trail is an organization's.
    pub is_organization: bool,
    /// Whether it is of the chain of files that came late.
    pub is_backfill: bool,
    /// Begin of its window of deliveries.
    pub start_time: Option<i64>,
    /// End of its window.
    pub end_time: Option<i64>,
    /// `valid`, `invalid`, `missing`, `unsigned`, `key_unknown` or `unreadable`.
    pub state: &'static str,
    /// Why it is not valid.
    pub reason: Option<String>,
    /// How it joins the digest before: `linked`, `start`, `gap`, `broken` or `outside` (the check).
    pub chain: &'static str,
    /// Where the digests before end, when there is a gap.
    pub gap_from: Option<i64>,
    /// Address of the digest that it names as the one before.
    pub previous_uri: Option<String>,
    /// Logs that it names which are as it says.
    pub logs_valid: u64,
    /// Logs that it names which are not, or cannot be read.
    pub logs_invalid: u64,
    /// Logs that it names which are not there.
    pub logs_missing: u64,
}

/// One check of one log object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRow {
    /// Address of the object, as the ledger has it; of one that is missing, the address that it should have.
    pub uri: String,
    /// Its version, as the ledger has it: a row of both says that what was read is what was checked.
    pub version_tag: Option<String>,
    /// The account that it lies under.
    pub account_id: String,
    /// The Region that it lies under.
    pub region: String,
    /// When it was delivered, as its name says; nothing when its folder contradicts the name.
    pub delivered_at: Option<i64>,
    /// The digest that names it; none for an object that no digest names.
    pub digest_uri: Option<String>,
    /// `valid`, `hash_mismatch`, `invalid_format`, `missing`, `moved`, `extra`, `gone` or `unreadable`.
    pub state: &'static str,
    /// Why it is not valid.
    pub reason: Option<String>,
}

/// Adds the rows of one check to a lake.
#[derive(Debug)]
pub struct EvidenceLog {
    digests: LakeTable,
    files: LakeTable,
    checked_at: i64,
    waiting: (Vec<DigestRow>, Vec<FileRow>),
}

impl EvidenceLog {
    /// Opens both tables for a check that is made at the instant `checked_at`.
    ///
    /// # Errors
    /// When a table cannot be opened or created.
    pub async fn open(lake: &Lake, checked_at: i64) -> Result<Self, LakeError> {
        let (digests, files) = (lake.open_or_create(&DIGESTS).await?, lake.open_or_create(&DIGEST_FILES).await?);
        Ok(Self { digests, files, checked_at, waiting: (Vec::new(), Vec::new()) })
    }

    /// The logs that were extra or moved when they were last checked, by their addresses.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn strays(&self) -> Result<Vec<FileRow>, LakeError> {
        let columns = ["uri", "account_id", "region", "delivered_at", "digest_uri", "state", "checked_at"];
        let mut latest: HashMap<String, (i64, FileRow)> = HashMap::new();
        for file in self.files.files() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let mut rows = parquet::open(self.files.store(), &file, Read::Columns(&columns)).await?;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                for (at, row) in unnamed(&batch)? {
                    let known = latest.entry(row.uri.clone()).or_insert_with(|| (at, row.clone()));
                    if known.0 <= at {
                        *known = (at, row);
                    }
                }
            }
        }
        let mut strays: Vec<FileRow> = latest.into_values().map(|(_, row)| row).collect();
        strays.retain(|row| row.state != GONE);
        strays.sort_by(|one, other| one.uri.cmp(&other.uri));
        Ok(strays)
    }

    /// Takes rows, and writes what waits when it is much.
    ///
    /// # Errors
    /// When the lake cannot be written.
    pub async fn add(&mut self, digests: &[DigestRow], files: &[FileRow]) -> Result<(), LakeError> {
        self.waiting.0.extend_from_slice(digests);
        self.waiting.1.extend_from_slice(files);
        if self.waiting.0.len().max(self.waiting.1.len()) >= WAITING_MAX {
            self.finish().await?;
        }
        Ok(())
    }

    /// Writes what waits. The logs come first: a digest's row says that its logs were looked at.
    ///
    /// # Errors
    /// When the lake cannot be written.
    pub async fn finish(&mut self) -> Result<(), LakeError> {
        let (digests, files) = std::mem::take(&mut self.waiting);
        if !files.is_empty() {
            self.files.append(&files_batch(&files, self.checked_at)?).await?;
        }
        if !digests.is_empty() {
            self.digests.append(&digests_batch(&digests, self.checked_at)?).await?;
        }
        Ok(())
    }
}

/// The rows of logs that no digest names, with the instants of their checks.
fn unnamed(batch: &RecordBatch) -> Result<Vec<(i64, FileRow)>, LakeError> {
    let text = |name| Texts::of(batch, name);
    let (uris, digests, states) = (text("uri")?, text("digest_uri")?, text("state")?);
    let (accounts, regions) = (text("account_id")?, text("region")?);
    let delivered = batch["delivered_at"].as_primitive::<TimestampMicrosecondType>();
    let checked = batch["checked_at"].as_primitive::<TimestampMicrosecondType>();
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let rows = (0..batch.num_rows()).filter(|&row| digests.get(row).is_none()).map(|row| {
        let found = FileRow {
            uri: own(uris.get(row)),
            account_id: own(accounts.get(row)),
            region: own(regions.get(row)),
            delivered_at: delivered.is_valid(row).then(|| delivered.value(row)),
            state: if states.get(row) == Some(GONE) { GONE } else { EXTRA },
            ..FileRow::default()
        };
        (checked.value(row), found)
    });
    Ok(rows.collect())
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn counts(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(values.map(|count| i64::try_from(count).ok()).collect::<Int64Array>())
}

fn flags(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn digests_batch(rows: &[DigestRow], at: i64) -> Result<RecordBatch, LakeError> {
    let columns = vec![
        texts(rows.iter().map(|row| Some(row.uri.as_str()))),
        texts(rows.iter().map(|row| Some(row.account_id.as_str()))),
        texts(rows.iter().map(|row| Some(row.region.as_str()))),
        texts(rows.iter().map(|row| Some(row.trail.as_str()))),
        texts(rows.iter().map(|row| Some(row.home_region.as_str()))),
        texts(rows.iter().map(|row| Some(row.prefix.as_str()))),
        flags(rows.iter().map(|row| row.is_organization)),
        flags(rows.iter().map(|row| row.is_backfill)),
        instants(rows.iter().map(|row| row.start_time)),
        instants(rows.iter().map(|row| row.end_time)),
        texts(rows.iter().map(|row| Some(row.state))),
        texts(rows.iter().map(|row| row.reason.as_deref())),
        texts(rows.iter().map(|row| Some(row.chain))),
        instants(rows.iter().map(|row| row.gap_from)),
        texts(rows.iter().map(|row| row.previous_uri.as_deref())),
        counts(rows.iter().map(|row| row.logs_valid)),
        counts(rows.iter().map(|row| row.logs_invalid)),
        counts(rows.iter().map(|row| row.logs_missing)),
        instants(rows.iter().map(|_| Some(at))),
    ];
    Ok(RecordBatch::try_new((DIGESTS.schema)(), columns)?)
}

fn files_batch(rows: &[FileRow], at: i64) -> Result<RecordBatch, LakeError> {
    let columns = vec![
        texts(rows.iter().map(|row| Some(row.uri.as_str()))),
        texts(rows.iter().map(|row| row.version_tag.as_deref())),
        texts(rows.iter().map(|row| Some(row.account_id.as_str()))),
        texts(rows.iter().map(|row| Some(row.region.as_str()))),
        instants(rows.iter().map(|row| row.delivered_at)),
        texts(rows.iter().map(|row| row.digest_uri.as_deref())),
        texts(rows.iter().map(|row| Some(row.state))),
        texts(rows.iter().map(|row| row.reason.as_deref())),
        instants(rows.iter().map(|_| Some(at))),
    ];
    Ok(RecordBatch::try_new((DIGEST_FILES.schema)(), columns)?)
}
