//! A record, or the log object that it came from, read again from its source: is it still what was ingested, and what a digest
//! vouches for?
//!
//! ```text
//! Origin (what the lake knows) ─► the object as it is now ─┬─► hash ─┬─► Vouched, why
//!                                          its digest ────┴─► named ┘
//! ```
//!
//! It prints nothing and reads no lake: what is known of an object is given to it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::archive::agree;
use super::hash::{Inside, inside};
use crate::cloudtrail::digest::Digest;
use crate::cloudtrail::raw;
use crate::cloudtrail::redact::redacted;
use crate::source::{self, SourceError, SourceOptions};

/// What the lake knows of where an event came from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Origin {
    /// The event's id.
    pub event_id: String,
    /// When it was.
    pub event_time: Option<String>,
    /// The operation.
    pub event_name: Option<String>,
    /// The account whose log has it.
    pub account_id: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// The log object.
    pub source_object: String,
    /// Position of the record in it, from 0.
    pub record_index: u64,
    /// The version that was ingested.
    #[serde(skip)]
    pub version_tag: Option<String>,
    /// The version that was verified, and what came of it.
    #[serde(skip)]
    pub checked_version: Option<String>,
    /// What the verification said of the object.
    #[serde(skip)]
    pub object_state: Option<String>,
    /// The digest that names the object.
    #[serde(rename = "digest")]
    pub digest_uri: Option<String>,
    /// What the verification said of the digest.
    pub digest_state: Option<String>,
    /// When it was verified.
    #[serde(rename = "verified_at")]
    pub checked_at: Option<String>,
}

/// Whether evidence still vouches for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// A valid digest names the object with the hash that it has now.
    Proven,
    /// Nothing speaks against it, and nothing proves it.
    Unproven,
    /// The object is not what it was, or not what its digest says.
    Contradicted,
    /// The object cannot be read.
    Unreadable,
}

/// A record as it is now; its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
pub struct Record {
    /// What the lake knows of it.
    #[serde(flatten)]
    pub origin: Origin,
    /// Whether evidence still vouches for it.
    pub vouched: Vouched,
    /// Why, or why not.
    pub why: String,
    /// SHA-256 of the object's uncompressed bytes, as it is now.
    pub sha256: Option<String>,
    /// As it is in the object, without session tokens.
    pub record: Option<Box<RawValue>>,
}

impl Record {
    fn unreadable(origin: Origin, why: String) -> Self {
        Self { origin, vouched: Vouched::Unreadable, why, sha256: None, record: None }
    }
}

/// A log object as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// SHA-256 of its uncompressed bytes.
    pub sha256: Option<String>,
    /// Whether it is another version than the one that was ingested.
    pub is_another: bool,
    /// What is wrong with it; nothing also where a source has no objects.
    pub trouble: Option<String>,
}

impl Object {
    fn troubled(why: impl Into<String>) -> Self {
        Self { trouble: Some(why.into()), ..Self::default() }
    }
}

/// What a record calls itself.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "eventID")]
    id: Option<String>,
}

/// One origin for each place of a record, of the rows that the lake has for an event.
#[must_use]
pub fn distinct(mut origins: Vec<Origin>) -> Vec<Origin> {
    // Several digests may name an object; a valid one says the most.
    origins.sort_by_key(|origin| {
        (origin.account_id.clone(), origin.source_object.clone(), origin.digest_state.as_deref() != Some("valid"))
    });
    origins.dedup_by(|one, other| one.source_object == other.source_object && one.record_index == other.record_index);
    origins
}

/// How objects are read again.
#[derive(Debug, Clone, Copy)]
pub struct Again<'o> {
    /// Access to their sources.
    pub options: &'o SourceOptions,
    /// Inflated bytes that one may have.
    pub object_bytes_max: u64,
}

