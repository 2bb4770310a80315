//! What a document says of whom it is about: a key or trail by its name, or nothing; and what the path of a file names.

use std::path::Path;

use crate::cloudtrail::arn::is_key_arn;

/// What a document says of whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A key, by its ARN.
    Key(String),
    /// A key, by its id.
    KeyId(String),
    /// A trail, by its ARN.
    Trail(String),
    /// Nothing: its path must.
    TheKeyOfItsPath,
    /// Nothing, likewise.
    TheTrailOfItsPath,
    /// All keys of an account and Region of which nothing of the kind is told otherwise.
    OthersOf { account: String, region: String },
    /// A key that something points to: there need not be one.
    Target(String),
}

impl About {
    /// A key that an entry names.
    ///
    /// # Errors
    /// When it is none.
    pub fn key(arn: String) -> Result<Self, String> {
        if is_key_arn(&arn) { Ok(Self::Key(arn)) } else { Err("`Arn` is not the ARN of a key".to_owned()) }
    }

    /// A key that an output names, by ARN or id.
    ///
    /// # Errors
    /// When it is a name of some other kind.
    pub fn told(key: String) -> Result<Self, String> {
        match key.strip_prefix("arn:") {
            Some(_) if is_key_arn(&key) => Ok(Self::Key(key)),
            None if is_id(&key) => Ok(Self::KeyId(key)),
            _ => Err(format!("`KeyId` is neither the ARN nor the id of a key: {key}")),
        }
    }

    /// A key that an alias points to.
    ///
    /// # Errors
    /// When it is a name of some other kind.
    pub fn target(key: String) -> Result<Self, String> {
        if is_key_arn(&key) { Ok(Self::Target(key)) } else { Self::told(key) }
    }
}

/// Whether a path names a Region.
pub(super) fn names_region(file: &Path, region: &str) -> bool {
    names(file, region)
}

/// Whether a path has a name in it, as a word of its own.
pub(super) fn names(file: &Path, name: &str) -> bool {
    let is_apart = |character: Option<char>| character.is_none_or(|character| !character.is_ascii_alphanumeric());
    file.components().filter_map(|part| part.as_os_str().to_str()).any(|part| {
        part.match_indices(name)
            .any(|(at, _)| is_apart(part[..at].chars().next_back()) && is_apart(part[at + name.len()..].chars().next()))
    })
}

/// Whether a text is a key's id: a UUID, or that of a multi-Region key.
pub(super) fn is_id(text: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    if let Some(rest) = text.strip_prefix("mrk-") {
        return is_hex(rest, 32);
    }
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| is_hex(part, length))
}
