//! Digest files: what AWS writes in them, what it signs of them, and what their names tell (facts §7.1, §7.2, §1.1).
//!
//! ```text
//! … ◄─ digest 09–10 ◄─ digest 10–11 ◄─ digest 11–12        each names its predecessor, with its hash and signature,
//!         └ logs           └ logs          └ logs          and every log file delivered in its hour, with its hash
//! ```
//!
//! Pure functions of text: nothing here hashes, checks a signature or looks for a file.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer};

/// What stands in the string to sign in place of the signature of a predecessor that there is none of.
const NO_PREDECESSOR: &str = "null";

/// A digest as AWS writes it. Members that are unknown are passed over; one that is null or missing is `None`, except
/// where the difference matters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are AWS's own (facts §7.1)")]
pub struct Digest {
    pub aws_account_id: Option<String>,
    pub digest_start_time: String,
    pub digest_end_time: String,
    pub digest_s3_bucket: String,
    pub digest_s3_object: String,
    pub digest_public_key_fingerprint: String,
    pub digest_signature_algorithm: Option<String>,
    pub newest_event_time: Option<String>,
    pub oldest_event_time: Option<String>,
    pub previous_digest_s3_bucket: Option<String>,
    pub previous_digest_s3_object: Option<String>,
    pub previous_digest_hash_value: Option<String>,
    pub previous_digest_hash_algorithm: Option<String>,
    /// Null in a starting digest; a digest without the member at all is none (facts §7.5).
    #[serde(deserialize_with = "nullable")]
    pub previous_digest_signature: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub log_files: Vec<LogFile>,
}

/// A log file as a digest names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are AWS's own (facts §7.1)")]
pub struct LogFile {
    pub s3_bucket: String,
    pub s3_object: String,
    /// SHA-256 of the uncompressed bytes, in hexadecimal digits.
    pub hash_value: String,
    pub hash_algorithm: Option<String>,
    pub newest_event_time: Option<String>,
    pub oldest_event_time: Option<String>,
}

/// A member that must be there and may be null; serde alone takes a missing one for null.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// A list that may be null.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LogFile>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The digest before, as a digest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its bucket, where it is said.
    pub bucket: Option<String>,
    /// Its key.
    pub object: String,
    /// SHA-256 of its uncompressed bytes, in hexadecimal digits.
    pub hash: Option<String>,
    /// Its signature, in hexadecimal digits.
    pub signature: Option<String>,
}

impl Digest {
    /// Reads the JSON of a digest.
    ///
    /// # Errors
    /// When it is no JSON or lacks what every digest has.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// When its window begins, inclusive; windows are of deliveries, not of events.
    #[must_use]
    pub fn start(&self) -> Option<DateTime<Utc>> {
        instant(&self.digest_start_time)
    }

    /// When its window ends, exclusive.
    #[must_use]
    pub fn end(&self) -> Option<DateTime<Utc>> {
        instant(&self.digest_end_time)
    }

    /// The digest before; nothing in a starting one.
    #[must_use]
    pub fn previous(&self) -> Option<Previous> {
        Some(Previous {
            bucket: self.previous_digest_s3_bucket.clone(),
            object: self.previous_digest_s3_object.clone()?,
            hash: self.previous_digest_hash_value.clone(),
            signature: self.previous_digest_signature.clone(),
        })
    }

    /// What AWS signs with RSA PKCS#1 v1.5 over SHA-256 (facts §7.2). `sha256` is that of the digest's own uncompressed
    /// bytes, in lower-case hexadecimal digits.
    #[must_use]
    pub fn string_to_sign(&self, sha256: &str) -> String {
        let previous = self.previous_digest_signature.as_deref().unwrap_or(NO_PREDECESSOR);
        let Self { digest_end_time: end, digest_s3_bucket: bucket, digest_s3_object: object, .. } = self;
        format!("{end}\n{bucket}/{object}\n{sha256}\n{previous}")
    }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// What the name of a digest tells:
/// `<account>_CloudTrail-Digest_<region>_<trail>_<home region>_YYYYMMDDTHHMMSSZ[_backfill].json.gz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestName {
    /// The account whose logs it speaks of.
    pub account_id: String,
    /// The Region whose logs it speaks of.
    pub region: String,
    /// The trail's name, which may hold underscores.
    pub trail: String,
    /// The Region that the trail was made in.
    pub home_region: String,
    /// Whether it names files that were left out of the hour's own digest because they were late. Backfill digests are a
    /// chain of their own.
    pub is_backfill: bool,
    /// The end of its window.
    pub end: DateTime<Utc>,
}

