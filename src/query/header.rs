//! The three parts of a query file: TOML between two `-- ---` lines, Markdown in the comments below it, and SQL.
//!
//! ```text
//! -- ---
//! -- title = "…"                 header: TOML, unknown fields refused
//! -- ---
//! -- ## What it answers          documentation: comment lines up to the first that is none
//! -- …
//! WITH …                         the statement: everything else
//! ```

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::scan::{is_param_name, scan};
use super::{Kind, Param, ParamKind, Query, QueryError};

/// The line before and after the header.
const FENCE: &str = "-- ---";

/// How bad a finding is, from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Worth a look soon.
    Medium,
    /// Someone should look today.
    High,
    /// Someone should look now.
    Critical,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Its name in headers and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What a query needs in the lake besides events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The keys and trails that exist.
    Inventory,
    /// Enough history before the window to know what is usual.
    Baseline,
    /// Logs that are proven complete for the window.
    Coverage,
    /// What the user declared as expected.
    Expectations,
    /// Verified digests.
    Digests,
}

impl Need {
    /// Its name in headers and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Need::Inventory => "inventory",
            Need::Baseline => "baseline",
            Need::Coverage => "coverage",
            Need::Expectations => "expectations",
            Need::Digests => "digests",
        }
    }
}

/// Which events show what a finding says, where the detector's rows do not name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The principal's first decryptions, with the key if the row names one, from `first_seen` to `last_seen`.
    Decrypts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    title: String,
    severity: Option<Severity>,
    #[serde(default)]
    attack: Vec<String>,
    #[serde(default)]
    needs: Vec<Need>,
    evidence: Option<Evidence>,
    message: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Spanned<HeaderParam>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderParam {
    #[serde(rename = "type")]
    kind: ParamKind,
    default: Option<toml::Value>,
    #[serde(default)]
    required: bool,
    doc: String,
}

/// A file taken apart, each part with the line that it begins on, from 1.
struct Parts {
    header: (usize, String),
    docs: String,
    sql: (usize, String),
}

/// The file being read, for errors.
struct File<'a> {
    name: &'a str,
    kind: Kind,
}

impl File<'_> {
    fn fault(&self, line: usize, message: impl Into<String>) -> QueryError {
        QueryError::File { file: format!("{}/{}.sql", self.kind.folder(), self.name), line, message: message.into() }
    }
}

pub(super) fn parse(name: &str, kind: Kind, text: &str) -> Result<Query, QueryError> {
    let file = File { name, kind };
    check_name(&file)?;
    let parts = split(&file, text)?;
    let (header_line, header_text) = &parts.header;
    let header: Header = toml::from_str(header_text).map_err(|error| {
        let line = error.span().map_or(0, |span| newlines_before(header_text, span.start));
        file.fault(header_line + line, error.message())
    })?;
    check_header(&file, &header, *header_line)?;

    let (sql_line, sql) = parts.sql;
    let found = scan(&sql).map_err(|error| file.fault(sql_line + error.line - 1, error.message))?;
    let mut params = Vec::new();
    let mut declared: Vec<_> = header.params.into_iter().collect();
    declared.sort_by_key(|(_, param)| param.span().start);
    for (name, param) in declared {
        let line = header_line + newlines_before(header_text, param.span().start);
        if !found.params.contains_key(&name) {
            return Err(file.fault(line, format!("the parameter `{name}` is declared and not used")));
        }
        params.push(check_param(&name, param.into_inner()).map_err(|message| file.fault(line, message))?);
    }
    for (name, line) in &found.params {
        if !params.iter().any(|param| param.name == *name) {
            let message = format!("`${name}` is used and not declared; add `-- params.{name} = {{ … }}` to the header");
            return Err(file.fault(sql_line + line - 1, message));
        }
    }
    Ok(Query {
        name: name.to_owned(),
        kind,
        title: header.title,
        severity: header.severity,
        attack: header.attack,
        needs: header.needs,
        evidence: header.evidence,
        message: header.message,
        params,
        docs: parts.docs,
        sql,
        sql_line,
        path: None,
        words: found.words,
    })
}

/// A view's name is a word of SQL; the others are typed on a command line.
fn check_name(file: &File<'_>) -> Result<(), QueryError> {
    let joint = if file.kind == Kind::View { b'_' } else { b'-' };
    let fits = file.name.starts_with(|first: char| first.is_ascii_lowercase())
        && file.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint);
    if fits {
        return Ok(());
    }
    let rule = format!("lower-case letters, digits and `{}`, beginning with a letter", char::from(joint));
    Err(file.fault(1, format!("a file in {}/ is named with {rule}", file.kind.folder())))
}

