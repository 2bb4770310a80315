//! An archive that lies in a bucket: the trail's own, where signatures are kept as metadata, or a copy of it.
//!
//! A copy in another bucket or below another prefix is judged by the paths from the account's folder on, like one in a
//! folder of this machine. Days outside of what is asked for are not listed.

use std::collections::BTreeMap;
use std::io;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};

use super::EvidenceError;
use super::archive::{Archive, Fetched, Place, STORED_BYTES_MAX, StoredSignature, agree, bounded};
use crate::source::s3::{DaySpan, Lane, S3Error};
use crate::source::{Body, Kind, ObjectRef, Prune, S3Source};

/// Days that are listed before and behind those asked for: a digest of a window's end comes later, backfill later still.
const MARGIN: Days = Days::new(2);

/// A bucket, or what lies below a prefix of it.
#[derive(Debug)]
pub struct S3Archive {
    source: S3Source,
    days: DaySpan,
    now: DateTime<Utc>,
    /// By place: the lanes of its digests and of its logs.
    lanes: BTreeMap<Place, BTreeMap<bool, Lane>>,
}

impl S3Archive {
    /// Finds the accounts and Regions that are asked for.
    ///
    /// # Errors
    /// When the bucket, or a part of it, cannot be listed: what cannot be seen cannot be vouched for.
    pub async fn open(source: S3Source, prune: &Prune, now: DateTime<Utc>) -> Result<Self, EvidenceError> {
        let asked = prune.days();
        let days = DaySpan {
            from: asked.from.and_then(|from| from.checked_sub_days(MARGIN)),
            until: asked.until.and_then(|until| until.checked_add_days(MARGIN)),
        };
        let mut archive = Self { source, days, now, lanes: BTreeMap::new() };
        for kind in [Kind::Digest, Kind::CloudTrail] {
            let found = archive.source.lanes(&[kind], prune).await.map_err(failed)?;
            if let Some(error) = found.failed.into_iter().next() {
                return Err(failed(error));
            }
            for lane in found.lanes {
                if let Some(place) = place(&lane.prefix) {
                    archive.lanes.entry(place).or_default().insert(kind == Kind::Digest, lane);
                }
            }
        }
        Ok(archive)
    }

    fn lane(&self, place: &Place, kind: Kind) -> Option<&Lane> {
        self.lanes.get(place)?.get(&(kind == Kind::Digest))
    }
}

/// What `[prefix/]<account>/<kind>/<region>/` tells.
fn place(lane: &str) -> Option<Place> {
    let mut parts = lane.trim_end_matches('/').rsplitn(4, '/');
    let (region, _, account) = (parts.next()?, parts.next()?, parts.next()?);
    let prefix = parts.next().unwrap_or_default().to_owned();
    Some(Place { prefix, account_id: account.to_owned(), region: region.to_owned() })
}

fn failed(error: S3Error) -> EvidenceError {
    EvidenceError::Archive { uri: error.uri, why: error.why }
}

fn as_io(error: S3Error) -> io::Error {
    let kind = match error.code.as_deref() {
        Some("NoSuchKey" | "NotFound") => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.why)
}

#[async_trait]
impl Archive for S3Archive {
    async fn places(&self, accounts: &[String], regions: &[String]) -> Result<Vec<Place>, EvidenceError> {
        let among = |wanted: &[String], found: &String| wanted.is_empty() || wanted.contains(found);
        let asked = |place: &&Place| among(accounts, &place.account_id) && among(regions, &place.region);
        Ok(self.lanes.keys().filter(asked).cloned().collect())
    }

    async fn days(&self, place: &Place, kind: Kind) -> Result<Vec<NaiveDate>, EvidenceError> {
        let Some(lane) = self.lane(place, kind) else { return Ok(Vec::new()) };
        self.source.days(lane, self.days, self.now).await.map_err(failed)
    }

    async fn list(&self, place: &Place, kind: Kind, day: NaiveDate) -> Result<Vec<ObjectRef>, EvidenceError> {
        let Some(lane) = self.lane(place, kind) else { return Ok(Vec::new()) };
        self.source.day(lane, day).await.map_err(failed)
    }

    async fn read(&self, object: &ObjectRef) -> io::Result<Fetched> {
        bounded(object.size, STORED_BYTES_MAX)?;
        let stored = self.source.fetch(object).await.map_err(as_io)?;
        if let Body::File(file) = &stored.body {
            // It may have grown since it was listed.
            bounded(file.metadata()?.len(), STORED_BYTES_MAX)?;
        }
        let version_tag = stored.etag.unwrap_or_else(|| object.version_tag.clone());
        Ok(Fetched { bytes: stored.body.into_bytes()?.into(), version_tag })
    }

    async fn signature(&self, digest: &ObjectRef) -> io::Result<Option<StoredSignature>> {
        let mut metadata = self.source.metadata(digest).await.map_err(as_io)?;
        let Some(signature) = metadata.remove("signature") else { return Ok(None) };
        Ok(Some(StoredSignature {
            signature,
            algorithm: metadata.remove("signature-algorithm"),
            backfill_generated_at: metadata.remove("backfill-generation-timestamp"),
        }))
    }

    fn is_at(&self, object: &ObjectRef, _bucket: Option<&str>, key: &str) -> bool {
        agree(self.source.key(object), key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_tells_its_place() {
        let found = place("org-trail/AWSLogs/o-abcdefghij/111122223333/CloudTrail-Digest/eu-west-1/").unwrap();
        assert_eq!((found.prefix.as_str(), found.region.as_str()), ("org-trail/AWSLogs/o-abcdefghij", "eu-west-1"));
        assert_eq!(found.account_id, "111122223333");
        assert_eq!(place("111122223333/CloudTrail/eu-west-1/").unwrap().prefix, "");
        assert_eq!(place("eu-west-1/"), None);
    }
}
