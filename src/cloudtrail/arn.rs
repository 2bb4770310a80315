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

/// The partition that a Region belongs to, by the names that AWS gives to the Regions of each (botocore's `endpoints`
/// and `partitions` data). A Region that no rule knows is taken for one of `aws`.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    let mut names = region.split('-');
    match (names.next().unwrap_or_default(), names.next().unwrap_or_default()) {
        ("cn", _) => "aws-cn",
        ("eusc", _) => "aws-eusc",
        (_, "gov") => "aws-us-gov",
        (_, "iso") => "aws-iso",
        (_, "isob") => "aws-iso-b",
        (_, "isoe") => "aws-iso-e",
        (_, "isof") => "aws-iso-f",
        _ => "aws",
    }
}

/// The partition of a record: that of the first of its own ARNs, which AWS wrote, else of the Region that it is from.
/// A partition that is younger than this table is so told right wherever a record has any ARN.
#[must_use]
pub fn partition_of<'t>(arns: &[Option<&'t str>], region: &'t str) -> &'t str {
    let of_arn = arns.iter().flatten().find_map(|arn| Arn::new(arn)?.partition());
    of_arn.unwrap_or_else(|| partition(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_is_of_its_partition() {
        for (region, wanted) in [
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("il-central-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-northwest-1", "aws-cn"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
            ("", "aws"),
        ] {
            assert_eq!(partition(region), wanted, "{region}");
        }
    }

    #[test]
    fn an_arn_of_the_record_comes_before_its_region() {
        let role = Some("arn:aws-new:iam::111122223333:role/app");
        assert_eq!(partition_of(&[None, Some("AROAEXAMPLE"), Some("arn::x"), role], "xx-new-east-1"), "aws-new");
        assert_eq!(partition_of(&[None], "us-iso-east-1"), "aws-iso");
    }
}
