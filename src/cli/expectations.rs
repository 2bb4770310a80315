//! `keytrail expectations`: the file, whether it is still true, and a first one (`learn.rs`).

use std::path::Path;

use anyhow::Result;
use chrono::Utc;
use keytrail::engine::Engine;
use keytrail::expectations::{DEFAULT_FILE, Expectations, ExpectationsError};
use keytrail::query::Catalog;

use super::args::ExpectationsCommand;
use super::learn::learn;
use super::{Context, Hinted, Outcome};

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
        if !catalog.has_detector(&accepted.detector) {
            return Err(fault(path, accepted.line, format!("{} is no detector", accepted.detector)));
        }
    }
    for (name, params) in &expectations.params {
        if find(name).is_none() && catalog.has_detector(name) {
            // Its file is broken, which is reported elsewhere.
            continue;
        }
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

fn check(context: &Context, engine: &Engine) -> Result<Outcome> {
    if !context.expectations.is_given {
        let message = format!("there is no {DEFAULT_FILE} here");
        return Err(Hinted::new(message, "name one with --expectations, or make one with --learn").into());
    }
    let rows = context.ask(engine, "stale-expectations", &[])?;
    context.printer.rows(&rows)?;
    if rows.count() == 0 {
        context.printer.note("everything in the file matches something in the lake");
        return Ok(Outcome::Done);
    }
    Ok(Outcome::BadNews)
}
