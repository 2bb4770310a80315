//! Where digests and logs lie, as the verification sees it: a few questions that any kind of storage can answer.
//!
//! ```text
//! places (prefix × account × Region) ─► days of delivery ─► objects of a day ─► bytes, signature
//! ```

use std::io;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;

use super::EvidenceError;
use crate::address;
use crate::source::{Kind, ObjectName, ObjectRef};

/// The largest object that is read, as it is stored: several times what CloudTrail delivers (facts §1.1), and little enough
/// that a few of them at once do no harm. Whoever may write to an archive chooses what lies in it.
pub const STORED_BYTES_MAX: u64 = 256 << 20;

/// One account and Region below one prefix: what CloudTrail keeps apart by folders (facts §1.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What stands before the account in its paths, such as `org-trail/AWSLogs/o-abc`; empty at the top.
    pub prefix: String,
    /// The account.
    pub account_id: String,
    /// The Region.
    pub region: String,
}

/// The signature that S3 keeps beside a digest, in its object's metadata (facts §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSignature {
    /// `x-amz-meta-signature`: hexadecimal digits.
    pub signature: String,
    /// `x-amz-meta-signature-algorithm`, such as `SHA256withRSA`.
    pub algorithm: Option<String>,
    /// `x-amz-meta-backfill-generation-timestamp`: when a backfill digest was made, which says under which keys to look.
    pub backfill_generated_at: Option<String>,
}

/// The bytes of an object, and which version of it they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// As they are stored.
    pub bytes: Bytes,
    /// As the ledger of ingest has it.
    pub version_tag: String,
}

/// Refuses a size as stored that is above a bound.
///
/// # Errors
/// When it is.
pub(super) fn bounded(size: u64, max: u64) -> io::Result<()> {
    if size <= max {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {size} bytes, and at most {max} are read")))
}

/// A storage of digests and logs. Every answer is in a steady order; nothing is ever written.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Every place that has digests or logs, in order. Those of other accounts and Regions than the named ones may be
    /// left out; an empty list stands for all.
    async fn places(&self, accounts: &[String], regions: &[String]) -> Result<Vec<Place>, EvidenceError>;

    /// The days of delivery for which a place has objects of this kind ([`Kind::Digest`] or [`Kind::CloudTrail`]), in
    /// order. Days without any may be among them.
    async fn days(&self, place: &Place, kind: Kind) -> Result<Vec<NaiveDate>, EvidenceError>;

    /// The objects of a day, in the order of their names; `uri` and `version_tag` as the ledger of ingest has them.
    async fn list(&self, place: &Place, kind: Kind, day: NaiveDate) -> Result<Vec<ObjectRef>, EvidenceError>;

    /// The bytes of an object as they are now, at most [`STORED_BYTES_MAX`] of them: it may have changed since it was
    /// listed.
    async fn read(&self, object: &ObjectRef) -> io::Result<Fetched>;

    /// The signature that was stored with a digest, where the storage has kept it.
    async fn signature(&self, digest: &ObjectRef) -> io::Result<Option<StoredSignature>>;

    /// Whether an object lies where AWS says that it put it.
    fn is_at(&self, object: &ObjectRef, bucket: Option<&str>, key: &str) -> bool;
}

/// Where an object belongs, by its path below the archive's top: place, kind and day of delivery. The folders count, as
/// for CloudTrail itself; the name only where there are none.
#[must_use]
pub fn shelved(path: &str, name: &ObjectName) -> Option<(Place, Kind, NaiveDate)> {
    let parts: Vec<&str> = path.split('/').collect();
    let folders = &parts[..parts.len().saturating_sub(1)];
    if let [rest @ .., account, kind, region, year, month, day] = folders
        && is_account(account)
        && let Some(kind) = log_or_digest(kind)
        && let Some(day) = date(year, month, day)
    {
        let place = Place { prefix: rest.join("/"), account_id: (*account).to_owned(), region: (*region).to_owned() };
        return Some((place, kind, day));
    }
    let kind = Some(name.kind).filter(|kind| matches!(kind, Kind::CloudTrail | Kind::Digest))?;
    let (account, region) = (name.account_id.clone()?, name.region.clone()?);
    let prefix = folders_above(folders, &account, &region, kind).join("/");
    Some((Place { prefix, account_id: account, region }, kind, name.delivered_at?.date_naive()))
}

