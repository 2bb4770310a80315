//! The DataFusion session: the lake's tables, and the shipped views over them.
//!
//! There is no SQL here; statements come from `queries/` or from the user. A session only reads: a statement that would
//! create, change or write anything is refused.

mod calls;
pub(crate) mod functions;
mod memory;
mod provider;
mod views;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::ArrayWriter;
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use crate::expectations::{self, Expectations};
use crate::lake::{Lake, LakeError, LakeTable, TableSpec, tables};
use crate::query::{Catalog, Query};
use calls::Calls;
use functions::CallIds;
pub use functions::{Horizon, Span};
use provider::LakeProvider;
use views::Views;

/// What can go wrong with a question.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no lake yet.
    #[error("no lake at {0}")]
    NoLake(String),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The statement is wrong, or failed.
    #[error("{}", plain(.0))]
    Sql(#[from] Box<DataFusionError>),
    /// A query of the user's own is wrong, or failed.
    #[error("{place}: {source}")]
    Own {
        /// Its file, and the line that is at fault.
        place: String,
        /// Why.
        source: Box<Self>,
    },
}

impl EngineError {
    /// The same, with the place in the query's file if that is the user's own.
    fn of(self, query: &Query) -> Self {
        if query.path.is_none() {
            return self;
        }
        Self::Own { place: query.place(self.line()), source: Box::new(self) }
    }

    /// The statement's line that is at fault, from 1, where that is known.
    fn line(&self) -> Option<usize> {
        let Self::Sql(error) = self else { return None };
        let spanned = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let spanned = spanned.and_then(|span| usize::try_from(span.start.line).ok());
        // The parser says it in words only.
        let told = || {
            let text = error.to_string();
            let (_, rest) = text.split_once("Line: ")?;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        };
        spanned.or_else(told).filter(|line| *line > 0)
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        Self::Sql(Box::new(error))
    }
}

/// DataFusion's message without its own context lines.
fn plain(error: &DataFusionError) -> String {
    error.strip_backtrace()
}

/// Rows of an answer.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Their columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows as values of a type whose fields are named as the columns. Instants are read from RFC 3339.
    ///
    /// # Errors
    /// When a column is not of the type of its field.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, EngineError> {
        let mut writer = ArrayWriter::new(Vec::new());
        writer.write_batches(&self.batches.iter().collect::<Vec<_>>()).map_err(DataFusionError::from)?;
        writer.finish().map_err(DataFusionError::from)?;
        let text = writer.into_inner();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&text).map_err(|error| DataFusionError::External(Box::new(error)).into())
    }
}

/// An answer whose rows come one batch after the other, so that it needs no more memory than its question does.
pub struct Answer {
    /// Their columns.
    pub schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, EngineError>>,
}

impl Answer {
    /// The next rows; nothing after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, EngineError>> {
        self.batches.next().await
    }

    /// All of them.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn rows(self) -> Result<Rows, EngineError> {
        Ok(Rows { schema: self.schema, batches: self.batches.try_collect().await? })
    }
}

/// A session over one lake, as it was when the session began.
#[derive(Clone)]
pub struct Engine {
    session: SessionContext,
    views: Arc<Views>,
    events_version: u64,
    broken: Vec<String>,
    horizon: Horizon,
}

/// The view that tells of what span of time the lake can tell.
const HORIZON: &str = "horizon";

