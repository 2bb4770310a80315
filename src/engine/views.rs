//! The lake's tables and the views over them, each view planned when a statement first names it: most questions read few.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::prelude::{DataFrame, SessionContext};

use super::calls::Calls;
use super::only_read;

/// What a statement can name.
pub(super) struct Views {
    /// Tables, and views of the user's own.
    tables: MemorySchemaProvider,
    /// Relations planned without SQL.
    calls: Calls,
    /// The views by name.
    sql: HashMap<String, String>,
    planned: Mutex<HashMap<String, Arc<dyn TableProvider>>>,
    /// Views that are worked out when they are first named, and whose rows are kept.
    kept: Mutex<HashSet<String>>,
    /// The session that has this, which may not be held by what it holds.
    session: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl Views {
    /// Views that are planned in this session.
    pub fn new(session: &SessionContext, calls: Calls, views: impl Iterator<Item = (String, String)>) -> Self {
        let session = session.state_weak_ref();
        Self {
            tables: MemorySchemaProvider::new(),
            calls,
            sql: views.collect(),
            planned: Mutex::default(),
            kept: Mutex::default(),
            session: Box::new(move || session.upgrade().map(|state| state.read().clone())),
        }
    }

    async fn plan(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let state = (self.session)();
        let state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        let plan = match (self.calls.plan(name).await?, self.sql.get(name)) {
            (Some(plan), _) => plan,
            (None, Some(sql)) => {
                let plan = state.create_logical_plan(sql).await?;
                only_read().verify_plan(&plan)?;
                plan
            }
            (None, None) => return Ok(None),
        };
        let frame = DataFrame::new(state, plan);
        let is_kept = locked(&self.kept).contains(name);
        Ok(Some(if is_kept { worked_out(frame).await? } else { frame.into_view() }))
    }

    /// Materializes these views on first use, once: for views with few rows, which many statements read.
    pub fn keep(&self, views: &[&str]) {
        locked(&self.kept).extend(views.iter().map(|view| (*view).to_owned()));
        // What reads them is planned anew.
        locked(&self.planned).clear();
    }
}

async fn worked_out(frame: DataFrame) -> Result<Arc<dyn TableProvider>> {
    let schema = Arc::clone(frame.schema().inner());
    held(schema, &frame.collect().await?)
}

/// Rows as a table.
pub(super) fn held(schema: SchemaRef, batches: &[RecordBatch]) -> Result<Arc<dyn TableProvider>> {
    // A batch's string type may differ from the plan's.
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    let batches = batches.iter().map(by_itself).collect::<Result<_, _>>()?;
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}

/// The same rows without the pages that their texts point into: a few rows would keep a whole file in memory.
fn by_itself(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |column: &ArrayRef| -> ArrayRef {
        column.as_string_view_opt().map_or_else(|| Arc::clone(column), |texts| Arc::new(texts.gc()))
    };
    RecordBatch::try_new(batch.schema(), batch.columns().iter().map(column).collect())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SchemaProvider for Views {
    fn table_names(&self) -> Vec<String> {
        let planned = Calls::names().map(str::to_owned).chain(self.sql.keys().cloned());
        self.tables.table_names().into_iter().chain(planned.filter(|name| !self.tables.table_exist(name))).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.tables.table(name).await? {
            return Ok(Some(table));
        }
        if let Some(view) = locked(&self.planned).get(name) {
            return Ok(Some(Arc::clone(view)));
        }
        let view = self.plan(name).await?;
        if let Some(view) = &view {
            locked(&self.planned).insert(name.to_owned(), Arc::clone(view));
        }
        Ok(view)
    }

    /// A table in place of a view: those that read it are planned anew.
    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.sql.contains_key(&name) {
            locked(&self.planned).clear();
        }
        self.tables.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.sql.contains_key(name) {
            locked(&self.planned).clear();
        }
        self.tables.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.table_exist(name) || self.sql.contains_key(name) || Calls::names().any(|known| known == name)
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Views").field("tables", &self.tables).field("sql", &self.sql.keys()).finish_non_exhaustive()
    }
}
