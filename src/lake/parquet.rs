//! Rows to Parquet files and back: one set of writer properties for the whole lake, and the statistics that Delta's log
//! keeps per file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use ::parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use ::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::{Array, AsArray, RecordBatch, new_null_array};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::DateTime;
use deltalake_core::kernel::Add;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::identity::Texts;
use super::{DataFile, LakeError};
use crate::cloudtrail::columns::CALL;

/// Rows per row group: what one column chunk's dictionary covers, and what a reader decides to skip as a whole.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// The compression level: dictionaries have taken out what repeats, and higher levels make these columns larger.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of a page, and of a column's dictionary. To answer about a key that is in little use, a few rows of a file are read: of
/// each column a page, and its dictionary. What repeats is in few pages all the same, since they have up to 20,000 rows.
const PAGE_BYTES: usize = 64 * 1024;
const DICTIONARY_BYTES: usize = 128 * 1024;

/// Columns whose values rarely repeat: a dictionary would only cost time.
const UNIQUE: [&str; 5] = ["event_id", "request_id", "grant_id", "uri", "raw"];

/// Columns with statistics per page, because queries narrow by them inside a file.
const PAGED: [&str; 2] = ["key_arn", "event_time"];

/// Text columns whose range is kept, per file in Delta's log and per row group in the file, to skip both by.
///
/// `event_type` is one of them for what VPC endpoints log: few files have any, and the name sorts behind all others.
const RANGED: [&str; 6] = ["key_arn", "account_id", "region", "event_source", "event_type", CALL];

/// Columns that are null nearly everywhere; their statistics let a query for values skip whole files.
const RARE: [&str; 2] = ["original_event_id", "dest_key_arn"];

/// A range's text longer than this is left out of the log.
const RANGE_TEXT_MAX: usize = 256;

fn properties(schema: &Schema, rows: usize) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("keytrail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None);
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        if UNIQUE.contains(&field.name().as_str()) {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
        }
        if RANGED.contains(&field.name().as_str()) || RARE.contains(&field.name().as_str()) {
            properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::Chunk);
        }
        if PAGED.contains(&field.name().as_str()) {
            properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::Page);
        }
        if field.name() == "event_id" {
            let values = u64::try_from(rows.min(ROW_GROUP_ROWS)).unwrap_or(u64::MAX);
            properties = properties
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_fpp(column.clone(), 0.05)
                .set_column_bloom_filter_max_ndv(column.clone(), values);
        }
        if matches!(field.data_type(), DataType::Timestamp(..) | DataType::Int32) {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}

/// What the name of a file begins with that [`maintain`](super::maintain) made as large as its rows allow in bytes: no later
/// run opens it to find that out once more.
const FULL: &str = "full-";

/// Whether a file is as large as upkeep makes any.
#[must_use]
pub fn is_full(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with(FULL))
}

/// One Parquet file in memory, to which rows are added batch by batch. Dictionary columns are written as the plain text that
/// the lake's schema says.
pub struct FileWriter {
    encoder: ArrowWriter<Vec<u8>>,
    ranges: Ranges,
    /// Prefix of the file name.
    prefix: Cow<'static, str>,
}

impl FileWriter {
    /// Begins a file of about so many rows.
    ///
    /// # Errors
    /// When the columns cannot be encoded, which their types rule out.
    pub fn new(schema: &SchemaRef, rows: usize) -> Result<Self, LakeError> {
        let options =
            ArrowWriterOptions::new().with_properties(properties(schema, rows)).with_skip_arrow_metadata(true);
        let encoder = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(schema), options).map_err(unwritten)?;
        Ok(Self { encoder, ranges: Ranges::default(), prefix: "part-".into() })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When the rows have other columns than the file.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.ranges.add(batch)?;
        self.encoder.write(batch).map_err(unwritten)
    }

    /// Lets the file's name say that it is as large as upkeep makes any.
    pub fn fill(&mut self) {
        self.prefix = FULL.into();
    }

    /// Sets the prefix of the file name.
    pub fn named(&mut self, prefix: String) {
        self.prefix = prefix.into();
    }

    /// Stores the file and returns the action that adds it to its table.
    ///
    /// # Errors
    /// When the file cannot be stored.
    pub async fn finish(
        self,
        store: &dyn ObjectStore,
        partition: Option<(&str, &str)>,
        data_change: bool,
    ) -> Result<Add, LakeError> {
        let name = format!("{}{}.zstd.parquet", self.prefix, Uuid::new_v4());
        let path = match partition {
            Some((column, value)) => format!("{column}={value}/{name}"),
            None => name,
        };
        let bytes = self.encoder.into_inner().map_err(unwritten)?;
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        store.put(&Path::from(path.as_str()), PutPayload::from(bytes)).await?;
        Ok(Add {
            path,
            partition_values: partition
                .map(|(column, value)| (column.to_owned(), Some(value.to_owned())))
                .into_iter()
                .collect(),
            size,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change,
            stats: Some(self.ranges.stats().to_string()),
            ..Add::default()
        })
    }
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FileWriter").field("rows", &self.ranges.rows).finish_non_exhaustive()
    }
}

