//! Parameters: their types, and the values of one run.

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::scalar::ScalarValue;
use serde::Deserialize;

use super::error::near;
use super::{Query, QueryError};
use crate::instant;

/// One parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name, without the `$`.
    pub name: String,
    /// What values it takes.
    pub kind: ParamKind,
    /// The value when none is given, as a user would write it.
    pub default: Option<String>,
    /// Whether a run without it is refused.
    pub required: bool,
    /// What it means, in a few words.
    pub doc: String,
}

impl Param {
    /// Whether a text is a value of it, or what it takes.
    ///
    /// # Errors
    /// What it takes, and why the text is none.
    pub fn check(&self, text: &str, now: DateTime<Utc>) -> Result<(), String> {
        self.kind.value(text, now).map(drop).map_err(|why| format!("takes {}: {why}", self.kind.describe()))
    }
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// Any text.
    Text,
    /// An instant in any form of [`crate::instant`]; microseconds UTC in SQL.
    Timestamp,
    /// A whole number of 64 bits.
    Integer,
    /// How many days a detector looks back, an integer in SQL: what views tell of a run reaches as far.
    Days,
    /// The same in hours.
    Hours,
    /// The same in minutes.
    Minutes,
    /// A finite floating-point number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl ParamKind {
    /// The type's name in a header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ParamKind::Text => "text",
            ParamKind::Timestamp => "timestamp",
            ParamKind::Integer => "integer",
            ParamKind::Days => "days",
            ParamKind::Hours => "hours",
            ParamKind::Minutes => "minutes",
            ParamKind::Number => "number",
            ParamKind::Boolean => "boolean",
        }
    }

    /// What it takes, for a sentence that begins "takes".
    pub(super) fn describe(self) -> &'static str {
        match self {
            ParamKind::Text => "a text",
            ParamKind::Timestamp => "a time",
            ParamKind::Integer => "a whole number",
            ParamKind::Days => "a number of days",
            ParamKind::Hours => "a number of hours",
            ParamKind::Minutes => "a number of minutes",
            ParamKind::Number => "a number",
            ParamKind::Boolean => "true or false",
        }
    }

    /// The NULL of this type: a parameter that is not set.
    #[must_use]
    pub fn null(self) -> ScalarValue {
        match self {
            ParamKind::Text => ScalarValue::Utf8(None),
            ParamKind::Timestamp => ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
            ParamKind::Integer | ParamKind::Days | ParamKind::Hours | ParamKind::Minutes => ScalarValue::Int64(None),
            ParamKind::Number => ScalarValue::Float64(None),
            ParamKind::Boolean => ScalarValue::Boolean(None),
        }
    }

    /// How far back a detector with this value looks.
    #[must_use]
    pub fn reach(self, value: &ScalarValue) -> Option<TimeDelta> {
        let ScalarValue::Int64(Some(number)) = value else { return None };
        match self {
            ParamKind::Days => TimeDelta::try_days(*number),
            ParamKind::Hours => TimeDelta::try_hours(*number),
            ParamKind::Minutes => TimeDelta::try_minutes(*number),
            _ => None,
        }
    }

    /// A value of this type, or why the text is none.
    pub(super) fn value(self, text: &str, now: DateTime<Utc>) -> Result<ScalarValue, String> {
        let not = || format!("{text:?} is none");
        Ok(match self {
            ParamKind::Text => ScalarValue::Utf8(Some(text.to_owned())),
            ParamKind::Timestamp => {
                let at = instant::parse(text, now).map_err(|error| error.to_string())?;
                ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into()))
            }
            ParamKind::Integer => ScalarValue::Int64(Some(text.parse().map_err(|_| not())?)),
            ParamKind::Days | ParamKind::Hours | ParamKind::Minutes => {
                let number = text.parse::<u16>().map_err(|_| not())?;
                ScalarValue::Int64(Some(number.into()))
            }
            ParamKind::Number => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(not)?;
                ScalarValue::Float64(Some(number))
            }
            ParamKind::Boolean => ScalarValue::Boolean(Some(text.parse().map_err(|_| not())?)),
        })
    }
}

pub(super) fn bind(
    query: &Query,
    given: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<Vec<(String, ScalarValue)>, QueryError> {
    for (at, (name, _)) in given.iter().enumerate() {
        if !query.params.iter().any(|param| param.name == *name) {
            return Err(unknown(query, name));
        }
        if given[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(QueryError::RepeatedParam { query: query.name.clone(), name: name.clone() });
        }
    }
    let mut values = Vec::with_capacity(query.params.len());
    for param in &query.params {
        let given = given.iter().find(|(name, _)| *name == param.name).map(|(_, value)| value);
        let value = match given.or(param.default.as_ref()) {
            Some(text) => param.kind.value(text, now).map_err(|message| QueryError::BadValue {
                query: query.name.clone(),
                name: param.name.clone(),
                kind: param.kind,
                message,
            })?,
            None if param.required => {
                let (query, name, doc) = (query.name.clone(), param.name.clone(), param.doc.clone());
                return Err(QueryError::MissingParam { query, name, doc });
            }
            None => param.kind.null(),
        };
        if let ("limit", ScalarValue::Int64(Some(..0))) = (param.name.as_str(), &value) {
            let (query, name, kind) = (query.name.clone(), param.name.clone(), param.kind);
            return Err(QueryError::BadValue { query, name, kind, message: "a limit is not negative".to_owned() });
        }
        values.push((param.name.clone(), value));
    }
    let instant = |wanted: &str| values.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if let (
        Some(ScalarValue::TimestampMicrosecond(Some(since), _)),
        Some(ScalarValue::TimestampMicrosecond(Some(until), _)),
    ) = (instant("since"), instant("until"))
        && since >= until
    {
        return Err(QueryError::EmptyWindow { query: query.name.clone() });
    }
    Ok(values)
}

/// Offers the names like it; of a query with few parameters all of them, since then the list is the better help.
fn unknown(query: &Query, name: &str) -> QueryError {
    let names = || query.params.iter().map(|param| param.name.as_str());
    let mut offered = near(name, names());
    if offered.is_empty() && query.params.len() <= 3 {
        offered = names().map(str::to_owned).collect();
    }
    QueryError::UnknownParam { query: query.name.clone(), name: name.to_owned(), near: offered }
}
