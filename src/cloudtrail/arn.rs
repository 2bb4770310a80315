//! ARNs, and the parts of them that keytrail asks for.

use std::borrow::Cow;

use super::columns::Text;

/// Whether a text is the ARN of a key (and not of an alias).
#[must_use]
pub fn is_key_arn(text: &str) -> bool {
    text.starts_with("arn:") && key_id(text).is_some()
}

/// Number of an ARN's last field, the resource, which may hold colons itself.
const LAST_FIELD: usize = 5;

/// The fields of an ARN that keytrail asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a>(&'a str);

impl<'a> Arn<'a> {
    /// Reads a text as an ARN, if it begins like one.
    #[must_use]
    pub fn new(text: &'a str) -> Option<Self> {
        text.starts_with("arn:").then_some(Self(text))
    }

    /// One of the colon-separated fields: 1 partition, 2 service, 3 Region, 4 account, 5 the rest; null when empty.
    #[must_use]
    pub fn field(self, index: usize) -> Option<&'a str> {
        let mut from = 0;
        let mut colons = memchr::memchr_iter(b':', self.0.as_bytes());
        for _ in 0..index {
            from = colons.next()? + 1;
        }
        let to = if index == LAST_FIELD { None } else { colons.next() };
        Some(&self.0[from..to.unwrap_or(self.0.len())]).filter(|field| !field.is_empty())
    }

    /// The partition, such as `aws`.
    #[must_use]
    pub fn partition(self) -> Option<&'a str> {
        self.field(1)
    }

    /// The service, such as `kms`.
    #[must_use]
    pub fn service(self) -> Option<&'a str> {
        self.field(2)
    }

    /// The Region.
    #[must_use]
    pub fn region(self) -> Option<&'a str> {
        self.field(3)
    }

    /// What stands behind the account: the resource, colons and slashes included.
    #[must_use]
    pub fn resource(self) -> Option<&'a str> {
        self.field(LAST_FIELD)
    }

    /// The account.
    #[must_use]
    pub fn account(self) -> Option<&'a str> {
        self.field(4)
    }
}

/// Key id of a key ARN: what stands behind `:key/`.
#[must_use]
pub fn key_id(key_arn: &str) -> Option<&str> {
    // A slash is rare in an ARN: looking for it first is quicker than searching for the whole word.
    let mut slashes = memchr::memchr_iter(b'/', key_arn.as_bytes());
    slashes.find(|&slash| key_arn.as_bytes()[..slash].ends_with(b":key")).map(|slash| &key_arn[slash + 1..])
}

/// A part of a text, borrowed from the record where the text is.
#[must_use]
pub fn part<'a>(text: &Cow<'a, str>, of: impl for<'t> Fn(&'t str) -> Option<&'t str>) -> Text<'a> {
    match text {
        Cow::Borrowed(text) => of(text).map(Cow::Borrowed),
        Cow::Owned(text) => of(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

/// The partition that a Region belongs to.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
