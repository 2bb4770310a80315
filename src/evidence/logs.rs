//! The logs that digests name, each looked up and hashed.

use std::collections::{HashMap, VecDeque};

use chrono::NaiveDate;
use futures::{StreamExt, stream};

use super::archive::{Archive, Fetched, Place, address, shelved};
use super::chain::Judged;
use super::hash::{self, Inside};
use super::{EvidenceError, Options, Progress};
use crate::cloudtrail::digest::LogFile;
use crate::cloudtrail::inflate::GzipDamage;
use crate::lake::evidence::FileRow;
use crate::source::{Kind, ObjectName, ObjectRef};

/// Days whose listings are kept at hand: a digest names logs of its own day, and of a neighbour at midnight.
const DAYS_MAX: usize = 4;

/// What became of a log.
pub(super) const VALID: &str = "valid";
pub(super) const MISMATCH: &str = "hash_mismatch";
pub(super) const INVALID_FORMAT: &str = "invalid_format";
pub(super) const MISSING: &str = "missing";
pub(super) const UNREADABLE: &str = "unreadable";

/// Listings of a few days, by file name.
pub(super) struct Shelves<'a> {
    archive: &'a dyn Archive,
    places: Vec<Place>,
    days: VecDeque<(NaiveDate, HashMap<String, Vec<ObjectRef>>)>,
}

impl<'a> Shelves<'a> {
    /// The logs of an account and Region, wherever they lie.
    pub fn new(archive: &'a dyn Archive, places: Vec<Place>) -> Self {
        Self { archive, places, days: VecDeque::new() }
    }

    /// The log that a digest names, or else one of the same name that lies elsewhere.
    async fn find(&mut self, log: &LogFile) -> Result<(Option<ObjectRef>, Option<ObjectRef>), EvidenceError> {
        let key = &log.s3_object;
        let Some((_, _, day)) = shelved(key, &ObjectName::parse(key)) else { return Ok((None, None)) };
        let archive = self.archive;
        let named = self.day(day).await?.get(file(key)).map_or(&[][..], Vec::as_slice);
        let here = named.iter().find(|object| archive.is_at(object, Some(&log.s3_bucket), key));
        Ok((here.cloned(), named.first().filter(|_| here.is_none()).cloned()))
    }

    async fn day(&mut self, day: NaiveDate) -> Result<&HashMap<String, Vec<ObjectRef>>, EvidenceError> {
        let known = self.days.iter().position(|(known, _)| *known == day);
        let at = if let Some(at) = known {
            at
        } else {
            let mut by_file: HashMap<String, Vec<ObjectRef>> = HashMap::new();
            for place in &self.places {
                for object in self.archive.list(place, Kind::CloudTrail, day).await? {
                    by_file.entry(file(&object.uri).to_owned()).or_default().push(object);
                }
            }
            if self.days.len() == DAYS_MAX {
                self.days.pop_front();
            }
            self.days.push_back((day, by_file));
            self.days.len() - 1
        };
        Ok(&self.days[at].1)
    }
}

fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A log that a digest names, found or not.
struct Named<'j> {
    /// Its digest's place in the page.
    digest: usize,
    log: &'j LogFile,
    here: Option<ObjectRef>,
    elsewhere: Option<ObjectRef>,
}

/// Checks the logs of a page of digests, and counts them in the digests' rows. Rows are in the order of the digests, and of
/// the logs within each.
///
/// # Errors
/// When the archive cannot be listed.
pub(super) async fn check(
    shelves: &mut Shelves<'_>,
    page: &mut [Judged],
    options: &Options,
    progress: &Progress,
) -> Result<Vec<FileRow>, EvidenceError> {
    let archive = shelves.archive;
    let mut named = Vec::new();
    for (digest, judged) in page.iter().enumerate().filter(|(_, judged)| !judged.is_witness) {
        for log in &judged.logs {
            let (here, elsewhere) = shelves.find(log).await?;
            named.push(Named { digest, log, here, elsewhere });
        }
    }
    let checking = stream::iter(&named).map(|named| async move {
        let found = match &named.here {
            Some(object) => {
                Some(look(archive, object, &named.log.hash_value, options.object_bytes_max, progress).await)
            }
            None => None,
        };
        (named, found)
    });
    let mut found: Vec<(usize, FileRow)> = Vec::with_capacity(named.len());
    let mut checked = checking.buffered(options.jobs.max(1));
    while let Some((named, outcome)) = checked.next().await {
        found.push((named.digest, row(&page[named.digest], named, outcome)));
    }
    drop(checked);
    Ok(found.into_iter().map(|(digest, row)| count(&mut page[digest], row)).collect())
}