fn check_header(file: &File<'_>, header: &Header, line: usize) -> Result<(), QueryError> {
    let detector = file.kind == Kind::Detector;
    if detector && (header.severity.is_none() || header.message.is_none()) {
        return Err(file.fault(line, "a detector has a `severity` and a `message`"));
    }
    let is_finding = header.severity.is_some() || header.message.is_some() || header.evidence.is_some();
    if !detector && (is_finding || !header.attack.is_empty()) {
        return Err(file.fault(line, "only a detector has `severity`, `attack`, `evidence` and `message`"));
    }
    if file.kind == Kind::View && !header.params.is_empty() {
        return Err(file.fault(line, "a view has no parameters"));
    }
    if header.title.trim().is_empty() || header.title.contains('\n') {
        return Err(file.fault(line, "`title` is one line of text"));
    }
    if let Some(technique) = header.attack.iter().find(|technique| !is_technique(technique)) {
        return Err(file.fault(line, format!("{technique:?} is no ATT&CK technique, such as T1485 or T1078.004")));
    }
    Ok(())
}

fn is_technique(text: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('T').is_some_and(|rest| match rest.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(rest, 4),
    })
}

fn check_param(name: &str, param: HeaderParam) -> Result<Param, String> {
    if !is_param_name(name) {
        return Err(format!("`{name}` is no parameter's name: lower-case letters, digits and `_`"));
    }
    let default = match param.default {
        None => None,
        Some(toml::Value::String(text)) => Some(text),
        Some(toml::Value::Integer(number)) => Some(number.to_string()),
        Some(toml::Value::Float(number)) => Some(number.to_string()),
        Some(toml::Value::Boolean(flag)) => Some(flag.to_string()),
        Some(_) => return Err(format!("the default of `{name}` is a text, a number or a boolean")),
    };
    if param.required && default.is_some() {
        return Err(format!("`{name}` is required, so its default is never used"));
    }
    if let Some(text) = &default {
        // Whether a default is well formed does not depend on the clock; any will do.
        let checked = param.kind.value(text, DateTime::<Utc>::UNIX_EPOCH);
        checked.map_err(|why| format!("the default of `{name}` must be {}: {why}", param.kind.describe()))?;
    }
    Ok(Param { name: name.to_owned(), kind: param.kind, default, required: param.required, doc: param.doc })
}

fn newlines_before(text: &str, end: usize) -> usize {
    text.get(..end).unwrap_or(text).matches('\n').count()
}

fn split(file: &File<'_>, text: &str) -> Result<Parts, QueryError> {
    let lines: Vec<&str> = text.lines().collect();
    let open = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    if lines.get(open).is_none_or(|line| line.trim_end() != FENCE) {
        return Err(file.fault(open + 1, format!("the file must begin with a header, between two lines `{FENCE}`")));
    }
    let length = lines[open + 1..].iter().position(|line| line.trim_end() == FENCE);
    let close =
        open + 1 + length.ok_or_else(|| file.fault(open + 1, format!("the header has no closing `{FENCE}`")))?;
    let mut header = String::new();
    for (at, line) in lines[open + 1..close].iter().enumerate() {
        let inner = uncomment(line).ok_or_else(|| file.fault(open + 2 + at, "a header's lines begin with `--`"))?;
        header.push_str(inner);
        header.push('\n');
    }

    let mut docs = Vec::new();
    let mut at = close + 1;
    while let Some(line) = lines.get(at) {
        let following = lines[at..].iter().find(|line| !line.trim().is_empty());
        match uncomment(line) {
            Some(inner) => docs.push(inner),
            // A blank line parts two sections, or the documentation from the statement and its own comments.
            None if line.trim().is_empty() && following.is_some_and(|line| line.starts_with("-- ## ")) => docs.push(""),
            None => break,
        }
        at += 1;
    }
    let sql = lines.get(at..).unwrap_or_default().join("\n");
    Ok(Parts {
        header: (open + 2, header),
        docs: docs.join("\n").trim().to_owned(),
        sql: (at + 1, sql.trim_end().trim_end_matches(';').to_owned()),
    })
}

/// A comment line without its dashes and the one space after them.
fn uncomment(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("--")?.trim_end();
    Some(inner.strip_prefix(' ').unwrap_or(inner))
}