fn unwritten(source: ParquetError) -> LakeError {
    LakeError::Parquet { path: "that is being written".to_owned(), source }
}

/// Writes rows as one file of a table and returns the action that adds it.
///
/// # Errors
/// When the file cannot be encoded or stored.
pub async fn write(
    store: &dyn ObjectStore,
    batch: &RecordBatch,
    partition: Option<(&str, &str)>,
    data_change: bool,
) -> Result<Add, LakeError> {
    let mut file = FileWriter::new(batch.schema_ref(), batch.num_rows())?;
    file.write(batch)?;
    file.finish(store, partition, data_change).await
}

/// What the log keeps of a file: how many rows it has, and between which values some of its columns are.
#[derive(Debug, Default)]
struct Ranges {
    rows: usize,
    instants: BTreeMap<String, (i64, i64)>,
    texts: BTreeMap<String, (String, String)>,
    /// Columns with a text at an end of their range that is longer than the log is to hold.
    unbounded: BTreeSet<String>,
    nulls: BTreeMap<String, usize>,
}

impl Ranges {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name();
            if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                if let (Some(first), Some(last)) = (min(times), max(times)) {
                    let range = self.instants.entry(name.clone()).or_insert((first, last));
                    *range = (range.0.min(first), range.1.max(last));
                }
            } else if RANGED.contains(&name.as_str()) {
                let texts = Texts::of(batch, name)?;
                let range = (0..batch.num_rows())
                    .filter_map(|row| texts.get(row))
                    .fold(None, |range, text| Some(widened(range, text)));
                if let Some((low, high)) = range {
                    self.text(name, low, high);
                }
            } else {
                continue;
            }
            *self.nulls.entry(name.clone()).or_default() += column.null_count();
        }
        Ok(())
    }

    fn text(&mut self, name: &str, low: &str, high: &str) {
        if low.len().max(high.len()) > RANGE_TEXT_MAX {
            self.unbounded.insert(name.to_owned());
            return;
        }
        let range = self.texts.entry(name.to_owned()).or_insert_with(|| (low.to_owned(), high.to_owned()));
        if low < range.0.as_str() {
            low.clone_into(&mut range.0);
        }
        if high > range.1.as_str() {
            high.clone_into(&mut range.1);
        }
    }

    /// In the form of Delta's protocol ("Per-file Statistics").
    fn stats(&self) -> Value {
        let (mut smallest, mut largest, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, (first, last)) in &self.instants {
            // The log keeps milliseconds: round outwards.
            smallest.insert(name.clone(), json!(delta_instant(first.div_euclid(1000))));
            largest.insert(name.clone(), json!(delta_instant(last.div_euclid(1000) + i64::from(last % 1000 != 0))));
        }
        for (name, (low, high)) in self.texts.iter().filter(|(name, _)| !self.unbounded.contains(*name)) {
            smallest.insert(name.clone(), json!(low));
            largest.insert(name.clone(), json!(high));
        }
        // Of a column without any value the log says nothing, unless it is of instants.
        for (name, count) in &self.nulls {
            if *count < self.rows || !RANGED.contains(&name.as_str()) {
                nulls.insert(name.clone(), json!(count));
            }
        }
        json!({"numRecords": self.rows, "minValues": smallest, "maxValues": largest, "nullCount": nulls})
    }
}

fn widened<'t>(range: Option<(&'t str, &'t str)>, text: &'t str) -> (&'t str, &'t str) {
    range.map_or((text, text), |(low, high)| (low.min(text), high.max(text)))
}

fn delta_instant(millis: i64) -> String {
    let instant = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    instant.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Which of a file's columns to read, and how.
#[derive(Debug, Clone, Copy)]
pub enum Read<'a> {
    /// These columns, as the file has them.
    Columns(&'a [&'a str]),
    /// What the file has of these columns, in the given types (text as dictionaries, to stay small); see [`completed`].
    As(&'a SchemaRef),
}

