//! What a statement's tokens give away without planning it: its parameters, its words, and whether it reads a clock.
//!
//! The tokens are those of `DataFusion`'s own parser, so that a `$name` inside a string or a comment is none.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Functions whose value is the time of the run. A query must give the same rows for the same lake and parameters.
const CLOCKS: [&str; 7] =
    ["now", "today", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// The tokens of one statement, digested.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Each parameter, without its `$`, and the line of its first use, from 1.
    pub params: BTreeMap<String, usize>,
    /// Each word, in lower case.
    pub words: BTreeSet<String>,
}

/// A fault and its line within the statement, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ScanError {
    pub line: usize,
    pub message: String,
}

pub(super) fn scan(sql: &str) -> Result<Scan, ScanError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| ScanError { line: line(error.location.line), message: error.message })?;
    let tokens: Vec<_> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut scan = Scan::default();
    for (at, token) in tokens.iter().enumerate() {
        let fault = |message: String| Err(ScanError { line: line(token.span.start.line), message });
        let next = tokens.get(at + 1).map(|token| &token.token);
        match &token.token {
            Token::Placeholder(name) => match name.strip_prefix('$') {
                Some(name) if is_param_name(name) => {
                    scan.params.entry(name.to_owned()).or_insert_with(|| line(token.span.start.line));
                }
                _ => return fault(format!("`{name}` is no parameter; write `$name`")),
            },
            Token::Word(word) => {
                let lower = word.value.to_lowercase();
                let called = lower != "now" && lower != "today" || next == Some(&Token::LParen);
                if word.quote_style.is_none() && called && CLOCKS.contains(&lower.as_str()) {
                    return fault(format!("`{lower}` reads the clock; declare a timestamp parameter instead"));
                }
                scan.words.insert(lower);
            }
            Token::SemiColon if next.is_some() => return fault("only one statement is allowed".to_owned()),
            _ => {}
        }
    }
    if tokens.iter().all(|token| token.token == Token::SemiColon) {
        return Err(ScanError { line: 1, message: "the file has no statement".to_owned() });
    }
    Ok(scan)
}

/// Whether a parameter can have this name: lower case, digits and `_`, beginning with a letter.
pub(super) fn is_param_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn line(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_where_the_parser_finds_them() {
        let found = scan("TABLE \"$no\" -- $no\nWHERE a = '$no' /* $no */ AND b > $since AND c = $key_arn;").unwrap();
        assert_eq!(found.params.into_iter().collect::<Vec<_>>(), [("key_arn".to_owned(), 2), ("since".to_owned(), 2)]);
        assert!(found.words.contains("table") && !found.words.contains("since"));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (sql, line, message) in [
            ("TABLE a\nWHERE t > now()", 2, "`now` reads the clock; declare a timestamp parameter instead"),
            (
                "TABLE a\nWHERE t > CURRENT_TIMESTAMP",
                2,
                "`current_timestamp` reads the clock; declare a timestamp parameter instead",
            ),
            ("TABLE a;\n\nTABLE b", 1, "only one statement is allowed"),
            ("TABLE a WHERE b = $1", 1, "`$1` is no parameter; write `$name`"),
            ("TABLE a WHERE b = ?", 1, "`?` is no parameter; write `$name`"),
            ("-- nothing\n", 1, "the file has no statement"),
            ("TABLE a\nWHERE b = 'open", 2, "Unterminated string literal"),
        ] {
            assert_eq!(scan(sql), Err(ScanError { line, message: message.to_owned() }), "{sql}");
        }
        assert!(scan("TABLE a WHERE now > today").is_ok(), "a column may have the name");
    }
}
