//! The commands that ask: `who`, `query`, `sql`, `queries`, `explain`.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{RecordBatch, StringArray};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, TimeDelta, Utc};
use keytrail::engine::{Answer, Engine, Rows};
use keytrail::instant::{self, plain};
use keytrail::lake::tables::TABLES;
use keytrail::naming::{Key, Span};
use keytrail::query::{Kind, Query, QueryError};

use super::args::{By, Explain, NamedQuery, Sql, Who, Window};
use super::{Context, Hinted, Outcome, names};

pub(super) type Given = Vec<(String, String)>;

pub(super) fn set(given: &mut Given, name: &str, value: Option<&str>) {
    given.extend(value.map(|value| (name.to_owned(), value.to_owned())));
}

pub(super) fn set_window(given: &mut Given, window: &Window) {
    set(given, "since", window.since.as_deref());
    set(given, "until", window.until.as_deref());
}

/// Rows of an answer, of which some may still be on their way.
pub(super) struct Coming<'c> {
    schema: SchemaRef,
    /// The first that there are, once they were waited for.
    first: Option<RecordBatch>,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + 'c>,
}

impl<'c> Coming<'c> {
    fn new(context: &'c Context, mut answer: Answer) -> Self {
        let schema = Arc::clone(&answer.schema);
        let next = move || context.runtime.block_on(answer.next()).map(|batch| Ok(batch?));
        Self { schema, first: None, batches: Box::new(std::iter::from_fn(next)) }
    }

    /// Whether there are none. Waits for the first.
    pub fn is_empty(&mut self) -> Result<bool> {
        while self.first.is_none()
            && let Some(batch) = self.batches.next().transpose()?
        {
            self.first = Some(batch).filter(|batch| batch.num_rows() > 0);
        }
        Ok(self.first.is_none())
    }

    /// All of them.
    pub fn rows(self) -> Result<Rows> {
        let schema = Arc::clone(&self.schema);
        let batches = self.first.map(Ok).into_iter().chain(self.batches).collect::<Result<_>>()?;
        Ok(Rows { schema, batches })
    }

    fn print(self, context: &Context) -> Result<usize> {
        context.printer.coming(&self.schema, self.first.map(Ok).into_iter().chain(self.batches))
    }
}

impl From<Rows> for Coming<'_> {
    fn from(rows: Rows) -> Self {
        Self { schema: rows.schema, first: None, batches: Box::new(rows.batches.into_iter().map(Ok)) }
    }
}

/// The answer to a question, with a word on what an empty or a shortened one means.
pub(super) fn answer(context: &Context, query: &Query, given: &Given, rows: Coming<'_>) -> Result<Outcome> {
    let limit = given.iter().find(|(name, _)| name == "limit").map(|(_, value)| value.as_str());
    let by_default = query.params.iter().find(|param| param.name == "limit").and_then(|param| param.default.as_deref());
    let count = rows.print(context)?;
    if context.printer.is_closed() {
        // Nobody has seen all of it.
    } else if count == 0 && !given.is_empty() {
        let is_of_time = |name: &str| ["since", "until", "at", "limit"].contains(&name);
        let names = if given.iter().all(|(name, _)| is_of_time(name)) {
            ""
        } else {
            "; names match exactly (`*` matches any characters: try `*/bert-jan`)"
        };
        context.printer.note(&format!("note: no matches{names}"));
    } else if limit.or(by_default).is_some_and(|limit| limit.parse() == Ok(count)) {
        context.printer.note(&format!("note: these are the first {count}; there may be more beyond the limit"));
    }
    Ok(Outcome::Done)
}

