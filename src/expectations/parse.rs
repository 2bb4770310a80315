//! The text of an expectations file, checked entry by entry.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::{Acceptance, Expectations, ExpectationsError, Given, KeyRule, Trusted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    accounts: Vec<Spanned<String>>,
    #[serde(default)]
    trusted: Vec<TrustedEntry>,
    #[serde(default)]
    key: Vec<Spanned<KeyEntry>>,
    #[serde(default)]
    accept: Vec<Spanned<AcceptEntry>>,
    #[serde(default)]
    detectors: BTreeMap<String, BTreeMap<String, Spanned<toml::Value>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustedEntry {
    name: Spanned<String>,
    accounts: Vec<Spanned<String>>,
    principals: Option<Vec<Spanned<String>>>,
    keys: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    keys: Spanned<Vec<Spanned<String>>>,
    owner: Option<String>,
    purpose: Option<String>,
    decryptors: Option<Vec<Spanned<String>>>,
    services: Option<Vec<Spanned<String>>>,
    assets: Option<Vec<Spanned<String>>>,
    rotation_days: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptEntry {
    detector: Spanned<String>,
    key: Option<Spanned<String>>,
    principal: Option<Spanned<String>>,
    reason: Spanned<String>,
    until: Spanned<Datetime>,
}

/// What the principal column looks like, by its beginnings; a pattern that begins otherwise can match nobody.
const PRINCIPALS: [&str; 5] = ["arn:", "service:", "acct:", "idc:", "*"];

pub(super) fn is_principal(text: &str) -> bool {
    PRINCIPALS.iter().any(|begin| text.starts_with(begin)) || is_unique_id(text)
}

/// `AIDA…`, `AROA…`: what a record names whose ARN it does not tell.
fn is_unique_id(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && text.starts_with('A')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether a text can match a key's ARN, its id, an alias or a tag.
fn is_key_name(text: &str) -> bool {
    let is_id = || {
        let id = text.strip_prefix("mrk-").unwrap_or(text);
        id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let is_tag = || text.strip_prefix("tag:").is_some_and(|tag| tag.contains('=') || tag.contains('*'));
    text.starts_with("arn:") || text.starts_with("alias/") || text.contains(['*', '?']) || is_tag() || is_id()
}

/// Whether a text can match what a call comes through.
fn is_service(text: &str) -> bool {
    text == "direct" || text.contains(['.', '*', '?']) || text == "AWS Internal"
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

type Read<T> = Result<T, ExpectationsError>;

pub(super) fn parse(text: &str, path: &Path) -> Read<Expectations> {
    let reader = Reader { text, path };
    let file: File = toml::from_str(text)
        .map_err(|error| reader.fault(error.span().map_or(0, |span| span.start), error.message().trim_end()))?;
    let keys = file.key.into_iter().map(|entry| reader.key(entry)).collect::<Read<_>>()?;
    let accepted = file.accept.into_iter().map(|entry| reader.acceptance(entry)).collect::<Read<_>>()?;
    let mut params: BTreeMap<String, BTreeMap<String, Given>> = BTreeMap::new();
    for (detector, given) in file.detectors {
        for (name, value) in given {
            let at = value.span().start;
            let text = match value.into_inner() {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                _ => return Err(reader.fault(at, format!("`{name}` is a text, a number or a boolean"))),
            };
            let given = Given { value: text, line: reader.line(at) };
            params.entry(detector.clone()).or_default().insert(name, given);
        }
    }
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if is_empty {
        return Err(reader.fault(0, "the file says nothing; `keytrail expectations --learn` writes a first one"));
    }
    Ok(Expectations {
        is_given: true,
        accounts: reader.accounts(file.accounts)?,
        trusted: file.trusted.into_iter().map(|entry| reader.trusted(entry)).collect::<Read<_>>()?,
        keys,
        accepted,
        params,
    })
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1
    }

    fn fault(&self, at: usize, message: impl Into<String>) -> ExpectationsError {
        ExpectationsError::Fault { path: self.path.to_owned(), line: self.line(at), message: message.into() }
    }

    fn accounts(&self, accounts: Vec<Spanned<String>>) -> Read<Vec<String>> {
        let check = |account: Spanned<String>| {
            let is_one = account.as_ref().len() == 12 && account.as_ref().bytes().all(|byte| byte.is_ascii_digit());
            if is_one {
                return Ok(account.into_inner());
            }
            let message = format!("{:?} is no account: twelve digits, in quotes", account.as_ref());
            Err(self.fault(account.span().start, message))
        };
        accounts.into_iter().map(check).collect()
    }

    /// A text that says something.
    fn said(&self, text: Spanned<String>, what: &str) -> Read<String> {
        if text.as_ref().trim().is_empty() {
            return Err(self.fault(text.span().start, format!("{what} is empty")));
        }
        Ok(text.into_inner())
    }

    fn patterns(&self, patterns: Vec<Spanned<String>>, what: &str) -> Read<Vec<String>> {
        patterns.into_iter().map(|pattern| self.said(pattern, what)).collect()
    }

    /// Patterns that can match what they are held against.
    fn able(&self, patterns: Vec<Spanned<String>>, is_able: fn(&str) -> bool, else_told: &str) -> Read<Vec<String>> {
        let check = |pattern: Spanned<String>| {
            if is_able(pattern.as_ref()) {
                return Ok(pattern.into_inner());
            }
            Err(self.fault(pattern.span().start, format!("{:?} {else_told}", pattern.as_ref())))
        };
        patterns.into_iter().map(check).collect()
    }

    fn keys(&self, patterns: Vec<Spanned<String>>) -> Read<Vec<String>> {
        self.able(patterns, is_key_name, "matches no key: one is an ARN, an id, `alias/…` or `tag:name=value`")
    }

    fn principal(&self, pattern: Spanned<String>) -> Read<String> {
        if is_principal(pattern.as_ref()) {
            return Ok(pattern.into_inner());
        }
        let message = format!(
            "{:?} matches no principal: one is an ARN, a unique id such as AROA…, `service:` and a host, `acct:` or `idc:`; `*` \
             stands for any characters",
            pattern.as_ref()
        );
        Err(self.fault(pattern.span().start, message))
    }

    fn principals(&self, patterns: Option<Vec<Spanned<String>>>) -> Read<Option<Vec<String>>> {
        patterns.map(|list| list.into_iter().map(|pattern| self.principal(pattern)).collect()).transpose()
    }

    fn trusted(&self, entry: TrustedEntry) -> Read<Trusted> {
        Ok(Trusted {
            name: self.said(entry.name, "`name`")?,
            accounts: self.accounts(entry.accounts)?,
            principals: self.principals(entry.principals)?,
            keys: entry.keys.map(|keys| self.keys(keys)).transpose()?,
        })
    }

    fn key(&self, entry: Spanned<KeyEntry>) -> Read<KeyRule> {
        let line = self.line(entry.span().start);
        let entry = entry.into_inner();
        if entry.keys.as_ref().is_empty() {
            return Err(self.fault(entry.keys.span().start, "`keys` names no key"));
        }
        let rotation_days = match entry.rotation_days {
            Some(days) if *days.as_ref() < 1 => {
                return Err(self.fault(days.span().start, "`rotation_days` is at least 1"));
            }
            days => days.map(Spanned::into_inner),
        };
        Ok(KeyRule {
            line,
            keys: self.keys(entry.keys.into_inner())?,
            owner: entry.owner,
            purpose: entry.purpose,
            decryptors: self.principals(entry.decryptors)?,
            services: entry
                .services
                .map(|list| {
                    self.able(
                        list,
                        is_service,
                        "matches no service: one is a host such as s3.amazonaws.com, or `direct`",
                    )
                })
                .transpose()?,
            assets: entry.assets.map(|list| self.patterns(list, "an asset")).transpose()?,
            rotation_days,
        })
    }

    fn acceptance(&self, entry: Spanned<AcceptEntry>) -> Read<Acceptance> {
        let line = self.line(entry.span().start);
        let entry = entry.into_inner();
        let until = self.instant(&entry.until)?;
        Ok(Acceptance {
            line,
            detector: entry.detector.into_inner(),
            key: entry.key.map(|key| self.key_arn(key)).transpose()?,
            principal: entry.principal.map(|pattern| self.principal(pattern)).transpose()?,
            reason: self.said(entry.reason, "`reason`")?,
            until,
        })
    }

    /// A finding names its key by ARN.
    fn key_arn(&self, pattern: Spanned<String>) -> Read<String> {
        if pattern.as_ref().starts_with("arn:") || pattern.as_ref().starts_with('*') {
            return Ok(pattern.into_inner());
        }
        let message = format!("{:?} matches no finding: here a key is named by its ARN", pattern.as_ref());
        Err(self.fault(pattern.span().start, message))
    }

    /// A day, at its end, or an instant.
    fn instant(&self, datetime: &Spanned<Datetime>) -> Read<DateTime<Utc>> {
        let text = datetime.as_ref().to_string();
        let day = || {
            let day: NaiveDate = text.parse().ok()?;
            Some(day.succ_opt()?.and_time(NaiveTime::MIN).and_utc())
        };
        let instant = || DateTime::parse_from_rfc3339(&text).ok().map(|at| at.with_timezone(&Utc));
        day().or_else(instant).ok_or_else(|| {
            self.fault(datetime.span().start, format!("{text} is no day or instant, such as 2026-12-31"))
        })
    }
}