impl Engine {
    /// Opens a lake for questions, with the catalog's views, and with what is expected as tables beside the lake's. A view of
    /// the user's own that is wrong is left out and told by [`broken`](Engine::broken): only what reads it is wrong with it.
    ///
    /// # Errors
    /// When there is no lake, or it cannot be read.
    pub async fn open(lake: &Lake, catalog: &Catalog, expectations: &Expectations) -> Result<Self, EngineError> {
        let mut config = SessionConfig::new().with_information_schema(true);
        let options = config.options_mut();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        // Instants are UTC everywhere, whatever the machine's own zone.
        options.execution.time_zone = Some("UTC".to_owned());
        // An error says on which line of a query's file it is.
        options.sql_parser.collect_spans = true;
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(memory::Shared::new(memory::ROOM)));
        let session = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
        functions::register(&session);
        let mut opened = Vec::with_capacity(tables::TABLES.len());
        for spec in tables::TABLES {
            opened.push((spec, lake.open(spec).await?));
        }
        if opened.iter().all(|(_, table)| table.is_none()) {
            return Err(EngineError::NoLake(lake.address().to_owned()));
        }
        let table = |wanted: &TableSpec| {
            let found = opened.iter().find(|(spec, _)| std::ptr::eq(*spec, wanted));
            found.and_then(|(_, table)| table.clone())
        };
        let ids = CallIds::default();
        functions::share(&session, Arc::clone(&ids));
        let events = table(&tables::EVENTS);
        let events_version = events.as_ref().map_or(0, LakeTable::version);
        let settled = calls::SETTLED.into_iter().map(|spec| (spec, table(spec))).collect();
        let calls = Calls::new(events, settled, ids);
        let shipped = catalog.views().filter(|view| view.path.is_none());
        let views = Views::new(&session, calls, shipped.map(|view| (view.name.clone(), view.sql.clone())));
        let views = Arc::new(views);
        install(&session, Arc::clone(&views))?;
        for (spec, table) in &opened {
            register(&session, spec, table.as_ref())?;
        }
        for (name, rows) in expectations::tables(expectations).map_err(DataFusionError::from)? {
            match rows.num_rows() {
                0 => register_empty(&session, name, rows.schema())?,
                _ => drop(session.register_batch(name, rows)?),
            }
        }
        let mut engine = Self { session, views, events_version, horizon: Horizon::default(), broken: Vec::new() };
        if let Some(view) = catalog.views().find(|view| view.name == HORIZON) {
            engine.horizon = Horizon::of(&engine.sql(&view.sql, Vec::new()).await?.batches);
            functions::see(&engine.session, engine.horizon);
            // A view that was planned before knows another one.
            engine.views.keep(&[]);
        }
        for view in catalog.views().filter(|view| view.path.is_some()) {
            match engine.plan(&view.sql, Vec::new()).await {
                Ok(frame) => drop(engine.session.register_table(view.name.as_str(), frame.into_view())?),
                Err(error) => engine.broken.push(error.of(view).to_string()),
            }
        }
        Ok(engine)
    }

    /// File, line and fault of each view of the user's own that is wrong.
    #[must_use]
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// The session, for tests of views.
    #[cfg(test)]
    pub(crate) fn session(&self) -> &SessionContext {
        &self.session
    }

    /// Version of the events table that answers rest on; 0 where there is none yet.
    #[must_use]
    pub fn events_version(&self) -> u64 {
        self.events_version
    }

    /// The span of time that the lake can tell of: what is said to be of another time is in none of the answers.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// Runs a catalog's query with the values that it bound.
    ///
    /// # Errors
    /// When the query is wrong or fails.
    pub async fn run(&self, query: &Query, values: Vec<(String, ScalarValue)>) -> Result<Rows, EngineError> {
        let started = Instant::now();
        let rows = self.ask(query, values).await?.rows().await;
        tracing::debug!(query = query.name, rows = rows.as_ref().map(Rows::count).ok(), took = ?started.elapsed());
        rows
    }

    /// Begins to run a catalog's query.
    ///
    /// # Errors
    /// When the query is wrong.
    pub async fn ask(&self, query: &Query, values: Vec<(String, ScalarValue)>) -> Result<Answer, EngineError> {
        let Answer { schema, batches } = self.ask_sql(&query.sql, values).await.map_err(|error| error.of(query))?;
        let query = query.clone();
        Ok(Answer { schema, batches: batches.map_err(move |error| error.of(&query)).boxed() })
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// When the statement is wrong, would change something, or fails.
    pub async fn sql(&self, sql: &str, values: Vec<(String, ScalarValue)>) -> Result<Rows, EngineError> {
        self.ask_sql(sql, values).await?.rows().await
    }

    /// Begins to run one statement.
    ///
    /// # Errors
    /// When the statement is wrong or would change something.
    pub async fn ask_sql(&self, sql: &str, values: Vec<(String, ScalarValue)>) -> Result<Answer, EngineError> {
        let frame = self.plan(sql, values).await?;
        let schema = Arc::clone(frame.schema().inner());
        let batches = frame.execute_stream().await?.map_err(EngineError::from).boxed();
        Ok(Answer { schema, batches })
    }

    /// Materializes these views on first use, and keeps their rows for the questions that follow.
    pub fn keep(&self, views: &[&str]) {
        self.views.keep(views);
    }

    /// Puts rows in place of a view for the questions that follow.
    ///
    /// # Errors
    /// When the rows are not of one kind, which an answer's are.
    pub fn put(&self, view: &str, rows: Rows) -> Result<(), EngineError> {
        self.restore(view)?;
        self.session.register_table(view, views::held(rows.schema, &rows.batches)?)?;
        Ok(())
    }

    /// Lets a view be itself again.
    ///
    /// # Errors
    /// Never, as long as tables are kept in memory.
    pub fn restore(&self, view: &str) -> Result<(), EngineError> {
        self.session.deregister_table(view)?;
        Ok(())
    }

    /// Makes views that are about a run's time tell of this one.
    pub fn look_at(&self, span: Span) {
        functions::look_at(&self.session, span);
        // Views that were planned before are about another time.
        self.views.keep(&[]);
    }

    /// The time that a question with these values is about: all that the lake can tell of, where they say nothing else.
    #[must_use]
    pub fn span_of(&self, values: &[(String, ScalarValue)]) -> Span {
        let instant = |wanted: &str| {
            let (_, value) = values.iter().find(|(name, _)| name == wanted)?;
            let ScalarValue::TimestampMicrosecond(micros, _) = value else { return None };
            DateTime::from_timestamp_micros((*micros)?)
        };
        let all = Span::from(self.horizon);
        Span { since: instant("since").unwrap_or(all.since), until: instant("until").unwrap_or(all.until), ..all }
    }

    async fn plan(&self, sql: &str, values: Vec<(String, ScalarValue)>) -> Result<DataFrame, EngineError> {
        let frame = self.session.sql_with_options(sql, only_read()).await?;
        if values.is_empty() {
            return Ok(frame);
        }
        let values: HashMap<String, ScalarAndMetadata> =
            values.into_iter().map(|(name, value)| (name, ScalarAndMetadata::new(value, None))).collect();
        Ok(frame.with_param_values(ParamValues::Map(values))?)
    }
}

