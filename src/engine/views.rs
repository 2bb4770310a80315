//! The lake's tables and the views over them, each view planned when a statement first names it: most questions read few.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::prelude::{DataFrame, SessionContext};

use super::only_read;

/// What a statement can name.
pub(super) struct Views {
    /// Tables, and views whose rows are kept.
    tables: MemorySchemaProvider,
    /// The views by name.
    sql: HashMap<String, String>,
    planned: Mutex<HashMap<String, Arc<dyn TableProvider>>>,
    /// The session that has this, which may not be held by what it holds.
    session: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl Views {
    /// Views that are planned in this session.
    pub fn new(session: &SessionContext, views: impl Iterator<Item = (String, String)>) -> Self {
        let session = session.state_weak_ref();
        Self {
            tables: MemorySchemaProvider::new(),
            sql: views.collect(),
            planned: Mutex::default(),
            session: Box::new(move || session.upgrade().map(|state| state.read().clone())),
        }
    }

    async fn plan(&self, sql: &str) -> Result<Arc<dyn TableProvider>> {
        let state = (self.session)();
        let state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        let plan = state.create_logical_plan(sql).await?;
        only_read().verify_plan(&plan)?;
        Ok(DataFrame::new(state, plan).into_view())
    }

    fn planned(&self) -> impl std::ops::DerefMut<Target = HashMap<String, Arc<dyn TableProvider>>> + '_ {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SchemaProvider for Views {
    fn table_names(&self) -> Vec<String> {
        let views = self.sql.keys().filter(|name| !self.tables.table_exist(name)).cloned();
        self.tables.table_names().into_iter().chain(views).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.tables.table(name).await? {
            return Ok(Some(table));
        }
        if let Some(view) = self.planned().get(name) {
            return Ok(Some(Arc::clone(view)));
        }
        let Some(sql) = self.sql.get(name) else { return Ok(None) };
        let view = self.plan(sql).await?;
        self.planned().insert(name.to_owned(), Arc::clone(&view));
        Ok(Some(view))
    }

    /// A table in place of a view: those that read it are planned anew.
    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.sql.contains_key(&name) {
            self.planned().clear();
        }
        self.tables.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.table_exist(name) || self.sql.contains_key(name)
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Views").field("tables", &self.tables).field("sql", &self.sql.keys()).finish_non_exhaustive()
    }
}
