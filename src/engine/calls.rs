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

use super::functions::{CallIds, call_mark};
use super::provider::LakeProvider;
use crate::cloudtrail::columns::{CALL, PARTITION};
use crate::lake::calls::{MARKED_BY, UNCERTAIN};
use crate::lake::hours::hours;
use crate::lake::shared::{is_marked, shared_calls};
use crate::lake::tables::{EVENTS, SETTLED_HOURS, SHARED_CALLS};
use crate::lake::{DataFile, LakeTable};

/// The name of the relation of events that may repeat another one.
const UNCERTAIN_EVENTS: &str = "uncertain_events";

/// The name of the relation of events of the days of which `settled_hours` does not have the hours.
const UNSETTLED_EVENTS: &str = "unsettled_events";

/// A lake's events, and the calls that several of them log.
#[derive(Debug)]
pub(super) struct Calls {
    events: Option<LakeTable>,
    shared: Option<LakeTable>,
    hours: Option<LakeTable>,
    ids: CallIds,
}

impl Calls {
    pub fn new(events: Option<LakeTable>, shared: Option<LakeTable>, hours: Option<LakeTable>, ids: CallIds) -> Self {
        Self { events, shared, hours, ids }
    }

    /// What statements can name.
    pub fn names() -> [&'static str; 5] {
        [EVENTS.name, SHARED_CALLS.name, UNCERTAIN_EVENTS, SETTLED_HOURS.name, UNSETTLED_EVENTS]
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
        if name == SETTLED_HOURS.name || name == UNSETTLED_EVENTS {
            let hours = self.events.as_ref().map(|events| hours(events, self.hours.as_ref())).unwrap_or_default();
            if name == UNSETTLED_EVENTS {
                return events(&hours.events).map(Some);
            }
            let settled = LakeProvider::new(url(SETTLED_HOURS.name)?, &SETTLED_HOURS, &hours.settled);
            return scan(SETTLED_HOURS.name, Arc::new(settled)).map(Some);
        }
        if name != SHARED_CALLS.name {
            return Ok(None);
        }
        let Some(events) = &self.events else { return nothing().map(Some) };
        let found = shared_calls(events, self.shared.as_ref()).await;
        let found = found.map_err(|error| DataFusionError::External(Box::new(error)))?;
        drop(self.ids.set(found.open));
        let mut parts = Vec::new();
        let settled = LakeProvider::new(url(SHARED_CALLS.name)?, &SHARED_CALLS, &found.files);
        let schema = settled.schema();
        if !found.files.is_empty() {
            parts.push(scan(SHARED_CALLS.name, Arc::new(settled))?);
        }
        if !found.fresh.is_empty() {
            let fresh = found.fresh.iter().map(|(day, batch)| conformed(day, batch, &schema));
            let fresh = MemTable::try_new(Arc::clone(&schema), vec![fresh.collect::<Result<_>>()?])?;
            parts.push(scan(SHARED_CALLS.name, Arc::new(fresh))?);
        }
        union(parts).map(Some)
    }
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
