//! An archive that lies in a folder of this machine, at whatever level of the bucket it was copied from.
//!
//! A copy loses what S3 keeps beside an object. The signature of a digest is named by its successor; for the newest, which
//! has none, it is read from a file beside it, `<digest>.metadata.json`, that holds the answer of `aws s3api head-object`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::EvidenceError;
use super::archive::{Archive, Fetched, Place, STORED_BYTES_MAX, StoredSignature, agree, bounded, shelved};
use crate::address;
use crate::source::{Kind, Listed, LocalSource, ObjectRef};
use async_trait::async_trait;
use chrono::NaiveDate;
use serde::Deserialize;

/// Behind the name of a digest, the name of the file with its metadata.
const METADATA: &str = ".metadata.json";

/// The largest file of metadata that is read; S3 allows 2 KB of it.
const METADATA_BYTES_MAX: u64 = 1 << 20;

/// A folder: in memory is which places have objects of which days in which folders, never the objects themselves.
#[derive(Debug)]
pub struct LocalArchive {
    root: PathBuf,
    shelves: BTreeMap<Place, BTreeMap<(bool, NaiveDate), BTreeSet<PathBuf>>>,
    /// Files that are neither digests nor logs by their paths.
    strangers: u64,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "Metadata")]
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    signature: String,
    signature_algorithm: Option<String>,
    backfill_generation_timestamp: Option<String>,
}

impl LocalArchive {
    /// Looks through a folder, once.
    ///
    /// # Errors
    /// When there is no such folder, or one within it cannot be listed: what cannot be seen cannot be vouched for.
    pub fn open(folder: &Path) -> Result<Self, EvidenceError> {
        let failed =
            |why: &dyn ToString| EvidenceError::Archive { uri: folder.display().to_string(), why: why.to_string() };
        let whole = fs::canonicalize(folder).map_err(|error| failed(&error))?;
        if !whole.is_dir() {
            return Err(failed(&"not a folder"));
        }
        let source = LocalSource::new(folder).map_err(|error| failed(&error))?;
        let mut archive = Self { root: whole, shelves: BTreeMap::new(), strangers: 0 };
        source.walk(&mut |listed| match listed {
            Listed::Object(object) => {
                archive.shelve(&object);
                Ok(())
            }
            Listed::Skipped { .. } | Listed::Archived { .. } => Ok(()),
            Listed::Unreadable { uri, why } => Err(EvidenceError::Archive { uri, why }),
        })?;
        Ok(archive)
    }

    /// Files that may hold records and are neither digests nor logs by their paths: no digest speaks of them.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    fn shelve(&mut self, object: &ObjectRef) {
        let found = shelved(&self.below(object), &object.name);
        let folder = path(&object.uri).and_then(|path| Some(path.parent()?.to_owned()));
        match (found, folder) {
            (Some((place, kind, day)), Some(folder)) => {
                let days = self.shelves.entry(place).or_default();
                days.entry((kind == Kind::Digest, day)).or_default().insert(folder);
            }
            _ => self.strangers += 1,
        }
    }

    /// The path of an object below the folder, with slashes.
    fn below(&self, object: &ObjectRef) -> String {
        let whole = path(&object.uri).unwrap_or_default();
        let parts = whole.strip_prefix(&self.root).unwrap_or(&whole).components();
        parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
    }
}

fn path(uri: &str) -> Option<PathBuf> {
    address::path(uri).ok()
}

/// A file's bytes, if they are of one version.
fn fetched(path: &Path) -> io::Result<Fetched> {
    let before = seen(path)?;
    bounded(before.size, STORED_BYTES_MAX)?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or_default());
    fs::File::open(path)?.take(STORED_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if seen(path)?.version_tag != before.version_tag || bytes.len() as u64 != before.size {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok(Fetched { bytes: bytes.into(), version_tag: before.version_tag })
}

/// A file as a listing of this instant has it.
fn seen(path: &Path) -> io::Result<ObjectRef> {
    let mut found = Err(io::Error::from(io::ErrorKind::NotFound));
    LocalSource::new(path)?
        .walk(&mut |listed| {
            match listed {
                Listed::Object(object) => found = Ok(object),
                Listed::Unreadable { why, .. } => found = Err(io::Error::other(why)),
                Listed::Skipped { .. } | Listed::Archived { .. } => {}
            }
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap_or_else(|never| match never {});
    found
}

#[async_trait]
impl Archive for LocalArchive {
    async fn places(&self, accounts: &[String], regions: &[String]) -> Result<Vec<Place>, EvidenceError> {
        let among = |wanted: &[String], found: &String| wanted.is_empty() || wanted.contains(found);
        let asked = |place: &&Place| among(accounts, &place.account_id) && among(regions, &place.region);
        Ok(self.shelves.keys().filter(asked).cloned().collect())
    }

    async fn days(&self, place: &Place, kind: Kind) -> Result<Vec<NaiveDate>, EvidenceError> {
        let digest = kind == Kind::Digest;
        let days = self.shelves.get(place).into_iter().flat_map(BTreeMap::keys);
        Ok(days.filter(|(is_digest, _)| *is_digest == digest).map(|(_, day)| *day).collect())
    }

    async fn list(&self, place: &Place, kind: Kind, day: NaiveDate) -> Result<Vec<ObjectRef>, EvidenceError> {
        let folders = self.shelves.get(place).and_then(|days| days.get(&(kind == Kind::Digest, day)));
        let mut objects = Vec::new();
        for folder in folders.into_iter().flatten() {
            let failed =
                |why: &dyn ToString| EvidenceError::Archive { uri: folder.display().to_string(), why: why.to_string() };
            let source = match LocalSource::new(folder) {
                Ok(source) => source,
                // It was there when the folder was looked through: then its objects are gone, which is told of each.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&error)),
            };
            source.walk(&mut |listed| {
                match listed {
                    Listed::Object(object) => {
                        let is_here = path(&object.uri).is_some_and(|path| path.parent() == Some(folder));
                        let wanted = Some((place.clone(), kind, day));
                        if is_here && shelved(&self.below(&object), &object.name) == wanted {
                            objects.push(object);
                        }
                    }
                    Listed::Skipped { .. } | Listed::Archived { .. } => {}
                    Listed::Unreadable { why, .. } => return Err(failed(&why)),
                }
                Ok(())
            })?;
        }
        objects.sort_by(|one, other| one.uri.cmp(&other.uri));
        Ok(objects)
    }

    async fn read(&self, object: &ObjectRef) -> io::Result<Fetched> {
        let path = path(&object.uri).ok_or(io::ErrorKind::NotFound)?;
        tokio::task::spawn_blocking(move || fetched(&path)).await.map_err(io::Error::other)?
    }

    async fn signature(&self, digest: &ObjectRef) -> io::Result<Option<StoredSignature>> {
        let Some(path) = path(&format!("{}{METADATA}", digest.uri)) else { return Ok(None) };
        let mut json = Vec::new();
        match fs::File::open(path) {
            Ok(file) => file.take(METADATA_BYTES_MAX).read_to_end(&mut json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Head { metadata } = serde_json::from_slice(&json).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("its {METADATA}: no signature in it: {error}"))
        })?;
        Ok(Some(StoredSignature {
            signature: metadata.signature,
            algorithm: metadata.signature_algorithm,
            backfill_generated_at: metadata.backfill_generation_timestamp,
        }))
    }

    fn is_at(&self, object: &ObjectRef, _bucket: Option<&str>, key: &str) -> bool {
        agree(&self.below(object), key)
    }
}
