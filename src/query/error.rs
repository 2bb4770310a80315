//! What can be wrong with a query file, or with what a user asked of it.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use thiserror::Error;

use super::ParamKind;

/// A fault in a query file, or in the request to run it.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The file does not say what it must, or not in the way it must.
    #[error("{file}:{line}: {message}")]
    File {
        /// The file, as `<folder>/<name>.sql`.
        file: String,
        /// Line of the fault, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// No query has this name.
    #[error("no query is named `{name}`{}", suggestion(.near))]
    UnknownQuery {
        /// The name asked for.
        name: String,
        /// Names that look like it, the likeliest first.
        near: Vec<String>,
    },
    /// The query has no such parameter.
    #[error("`{query}` has no parameter `{name}`{}", suggestion(.near))]
    UnknownParam {
        /// The query.
        query: String,
        /// The name given.
        name: String,
        /// Names that look like it, or else all that it has.
        near: Vec<String>,
    },
    /// One parameter has two values.
    #[error("`{query}`: parameter `{name}` is given twice")]
    RepeatedParam {
        /// The query.
        query: String,
        /// The parameter.
        name: String,
    },
    /// The window is empty.
    #[error("`{query}`: `since` is not before `until`, so no event can be in between")]
    EmptyWindow {
        /// The query.
        query: String,
    },
    /// A required parameter has no value.
    #[error("`{query}` needs the parameter `{name}`: {doc}")]
    MissingParam {
        /// The query.
        query: String,
        /// The parameter.
        name: String,
        /// What the parameter means.
        doc: String,
    },
    /// A value is not of its parameter's type.
    #[error("`{query}`: parameter `{name}` takes {}: {message}", .kind.describe())]
    BadValue {
        /// The query.
        query: String,
        /// The parameter.
        name: String,
        /// The type that it has.
        kind: ParamKind,
        /// Why the value is not of that type.
        message: String,
    },
    /// The file of this name is none that can be used.
    #[error("{why}")]
    Broken {
        /// File, line and fault.
        why: String,
    },
    /// Two files define one name.
    #[error("{file}: the name `{name}` is taken already; choose another file name")]
    Duplicate {
        /// The later file.
        file: String,
        /// The name.
        name: String,
    },
    /// Views that read each other.
    #[error("these views read each other in a circle: {}", .views.join(", "))]
    Circle {
        /// The views that have no order.
        views: Vec<String>,
    },
    /// A user's queries are in a folder that has another name by now.
    #[error("queries in {} are not read any more", .path.display())]
    Renamed {
        /// The folder.
        path: PathBuf,
        /// What it is called now.
        folder: &'static str,
    },
    /// A folder or file of queries that cannot be read.
    #[error("cannot read queries from {}", .path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// How alike two names must be, of 1, to be offered as "did you mean": one slip in four letters, or two in eight.
const SIMILARITY_MIN: f64 = 0.6;

/// At most this many names are offered.
const NEAR_MAX: usize = 3;

/// The names most like `name`, likeliest first; one that contains the other counts as like it.
pub(super) fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|candidate| {
            let contained = name.len() >= 3 && (candidate.contains(name) || name.contains(candidate));
            let score = normalized_levenshtein(name, candidate);
            (if contained { score.max(SIMILARITY_MIN) } else { score }, candidate)
        })
        .filter(|(score, _)| *score >= SIMILARITY_MIN)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(NEAR_MAX).map(|(_, candidate)| candidate.to_owned()).collect()
}

fn suggestion(near: &[String]) -> String {
    let mut text = String::new();
    for (at, name) in near.iter().enumerate() {
        let lead = if at == 0 { "; did you mean " } else { " or " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{lead}`{name}`");
    }
    if !near.is_empty() {
        text.push('?');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["who", "who-by-asset", "timeline", "principal-usage", "key-usage"];
        assert_eq!(near("timelin", known.into_iter()), ["timeline"]);
        assert_eq!(near("usage", known.into_iter()), ["key-usage", "principal-usage"]);
        assert_eq!(near("xyzzy", known.into_iter()), [""; 0]);
        assert_eq!(suggestion(&["a".into(), "b".into()]), "; did you mean `a` or `b`?");
    }
}
