//! `file://` addresses: a path percent-encoded exactly once, and the path back from it.
//!
//! ```text
//! /logs/team#1 ── file ──► file:///logs/team%231 ── path ──► /logs/team#1
//! ```
//!
//! A general reader of URLs would answer with another path: it cuts at `#` and `?`, reads `\` as a slash, drops tabs and
//! line breaks, and takes `|` behind a letter for a drive's colon. Here every byte of a name is kept, and what cannot be one
//! path is refused.

use std::path::{Path, PathBuf};

use thiserror::Error;
use url::Url;

/// Why an address names no path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It does not begin with `file://`.
    #[error("it does not begin with file://")]
    Scheme,
    /// There is something between the second and the third slash.
    #[error("{0:?} stands where a host would: a path behind file:// begins with a slash")]
    Host(String),
    /// In a URL this character begins another part.
    #[error("write {0} as %{code:02X} in a file:// address, or give the path without file://", code = u32::from(*.0))]
    Bare(char),
    /// A percent sign without two hexadecimal digits, or one that stands for a slash or for nothing.
    #[error("%{0} stands for no character of a name; write a percent sign as %25, or give the path without file://")]
    Escape(String),
    /// The bytes are no name on this system.
    #[error("its bytes are no name of a file here")]
    Bytes,
}

/// The address of an absolute path; nothing for one that is relative.
///
/// ```
/// use std::path::Path;
/// assert_eq!(keytrail::address::file(Path::new("/logs/100%/a b")).unwrap(), "file:///logs/100%25/a%20b");
/// ```
#[must_use]
pub fn file(path: &Path) -> Option<String> {
    Url::from_file_path(path).ok().map(String::from)
}

/// The path that a `file://` address names.
///
/// # Errors
/// When it names none, or could be meant as more than one.
///
/// ```
/// use std::path::Path;
/// assert_eq!(keytrail::address::path("file:///logs/100%25/a%20b").unwrap(), Path::new("/logs/100%/a b"));
/// assert!(keytrail::address::path("file:///logs/tenant#1").is_err());
/// ```
pub fn path(uri: &str) -> Result<PathBuf, AddressError> {
    let rest = uri.strip_prefix("file://").ok_or(AddressError::Scheme)?;
    let (host, names) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !matches!(host, "" | "localhost") || names.is_empty() {
        return Err(AddressError::Host(host.to_owned()));
    }
    if let Some(bare) = names.chars().find(|found| matches!(found, '#' | '?')) {
        return Err(AddressError::Bare(bare));
    }
    native(decoded(names)?)
}

/// Every `%XX` once as the byte that it stands for.
fn decoded(text: &str) -> Result<Vec<u8>, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        // No name has a slash or a zero in it.
        let Some(byte) = byte.filter(|byte| !matches!(byte, 0 | b'/')) else {
            return Err(AddressError::Escape(part.chars().take(2).collect()));
        };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere not all bytes are a name")]
fn native(bytes: Vec<u8>) -> Result<PathBuf, AddressError> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn native(bytes: Vec<u8>) -> Result<PathBuf, AddressError> {
    let path = String::from_utf8(bytes).map_err(|_| AddressError::Bytes)?;
    // `/C:/logs` is `C:/logs`.
    let drive = path.strip_prefix('/').filter(|path| path.as_bytes().get(1) == Some(&b':'));
    Ok(drive.unwrap_or(&path).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_be_meant_otherwise_is_refused() {
        for (uri, why) in [
            ("/logs", AddressError::Scheme),
            ("file://logs/x", AddressError::Host("logs".to_owned())),
            ("file://", AddressError::Host(String::new())),
            ("file:///logs/tenant#1", AddressError::Bare('#')),
            ("file:///logs/a?b", AddressError::Bare('?')),
            ("file:///logs/100%", AddressError::Escape(String::new())),
            ("file:///logs/100%/a", AddressError::Escape("/a".to_owned())),
            ("file:///logs/a%2Fb", AddressError::Escape("2F".to_owned())),
            ("file:///logs/a%00", AddressError::Escape("00".to_owned())),
            ("file:///logs/%+1", AddressError::Escape("+1".to_owned())),
        ] {
            assert_eq!(path(uri), Err(why), "{uri}");
        }
        assert_eq!(
            AddressError::Bare('#').to_string(),
            "write # as %23 in a file:// address, or give the path without file://"
        );
    }

    #[test]
    fn every_character_is_taken_for_itself() {
        for (uri, name) in [
            ("file:///a\\b", "/a\\b"),
            ("file:///a\nb\t", "/a\nb\t"),
            ("file:///c|/x", "/c|/x"),
            ("file://localhost/a", "/a"),
            ("file:///a%2523", "/a%23"),
            ("file:///%C3%A4 b", "/ä b"),
        ] {
            assert_eq!(path(uri).unwrap(), Path::new(name), "{uri:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_comes_back_from_its_address(names in prop::collection::vec("[^/\0]{1,12}", 1..4)) {
            prop_assume!(names.iter().all(|name| name != "."));
            let whole = PathBuf::from(format!("/{}", names.join("/")));
            let uri = file(&whole).unwrap();
            prop_assert!(uri.is_ascii());
            prop_assert_eq!(path(&uri).unwrap(), whole);
        }
    }
}
