//! What an organization expects of its keys: `keytrail.toml`, read strictly, as tables that detectors join.
//!
//! ```text
//! keytrail.toml ── parse ──► Expectations ── tables ──► expected_accounts, trusted_parties, expectations, acceptances
//! ```
//!
//! A file that is read wrongly would make detectors silent, so that a field that is not known, a pattern that can match
//! nothing or a date that does not exist is an error with its line. Nothing here knows what a detector makes of it.

mod parse;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

pub use tables::tables;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "keytrail.toml";

/// A fault in an expectations file.
#[derive(Debug, thiserror::Error)]
pub enum ExpectationsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not say what it must, or not in the way it must.
    #[error("{}:{line}: {message}", .path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// What is expected; nothing, when there is no file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expectations {
    /// Whether there is a file at all.
    pub is_given: bool,
    /// The organization's accounts.
    pub accounts: Vec<String>,
    /// Third parties that may use keys.
    pub trusted: Vec<Trusted>,
    /// What is expected of keys.
    pub keys: Vec<KeyRule>,
    /// Findings that someone has accepted.
    pub accepted: Vec<Acceptance>,
    /// Parameters of detectors, by detector and parameter.
    pub params: BTreeMap<String, BTreeMap<String, Given>>,
}

/// A value, and the line that it is on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// The value, as a user would write it on the command line.
    pub value: String,
    /// Its line.
    pub line: usize,
}

/// A third party, such as a database host that assumes a role and decrypts from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trusted {
    /// Its name.
    pub name: String,
    /// Its accounts.
    pub accounts: Vec<String>,
    /// Its principals, as patterns; all of its accounts' when not given.
    pub principals: Option<Vec<String>>,
    /// Keys that it may use, as patterns; all when not given.
    pub keys: Option<Vec<String>>,
}

/// What is expected of the keys that one entry names. What is not declared may be anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyRule {
    /// Line of the entry.
    pub line: usize,
    /// Patterns over the key's ARN, its id, its aliases (`alias/…`) and its tags (`tag:name=value`).
    pub keys: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    /// Who may decrypt, as patterns over principals.
    pub decryptors: Option<Vec<String>>,
    /// Through which services, as hosts, or `direct`.
    pub services: Option<Vec<String>>,
    /// For which assets, as patterns.
    pub assets: Option<Vec<String>>,
    /// How old key material may become, in days.
    pub rotation_days: Option<i64>,
}

/// A finding that someone has accepted, until a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance {
    /// Line of the entry.
    pub line: usize,
    /// Which detector's.
    pub detector: String,
    /// Which keys', as a pattern over the ARN; any when not given.
    pub key: Option<String>,
    /// Which principals', as a pattern; any when not given.
    pub principal: Option<String>,
    /// Why.
    pub reason: String,
    /// From this instant on it is accepted no more.
    pub until: DateTime<Utc>,
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is at fault: the error names the line.
    pub fn read(path: &Path) -> Result<Self, ExpectationsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ExpectationsError::Unreadable { path: path.to_owned(), source })?;
        parse::parse(&text, path)
    }

    /// The acceptance of a finding that still holds at an instant.
    #[must_use]
    pub fn acceptance(
        &self,
        detector: &str,
        key: Option<&str>,
        principal: Option<&str>,
        at: DateTime<Utc>,
    ) -> Option<&Acceptance> {
        let fits = |pattern: &Option<String>, text: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| matches(pattern, text)))
        };
        self.accepted.iter().find(|accepted| {
            accepted.detector == detector
                && at < accepted.until
                && fits(&accepted.key, key)
                && fits(&accepted.principal, principal)
        })
    }
}

/// Whether a principal may stand in the file as it is: it is one that a file can name, and no pattern by its own name.
#[must_use]
pub fn is_principal(text: &str) -> bool {
    parse::is_principal(text) && !text.contains(['*', '?'])
}

/// Whether a text is of a pattern, in which `*` stands for any characters and `?` for one. Case counts, as in ARNs.
///
/// ```
/// use keytrail::expectations::matches;
/// assert!(matches("arn:aws:iam::111122223333:role/hr-*", "arn:aws:iam::111122223333:role/hr-portal"));
/// assert!(!matches("alias/pay", "alias/payroll"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: behind that `*`, with one more character given to it.
    let mut again: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at + 1, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == text[seen] => {
                (at, seen) = (at + 1, seen + 1);
            }
            _ => match again {
                Some((behind, from)) => {
                    (at, seen) = (behind, from + 1);
                    again = Some((behind, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}
