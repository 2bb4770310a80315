//! A table of the lake as DataFusion reads it: the files that one version of the Delta log names, with the ranges that
//! the log keeps of them, so that whole files are skipped before they are opened.

use std::cmp::Ordering;
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
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
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

    /// Whether it has no rows, since it has no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a filter lets every row through, as the log's ranges prove.
    fn is_proved(&self, filter: &Expr) -> bool {
        let Some((name, op, value)) = compared(filter) else { return false };
        let Ok(at) = self.files_schema.file_schema().index_of(name) else { return false };
        self.files.iter().all(|file| {
            let column = file.statistics.as_ref().and_then(|file| file.column_statistics.get(at));
            column.is_some_and(|column| holds(column, op, value))
        })
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
    let nulls = file.stats.null_count.get(field.name()).and_then(|count| usize::try_from(*count).ok());
    let nulls = nulls.map_or(Precision::Absent, Precision::Exact);
    ColumnStatistics::new_unknown()
        .with_min_value(exact(value(file.stats.min_values.get(field.name()))))
        .with_max_value(exact(value(file.stats.max_values.get(field.name()))))
        .with_null_count(nulls)
}

/// A column and a literal that a filter compares it with.
fn compared(filter: &Expr) -> Option<(&str, Operator, &ScalarValue)> {
    let Expr::BinaryExpr(filter) = filter else { return None };
    match (filter.left.as_ref(), filter.right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) => Some((column.name(), filter.op, value)),
        (Expr::Literal(value, _), Expr::Column(column)) => Some((column.name(), filter.op.swap()?, value)),
        _ => None,
    }
}

/// The largest value that a range may stand for: the log keeps milliseconds, and other engines cut an instant to them.
fn at_most(value: &ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            ScalarValue::TimestampMicrosecond(Some(micros.saturating_add(999)), zone.clone())
        }
        other => other.clone(),
    }
}

/// Whether every value of a column compares like this, as its statistics prove; a null never does.
fn holds(column: &ColumnStatistics, op: Operator, value: &ScalarValue) -> bool {
    if column.null_count != Precision::Exact(0) {
        return false;
    }
    let (least, most) = (column.min_value.get_value(), column.max_value.get_value().map(at_most));
    let least = least.and_then(|least| least.partial_cmp(value));
    let most = most.and_then(|most| most.partial_cmp(value));
    match op {
        Operator::Gt => least.is_some_and(Ordering::is_gt),
        Operator::GtEq => least.is_some_and(Ordering::is_ge),
        Operator::Lt => most.is_some_and(Ordering::is_lt),
        Operator::LtEq => most.is_some_and(Ordering::is_le),
        _ => false,
    }
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
    /// above it, unless the scan says that it did. A filter that the log proves for all rows is checked nowhere, and its column
    /// is not read for it.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        use TableProviderFilterPushDown::{Exact, Inexact};
        Ok(filters.iter().map(|filter| if self.is_proved(filter) { Exact } else { Inexact }).collect())
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

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use chrono::Utc;

    use crate::cloudtrail::columns::{Event, EventBuilder};
    use crate::engine::Engine;
    use crate::expectations::Expectations;
    use crate::lake::Lake;
    use crate::lake::events::EventsWriter;
    use crate::query::Catalog;

    const DAY: i64 = 86_400;

    /// A lake with an event at each of these seconds, or without a time.
    async fn engine(folder: &tempfile::TempDir, times: &[Option<i64>]) -> Engine {
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        let mut builder = EventBuilder::default();
        for (number, time) in times.iter().enumerate() {
            let day = time.map(|time| i32::try_from(time / DAY).unwrap());
            let event = Event {
                event_id: Some(number.to_string().into()),
                event_time: time.map(|time| time * 1_000_000),
                event_date: day.or(Some(1)),
                ..Event::default()
            };
            builder.append(&event).unwrap();
        }
        writer.append(&builder.finish().unwrap()).await.unwrap();
        Engine::open(&lake, &Catalog::shipped(), &Expectations::default()).await.unwrap()
    }

    /// How many events pass a filter, and whether their times are read for it.
    async fn asked(engine: &Engine, filter: &str) -> (i64, bool) {
        let sql = format!("SELECT count(event_id) FROM events WHERE {filter}");
        let plan = engine.session().sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        let plan = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        let rows = engine.sql(&sql, Vec::new()).await.unwrap();
        (rows.batches[0].column(0).as_primitive::<Int64Type>().value(0), plan.contains("event_time"))
    }

    #[tokio::test]
    async fn a_filter_that_the_log_proves_for_all_rows_reads_nothing() {
        let times = [Some(DAY), Some(DAY + 7), Some(3 * DAY)];
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder, &times).await;
        for (filter, counted, reads) in [
            ("event_time >= arrow_cast(86400000000, 'Timestamp(Microsecond, Some(\"UTC\"))')", 3, false),
            ("event_time > arrow_cast(86400000000, 'Timestamp(Microsecond, Some(\"UTC\"))')", 2, true),
            ("arrow_cast(259200000000, 'Timestamp(Microsecond, Some(\"UTC\"))') >= event_time", 3, true),
            ("arrow_cast(259201000000, 'Timestamp(Microsecond, Some(\"UTC\"))') >= event_time", 3, false),
            ("event_time < arrow_cast(259200000000, 'Timestamp(Microsecond, Some(\"UTC\"))')", 2, true),
            ("event_time < arrow_cast(259200000001, 'Timestamp(Microsecond, Some(\"UTC\"))')", 3, true),
            ("event_time < arrow_cast(259200001000, 'Timestamp(Microsecond, Some(\"UTC\"))')", 3, false),
            ("event_time IS NOT NULL AND event_time < now()", 3, true),
        ] {
            assert_eq!(asked(&engine, filter).await, (counted, reads), "{filter} at {}", Utc::now());
        }
    }

    /// A null passes no comparison.
    #[tokio::test]
    async fn a_file_with_an_event_of_no_time_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder, &[Some(DAY), None]).await;
        let filter = "event_time >= arrow_cast(86400000000, 'Timestamp(Microsecond, Some(\"UTC\"))')";
        assert_eq!(asked(&engine, filter).await, (1, true));
    }
}
