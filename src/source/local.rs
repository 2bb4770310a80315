//! Log objects in a folder of this machine, or a single file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::sniff::may_hold_records;
use super::{Again, Listed, ObjectName, ObjectRef, Place, Skip};
use crate::address;

/// Endings of files that may hold records. Of anything else in a folder, the beginning is looked at: Firehose gives its
/// objects no ending.
pub(super) const ENDINGS: [&str; 5] = [".json.gz", ".json", ".gz", ".jsonl", ".ndjson"];

/// What `keytrail generate` writes beside the logs that it makes, and what a copy of a digest keeps of its metadata: no
/// logs.
const NO_LOGS: [&str; 3] = ["truth.json", "public-keys.json", ".metadata.json"];

/// A folder or file.
#[derive(Debug, Clone)]
pub struct LocalSource {
    root: PathBuf,
}

impl LocalSource {
    /// Names a folder or file.
    ///
    /// # Errors
    /// When there is no such folder or file.
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { root: fs::canonicalize(path)? })
    }

    /// The folder or file, as the system knows it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The bytes of a file, and the tag of the version that they are of; nothing when there is no such file.
    ///
    /// # Errors
    /// When it is no file, or cannot be read.
    pub fn read(&self) -> io::Result<Option<Again>> {
        match (object(&self.root), fs::read(&self.root)) {
            (Listed::Object(object), Ok(bytes)) => Ok(Some(Again { bytes, version_tag: object.version_tag })),
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            (_, Err(error)) => Err(error),
            (Listed::Unreadable { why, .. }, _) => Err(io::Error::other(why)),
            (Listed::Skipped { uri, .. } | Listed::Archived { object: ObjectRef { uri, .. }, .. }, _) => {
                Err(io::Error::other(uri))
            }
        }
    }

    /// Walks the folder in the order of names, holding one folder's names at a time per level.
    ///
    /// # Errors
    /// Those of `visit`, which ends the walk.
    pub fn walk<E>(&self, visit: &mut dyn FnMut(Listed) -> Result<(), E>) -> Result<(), E> {
        if self.root.is_dir() { walk_folder(&self.root, visit) } else { visit(object(&self.root)) }
    }
}

fn walk_folder<E>(folder: &Path, visit: &mut dyn FnMut(Listed) -> Result<(), E>) -> Result<(), E> {
    let names =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = match names {
        Ok(paths) => paths,
        Err(why) => return visit(Listed::Unreadable { uri: uri(folder), why: why.to_string() }),
    };
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            // A link to a folder may lead back to where it is; what it names is read by naming it.
            if path.is_symlink() {
                visit(Listed::Skipped { uri: uri(&path), why: Skip::Link })?;
            } else {
                walk_folder(&path, visit)?;
            }
        } else {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_beside = NO_LOGS.iter().any(|ending| name.ends_with(ending));
            let is_named = ENDINGS.iter().any(|ending| name.ends_with(ending));
            let may_hold = !is_beside && (is_named || may_hold_records(&path));
            let skipped =
                || Listed::Skipped { uri: uri(&path), why: if is_beside { Skip::Beside } else { Skip::Stranger } };
            visit(if may_hold { object(&path) } else { skipped() })?;
        }
    }
    Ok(())
}

fn object(path: &Path) -> Listed {
    let uri = uri(path);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(why) => return Listed::Unreadable { uri, why: why.to_string() },
    };
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Listed::Object(ObjectRef {
        name: ObjectName::parse(&path.to_string_lossy()),
        version_tag: format!("{}-{}", metadata.len(), changed.as_nanos()),
        size: metadata.len(),
        place: Place::File(path.to_owned()),
        uri,
    })
}

fn uri(path: &Path) -> String {
    address::file(path).unwrap_or_else(|| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_in_order_and_leaves_strangers_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.json.gz", "b/1.json", "a.jsonl", "truth.json", "b/2.json.gz.metadata.json", "README.md"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(folder.path().join("b/firehose-1-2026-05-02-09-00-00"), "{\"eventVersion\":\"1.11\"}").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("c")).unwrap();
        let (mut seen, mut skipped) = (Vec::new(), Vec::new());
        LocalSource::new(folder.path())
            .unwrap()
            .walk::<io::Error>(&mut |listed| {
                match listed {
                    Listed::Object(object) => seen.push(object.uri.rsplit('/').next().unwrap().to_owned()),
                    Listed::Skipped { why, .. } => skipped.push(why),
                    Listed::Unreadable { why, .. } => return Err(io::Error::other(why)),
                    Listed::Archived { class, .. } => return Err(io::Error::other(class)),
                }
                Ok(())
            })
            .unwrap();
        let expected = ["a.jsonl", "1.json", "2.json.gz", "firehose-1-2026-05-02-09-00-00"].map(str::to_owned);
        assert_eq!(
            (seen, skipped),
            (expected.to_vec(), [Skip::Stranger, Skip::Beside, Skip::Link, Skip::Beside].to_vec())
        );
    }
}
