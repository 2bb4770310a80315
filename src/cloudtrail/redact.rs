//! JSON text that may be stored: compact, and without session tokens.
//!
//! AssumeRole's answer logs the session token in full (facts §2.4). It is a secret: it must not reach the lake, a log
//! line or a report. [`redacted`] copies well-formed JSON through, member by member; [`redact_bytes`] masks what it
//! can in bytes that are kept because they are *not* well-formed.

use std::fmt::{self, Write as _};

use memchr::memmem;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// What stands in place of a secret.
pub const REDACTED: &str = "REDACTED";

/// Compact JSON with the value of every `sessionToken` member, at any depth and in any case, replaced.
///
/// # Errors
/// When `json` is not well-formed or nests deeper than `serde_json` reads (127).
pub fn redacted(json: &str) -> Result<String, serde_json::Error> {
    copy(json, true)
}

/// Compact JSON with everything in it.
///
/// # Errors
/// As [`redacted`].
pub fn compact(json: &str) -> Result<String, serde_json::Error> {
    copy(json, false)
}

fn copy(json: &str, redact: bool) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(json.len());
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Copy { out: &mut out, redact }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(out)
}

fn is_secret(member: &str) -> bool {
    member.eq_ignore_ascii_case("sessionToken") || member.eq_ignore_ascii_case("secretAccessKey")
}

struct Copy<'a> {
    out: &'a mut String,
    redact: bool,
}

impl Copy<'_> {
    fn text(&mut self, text: &str) {
        // Writing a string as JSON into memory has no way to fail.
        self.out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }

    fn number(self, number: impl fmt::Display) {
        // A `String` never refuses what is written to it.
        let _ = write!(self.out, "{number}");
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.number(number),
            None => self.out.push_str("null"),
        }
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.out.push('[');
        let start = self.out.len();
        loop {
            let before = self.out.len();
            if before > start {
                self.out.push(',');
            }
            if array.next_element_seed(Copy { out: self.out, redact: self.redact })?.is_none() {
                self.out.truncate(before);
                break;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        self.out.push('{');
        let start = self.out.len();
        while let Some(member) = object.next_key::<super::wire::Text<'de>>()? {
            let member = member.get().unwrap_or_default();
            if self.out.len() > start {
                self.out.push(',');
            }
            self.text(member);
            self.out.push(':');
            if self.redact && is_secret(member) {
                object.next_value::<serde::de::IgnoredAny>()?;
                self.text(REDACTED);
            } else {
                object.next_value_seed(Copy { out: self.out, redact: self.redact })?;
            }
        }
        self.out.push('}');
        Ok(())
    }
}

/// Names of secret members, in lower case: CloudTrail's, and those of other files that may lie in a folder of logs.
const SECRETS: [&[u8]; 6] =
    [b"sessiontoken", b"secretaccesskey", b"accesstoken", b"refreshtoken", b"clientsecret", b"password"];

/// Masks what follows the name of a secret in bytes that need not be JSON: from the name's colon to where a value ends,
/// which is a quote before a comma, a bracket or the end. Where a name is spelled with `\u` escapes, nothing is kept at
/// all: what cannot be read surely cannot be kept surely.
#[must_use]
pub fn redact_bytes(bytes: &[u8]) -> Vec<u8> {
    let lower = bytes.to_ascii_lowercase();
    let count = |text: &[u8]| SECRETS.iter().map(|name| memmem::find_iter(text, name).count()).sum::<usize>();
    if memmem::find(bytes, b"\\u00").is_some() && count(&unescaped(&lower)) > count(&lower) {
        return REDACTED.as_bytes().to_vec();
    }
    let mut names: Vec<usize> =
        SECRETS.iter().flat_map(|name| memmem::find_iter(&lower, name).map(|at| at + name.len())).collect();
    names.sort_unstable();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for name in names {
        // A name inside a value that is masked already is gone with it.
        if name < at {
            continue;
        }
        let Some(colon) = memchr::memchr(b':', &bytes[name..]) else { break };
        let value = name + colon + 1;
        kept.extend_from_slice(&bytes[at..value]);
        kept.extend_from_slice(REDACTED.as_bytes());
        at = value + value_end(&bytes[value..]);
    }
    kept.extend_from_slice(&bytes[at..]);
    kept
}

/// Where a value ends: behind the first quote that a comma, a bracket or nothing follows.
fn value_end(text: &[u8]) -> usize {
    let ends = |&quote: &usize| {
        let next = text[quote + 1..].iter().find(|byte| !byte.is_ascii_whitespace() && **byte != b'\\');
        next.is_none_or(|byte| b",}]".contains(byte))
    };
    memchr::memchr_iter(b'"', text).find(ends).map_or(text.len(), |quote| quote + 1)
}

/// The text with `\u00xx` escapes of ASCII characters resolved, in lower case.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(escape) = memmem::find(&text[at..], b"\\u00").map(|offset| at + offset) {
        out.extend_from_slice(&text[at..escape]);
        let digits = text.get(escape + 4..escape + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        out.extend(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(|byte| byte.to_ascii_lowercase()));
        at = (escape + 6).min(text.len());
    }
    out.extend_from_slice(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_at_any_depth_and_the_rest_stays_in_order() {
        let json = r#"{ "b": 1, "credentials": {"sessionToken": "s3cret", "accessKeyId":"ASIA"}, "a":[null,-2,1.5,"\u00e9",{}] }"#;
        assert_eq!(
            redacted(json).unwrap(),
            r#"{"b":1,"credentials":{"sessionToken":"REDACTED","accessKeyId":"ASIA"},"a":[null,-2,1.5,"é",{}]}"#
        );
        assert_eq!(redacted(r#"{"session\u0054oken":{"x":"s3cret"}}"#).unwrap(), r#"{"sessionToken":"REDACTED"}"#);
        assert!(redacted("{").is_err());
        assert_eq!(compact("[ ]").unwrap(), "[]");
    }

    #[test]
    fn tokens_go_from_broken_bytes_too() {
        let broken = br#"{"sessionToken": "s3\"cret","x":1,"SessionToken":"cut"#;
        assert_eq!(redact_bytes(broken), br#"{"sessionToken":REDACTED,"x":1,"SessionToken":REDACTED"#);
        for secret in [
            r#"{"SESSIONTOKEN":"s3cret"}"#,
            r#"{"session\u0054oken":"s3cret"}"#,
            r#"{"sessionToken":{"x":"s3cret"}}"#,
            r#"{"secretAccessKey":"s3cret","y":1}"#,
            r#""{\"sessionToken\":\"s3cret\"}""#,
            r#"{"a":"\u00e9","sessionToken":"s3,cret"#,
        ] {
            let kept = String::from_utf8(redact_bytes(secret.as_bytes())).unwrap();
            assert!(!kept.contains("cret\"") && !kept.contains("s3"), "{secret} kept as {kept}");
        }
        assert_eq!(redact_bytes(b"nothing here"), b"nothing here");
    }
}
