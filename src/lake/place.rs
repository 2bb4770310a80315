//! Where a lake is: a folder, or a prefix of a bucket, by the very name that it was given.
//!
//! ```text
//! folder or s3://bucket/prefix ─► a store rooted at the lake ─┬─ events/…
//!                                                             └─ objects/…
//! ```
//!
//! What a folder or a prefix is called never becomes part of a URL. Delta and DataFusion address tables by URLs, and on the
//! way through their layers a name is encoded and decoded several times, each with an idea of its own of `#`, `?`, `%` and
//! `\`. They are given a store that is rooted at the lake, and see tables of keytrail's own names in it. What a store
//! cannot hold by its name is refused before anything is written, so that two names are never one lake.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::ordered::Ordered;
use super::{LakeError, LakeTable, TableSpec};
use crate::address;

/// A place that holds the tables.
#[derive(Debug, Clone)]
pub struct Lake {
    address: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// A folder of this machine, which need not exist yet.
    Folder(PathBuf),
    /// A store that is rooted at the lake.
    Store(Arc<dyn ObjectStore>),
}

impl Lake {
    /// Names a lake by folder or `file://` URL; nothing is read or created yet.
    ///
    /// # Errors
    /// When the address has another scheme, names no path or cannot be made absolute.
    pub fn at(uri: &str) -> Result<Self, LakeError> {
        let wrong = |why: String| LakeError::Address { uri: uri.to_owned(), why };
        let path = match uri.split_once("://") {
            Some(("file", _)) => address::path(uri).map_err(|error| wrong(error.to_string()))?,
            Some(_) => return Err(wrong("a lake is in a folder or at s3://bucket/prefix".to_owned())),
            None => PathBuf::from(uri),
        };
        let path = std::path::absolute(&path).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { address: path.to_string_lossy().into_owned(), place: Place::Folder(path) })
    }

    /// Names a lake in a store; nothing is read or created yet. `uri` is its whole address, such as `s3://bucket/prefix`, and
    /// `store` is rooted where the address' path begins.
    ///
    /// # Errors
    /// When the store cannot hold anything below a prefix of this name.
    pub fn on(uri: &str, store: Arc<dyn ObjectStore>) -> Result<Self, LakeError> {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
        let prefix = whole(prefix.strip_suffix('/').unwrap_or(prefix))
            .map_err(|why| LakeError::Address { uri: uri.to_owned(), why })?;
        let store = if prefix.is_root() { store } else { Arc::new(PrefixStore::new(store, prefix)) };
        Ok(Self { address: uri.to_owned(), place: Place::Store(store) })
    }

    /// The lake's whole address: an absolute path, or as it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The last part of its address, by which people know it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.address.rsplit(['/', std::path::MAIN_SEPARATOR]).find(|part| !part.is_empty()).unwrap_or("lake")
    }

    /// Opens one of its tables, or tells that it does not exist yet.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub async fn open(&self, spec: &'static TableSpec) -> Result<Option<LakeTable>, LakeError> {
        match self.store()? {
            Some(store) => LakeTable::open(store, spec).await,
            None => Ok(None),
        }
    }

    /// Opens one of its tables, creating it when it is missing.
    ///
    /// # Errors
    /// When the table's log cannot be read or written.
    pub async fn open_or_create(&self, spec: &'static TableSpec) -> Result<LakeTable, LakeError> {
        if let Place::Folder(folder) = &self.place {
            std::fs::create_dir_all(folder.join(spec.name)).map_err(|error| self.wrong(&error))?;
        }
        let gone = || self.wrong(&std::io::Error::from(std::io::ErrorKind::NotFound));
        let store = self.store()?.ok_or_else(gone)?;
        LakeTable::open_or_create(store, spec).await
    }

    /// A store that is rooted at the lake; none while its folder does not exist.
    fn store(&self) -> Result<Option<Ordered>, LakeError> {
        match &self.place {
            Place::Store(store) => Ok(Some(Ordered::store(Arc::clone(store)))),
            Place::Folder(folder) if folder.try_exists().map_err(|error| self.wrong(&error))? => {
                Ok(Some(Ordered::folder(folder)?))
            }
            Place::Folder(_) => Ok(None),
        }
    }

    fn wrong(&self, error: &std::io::Error) -> LakeError {
        LakeError::Address { uri: self.address.clone(), why: error.to_string() }
    }
}

/// A prefix as a store has it, if there is one of this very name. Every fault that is refused here would make it another one.
fn whole(prefix: &str) -> Result<Path, String> {
    if prefix.is_empty() {
        return Ok(Path::ROOT);
    }
    if prefix.starts_with(' ') {
        return Err("its prefix begins with a space, which bucket listings drop".to_owned());
    }
    for part in prefix.split('/') {
        if part.is_empty() {
            return Err("its prefix has two slashes with nothing between them".to_owned());
        }
        if matches!(part, "." | "..") {
            return Err(format!("a part of its prefix is {part:?}, which is not a valid name in a bucket"));
        }
        if let Some(control) = part.chars().find(char::is_ascii_control) {
            return Err(format!("its prefix has the control character {control:?}, which the store cannot hold"));
        }
    }
    Path::parse(prefix).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn a_prefix_is_held_as_it_is_or_refused() {
        for prefix in ["tenant#1/lake", "team%20a", "a b ", "a..b/...", "a\\b", "*?&=+~'\"", "ä/%2F"] {
            assert_eq!(whole(prefix).unwrap().as_ref(), prefix);
        }
        for prefix in [" a", "a//b", "/a", "a/", "a/./b", "..", "a\nb", "a\tb", "\u{7f}"] {
            assert!(whole(prefix).is_err(), "{prefix:?}");
        }
        assert!(whole("").unwrap().is_root());
    }

    #[test]
    fn an_address_is_kept_and_its_last_part_is_the_name() {
        let on = |uri: &str| Lake::on(uri, Arc::new(InMemory::new())).map(|lake| lake.name().to_owned());
        assert_eq!(on("s3://b/team%20a/lake#1/").unwrap(), "lake#1");
        assert_eq!(on("s3://b").unwrap(), "b");
        let error = on("s3://b//lake").unwrap_err();
        assert_eq!(error.to_string(), "lake s3://b//lake: its prefix has two slashes with nothing between them");
        assert_eq!(Lake::at("/x/team%20a").unwrap().name(), "team%20a");
        assert_eq!(Lake::at("file:///x/team%20a").unwrap().address(), "/x/team a");
        assert!(Lake::at("file:///x/tenant#1").is_err() && Lake::at("gs://x/y").is_err());
    }
}