/// Runs a query once per key, or once without a key, and joins the rows. An alias that named several keys is asked for with each
/// key's own time; rows that do not say which key they are of get a column that does.
pub(super) fn per_key<'c>(
    context: &'c Context,
    engine: &Engine,
    query: &Query,
    keys: &[Key],
    given: &Given,
) -> Result<Coming<'c>> {
    let now = Utc::now();
    let run = |key: Option<&Key>| {
        let mut given = given.clone();
        if let Some(key) = key {
            given.extend(key.parameters());
            narrow(&mut given, query, key.span(), now)?;
        }
        let values = query.bind(&given, now)?;
        engine.look_at(engine.span_of(&values));
        anyhow::Ok(Coming::new(context, context.runtime.block_on(engine.ask(query, values))?))
    };
    // A query may have no question for calls that name no key.
    let takes = |name: &str| query.params.iter().any(|param| param.name == name);
    let (asked, keys) = (keys.len(), keys.iter());
    let keys: Vec<&Key> = keys.filter(|key| key.parameters().iter().all(|(name, _)| takes(name))).collect();
    let Some((first, rest)) = keys.split_first() else {
        // Without a key the query would answer for all of them.
        if asked > 0 {
            let message = format!("it is not known which key the alias points to, and {} needs a key", query.name);
            return Err(Hinted::new(
                message,
                "`keytrail who` and `keytrail timeline --key` show calls that name the alias",
            )
            .into());
        }
        return run(None);
    };
    if keys.len() < asked {
        context
            .printer
            .note("note: calls that name only the alias, and no key, are left out here; `keytrail who` shows them");
    }
    let rows = run(Some(first))?;
    if rest.is_empty() {
        return Ok(rows);
    }
    let mut rows = rows.rows()?;
    let is_named = rows.schema.column_with_name("key_arn").is_some();
    if !is_named {
        rows = of_key(&rows, first)?;
    }
    for key in rest {
        let more = run(Some(key))?.rows()?;
        rows.batches.extend(if is_named { more } else { of_key(&more, key)? }.batches);
    }
    if rows.schema.column_with_name("event_time").is_some() {
        let limit = given.iter().find(|(name, _)| name == "limit").and_then(|(_, value)| value.parse().ok());
        rows = in_order_of_time(&rows, limit)?;
    }
    Ok(rows.into())
}

/// Narrows the time of a question to a key's own.
fn narrow(given: &mut Given, query: &Query, (from, until): Span, now: DateTime<Utc>) -> Result<()> {
    let mut bound = |name: &str,
                     bound: Option<DateTime<Utc>>,
                     is_narrower: fn(DateTime<Utc>, DateTime<Utc>) -> bool| {
        let Some(bound) = bound.filter(|_| query.params.iter().any(|param| param.name == name)) else { return Ok(()) };
        match given.iter_mut().find(|(given, _)| given == name) {
            Some((_, value)) if is_narrower(bound, instant::parse(value, now)?) => *value = plain(bound),
            Some(_) => {}
            None => given.push((name.to_owned(), plain(bound))),
        }
        anyhow::Ok(())
    };
    bound("since", from, |bound, asked| bound > asked)?;
    // The second of a change is both keys': whole seconds do not tell which one was called.
    bound("until", until.map(|until| until + TimeDelta::seconds(1)), |bound, asked| bound < asked)
}

/// The rows with the key that they are of as their first column.
fn of_key(rows: &Rows, key: &Key) -> Result<Rows> {
    let (Key::Arn(name, _) | Key::Id(name) | Key::Alias(name, _)) = key;
    let mut fields = vec![Arc::new(Field::new("key_arn", DataType::Utf8, true))];
    fields.extend(rows.schema.fields().iter().cloned());
    let schema = Arc::new(Schema::new(fields));
    let with_key = |batch: &RecordBatch| {
        let named = StringArray::from(vec![name.as_str(); batch.num_rows()]);
        let columns = std::iter::once(Arc::new(named) as _).chain(batch.columns().iter().cloned());
        RecordBatch::try_new(Arc::clone(&schema), columns.collect())
    };
    let batches = rows.batches.iter().map(with_key).collect::<std::result::Result<_, _>>()?;
    Ok(Rows { schema, batches })
}

/// The rows of several keys as one list of events, the oldest first.
fn in_order_of_time(rows: &Rows, limit: Option<usize>) -> Result<Rows> {
    let all = concat_batches(&rows.schema, &rows.batches)?;
    let columns = ["event_time", "event_id", "source_object"].into_iter().filter_map(|name| all.column_by_name(name));
    let columns: Vec<SortColumn> =
        columns.map(|column| SortColumn { values: Arc::clone(column), options: None }).collect();
    let order = lexsort_to_indices(&columns, limit)?;
    Ok(Rows { schema: Arc::clone(&rows.schema), batches: vec![take_record_batch(&all, &order)?] })
}

pub(super) fn who(context: &Context, arguments: &Who) -> Result<Outcome> {
    let engine = context.engine()?;
    let keys = names::keys(context, &engine, &arguments.key)?;
    let mut given = Given::new();
    let principal = arguments.principal.as_deref().map(|name| names::principal(context, &engine, name)).transpose()?;
    set(&mut given, "principal", principal.as_deref());
    set_window(&mut given, &arguments.window);
    let name = match arguments.by {
        By::Principal => "who",
        By::Asset => "who-by-asset",
        By::Person => "who-by-person",
    };
    let mut rows = per_key(context, &engine, context.catalog.get(name)?, &keys, &given)?;
    if rows.is_empty()? {
        names::must_be_known(context, &engine, &arguments.key, &keys)?;
        let narrowed = if given.is_empty() { "" } else { " as asked" };
        context.printer.note(&format!("note: the lake knows {}, but holds no use of it{narrowed}", arguments.key));
    }
    rows.print(context)?;
    Ok(Outcome::Done)
}

