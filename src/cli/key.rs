//! From what a user calls a key (ARN, id or alias) to the keys that the lake has seen under that name, in logs or in an
//! inventory.

use anyhow::Result;
use chrono::{DateTime, Utc};
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use keytrail::cloudtrail::arn::{Arn, is_key_arn};
use keytrail::cloudtrail::key::is_bare_id;
use keytrail::engine::{Engine, Rows};
use keytrail::instant::plain;
use keytrail::render::texts;
use serde::Deserialize;

use super::{Context, Hinted};

/// Characters of a key id that may stand for the whole.
const START_MIN: usize = 4;

/// Names shown when a key is not known.
const NEAR_MAX: usize = 5;

/// What a question is about, as the parameters of a query name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// One key, by its ARN; and the time in which the alias that was asked for named it, where it has named others.
    Arn(String, Span),
    /// Keys by their id, in any account and Region.
    Id(String),
    /// Calls that name an alias and no key: its name and, where that is known, `account/region`.
    Alias(String, Option<String>),
}

/// From when until when, as far as there is a begin and an end.
pub(super) type Span = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Key {
    /// The parameters that select it in a shipped query.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let given = |name: &str, value: &String| (name.to_owned(), value.clone());
        match self {
            Self::Arn(arn, _) => vec![given("key_arn", arn)],
            Self::Id(id) => vec![given("key_id", id)],
            Self::Alias(name, owner) => {
                owner.iter().map(|owner| given("alias_owner", owner)).chain([given("alias", name)]).collect()
            }
        }
    }

    /// The time that is asked about, beside that of the question.
    pub fn span(&self) -> Span {
        match self {
            Self::Arn(_, span) => *span,
            _ => (None, None),
        }
    }
}

/// What a name stands for: one key for an ARN or id; for an alias every key that it named, each for the time in which it did, and the
/// calls that name the alias alone.
pub(super) fn resolve(context: &Context, engine: &Engine, name: &str) -> Result<Vec<Key>> {
    let name = name.trim();
    if is_key_arn(name) {
        return Ok(vec![Key::Arn(name.to_owned(), (None, None))]);
    }
    let alias = match name.split_once(":alias/") {
        Some((_, alias)) if name.starts_with("arn:") => format!("alias/{alias}"),
        _ if name.starts_with("alias/") => name.to_owned(),
        _ if is_bare_id(name) => return Ok(vec![Key::Id(name.to_ascii_lowercase())]),
        _ => format!("alias/{name}"),
    };
    // An alias ARN also says whose alias it is.
    let owner = Arn::new(name).and_then(|arn| Some(format!("{}/{}", arn.account()?, arn.region()?)));
    let is_wanted = |found: Option<String>| owner.is_none() || found == owner;
    let owner_of = |arn: &str| Arn::new(arn).and_then(|arn| Some(format!("{}/{}", arn.account()?, arn.region()?)));
    let rows: Vec<AliasRow> = ask(context, engine, "aliases", &[("alias", &alias)])?.read()?;
    let mut keys: Vec<Key> = Vec::new();
    let mut is_alone = false;
    for row in rows.into_iter().filter(|row| row.key_alias == alias && is_wanted(row.owner())) {
        match row.key_arn {
            Some(arn) => keys.push(Key::Arn(arn, (row.named_from, row.named_until))),
            None => is_alone = true,
        }
    }
    // An inventory knows the names of keys that nobody called by them.
    let found = ask(context, engine, "keys-as-of", &[("alias", &alias)])?;
    for arn in texts(&found.batches, "key_arn").into_iter().flatten() {
        let is_new = !keys.iter().any(|key| matches!(key, Key::Arn(known, _) if *known == arn));
        if is_new && is_wanted(owner_of(&arn)) {
            keys.push(Key::Arn(arn, (None, None)));
        }
    }
    match &mut keys[..] {
        [] if is_alone => {}
        [] if !name.contains("alias/") => return Ok(vec![Key::Id(whole_id(context, engine, name)?)]),
        [] => return Err(unknown(context, engine, name)?.into()),
        // Of one key there is nothing to tell apart.
        [Key::Arn(_, span)] => *span = (None, None),
        several => note_spans(context, &alias, several),
    }
    if is_alone {
        keys.push(Key::Alias(alias, owner));
    }
    Ok(keys)
}

/// A row of `aliases`.
#[derive(Deserialize)]
struct AliasRow {
    key_alias: String,
    key_arn: Option<String>,
    key_account_id: Option<String>,
    key_region: Option<String>,
    named_from: Option<DateTime<Utc>>,
    named_until: Option<DateTime<Utc>>,
}

impl AliasRow {
    fn owner(&self) -> Option<String> {
        Some(format!("{}/{}", self.key_account_id.as_ref()?, self.key_region.as_ref()?))
    }
}

/// Says which keys an alias named, and when: the answer is about each for its time.
fn note_spans(context: &Context, alias: &str, keys: &[Key]) {
    let mut lines = vec![format!(
        "note: {alias} has pointed to {} keys; each is queried only for the time in which the alias pointed to it",
        keys.len()
    )];
    for key in keys {
        let Key::Arn(arn, (from, until)) = key else { continue };
        let from = from.map(|at| format!(" from {}", plain(at)));
        let until = until.map(|at| format!(" until {}", plain(at)));
        let when = match (from, until) {
            (None, None) => ", at an unknown time: all use of this key is shown".to_owned(),
            (from, until) => format!("{}{}", from.unwrap_or_default(), until.unwrap_or_default()),
        };
        lines.push(format!("  {arn}{when}"));
    }
    context.printer.note(&lines.join("\n"));
}

/// The one key that a name stands for: about several, there is no one answer, which is `what`.
pub(super) fn one(context: &Context, engine: &Engine, name: &str, what: &str) -> Result<String> {
    let (mut arns, mut is_alone): (Vec<String>, bool) = (Vec::new(), false);
    for found in resolve(context, engine, name)? {
        match found {
            Key::Arn(arn, _) => arns.push(arn),
            Key::Alias(..) => is_alone = true,
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
        [] if is_alone => Err(Hinted::new(
            format!("no call and no inventory shows which key {name} points to"),
            format!(
                "`keytrail who {name}` shows who used the alias; `keytrail inventory` records which key it points to"
            ),
        )
        .into()),
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
        let (Key::Arn(value, _) | Key::Id(value)) = key else { return Ok(()) };
        let parameter = if matches!(key, Key::Id(_)) { "key_id" } else { "key_arn" };
        for known in ["keys", "keys-as-of"] {
            if ask(context, engine, known, &[(parameter, value)])?.count() > 0 {
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
