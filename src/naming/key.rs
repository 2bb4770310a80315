//! From what a user calls a key (ARN, id or alias) to the keys that the lake has seen under that name, in logs or in an
//! inventory.

use chrono::{DateTime, Utc};
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use serde::Deserialize;

use super::{Names, NamingError};
use crate::cloudtrail::arn::{Arn, is_key_arn};
use crate::cloudtrail::key::is_bare_id;

/// Characters of a key id that may stand for the whole.
const START_MIN: usize = 4;

/// Names that an error about an unknown key offers.
const NEAR_MAX: usize = 5;

/// What a question is about, as the parameters of a query name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// One key, by its ARN; and the time in which the alias that was asked for named it, where it has named others.
    Arn(String, Span),
    /// Keys by their id, in any account and Region.
    Id(String),
    /// Calls that name an alias and no key: its name and, where that is known, `account/region`.
    Alias(String, Option<String>),
}

/// From when until when, as far as there is a begin and an end.
pub type Span = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Key {
    /// The parameters that select it in a shipped query.
    #[must_use]
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
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Arn(_, span) => *span,
            _ => (None, None),
        }
    }
}

/// How a name was read, where it does not say all of that itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// As the beginning of this key id, the only one that begins so.
    Completed(String),
    /// As this alias, which has pointed to several keys.
    Moved(String),
}

/// A name by its form alone.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Arn,
    Id(String),
    /// An alias, and its `account/region` where the name is an ARN.
    Alias(String, Option<String>),
}

impl Form {
    fn of(name: &str) -> Self {
        if is_key_arn(name) {
            return Self::Arn;
        }
        let alias = match name.split_once(":alias/") {
            Some((_, alias)) if name.starts_with("arn:") => format!("alias/{alias}"),
            _ if name.starts_with("alias/") => name.to_owned(),
            _ if is_bare_id(name) => return Self::Id(name.to_ascii_lowercase()),
            _ => format!("alias/{name}"),
        };
        // An alias ARN also says whose alias it is.
        Self::Alias(alias, owner_of(name))
    }
}

