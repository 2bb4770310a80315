//! A table of the lake as DataFusion reads it: the files that one version of the Delta log names, with the ranges that
//! the log keeps of them, so that whole files are skipped before they are opened.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;

use crate::lake::{DataFile, TableSpec};

/// One table at one version.
#[derive(Debug)]
pub(super) struct LakeProvider {
    store: ObjectStoreUrl,
    /// The columns in the lake's own order.
    columns: SchemaRef,
    /// For each of them its place in `files_schema`, which has the partition last.
    places: Vec<usize>,
    files_schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl LakeProvider {
    pub fn new(store: ObjectStoreUrl, spec: &TableSpec, files: &[DataFile]) -> Self {
        let schema = (spec.schema)();
        let (mut columns, mut partitions): (Vec<Field>, Vec<FieldRef>) = (Vec::new(), Vec::new());
        for field in schema.fields() {
            if Some(field.name().as_str()) == spec.partition {
                partitions.push(Arc::clone(field));
            } else {
                columns.push(viewed(field));
            }
        }
        let files_schema =
            TableSchema::builder(Arc::new(Schema::new(columns))).with_table_partition_cols(partitions).build();
        let files = files.iter().map(|file| partitioned(file, &files_schema)).collect();
        let found = files_schema.table_schema();
        // Both are made of the same fields, so every one is found.
        let places: Vec<usize> = schema.fields().iter().filter_map(|field| found.index_of(field.name()).ok()).collect();
        let columns = Arc::new(Schema::new(places.iter().map(|&place| found.field(place).clone()).collect::<Vec<_>>()));
        Self { store, columns, places, files_schema, files }
    }
}

/// Text is read as views into the pages that it came in, without a copy per value.
fn viewed(field: &Field) -> Field {
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => other.clone(),
    };
    Field::new(field.name(), kind, field.is_nullable())
}

fn partitioned(file: &DataFile, schema: &TableSchema) -> PartitionedFile {
    let day = |text: &String| {
        let date = text.parse::<NaiveDate>().ok()?;
        i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
    };
    let partition = ScalarValue::Date32(file.partition.as_ref().and_then(day));
    let values = if schema.table_partition_cols().is_empty() { Vec::new() } else { vec![partition] };
    let size = usize::try_from(file.size).unwrap_or(usize::MAX);
    let statistics = Statistics {
        num_rows: file.rows.and_then(|rows| usize::try_from(rows).ok()).map_or(Precision::Absent, Precision::Exact),
        total_byte_size: Precision::Inexact(size),
        column_statistics: schema.file_schema().fields().iter().map(|field| column(field, file)).collect(),
    };
    PartitionedFile::new(file.path.to_string(), file.size)
        .with_partition_values(values)
        .with_statistics(Arc::new(statistics))
}

/// What the log says of one column of a file.
fn column(field: &Field, file: &DataFile) -> ColumnStatistics {
    let value = |text: Option<&serde_json::Value>| {
        let text = text?.as_str()?;
        match field.data_type() {
            DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.to_owned()))),
            DataType::Timestamp(_, zone) => {
                let instant = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
                Some(ScalarValue::TimestampMicrosecond(Some(instant), zone.clone()))
            }
            _ => None,
        }
    };
    let exact = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Exact);
    ColumnStatistics::new_unknown()
        .with_min_value(exact(value(file.stats.min_values.get(field.name()))))
        .with_max_value(exact(value(file.stats.max_values.get(field.name()))))
}

#[async_trait]
impl TableProvider for LakeProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters are offered to the scan, which skips files, row groups, pages and rows by them; they are checked again
    /// above it, unless the scan says that it did.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            // A scan of no files would have no partitions, which the plans above it cannot have.
            let all = || Ok(Arc::clone(&self.columns));
            let projected = projection.map_or_else(all, |columns| self.columns.project(columns).map(Arc::new))?;
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        let places = projection
            .map_or_else(|| self.places.clone(), |columns| columns.iter().map(|&column| self.places[column]).collect());
        let parquet = state.config_options().execution.parquet.clone();
        let options = datafusion::common::config::TableParquetOptions { global: parquet, ..Default::default() };
        // A session asks much of few files: their footers are read once.
        let runtime = state.runtime_env();
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let readers = CachedParquetFileReaderFactory::new(runtime.object_store(&self.store)?, footers);
        let source = ParquetSource::new(self.files_schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        let groups = FileGroup::new(self.files.clone()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(places))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
