//! JSON text that may be stored: compact, and without session tokens.
//!
//! AssumeRole's answer logs the session token in full (facts §2.4). It is a secret: it must not reach the lake, a log
//! line or a report. [`redacted`] copies well-formed JSON through, member by member; [`redact_bytes`] masks what it
//! can in bytes that are kept because they are *not* well-formed.

use std::fmt::{self, Write as _};

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

/// Masks the text after each `sessionToken` in bytes that need not be JSON: from the next quote after the name's colon
/// to the quote that ends it, or to the end. The token's own length is not kept.
#[must_use]
pub fn redact_bytes(bytes: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"essionToken\"";
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, NAME) {
        let after = at + NAME.len();
        kept.extend_from_slice(&rest[..after]);
        rest = &rest[after..];
        let Some(open) = memchr::memchr(b'"', rest) else { continue };
        kept.extend_from_slice(&rest[..=open]);
        kept.extend_from_slice(REDACTED.as_bytes());
        rest = &rest[open + 1..];
        let end = closing_quote(rest).unwrap_or(rest.len());
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    kept
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|&at| text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0)
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
        assert_eq!(redact_bytes(broken), br#"{"sessionToken": "REDACTED","x":1,"SessionToken":"REDACTED"#);
        assert_eq!(redact_bytes(b"nothing here"), b"nothing here");
    }
}
