//! JSON as the reference reads it: a plain tree, with what the contract says about values as methods.
//!
//! It is [`serde_json::Value`] with two differences that the contract asks for: half a character is replaced rather than
//! refused, and nesting is bounded by a count made here rather than by the parser's own stack guard. It borrows nothing
//! and is slow.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// Deepest nesting of a record that is read; the record's own braces are the first level.
const DEPTH_MAX: usize = 127;

/// A JSON value. Of duplicate keys in an object the last is here.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// A number, as the record spells it.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads one JSON text. Nothing when it is not JSON, or is nested too deeply.
    pub fn read(text: &str) -> Option<Json> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        if depth(raw.get()) > DEPTH_MAX {
            return None;
        }
        let whole = with_whole_characters(text);
        Self::of(serde_json::from_str(&whole).ok()?)
    }

    fn of(raw: &RawValue) -> Option<Json> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'{' => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                Json::Object(members.into_iter().map(|(key, raw)| Some((key, Self::of(raw)?))).collect::<Option<_>>()?)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Json::List(items.into_iter().map(Self::of).collect::<Option<_>>()?)
            }
            b'"' => Json::Text(serde_json::from_str(text).ok()?),
            b't' | b'f' => Json::Bool(text == "true"),
            b'n' => Json::Null,
            _ => Json::Number(text.to_owned()),
        })
    }

    /// The value at a dotted path of member names; null where there is none.
    pub fn at(&self, path: &str) -> &Json {
        let mut here = self;
        for name in path.split('.') {
            here = match here {
                Json::Object(members) => members.get(name).unwrap_or(&Json::Null),
                _ => &Json::Null,
            };
        }
        here
    }

    /// The items of an array; none for anything else.
    pub fn items(&self) -> &[Json] {
        if let Json::List(items) = self { items } else { &[] }
    }

    /// "Text": a string is itself, numbers and booleans are the JSON text of their value, anything else is absent.
    pub fn text(&self) -> Option<String> {
        match self {
            Json::Text(text) => Some(text.clone()),
            Json::Number(spelling) => Some(respelled(spelling)),
            Json::Bool(flag) => Some(flag.to_string()),
            Json::Null | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// Text, for the fields where an empty string counts as absent.
    pub fn filled_text(&self) -> Option<String> {
        self.text().filter(|text| !text.is_empty())
    }

    /// A boolean, or a string that spells one.
    pub fn flag(&self) -> Option<bool> {
        match self {
            Json::Bool(flag) => Some(*flag),
            Json::Text(text) if text == "true" => Some(true),
            Json::Text(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    /// JSON text without whitespace, its keys in order.
    pub fn compact(&self) -> String {
        match self {
            Json::Null => "null".to_owned(),
            Json::Bool(flag) => flag.to_string(),
            Json::Number(spelling) => respelled(spelling),
            Json::Text(text) => quoted(text),
            Json::List(items) => format!("[{}]", items.iter().map(Json::compact).collect::<Vec<_>>().join(",")),
            Json::Object(members) => {
                let members = members.iter().map(|(key, value)| format!("{}:{}", quoted(key), value.compact()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The same value as `serde_json` knows it. A number out of its range becomes the string of its spelling.
    pub fn to_value(&self) -> Value {
        match self {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            Json::Text(text) => Value::String(text.clone()),
            Json::List(items) => Value::Array(items.iter().map(Json::to_value).collect()),
            Json::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.to_value())).collect())
            }
        }
    }
}

/// The JSON text of a number's value: 1.50 is 1.5, and 1e2 is 100.0.
fn respelled(spelling: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(spelling).ok();
    parsed.map_or_else(|| spelling.to_owned(), |number| number.to_string())
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The same JSON with U+FFFD for every escape that spells half a character and has no other half.
fn with_whole_characters(text: &str) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        whole.push_str(&rest[..backslash]);
        rest = &rest[backslash..];
        let (escape, units) = match (unit(rest), rest.get(6..).and_then(unit)) {
            (None, _) => (2, &rest[..2]),
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, &rest[..12]),
            (Some(0xD800..=0xDFFF), _) => (6, "\\uFFFD"),
            (Some(_), _) => (6, &rest[..6]),
        };
        whole.push_str(units);
        rest = &rest[escape..];
    }
    whole + rest
}

/// The UTF-16 unit that a text begins with the escape of.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// How many brackets are open at once, at most, in a text that is known to be JSON.
pub fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open += 1,
            b'}' | b']' if !in_string => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

#[test]
fn numbers_have_one_spelling_and_the_last_duplicate_wins() {
    let json = Json::read(r#" {"a":1,"b":{"c":[1.50,2e3]},"\u0061":-0} "#).unwrap();
    assert_eq!(json.at("a").text().as_deref(), Some("-0.0"));
    assert_eq!(json.at("b.c").compact(), "[1.5,2000.0]");
    assert_eq!(json.at("b.c.d"), &Json::Null);
}

#[test]
fn nesting_is_read_to_its_bound_and_no_further() {
    let nested = |levels: usize| format!("{}\"[{{\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Json::read(&nested(DEPTH_MAX)).is_some());
    assert!(Json::read(&nested(DEPTH_MAX + 1)).is_none());
    assert!(Json::read("{\"a\":1}}").is_none());
}

#[test]
fn half_a_character_is_replaced_and_a_whole_one_is_not() {
    let json = Json::read(r#"["\ud83d\ude00", "a\ud83dA\uDE00", "\\ud83d", "\ud83d\u0041\"", "é\n"]"#).unwrap();
    let texts: Vec<String> = json.items().iter().filter_map(Json::text).collect();
    assert_eq!(texts, ["😀", "a\u{fffd}A\u{fffd}", "\\ud83d", "\u{fffd}A\"", "é\n"]);
}
