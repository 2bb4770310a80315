//! `keytrail expectations`: a first file from what was seen, and whether a file is still true.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use chrono::Utc;
use keytrail::engine::{Engine, Rows};
use keytrail::expectations::{DEFAULT_FILE, Expectations, ExpectationsError, is_principal};
use keytrail::query::Catalog;
use keytrail::report::{clean, texts};

use super::args::ExpectationsCommand;
use super::detect::window;
use super::{Context, Hinted, Outcome};

/// How far back is looked, unless told otherwise.
const LEARN_DAYS: i64 = 90;

/// The file that is named, or the one that is there; and whether what it names of detectors is there too.
pub(super) fn given(path: Option<&Path>, catalog: &Catalog) -> Result<Expectations> {
    let default = Path::new(DEFAULT_FILE);
    let path = match path {
        Some(path) => path,
        None if default.is_file() => default,
        None => return Ok(Expectations::default()),
    };
    let expectations = Expectations::read(path)?;
    let find = |name: &str| catalog.detectors().find(|detector| detector.name == name);
    for accepted in &expectations.accepted {
        if find(&accepted.detector).is_none() {
            return Err(fault(path, accepted.line, format!("{} is no detector", accepted.detector)));
        }
    }
    for (name, params) in &expectations.params {
        let Some(detector) = find(name) else {
            let line = params.values().map(|given| given.line).min().unwrap_or(1);
            return Err(fault(path, line, format!("{name} is no detector")));
        };
        for (param, given) in params {
            let known = detector.params.iter().find(|one| one.name == *param);
            let Some(known) = known.filter(|one| !matches!(one.name.as_str(), "since" | "until")) else {
                return Err(fault(path, given.line, format!("{name} has no parameter {param}")));
            };
            if let Err(why) = known.check(&given.value, Utc::now()) {
                return Err(fault(path, given.line, format!("{name}: parameter {param} {why}")));
            }
        }
    }
    Ok(expectations)
}

fn fault(path: &Path, line: usize, message: String) -> anyhow::Error {
    let error = ExpectationsError::Fault { path: path.to_owned(), line, message };
    Hinted::new(
        error.to_string(),
        "`keytrail detect --list` lists the detectors, `keytrail explain ID` their parameters",
    )
    .into()
}

pub(super) fn run(context: &Context, arguments: &ExpectationsCommand) -> Result<Outcome> {
    let engine = context.engine()?;
    if arguments.check { check(context, &engine) } else { learn(context, &engine, arguments.since.as_deref()) }
}

fn ask(context: &Context, engine: &Engine, name: &str, given: &[(String, String)]) -> Result<Rows> {
    let query = context.catalog.get(name)?;
    Ok(context.runtime.block_on(engine.run(query, query.bind(given, Utc::now())?))?)
}

fn check(context: &Context, engine: &Engine) -> Result<Outcome> {
    if !context.expectations.is_given {
        let message = format!("there is no {DEFAULT_FILE} here");
        return Err(Hinted::new(message, "name one with --expectations, or make one with --learn").into());
    }
    let rows = ask(context, engine, "stale-expectations", &[])?;
    context.printer.rows(&rows)?;
    if rows.count() == 0 {
        context.printer.note("everything in the file matches something in the lake");
        return Ok(Outcome::Done);
    }
    Ok(Outcome::BadNews)
}

fn learn(context: &Context, engine: &Engine, since: Option<&str>) -> Result<Outcome> {
    let (window, _) = window(context, engine, (since, None), LEARN_DAYS, Utc::now())?;
    let given = [("since".to_owned(), window.since.to_rfc3339()), ("until".to_owned(), window.until.to_rfc3339())];
    let accounts = ask(context, engine, "learned-accounts", &[])?;
    let keys = ask(context, engine, "learned-keys", &given)?;
    context.printer.line(&file(&accounts, &keys, &window.since.date_naive().to_string()))?;
    if keys.count() == 0 {
        context.printer.note("note: no key was used in that time; --since reaches further back");
    }
    Ok(Outcome::Done)
}

/// The file, for a person to prune: what was seen is not what is right.
fn file(accounts: &Rows, keys: &Rows, since: &str) -> String {
    let column = |rows: &Rows, name: &str| texts(&rows.batches, name);
    let mut out = format!(
        "# Learned from what was seen since {since}. What was seen is not what is right: go through it, strike what should\n\
         # not be, and put patterns (* and ?) where names differ. `keytrail expectations --help` shows every field.\n\n"
    );
    let ids: Vec<String> = column(accounts, "account_id").into_iter().flatten().map(|id| quoted(&id)).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# Whose log is in the lake. Strike what is not yours.");
    let _ = writeln!(out, "accounts = [{}]", ids.join(", "));
    let (arns, aliases) = (column(keys, "key_arn"), column(keys, "alias"));
    let lists = ["decryptors", "services"].map(|name| column(keys, name));
    for (row, arn) in arns.iter().enumerate() {
        let Some(arn) = arn else { continue };
        out.push('\n');
        if let Some(alias) = &aliases[row] {
            let _ = writeln!(out, "# {}", clean(alias).replace('\n', " "));
        }
        let _ = writeln!(out, "[[key]]\nkeys = [{}]", quoted(arn));
        for (name, values) in ["decryptors", "services"].iter().zip(&lists) {
            let _ = writeln!(out, "{name} = [");
            for value in values[row].iter().flat_map(|values| values.lines()) {
                // What a file cannot name, or would take for a pattern, is for a person to put into words.
                let is_plain = *name != "decryptors" || is_principal(value);
                let (begin, why) = if is_plain { ("", "") } else { ("# ", " # no file can name it: give a pattern") };
                let _ = writeln!(out, "    {begin}{},{why}", quoted(value));
            }
            let _ = writeln!(out, "]");
        }
    }
    out.trim_end().to_owned()
}

/// A text in TOML's quotes; what acts instead of being read becomes an escape.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