impl DigestName {
    /// Reads the last part of a digest's key; nothing when it is not of this form.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let file = key.rsplit('/').next()?;
        let stem = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".json")?;
        let (stem, is_backfill) = stem.strip_suffix("_backfill").map_or((stem, false), |stem| (stem, true));
        let (stem, stamp) = stem.rsplit_once('_')?;
        let (stem, home_region) = stem.rsplit_once('_')?;
        let mut parts = stem.splitn(4, '_');
        let (account, kind, region, trail) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let end = NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (is_account && kind == "CloudTrail-Digest").then(|| Self {
            account_id: account.to_owned(),
            region: region.to_owned(),
            trail: trail.to_owned(),
            home_region: home_region.to_owned(),
            is_backfill,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTING: &str = r#"{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z",
        "digestEndTime":"2015-08-17T15:01:31Z","digestS3Bucket":"a-bucket","digestS3Object":"AWSLogs/x.json.gz",
        "digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA",
        "newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,
        "previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,
        "logFiles":[],"somethingNew":{"a":1}}"#;

    #[test]
    fn what_is_signed_is_end_location_hash_and_the_signature_before() {
        let mut digest = Digest::parse(STARTING.as_bytes()).unwrap();
        let (time, hash) = ("2015-08-17T15:01:31Z", "ab12");
        assert_eq!(digest.string_to_sign(hash), format!("{time}\na-bucket/AWSLogs/x.json.gz\n{hash}\nnull"));
        digest.previous_digest_signature = Some("50887ccf".to_owned());
        assert_eq!(digest.string_to_sign(hash), format!("{time}\na-bucket/AWSLogs/x.json.gz\n{hash}\n50887ccf"));
        assert_eq!((digest.end().unwrap() - digest.start().unwrap()).num_minutes(), 60);
    }

    #[test]
    fn a_member_may_be_null_or_new_but_not_missing() {
        assert_eq!(Digest::parse(STARTING.as_bytes()).unwrap().previous(), None);
        assert_eq!(Digest::parse(STARTING.replace("[]", "null").as_bytes()).unwrap().log_files, []);
        for member in [
            "digestPublicKeyFingerprint",
            "digestS3Bucket",
            "digestS3Object",
            "previousDigestSignature",
            "digestEndTime",
            "digestStartTime",
        ] {
            assert!(Digest::parse(STARTING.replace(member, "other").as_bytes()).is_err(), "{member}");
        }
        assert!(Digest::parse(b"no digest").is_err());
    }

    #[test]
    fn a_name_tells_trail_home_region_and_backfill() {
        let name = |trail: &str, end: &str| {
            DigestName::parse(&format!(
                "p/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/01/05/\
                 111122223333_CloudTrail-Digest_eu-west-1_{trail}_us-east-1_20260105T100131Z{end}"
            ))
        };
        let plain = name("main", ".json.gz").unwrap();
        assert_eq!((plain.account_id.as_str(), plain.region.as_str()), ("111122223333", "eu-west-1"));
        assert_eq!((plain.trail.as_str(), plain.home_region.as_str(), plain.is_backfill), ("main", "us-east-1", false));
        assert_eq!(plain.end.to_rfc3339(), "2026-01-05T10:01:31+00:00");
        assert_eq!(name("a_backfill_trail", ".json.gz").unwrap().trail, "a_backfill_trail");
        assert!(name("main", "_backfill.json.gz").unwrap().is_backfill);
        for other in ["main_20260105T100131Z.json.gz", "111122223333_CloudTrail_eu-west-1_20260105T0010Z_x.json.gz", ""]
        {
            assert_eq!(DigestName::parse(other), None, "{other}");
        }
    }
}