/// A data file in a store, whose size the log tells.
#[derive(Debug)]
pub struct FileReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

fn store_failed(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move { self.store.get_range(&self.path, range).await.map_err(store_failed) })
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(async move { self.store.get_ranges(&self.path, &ranges).await.map_err(store_failed) })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        Box::pin(async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            reader.load_and_finish(self, size).await.map(Arc::new)
        })
    }
}

/// Rows that are read at a time, and bytes that they may have by and large: a reject may have 256 KiB, and a column of a
/// batch can hold no more than 2 GiB.
const BATCH: (u64, u64) = (16 * 1024, 16 * 1024 * 1024);

/// How many rows of a file make a batch.
fn batch_rows(file: &ParquetMetaData) -> usize {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let rows = count(file.file_metadata().num_rows()).max(1);
    let bytes: u64 = file.row_groups().iter().map(|group| count(group.total_byte_size())).sum();
    let (rows_max, bytes_max) = BATCH;
    let fit = bytes_max / (bytes / rows).max(1);
    usize::try_from(fit.clamp(1, rows_max)).unwrap_or(1)
}

/// Opens a data file for reading, batch by batch.
///
/// # Errors
/// When the file cannot be opened or is no Parquet file.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    file: &DataFile,
    read: Read<'_>,
) -> Result<ParquetRecordBatchStream<FileReader>, LakeError> {
    built(file, builder(store, file, read).await?)
}

/// Opens a data file for reading these of its rows, which are in order.
///
/// # Errors
/// When the file cannot be opened or is no Parquet file.
pub async fn open_rows(
    store: Arc<dyn ObjectStore>,
    file: &DataFile,
    read: Read<'_>,
    rows: &[usize],
) -> Result<ParquetRecordBatchStream<FileReader>, LakeError> {
    let builder = builder(store, file, read).await?;
    let total = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let selection = RowSelection::from_consecutive_ranges(rows.iter().map(|&row| row..row + 1), total);
    built(file, builder.with_row_selection(selection))
}

type Builder = ParquetRecordBatchStreamBuilder<FileReader>;

fn built(file: &DataFile, builder: Builder) -> Result<ParquetRecordBatchStream<FileReader>, LakeError> {
    builder.build().map_err(|source| LakeError::Parquet { path: file.path.to_string(), source })
}

async fn builder(store: Arc<dyn ObjectStore>, file: &DataFile, read: Read<'_>) -> Result<Builder, LakeError> {
    let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
    let mut reader = FileReader { store, path: file.path.clone(), size: file.size };
    let metadata = match read {
        Read::Columns(_) => ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await,
        Read::As(schema) => {
            // A file that an earlier version wrote lacks columns.
            let found =
                ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await.map_err(failed)?;
            let options = ArrowReaderOptions::new().with_schema(Arc::new(present(schema, found.schema())));
            ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
        }
    };
    let metadata = metadata.map_err(failed)?;
    let rows = batch_rows(metadata.metadata());
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata).with_batch_size(rows);
    let mask = match read {
        Read::Columns(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        Read::As(schema) => {
            let is_wanted = |(_, field): &(usize, &Arc<Field>)| schema.index_of(field.name()).is_ok();
            let places = builder.schema().fields().iter().enumerate().filter(is_wanted).map(|(place, _)| place);
            ProjectionMask::roots(builder.parquet_schema(), places.collect::<Vec<_>>())
        }
    };
    builder = builder.with_projection(mask);
    Ok(builder)
}

/// Of the wanted columns those that a file has, in the file's order.
fn present(wanted: &Schema, file: &Schema) -> Schema {
    let fields = file.fields().iter().map(|field| wanted.field_with_name(field.name()).unwrap_or(field).clone());
    Schema::new(fields.collect::<Vec<Field>>())
}

/// Rows of a file in all columns of the schema, in its order: those that the file lacks are null.
///
/// # Errors
/// When a column has another type than the schema says.
pub fn completed(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| {
        let found = rows.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
    };
    RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect())
}

/// The schema of a table's data files with its text as dictionaries, for reading many rows in little memory.
#[must_use]
pub fn dictionary_schema(schema: &Schema, partition: Option<&str>) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .filter(|field| Some(field.name().as_str()) != partition)
        .map(|field| match field.data_type() {
            DataType::Utf8 if !UNIQUE.contains(&field.name().as_str()) => {
                let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Field::new(field.name(), dictionary, true)
            }
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}