fn count(judged: &mut Judged, row: FileRow) -> FileRow {
    let counts = &mut judged.row;
    match row.state {
        VALID => counts.logs_valid += 1,
        MISSING => counts.logs_missing += 1,
        _ => counts.logs_invalid += 1,
    }
    row
}

fn row(digest: &Judged, named: &Named<'_>, looked: Option<Looked>) -> FileRow {
    let key = &named.log.s3_object;
    let name = ObjectName::parse(key);
    let uri = match (&named.here, &digest.key) {
        (Some(object), _) => object.uri.clone(),
        (None, Some(digest_key)) => address(&digest.row.uri, digest_key, key),
        (None, None) => key.clone(),
    };
    let Looked { state, reason, version_tag } = looked.unwrap_or_else(|| {
        let elsewhere = named.elsewhere.as_ref().map(|other| format!("; a file of its name is at {}", other.uri));
        let reason = format!("not found{}", elsewhere.unwrap_or_default());
        Looked { state: MISSING, reason: Some(reason), version_tag: None }
    });
    FileRow {
        uri,
        version_tag,
        account_id: digest.row.account_id.clone(),
        region: digest.row.region.clone(),
        delivered_at: name.delivered_at.map(|at| at.timestamp_micros()),
        digest_uri: Some(digest.row.uri.clone()),
        state,
        reason,
    }
}

/// What became of a log that is there.
struct Looked {
    state: &'static str,
    reason: Option<String>,
    /// Of the version that was hashed, which need not be the one that was listed.
    version_tag: Option<String>,
}

/// Compares what is in an object with the hash that a digest gives.
async fn look(archive: &dyn Archive, object: &ObjectRef, hash: &str, max: u64, progress: &Progress) -> Looked {
    let unreadable =
        |reason, tag: &str| Looked { state: UNREADABLE, reason: Some(reason), version_tag: Some(tag.to_owned()) };
    let Fetched { bytes, version_tag } = match archive.read(object).await {
        Ok(fetched) => fetched,
        Err(error) => return unreadable(format!("cannot be read: {error}"), &object.version_tag),
    };
    let (expected, size) = (hash.to_ascii_lowercase(), bytes.len() as u64);
    // Hashing is the work; reading waits for a disk or the network meanwhile.
    let compared = tokio::task::spawn_blocking(move || compare(&bytes, &expected, max)).await;
    progress.log(size);
    match compared {
        Ok((state, reason)) => Looked { state, reason, version_tag: Some(version_tag) },
        Err(error) => unreadable(format!("cannot be hashed: {error}"), &version_tag),
    }
}

/// AWS's validator has these words for it (facts §7.6), as far as they go.
fn compare(object: &[u8], expected: &str, max: u64) -> (&'static str, Option<String>) {
    let trailing = || (INVALID_FORMAT, Some("unexpected data after end of compressed stream".to_owned()));
    match hash::inside(object, max) {
        Inside::Hash(hash) if hash == expected => (VALID, None),
        Inside::Hash(hash)
            if hash::first_member(object, max).is_some_and(|first| first == expected && first != hash) =>
        {
            trailing()
        }
        Inside::Hash(hash) => {
            (MISMATCH, Some(format!("hash value doesn't match: it is {hash}, and the digest says {expected}")))
        }
        Inside::Damaged(GzipDamage::Trailing) => trailing(),
        Inside::Damaged(damage) => (INVALID_FORMAT, Some(format!("invalid format: {damage}"))),
        Inside::TooLarge => (UNREADABLE, Some(format!("is larger than {max} bytes, and was not hashed"))),
    }
}

/// The hash of an object that no digest names, to tell whether it is one that was moved.
pub(super) async fn hash_of(archive: &dyn Archive, object: &ObjectRef, max: u64) -> Option<String> {
    let Fetched { bytes, .. } = archive.read(object).await.ok()?;
    let hashed = tokio::task::spawn_blocking(move || hash::inside(&bytes, max)).await.ok()?;
    match hashed {
        Inside::Hash(hash) => Some(hash),
        _ => None,
    }
}