/// The folders without those of CloudTrail's own layout at their end, however many of these there are.
fn folders_above<'f>(mut folders: &'f [&'f str], account: &str, region: &str, kind: Kind) -> &'f [&'f str] {
    if let [rest @ .., year, month, day] = folders
        && date(year, month, day).is_some()
    {
        folders = rest;
    }
    for part in [region, kind.name(), account] {
        folders = match folders {
            [rest @ .., last] if *last == part => rest,
            whole => whole,
        };
    }
    folders
}

fn log_or_digest(folder: &str) -> Option<Kind> {
    [Kind::CloudTrail, Kind::Digest].into_iter().find(|kind| kind.name() == folder)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn date(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let is_date = year.len() == 4 && month.len() == 2 && day.len() == 2;
    is_date.then_some(())?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// Whether of two paths one is the end of the other, by whole parts: then they may be the same object, seen from
/// different folders.
#[must_use]
pub fn agree(one: &str, other: &str) -> bool {
    let mut pairs = one.rsplit('/').zip(other.rsplit('/'));
    pairs.all(|(one, other)| one == other)
}

/// The address that an object of this key has, told from a digest whose key and address are both known. A key is written
/// as it is in an address at S3, and percent-encoded in one of this machine.
#[must_use]
pub fn address(digest_uri: &str, digest_key: &str, key: &str) -> String {
    let local = address::path(digest_uri).ok().and_then(|path| {
        let told = neighbour(path.to_str()?, digest_key, key);
        address::file(Path::new(&told))
    });
    local.unwrap_or_else(|| neighbour(digest_uri, digest_key, key))
}

fn neighbour(digest_uri: &str, digest_key: &str, key: &str) -> String {
    let common = digest_uri.rsplit('/').zip(digest_key.rsplit('/')).take_while(|(one, other)| one == other);
    let common: usize = common.map(|(part, _)| part.len() + 1).sum();
    let base = &digest_uri[..digest_uri.len().saturating_sub(common.saturating_sub(1))];
    // What the archive's top leaves out of the digest's key, it leaves out of this one's.
    let left_out = &digest_key[..digest_key.len().saturating_sub(common.saturating_sub(1))];
    format!("{base}{}", key.strip_prefix(left_out).unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "111122223333_CloudTrail_eu-west-1_20260105T0010Z_abcDEF0123456789.json.gz";

    fn of(path: &str) -> Option<(String, Kind, String)> {
        let (place, kind, day) = shelved(path, &ObjectName::parse(path))?;
        assert_eq!((place.account_id.as_str(), place.region.as_str()), ("111122223333", "eu-west-1"), "{path}");
        Some((place.prefix, kind, day.to_string()))
    }

    #[test]
    fn a_place_is_told_from_folders_and_else_from_the_name() {
        let day = "2026-01-05".to_owned();
        let whole = format!("b/AWSLogs/o-a/111122223333/CloudTrail/eu-west-1/2026/01/05/{LOG}");
        assert_eq!(of(&whole), Some(("b/AWSLogs/o-a".into(), Kind::CloudTrail, day.clone())));
        let stranger = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/06/evil.json.gz";
        assert_eq!(of(stranger), Some(("AWSLogs".into(), Kind::CloudTrail, "2026-01-06".into())));
        for folders in ["CloudTrail/eu-west-1/2026/01/05/", "eu-west-1/2026/01/05/", "2026/01/05/", ""] {
            assert_eq!(of(&format!("{folders}{LOG}")), Some((String::new(), Kind::CloudTrail, day.clone())));
        }
        assert_eq!(of(&format!("flat/{LOG}")), Some(("flat".into(), Kind::CloudTrail, day)));
        for other in ["x.json.gz", "AWSLogs/111122223333/CloudTrail-Insight/eu-west-1/2026/01/05/x.json.gz"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn paths_agree_when_one_is_the_end_of_the_other() {
        assert!(agree("AWSLogs/1/x", "p/AWSLogs/1/x") && agree("p/AWSLogs/1/x", "1/x") && agree("x", "x"));
        assert!(!agree("AWSLogs/2/x", "p/AWSLogs/1/x") && !agree("ax", "x"));
    }

    #[test]
    fn an_address_is_told_from_a_neighbour() {
        let (key, other) = ("p/AWSLogs/1/d/a", "p/AWSLogs/1/l/b");
        assert_eq!(address("file:///x/p/AWSLogs/1/d/a", key, other), "file:///x/p/AWSLogs/1/l/b");
        assert_eq!(address("file:///x/AWSLogs/1/d/a", key, other), "file:///x/AWSLogs/1/l/b");
        assert_eq!(address("file:///x/1/d/a", key, other), "file:///x/1/l/b");
        assert_eq!(address("s3://bucket/p/AWSLogs/1/d/a", key, other), "s3://bucket/p/AWSLogs/1/l/b");
        // Encoded once where it is a URL, and as it is where it is a key.
        let (key, other) = ("team a/AWSLogs/1/d/a#1", "100%/AWSLogs/1/l/b#2");
        assert_eq!(
            address("file:///x%20y/team%20a/AWSLogs/1/d/a%231", key, other),
            "file:///x%20y/100%25/AWSLogs/1/l/b%232"
        );
        assert_eq!(address("s3://bucket/team a/AWSLogs/1/d/a#1", key, other), "s3://bucket/100%/AWSLogs/1/l/b#2");
    }
}