impl Again<'_> {
    /// Reads a record again, and judges it. What cannot be read is an answer.
    pub async fn record(&self, origin: Origin) -> Record {
        let again = match source::read(&origin.source_object, self.options).await {
            Ok(Some(again)) => again,
            Ok(None) => return Record::unreadable(origin, "the object is no longer there".to_owned()),
            Err(error) => return Record::unreadable(origin, error.to_string()),
        };
        let text = raw::text(&again.bytes, self.object_bytes_max);
        let record = raw::record(&text, origin.record_index)
            .and_then(|record| redacted(&String::from_utf8_lossy(record)).ok())
            .and_then(|record| RawValue::from_string(record).ok());
        let sha256 = match inside(&again.bytes, self.object_bytes_max) {
            Inside::Hash(hash) => Some(hash),
            Inside::Damaged(_) | Inside::TooLarge => None,
        };
        let (vouched, why) = judge(&origin, &again.version_tag, record.as_deref(), sha256.as_deref(), self).await;
        Record { origin, vouched, why, sha256, record }
    }

    /// Reads a log object again, and compares it with the version that was ingested and with the digest that named it.
    pub async fn object(&self, uri: &str, version_tag: Option<&str>, digest_uri: Option<&str>) -> Object {
        let again = match source::read(uri, self.options).await {
            Ok(Some(again)) => again,
            Ok(None) => return Object::troubled("it is no longer there"),
            // CloudTrail's event history has no objects.
            Err(SourceError::NoObject) => return Object::default(),
            Err(error) => return Object::troubled(error.to_string()),
        };
        let mut object = match inside(&again.bytes, self.object_bytes_max) {
            Inside::Hash(hash) => Object { sha256: Some(hash), ..Object::default() },
            Inside::Damaged(_) => Object::troubled("it cannot be inflated"),
            Inside::TooLarge => Object::troubled("it is too large to be hashed"),
        };
        if version_tag.is_some_and(|tag| tag != again.version_tag) {
            object.is_another = true;
            object.trouble = Some("it was written anew since it was ingested".to_owned());
        }
        if let (Some(digest), Some(found), None) = (digest_uri, &object.sha256, &object.trouble) {
            object.trouble = match self.named_hash(digest, uri).await {
                Ok(Some(named)) if named.eq_ignore_ascii_case(found) => None,
                Ok(Some(_)) => Some("its digest names it with another hash".to_owned()),
                Ok(None) => Some("its digest does not name it any more".to_owned()),
                Err(why) => Some(format!("its digest cannot be read: {why}")),
            };
        }
        object
    }

    /// The hash under which a digest names an object.
    async fn named_hash(&self, digest: &str, object: &str) -> Result<Option<String>, String> {
        let again = source::read(digest, self.options).await.map_err(|error| error.to_string())?;
        let again = again.ok_or("it is no longer there")?;
        let digest =
            Digest::parse(&raw::text(&again.bytes, self.object_bytes_max)).map_err(|error| error.to_string())?;
        let named = digest.log_files.into_iter().find(|log| agree(object, &log.s3_object));
        Ok(named.map(|log| log.hash_value))
    }
}

async fn judge(
    origin: &Origin,
    version_tag: &str,
    record: Option<&RawValue>,
    sha256: Option<&str>,
    again: &Again<'_>,
) -> (Vouched, String) {
    let contradicted = |why: &str| (Vouched::Contradicted, why.to_owned());
    let unproven = |why: String| (Vouched::Unproven, why);
    let Some(record) = record else { return contradicted("the object has no sound record at this place any more") };
    let id = serde_json::from_str(record.get()).map_or(None, |named: Named| named.id);
    // A record without an id has none to compare.
    if id.as_deref() != Some(origin.event_id.as_str()) && !origin.event_id.starts_with("fp:") {
        return contradicted("another record stands at this place now");
    }
    let named = match &origin.digest_uri {
        Some(digest) => again.named_hash(digest, &origin.source_object).await,
        None => Ok(None),
    };
    let is = |tag: &Option<String>| tag.as_deref() == Some(version_tag);
    let is_valid = |state: &Option<String>| state.as_deref() == Some("valid");
    match (named, sha256) {
        (Ok(Some(named)), Some(found)) if !named.eq_ignore_ascii_case(found) => {
            contradicted("its digest names the object with another hash")
        }
        (Err(why), _) => unproven(format!("its digest cannot be read: {why}")),
        // The digest may have been rewritten with the object: what it said when it was verified is what counts.
        (Ok(Some(_)), _) if !is(&origin.checked_version) => {
            unproven("the object was written anew since it was verified: run `keytrail verify` again".to_owned())
        }
        (Ok(Some(_)), Some(_)) if is_valid(&origin.digest_state) && is_valid(&origin.object_state) => {
            (Vouched::Proven, "a valid digest names the object with this hash".to_owned())
        }
        (Ok(Some(_)), _) => {
            let state = origin.digest_state.as_deref().unwrap_or("not verified");
            unproven(format!("a digest names the object with this hash, and is itself {state}"))
        }
        _ if !is(&origin.version_tag) => {
            unproven("the object was written anew since it was ingested, and no digest names it".to_owned())
        }
        _ => unproven(
            "the object is as it was ingested; no digest is known to name it: `keytrail verify` looks for one"
                .to_owned(),
        ),
    }
}
