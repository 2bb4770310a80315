//! What the names stand for that a user types, with a word to the user where a name does not say all of it.

use anyhow::{Error, Result};
use chrono::Utc;
use keytrail::engine::Engine;
use keytrail::instant::plain;
use keytrail::naming::{Key, Meant, Names, NamingError, Reading};

use super::{Context, Hinted};

fn names<'l>(context: &'l Context, engine: &'l Engine) -> Names<'l> {
    Names::new(engine, &context.catalog, Utc::now())
}

/// The keys that a name stands for.
pub(super) fn keys(context: &Context, engine: &Engine, name: &str) -> Result<Vec<Key>> {
    let (keys, reading) =
        context.runtime.block_on(names(context, engine).keys(name)).map_err(|error| hinted(error, ""))?;
    match reading {
        None => {}
        Some(Reading::Completed(id)) => {
            let start = name.trim();
            context.printer.note(&format!("note: {start} is taken for the key {id}, the only one that begins so"));
        }
        Some(Reading::Moved(alias)) => note_spans(context, &alias, &keys),
    }
    Ok(keys)
}

/// The one key that a name stands for: about several, there is no one answer, which is `what`.
pub(super) fn key(context: &Context, engine: &Engine, name: &str, what: &str) -> Result<String> {
    let found = keys(context, engine, name)?;
    context.runtime.block_on(names(context, engine).one(name, found)).map_err(|error| hinted(error, what))
}

/// Whether the lake has seen the key at all; fails with near matches when it has not.
pub(super) fn must_be_known(context: &Context, engine: &Engine, name: &str, keys: &[Key]) -> Result<()> {
    let names = names(context, engine);
    context.runtime.block_on(names.must_be_known(name, keys)).map_err(|error| hinted(error, ""))
}

/// The principal that a user names.
pub(super) fn principal(context: &Context, engine: &Engine, name: &str) -> Result<String> {
    let found = context.runtime.block_on(names(context, engine).principal(name)).map_err(|error| hinted(error, ""))?;
    if found != name {
        context.printer.note(&format!("note: {name} is taken for {found}"));
    }
    Ok(found)
}

/// The principals and sessions that a bare name may mean.
pub(super) fn like(context: &Context, engine: &Engine, name: &str) -> Result<Vec<Meant>> {
    Ok(context.runtime.block_on(names(context, engine).like(name))?)
}

/// Says which keys an alias named, and when: the answer is about each for its time.
fn note_spans(context: &Context, alias: &str, keys: &[Key]) {
    let spans: Vec<String> = keys
        .iter()
        .filter_map(|key| {
            let Key::Arn(arn, (from, until)) = key else { return None };
            let from = from.map(|at| format!(" from {}", plain(at)));
            let until = until.map(|at| format!(" until {}", plain(at)));
            let when = match (from, until) {
                (None, None) => ", at an unknown time: all use of this key is shown".to_owned(),
                (from, until) => format!("{}{}", from.unwrap_or_default(), until.unwrap_or_default()),
            };
            Some(format!("\n  {arn}{when}"))
        })
        .collect();
    context.printer.note(&format!(
        "note: {alias} has pointed to {} keys; each is queried only for the time in which the alias pointed to it{}",
        spans.len(),
        spans.concat()
    ));
}

/// The error with what to do next; `what` is about one key.
fn hinted(error: NamingError, what: &str) -> Error {
    let (message, hint) = match &error {
        NamingError::UnknownKey { near, .. } if near.is_empty() => {
            (error.to_string(), "`keytrail query keys` lists the keys that this lake knows".to_owned())
        }
        NamingError::UnknownKey { near, .. } => {
            (error.to_string(), format!("did you mean {}? (`keytrail query keys` lists them all)", near.join(", ")))
        }
        NamingError::NowhereAlias { name } => (
            error.to_string(),
            format!(
                "`keytrail who {name}` shows who used the alias; `keytrail inventory` records which key it points to"
            ),
        ),
        NamingError::SeveralKeys { arns, .. } => {
            (format!("{error}, and {what} is about one"), format!("name it by its ARN: {}", arns.join(", ")))
        }
        NamingError::SeveralPrincipals { name, .. } => {
            (error.to_string(), format!("name one of them, or all with '*/{name}'"))
        }
        NamingError::Query(_) | NamingError::Engine(_) => return error.into(),
    };
    Hinted::new(message, hint).into()
}
