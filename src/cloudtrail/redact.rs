//! JSON text that may be stored: compact, and without session tokens.
//!
//! AssumeRole's answer logs the session token in full (facts §2.4). It is a secret: it must not reach the lake, a log
//! line or a report. [`redacted`] copies well-formed JSON through, member by member; [`redact_bytes`] masks what it
//! can in bytes that are kept because they are *not* well-formed.

use memchr::memmem;

use super::json::{Broken, Reader, scalar_text};

/// What stands in place of a secret.
pub const REDACTED: &str = "REDACTED";

/// Compact JSON with the value of every `sessionToken` member, at any depth and in any case, replaced.
///
/// # Errors
/// When `json` is not well-formed or nests deeper than a record may (127).
pub fn redacted(json: &str) -> Result<String, Broken> {
    let mut reader = Reader::new(json);
    let mut out = String::with_capacity(json.len());
    copy(&mut reader, &mut out, true)?;
    reader.end()?;
    Ok(out)
}

/// The next value as compact JSON, with everything in it.
///
/// # Errors
/// As [`redacted`].
pub fn compact(json: &mut Reader<'_>) -> Result<String, Broken> {
    let mut out = String::new();
    copy(json, &mut out, false)?;
    Ok(out)
}

fn is_secret(member: &str) -> bool {
    member.eq_ignore_ascii_case("sessionToken") || member.eq_ignore_ascii_case("secretAccessKey")
}

fn copy(json: &mut Reader<'_>, out: &mut String, redact: bool) -> Result<(), Broken> {
    match json.peek()? {
        b'"' => quote(out, &json.string()?),
        b'{' => {
            out.push('{');
            let start = out.len();
            json.members(|json, member| {
                separate(out, start);
                quote(out, &member);
                out.push(':');
                if redact && is_secret(&member) {
                    quote(out, REDACTED);
                    json.skip()
                } else {
                    copy(json, out, redact)
                }
            })?;
            out.push('}');
        }
        b'[' => {
            out.push('[');
            let start = out.len();
            json.elements(|json| {
                separate(out, start);
                copy(json, out, redact)
            })?;
            out.push(']');
        }
        _ => out.push_str(&scalar_text(json.scalar()?).unwrap_or("null".into())),
    }
    Ok(())
}

fn separate(out: &mut String, start: usize) {
    if out.len() > start {
        out.push(',');
    }
}

fn quote(out: &mut String, text: &str) {
    // Writing a string as JSON into memory has no way to fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
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
        assert_eq!(redacted("[ ]").unwrap(), "[]");
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
