//! From what a user calls a key (ARN, id or alias) to the keys that the lake has seen under that name, in logs or in an
//! inventory.

use anyhow::Result;
use chrono::Utc;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use keytrail::cloudtrail::arn::{Arn, is_key_arn};
use keytrail::cloudtrail::key::is_bare_id;
use keytrail::engine::{Engine, Rows};
use keytrail::report::texts;

use super::{Context, Hinted};

/// Characters of a key id that may stand for the whole.
const START_MIN: usize = 4;

/// Names shown when a key is not known.
const NEAR_MAX: usize = 5;

/// One key as the parameters of a query name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// By its ARN.
    Arn(String),
    /// By its id, in any account and Region.
    Id(String),
}

impl Key {
    /// The parameter that selects the key in a shipped query.
    pub fn parameter(&self) -> (String, String) {
        match self {
            Self::Arn(arn) => ("key_arn".to_owned(), arn.clone()),
            Self::Id(id) => ("key_id".to_owned(), id.clone()),
        }
    }
}

/// The keys that a name stands for: one for an ARN or id, and for an alias every key that it named in the logs, because
/// an alias may be pointed at another key, and the one that it names in the latest inventory.
pub(super) fn resolve(context: &Context, engine: &Engine, name: &str) -> Result<Vec<Key>> {
    let name = name.trim();
    if is_key_arn(name) {
        return Ok(vec![Key::Arn(name.to_owned())]);
    }
    let alias = match name.split_once(":alias/") {
        Some((_, alias)) if name.starts_with("arn:") => format!("alias/{alias}"),
        _ if name.starts_with("alias/") => name.to_owned(),
        _ if is_bare_id(name) => return Ok(vec![Key::Id(name.to_ascii_lowercase())]),
        _ => format!("alias/{name}"),
    };
    let rows = ask(context, engine, "aliases", &[("alias", &alias)])?;
    // An alias ARN also says whose alias it is.
    let place =
        |arn: &str| Arn::new(arn).map(|arn| (arn.account().map(str::to_owned), arn.region().map(str::to_owned)));
    let wanted = place(name);
    let named = texts(&rows.batches, "key_alias").into_iter().zip(texts(&rows.batches, "key_arn"));
    let logged = named.filter(|(found, _)| found.as_deref() == Some(alias.as_str())).filter_map(|(_, arn)| arn);
    // An inventory knows the names of keys that nobody called by them.
    let found = ask(context, engine, "keys-as-of", &[("alias", &alias)])?;
    let mut arns: Vec<Key> = Vec::new();
    for arn in logged.chain(texts(&found.batches, "key_arn").into_iter().flatten()) {
        if (wanted.is_none() || place(&arn) == wanted) && !arns.contains(&Key::Arn(arn.clone())) {
            arns.push(Key::Arn(arn));
        }
    }
    match arns.len() {
        0 if !name.contains("alias/") => Ok(vec![Key::Id(whole_id(context, engine, name)?)]),
        0 => Err(unknown(context, engine, name)?.into()),
        1 => Ok(arns),
        more => {
            context
                .printer
                .note(&format!("note: {alias} named {more} keys in this lake; the answer is about all of them"));
            Ok(arns)
        }
    }
}

/// The one key that a name stands for: about several, there is no one answer, which is `what`.
pub(super) fn one(context: &Context, engine: &Engine, name: &str, what: &str) -> Result<String> {
    let mut arns: Vec<String> = Vec::new();
    for found in resolve(context, engine, name)? {
        match found {
            Key::Arn(arn) => arns.push(arn),
            Key::Id(id) => {
                let rows = ["keys", "keys-as-of"].map(|query| ask(context, engine, query, &[("key_id", &id)]));
                for rows in rows {
                    arns.extend(texts(&rows?.batches, "key_arn").into_iter().flatten());
                }
            }
        }
    }
    arns.sort_unstable();
    arns.dedup();
    match arns.as_slice() {
        [arn] => Ok(arn.clone()),
        [] => {
            must_be_known(context, engine, name, &[])?;
            Ok(name.to_owned())
        }
        several => Err(Hinted::new(
            format!("{name} stands for {} keys, and {what} is about one", several.len()),
            format!("name it by its ARN: {}", several.join(", ")),
        )
        .into()),
    }
}

/// The key id that a text is the beginning of, if there is just one such key.
fn whole_id(context: &Context, engine: &Engine, start: &str) -> Result<String> {
    let rows = ask(context, engine, "keys", &[])?;
    let lower = start.to_ascii_lowercase();
    let mut ids: Vec<String> = texts(&rows.batches, "key_id").into_iter().flatten().collect();
    ids.retain(|id| start.len() >= START_MIN && id.starts_with(&lower));
    ids.sort_unstable();
    ids.dedup();
    let [id] = &ids[..] else { return Ok(start.to_owned()) };
    context.printer.note(&format!("note: {start} is taken for the key {id}, the only one that begins so"));
    Ok(id.clone())
}

/// Whether the lake has seen the key at all; fails with near matches when it has not.
pub(super) fn must_be_known(context: &Context, engine: &Engine, name: &str, keys: &[Key]) -> Result<()> {
    for key in keys {
        let (parameter, value) = key.parameter();
        for known in ["keys", "keys-as-of"] {
            if ask(context, engine, known, &[(&parameter, &value)])?.count() > 0 {
                return Ok(());
            }
        }
    }
    Err(unknown(context, engine, name)?.into())
}

fn unknown(context: &Context, engine: &Engine, name: &str) -> Result<Hinted> {
    let keys = ask(context, engine, "keys", &[])?;
    let aliases = ask(context, engine, "aliases", &[])?;
    let mut names: Vec<String> = texts(&keys.batches, "key_id").into_iter().flatten().collect();
    names.extend(texts(&aliases.batches, "key_alias").into_iter().flatten());
    let wanted = name.rsplit_once(":key/").map_or(name, |(_, id)| id).to_lowercase();
    let score = |name: &String| {
        let name = name.to_lowercase();
        let short = wanted.trim_start_matches("alias/");
        let part = short.len() >= 4 && name.contains(short);
        normalized_levenshtein(&wanted, &name) + if part { 1.0 } else { 0.0 }
    };
    names.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.cmp(b)));
    names.dedup();
    let near: Vec<&str> = names.iter().filter(|name| score(name) > 0.4).take(NEAR_MAX).map(String::as_str).collect();
    let hint = if near.is_empty() {
        "`keytrail query keys` lists the keys that this lake knows".to_owned()
    } else {
        format!("did you mean {}? (`keytrail query keys` lists them all)", near.join(", "))
    };
    Ok(Hinted::new(format!("no event in this lake speaks of the key {name}"), hint))
}

/// Runs a shipped query.
pub(super) fn ask(context: &Context, engine: &Engine, name: &str, given: &[(&str, &str)]) -> Result<Rows> {
    let query = context.catalog.get(name)?;
    let given: Vec<(String, String)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let values = query.bind(&given, Utc::now())?;
    Ok(context.runtime.block_on(engine.run(query, values))?)
}