/// What a statement may do.
fn only_read() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Puts the views where a statement looks for tables.
fn install(session: &SessionContext, views: Arc<Views>) -> Result<(), EngineError> {
    let names = session.state().config().options().catalog.clone();
    if let Some(catalog) = session.catalog(&names.default_catalog) {
        catalog.register_schema(&names.default_schema, views)?;
    }
    Ok(())
}

/// A table that the lake does not have yet is one without rows: views may read it all the same.
fn register(session: &SessionContext, spec: &TableSpec, table: Option<&LakeTable>) -> Result<(), EngineError> {
    let url = calls::url(spec.name)?;
    if let Some(table) = table {
        session.register_object_store(url.as_ref(), table.store());
    }
    if Calls::names().any(|name| name == spec.name) {
        return Ok(());
    }
    let files = table.map(LakeTable::files).unwrap_or_default();
    let files = LakeProvider::new(url, spec, &files);
    // Without `keys`, `known_keys` would be a union of one branch, which DataFusion 55 lets no condition on the key into.
    if files.is_empty() && !std::ptr::eq(spec, &raw const tables::KEYS) {
        return register_empty(session, spec.name, files.schema());
    }
    session.register_table(spec.name, Arc::new(files))?;
    Ok(())
}

/// A table of which the planner knows that it has no rows.
fn register_empty(session: &SessionContext, name: &str, schema: SchemaRef) -> Result<(), EngineError> {
    let empty = DataFrame::new(session.state(), calls::without_rows(schema)?);
    session.register_table(name, empty.into_view())?;
    Ok(())
}