/// `account/region` of an ARN.
fn owner_of(arn: &str) -> Option<String> {
    Arn::new(arn).and_then(|arn| Some(format!("{}/{}", arn.account()?, arn.region()?)))
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

/// A row of `keys` or `keys-as-of`.
#[derive(Deserialize)]
struct KeyRow {
    key_arn: Option<String>,
    key_id: Option<String>,
}

impl Names<'_> {
    /// What a name stands for: one key for an ARN or id; for an alias every key that it named, each for the time in which it did, and
    /// the calls that name the alias alone.
    ///
    /// # Errors
    /// When the lake has seen no key by an alias, or cannot be asked. Whether an ARN or an id was ever seen is for
    /// [`must_be_known`](Names::must_be_known).
    pub async fn keys(&self, name: &str) -> Result<(Vec<Key>, Option<Reading>), NamingError> {
        let name = name.trim();
        let (alias, owner) = match Form::of(name) {
            Form::Arn => return Ok((vec![Key::Arn(name.to_owned(), (None, None))], None)),
            Form::Id(id) => return Ok((vec![Key::Id(id)], None)),
            Form::Alias(alias, owner) => (alias, owner),
        };
        let is_wanted = |found: Option<String>| owner.is_none() || found == owner;
        let rows: Vec<AliasRow> = self.ask("aliases", &[("alias", &alias)]).await?;
        let mut keys: Vec<Key> = Vec::new();
        let mut is_alone = false;
        for row in rows.into_iter().filter(|row| row.key_alias == alias && is_wanted(row.owner())) {
            match row.key_arn {
                Some(arn) => keys.push(Key::Arn(arn, (row.named_from, row.named_until))),
                None => is_alone = true,
            }
        }
        // An inventory knows the names of keys that nobody called by them.
        let found: Vec<KeyRow> = self.ask("keys-as-of", &[("alias", &alias)]).await?;
        for arn in found.into_iter().filter_map(|row| row.key_arn) {
            let is_new = !keys.iter().any(|key| matches!(key, Key::Arn(known, _) if *known == arn));
            if is_new && is_wanted(owner_of(&arn)) {
                keys.push(Key::Arn(arn, (None, None)));
            }
        }
        let reading = match &mut keys[..] {
            [] if is_alone => None,
            [] if !name.contains("alias/") => {
                let whole = self.whole_id(name).await?;
                let id = whole.clone().unwrap_or_else(|| name.to_owned());
                return Ok((vec![Key::Id(id)], whole.map(Reading::Completed)));
            }
            [] => return Err(self.unknown(name).await?),
            // Of one key there is nothing to tell apart.
            [Key::Arn(_, span)] => {
                *span = (None, None);
                None
            }
            _ => Some(Reading::Moved(alias.clone())),
        };
        if is_alone {
            keys.push(Key::Alias(alias, owner));
        }
        Ok((keys, reading))
    }

    /// The one key that a name stands for, of what [`keys`](Names::keys) found for it.
    ///
    /// # Errors
    /// When there are several, or none, or the lake cannot be asked.
    pub async fn one(&self, name: &str, keys: Vec<Key>) -> Result<String, NamingError> {
        let (mut arns, mut is_alone): (Vec<String>, bool) = (Vec::new(), false);
        for found in keys {
            match found {
                Key::Arn(arn, _) => arns.push(arn),
                Key::Alias(..) => is_alone = true,
                Key::Id(id) => {
                    for query in ["keys", "keys-as-of"] {
                        let rows: Vec<KeyRow> = self.ask(query, &[("key_id", &id)]).await?;
                        arns.extend(rows.into_iter().filter_map(|row| row.key_arn));
                    }
                }
            }
        }
        arns.sort_unstable();
        arns.dedup();
        match arns.as_slice() {
            [arn] => Ok(arn.clone()),
            [] if is_alone => Err(NamingError::NowhereAlias { name: name.to_owned() }),
            [] => Err(self.unknown(name).await?),
            _ => Err(NamingError::SeveralKeys { name: name.to_owned(), arns }),
        }
    }

    /// Whether the lake has seen any of the keys that a name stands for.
    ///
    /// # Errors
    /// With names like it when it has not; or when the lake cannot be asked.
    pub async fn must_be_known(&self, name: &str, keys: &[Key]) -> Result<(), NamingError> {
        for key in keys {
            let (Key::Arn(value, _) | Key::Id(value)) = key else { return Ok(()) };
            let parameter = if matches!(key, Key::Id(_)) { "key_id" } else { "key_arn" };
            for known in ["keys", "keys-as-of"] {
                if !self.ask::<KeyRow>(known, &[(parameter, value)]).await?.is_empty() {
                    return Ok(());
                }
            }
        }
        Err(self.unknown(name).await?)
    }

    /// The key id that a text is the beginning of, if there is just one such key.
    async fn whole_id(&self, start: &str) -> Result<Option<String>, NamingError> {
        let rows: Vec<KeyRow> = self.ask("keys", &[]).await?;
        let lower = start.to_ascii_lowercase();
        let mut ids: Vec<String> = rows.into_iter().filter_map(|row| row.key_id).collect();
        ids.retain(|id| start.len() >= START_MIN && id.starts_with(&lower));
        ids.sort_unstable();
        ids.dedup();
        Ok(if ids.len() == 1 { ids.pop() } else { None })
    }

    async fn unknown(&self, name: &str) -> Result<NamingError, NamingError> {
        let keys: Vec<KeyRow> = self.ask("keys", &[]).await?;
        let aliases: Vec<AliasRow> = self.ask("aliases", &[]).await?;
        let ids = keys.into_iter().filter_map(|row| row.key_id);
        let known = ids.chain(aliases.into_iter().map(|row| row.key_alias)).collect();
        Ok(NamingError::UnknownKey { name: name.to_owned(), near: near(name, known) })
    }
}

/// The names most like one that nothing has, likeliest first.
fn near(name: &str, mut known: Vec<String>) -> Vec<String> {
    let wanted = name.rsplit_once(":key/").map_or(name, |(_, id)| id).to_lowercase();
    let score = |name: &String| {
        let name = name.to_lowercase();
        let short = wanted.trim_start_matches("alias/");
        let part = short.len() >= 4 && name.contains(short);
        normalized_levenshtein(&wanted, &name) + if part { 1.0 } else { 0.0 }
    };
    known.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.cmp(b)));
    known.dedup();
    known.retain(|name| score(name) > 0.4);
    known.truncate(NEAR_MAX);
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_by_its_form() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890AB";
        let alias = |name: &str, owner: Option<&str>| Form::Alias(name.to_owned(), owner.map(str::to_owned));
        for (name, form) in [
            ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", Form::Arn),
            (id, Form::Id(id.to_ascii_lowercase())),
            ("alias/orders", alias("alias/orders", None)),
            ("orders", alias("alias/orders", None)),
            ("arn:aws:kms:eu-west-1:111122223333:alias/a/b", alias("alias/a/b", Some("111122223333/eu-west-1"))),
        ] {
            assert_eq!(Form::of(name), form, "{name}");
        }
    }

    #[test]
    fn names_like_an_unknown_one_are_offered() {
        let known = || ["alias/orders", "alias/orders", "alias/orders-archive", "zzzz"].map(str::to_owned).to_vec();
        assert_eq!(near("alias/order", known()), ["alias/orders", "alias/orders-archive"]);
        assert_eq!(near("xyzzy", known()), [""; 0]);
    }
}
