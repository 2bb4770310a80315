//! `.sql` files as values: a header that says what a query is, its documentation, its parameters and its text.
//!
//! ```text
//! queries/<kind>/<name>.sql ── parse ──► Query ─┬─ sql ────────────────────────┐
//!                                               └─ bind(given, now) ─► values ─┴─► the engine
//! ```
//!
//! A value given by a user is bound beside the text and never written into it, and a query reads no clock: both would
//! make an answer depend on something that is not in its record. Nothing here runs a query; that is the engine's work.

use std::collections::BTreeSet;
use std::path::PathBuf;

mod catalog;
mod error;
mod header;
mod param;
mod scan;

#[cfg(test)]
mod tests;

pub use catalog::{Broken, Catalog};
pub use error::QueryError;
pub use header::{Evidence, Need, Severity};
pub use param::{Param, ParamKind};

use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;

/// What a query is for, which is the folder that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Part of the vocabulary: a named relation that other queries read. It has no parameters.
    View,
    /// What users ask: one question with an answer in rows.
    Question,
    /// What only keytrail's own code asks. It is not listed, but can be run by its name, to see what a command is based on.
    Internal,
    /// One detector, whose rows are findings.
    Detector,
}

impl Kind {
    /// All kinds, views first.
    pub const ALL: [Kind; 4] = [Kind::View, Kind::Question, Kind::Internal, Kind::Detector];

    /// The folder under `queries/`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Kind::View => "views",
            Kind::Question => "questions",
            Kind::Internal => "internal",
            Kind::Detector => "detectors",
        }
    }
}

/// One `.sql` file.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The file's stem; for a view also the name of the relation.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// One line that says what it answers.
    pub title: String,
    /// How bad a finding is, unless its row says otherwise. Detectors only, and always there.
    pub severity: Option<Severity>,
    /// MITRE ATT&CK techniques, such as `T1485`. Detectors only.
    pub attack: Vec<String>,
    /// What the lake must hold besides events for the answer to mean anything.
    pub needs: Vec<Need>,
    /// Where the ids of events come from that the rows leave out. Detectors only.
    pub evidence: Option<Evidence>,
    /// A finding in one sentence, with columns in braces: `{principal} scheduled {key_arn} for deletion`. Detectors
    /// only, and always there.
    pub message: Option<String>,
    /// Its parameters, in the order of the header.
    pub params: Vec<Param>,
    /// The documentation as Markdown, `## ` sections; empty when the file has none.
    pub docs: String,
    /// The statement, with `$name` where a parameter goes.
    pub sql: String,
    /// The file's line on which the statement begins, from 1.
    pub sql_line: usize,
    /// The file, of a query of the user's own; none of a shipped one.
    pub path: Option<PathBuf>,
    /// Every plain word of the statement in lower case, from which the catalog learns which views it reads.
    words: BTreeSet<String>,
}

impl Query {
    /// Reads one file.
    ///
    /// ```
    /// use keytrail::query::{Kind, Query};
    /// let text = "-- ---\n-- title = \"Keys seen\"\n-- params.region = { type = \"text\", doc = \"only there\" }\n-- ---\n\
    ///             -- ## What it answers\n-- Which keys the lake has seen.\n\
    ///             TABLE keys WHERE region = $region";
    /// let query = Query::parse("keys-seen", Kind::Question, text).unwrap();
    /// assert_eq!(query.docs, "## What it answers\nWhich keys the lake has seen.");
    /// assert_eq!(query.params[0].name, "region");
    /// ```
    ///
    /// # Errors
    /// Names the file, the line and the fault: a header that is not TOML or has an unknown field, a parameter that is
    /// declared and not used or used and not declared, a text that does not tokenize, or one that reads the clock.
    pub fn parse(name: &str, kind: Kind, text: &str) -> Result<Query, QueryError> {
        header::parse(name, kind, text)
    }

    /// Its file, and a line of it: that of the statement's line, or where the statement begins.
    ///
    /// ```
    /// use keytrail::query::{Kind, Query};
    /// let query = Query::parse("mine", Kind::Question, "-- ---\n-- title = \"Mine\"\n-- ---\nTABLE\nkeys").unwrap();
    /// assert_eq!(query.place(Some(2)), "questions/mine.sql:5");
    /// ```
    #[must_use]
    pub fn place(&self, line: Option<usize>) -> String {
        let shipped = || format!("{}/{}.sql", self.kind.folder(), self.name);
        let file = self.path.as_ref().map_or_else(shipped, |path| path.display().to_string());
        format!("{file}:{}", self.sql_line + line.unwrap_or(1).saturating_sub(1))
    }

    /// The values for one run, in the order of [`params`](Query::params), ready for the engine to bind.
    ///
    /// Each parameter has exactly one value: the one given, else its default, else a NULL of its type. Relative times
    /// count from `now`.
    ///
    /// # Errors
    /// A name that the query does not have or that is given twice, a required parameter without a value, or a value
    /// that is not of its parameter's type.
    pub fn bind(
        &self,
        given: &[(String, String)],
        now: DateTime<Utc>,
    ) -> Result<Vec<(String, ScalarValue)>, QueryError> {
        param::bind(self, given, now)
    }
}
