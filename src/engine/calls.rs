//! What the view `calls` reads beside `events`: the calls logged in several events, and the events that may repeat another.
//!
//! The first are computed only when a statement reads `calls`; for unsettled days this reads some of their columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, col};
use tokio::sync::OnceCell;

use super::functions::{CallIds, call_mark};
use super::provider::LakeProvider;
use crate::cloudtrail::columns::{CALL, PARTITION};
use crate::lake::calls::{MARKED_BY, UNCERTAIN};
use crate::lake::settling::{self, Found};
use crate::lake::shared::{SharedCalls, is_marked, shared_calls};
use crate::lake::tables::{EVENTS, SETTLED_COUNTS, SETTLED_HOURS, SETTLED_UNCOMMON, SHARED_CALLS};
use crate::lake::{DataFile, LakeError, LakeTable, TableSpec};

/// The name of the relation of events that may repeat another one.
const UNCERTAIN_EVENTS: &str = "uncertain_events";

/// A lake's events, and the calls that several of them log.
#[derive(Debug)]
pub(super) struct Calls {
    events: Option<LakeTable>,
    settled: Vec<AtRest>,
    ids: CallIds,
}

/// A table whose rows follow from the events of a day.
#[derive(Debug)]
struct AtRest {
    spec: &'static TableSpec,
    /// What the lake has of it.
    table: Option<LakeTable>,
    /// All its rows: those of days that are not settled take time.
    rows: OnceCell<LogicalPlan>,
}

impl AtRest {
    async fn plan(&self, events: Option<&LakeTable>, ids: &CallIds) -> Result<LogicalPlan> {
        let plan = self.rows.get_or_try_init(|| async {
            let Some(events) = events else { return at_rest(self.spec, &Found::default()) };
            let table = self.table.as_ref();
            if !std::ptr::eq(self.spec, &raw const SHARED_CALLS) {
                return at_rest(self.spec, &settling::found(self.spec, events, table).await.map_err(failed)?);
            }
            let SharedCalls { found, open } = shared_calls(events, table).await.map_err(failed)?;
            drop(ids.set(open));
            at_rest(self.spec, &found)
        });
        plan.await.cloned()
    }
}

/// Tables whose rows follow from the events of a day.
pub(super) const SETTLED: [&TableSpec; 4] = [&SHARED_CALLS, &SETTLED_HOURS, &SETTLED_COUNTS, &SETTLED_UNCOMMON];

impl Calls {
    pub fn new(events: Option<LakeTable>, settled: Vec<(&'static TableSpec, Option<LakeTable>)>, ids: CallIds) -> Self {
        let settled = settled.into_iter().map(|(spec, table)| AtRest { spec, table, rows: OnceCell::new() });
        Self { events, settled: settled.collect(), ids }
    }

    /// What statements can name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        [EVENTS.name, UNCERTAIN_EVENTS].into_iter().chain(SETTLED.map(|spec| spec.name))
    }

    /// The plan of one of them.
    pub async fn plan(&self, name: &str) -> Result<Option<LogicalPlan>> {
        let files = || self.events.as_ref().map(LakeTable::files).unwrap_or_default();
        if name == EVENTS.name {
            return events(&files()).map(Some);
        }
        if name == UNCERTAIN_EVENTS {
            let uncertain: Vec<DataFile> = files().into_iter().filter(may_be_uncertain).collect();
            return if uncertain.is_empty() { nothing().map(Some) } else { events(&uncertain).map(Some) };
        }
        if let Some(settled) = self.settled.iter().find(|settled| settled.spec.name == name) {
            return settled.plan(self.events.as_ref(), &self.ids).await.map(Some);
        }
        Ok(None)
    }
}

fn failed(error: LakeError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Rows of the settled days, and of those that are not settled.
fn at_rest(spec: &TableSpec, found: &Found) -> Result<LogicalPlan> {
    let settled = LakeProvider::new(url(spec.name)?, spec, &found.files);
    let schema = settled.schema();
    let mut parts = Vec::new();
    if !found.files.is_empty() {
        parts.push(scan(spec.name, Arc::new(settled))?);
    }
    if !found.fresh.is_empty() {
        let fresh = found.fresh.iter().map(|(day, batch)| conformed(day, batch, &schema));
        let fresh = MemTable::try_new(Arc::clone(&schema), vec![fresh.collect::<Result<_>>()?])?;
        parts.push(scan(spec.name, Arc::new(fresh))?);
    }
    if parts.is_empty() { without_rows(schema) } else { union(parts) }
}

/// Whether a file may have events that repeat another.
fn may_be_uncertain(file: &DataFile) -> bool {
    let last = file.stats.max_values.get(CALL).and_then(|mark| mark.as_str());
    last.is_none_or(|last| last >= UNCERTAIN)
}

/// The events of some files. Not all rows of those that an earlier version or another engine wrote say how they count.
fn events(files: &[DataFile]) -> Result<LogicalPlan> {
    let (marked, unmarked): (Vec<DataFile>, Vec<DataFile>) = files.iter().cloned().partition(is_marked);
    let mut parts = Vec::new();
    if !marked.is_empty() {
        let files = LakeProvider::new(url(EVENTS.name)?, &EVENTS, &marked);
        parts.push(scan(EVENTS.name, Arc::new(files))?);
    }
    if !unmarked.is_empty() {
        let files = LakeProvider::new(url(EVENTS.name)?, &EVENTS, &unmarked);
        let schema = files.schema();
        let made = coalesce(vec![col(CALL), call_mark().call(MARKED_BY.map(col).to_vec())]).alias(CALL);
        let columns =
            schema.fields().iter().map(|field| if field.name() == CALL { made.clone() } else { col(field.name()) });
        let scanned = LogicalPlanBuilder::from(scan(EVENTS.name, Arc::new(files))?);
        parts.push(scanned.project(columns)?.build()?);
    }
    union(parts)
}

pub(super) fn url(table: &str) -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(format!("lake://{table}/"))
}

fn scan(name: &str, files: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    LogicalPlanBuilder::scan(name, provider_as_source(files), None)?.build()
}

/// All rows of these, or none.
fn union(parts: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    let mut parts = parts.into_iter().map(LogicalPlanBuilder::from);
    let Some(first) = parts.next() else { return nothing() };
    parts.try_fold(first, |all, part| all.union(part.build()?))?.build()
}

/// No events.
fn nothing() -> Result<LogicalPlan> {
    without_rows(LakeProvider::new(url(EVENTS.name)?, &EVENTS, &[]).schema())
}

/// A relation that the planner knows is empty: what is joined with it or filtered by it is not read.
pub(super) fn without_rows(schema: SchemaRef) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(schema)?);
    Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }))
}

/// Rows in the columns of a table, with their day.
fn conformed(day: &str, rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let day = day.parse::<NaiveDate>().ok();
    let day = day.and_then(|day| i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok());
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef> {
        if field.name() == PARTITION {
            return Ok(Arc::new(Date32Array::from(vec![day; rows.num_rows()])));
        }
        let index = rows.schema_ref().index_of(field.name())?;
        Ok(cast(rows.column(index), field.data_type())?)
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