/// A query by the name that a user gave.
fn named<'c>(context: &'c Context, name: &str) -> Result<&'c Query> {
    let listed = |error: QueryError| Hinted::new(error.to_string(), "`keytrail queries` lists them all");
    Ok(context.catalog.get(name).map_err(listed)?)
}

pub(super) fn query(context: &Context, arguments: &NamedQuery) -> Result<Outcome> {
    let query = named(context, &arguments.name)?;
    if query.kind == Kind::View {
        let hint = format!("ask it in SQL: keytrail sql 'SELECT * FROM {} LIMIT 10'", query.name);
        return Err(Hinted::new(format!("{} is a view, not a question", query.name), hint).into());
    }
    let mut given = arguments.params.clone();
    let values = query.bind(&given, Utc::now())?;
    let engine = context.engine()?;
    // A query that selects by key takes any name of it, as `who` does.
    let rows = match given.iter().position(|(name, _)| name == "key_arn") {
        Some(at) => {
            let (_, name) = given.remove(at);
            let keys = names::keys(context, &engine, &name)?;
            let mut rows = per_key(context, &engine, query, &keys, &given)?;
            if rows.is_empty()? {
                names::must_be_known(context, &engine, &name, &keys)?;
            }
            rows
        }
        None => Coming::new(context, context.runtime.block_on(engine.ask(query, values))?),
    };
    answer(context, query, &given, rows)
}

pub(super) fn sql(context: &Context, arguments: &Sql) -> Result<Outcome> {
    let engine = context.engine()?;
    let answer = context.runtime.block_on(engine.ask_sql(&arguments.statement, Vec::new())).map_err(|error| {
        let error = anyhow::Error::from(error);
        let unknown = error.chain().any(|cause| cause.to_string().contains("not found"));
        if !unknown {
            return error;
        }
        let tables = TABLES.iter().map(|table| table.name);
        let names: Vec<&str> = tables.chain(context.catalog.views().map(|view| view.name.as_str())).collect();
        Hinted::new(error.to_string(), format!("there are {}", names.join(", "))).into()
    })?;
    Coming::new(context, answer).print(context)?;
    Ok(Outcome::Done)
}

pub(super) fn queries(context: &Context) -> Result<Outcome> {
    let (mut names, mut kinds, mut titles, mut params) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for query in context.catalog.questions().chain(context.catalog.views()) {
        names.push(query.name.clone());
        kinds.push(if query.kind == Kind::View { "view" } else { "question" });
        titles.push(query.title.clone());
        params.push(query.params.iter().map(|param| param.name.clone()).collect::<Vec<_>>().join(", "));
    }
    let field = |name| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field("name"), field("kind"), field("title"), field("parameters")]));
    let column = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as _;
    let columns = vec![column(names), Arc::new(StringArray::from(kinds)) as _, column(titles), column(params)];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    context.printer.rows(&Rows { schema, batches: vec![batch] })?;
    Ok(Outcome::Done)
}

pub(super) fn explain(context: &Context, arguments: &Explain) -> Result<Outcome> {
    let query = named(context, &arguments.name)?;
    context.printer.line(&format!("# {}: {}\n\n{}", query.name, query.title, query.docs))?;
    if let Some(severity) = query.severity {
        let needs: Vec<&str> = query.needs.iter().map(|need| need.name()).collect();
        let needs = if needs.is_empty() { "nothing but events".to_owned() } else { needs.join(", ") };
        let attack = if query.attack.is_empty() { "-".to_owned() } else { query.attack.join(", ") };
        let line = format!("severity {}; needs {needs}; ATT&CK {attack}", severity.name());
        context.printer.line(&format!("\n## As a detector\n{line}"))?;
    }
    if !query.params.is_empty() {
        context.printer.line("\n## Parameters")?;
    }
    for param in &query.params {
        let default = param.default.as_ref().map(|default| format!(" [default: {default}]")).unwrap_or_default();
        context.printer.line(&format!("- `{}` ({}): {}{default}", param.name, param.kind.name(), param.doc))?;
    }
    Ok(Outcome::Done)
}
