//! A store that lists in order where Delta relies on it: its log is read from a listing, the latest version last, and
//! neither folders nor every kind of bucket list in any order.
//!
//! In a folder, only the entries that are asked for are looked at. A log keeps the entries of weeks, of which Delta needs the last
//! few, and lists them several times per commit; the store's own listing makes an address of every name in the folder.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// The folder of a table that its log is in.
const LOG: &str = "_delta_log";

/// The store itself, but for listings from a place on.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    store: Arc<dyn ObjectStore>,
    /// The folder that the store is rooted at, if it is one.
    folder: Option<PathBuf>,
}

impl Ordered {
    /// A folder, which must exist.
    pub(super) fn folder(folder: &FilePath) -> Result<Self> {
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
        Ok(Self { store, folder: Some(folder.to_owned()) })
    }

    /// Any other store.
    pub(super) fn store(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, folder: None }
    }
}

/// The entries of a log in a folder whose names come after this one, in order; none if there is no such folder.
fn entries(folder: &FilePath, log: &Path, after: &str) -> io::Result<Vec<ObjectMeta>> {
    let found = match std::fs::read_dir(folder.join(log.as_ref())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().filter(|name| *name > after && is_entry(name)).map(str::to_owned)
        else {
            continue;
        };
        match std::fs::metadata(entry.path()) {
            Ok(file) if file.is_file() => entries.push(ObjectMeta {
                location: log.clone().join(name),
                last_modified: file.modified()?.into(),
                size: file.len(),
                e_tag: None,
                version: None,
            }),
            Ok(_) => {}
            // Deleted since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    Ok(entries)
}

/// Whether an entry of a log may have this name. A file that is still being written has a `#` in it.
fn is_entry(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl fmt::Display for Ordered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(out)
    }
}

#[async_trait]
impl ObjectStore for Ordered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    /// What is listed from a place on is a table's log since its last checkpoint, and few.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let log = self.folder.clone().zip(prefix.filter(|prefix| prefix.filename() == Some(LOG)).cloned());
        let after = prefix.and_then(|prefix| offset.as_ref().strip_prefix(prefix.as_ref()));
        let after = after.map(|after| after.trim_start_matches('/').to_owned());
        let listed = self.store.list_with_offset(prefix, offset);
        let ordered = async move {
            let all = if let (Some((folder, log)), Some(after)) = (log, after) {
                let failed = |source| object_store::Error::Generic { store: "lake", source };
                let entries = tokio::task::spawn_blocking(move || entries(&folder, &log, &after));
                entries.await?.map_err(|error| failed(error.into()))?
            } else {
                let mut all: Vec<ObjectMeta> = listed.try_collect().await?;
                all.sort_unstable_by(|one, other| one.location.cmp(&other.location));
                all
            };
            Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(ordered).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    fn name(number: u32) -> Path {
        Path::from(format!("table/{LOG}/{number:020}.json"))
    }

    async fn listed(store: &Ordered, after: &Path) -> Vec<ObjectMeta> {
        store.list_with_offset(Some(&Path::from(format!("table/{LOG}"))), after).try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn a_listing_from_a_place_on_is_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let fast = Ordered::folder(folder.path()).unwrap();
        let plain = Ordered::store(Arc::clone(&fast.store));
        for number in (0..60).rev().step_by(2).chain((0..60).step_by(2)) {
            plain.put(&name(number), PutPayload::from_static(b"{}")).await.unwrap();
        }
        for store in [&plain, &fast] {
            let places = listed(store, &name(9)).await.into_iter().map(|meta| meta.location);
            assert_eq!(places.collect::<Vec<_>>(), (10..60).map(name).collect::<Vec<_>>());
        }
    }

    /// The fast listing says what the store's own says, also of a log that does not exist and of what is no entry.
    #[tokio::test]
    async fn a_folder_lists_a_log_as_its_store_does() {
        let folder = tempfile::tempdir().unwrap();
        let fast = Ordered::folder(folder.path()).unwrap();
        let plain = Ordered::store(Arc::clone(&fast.store));
        let log = Path::from(format!("table/{LOG}"));
        assert_eq!((listed(&fast, &log).await, listed(&plain, &log).await), (Vec::new(), Vec::new()));
        for number in 0..3 {
            fast.put(&name(number), PutPayload::from_static(b"{}")).await.unwrap();
        }
        let on_disk = folder.path().join(log.as_ref());
        for entry in ["_last_checkpoint", "00000000000000000001.checkpoint.parquet", "00000000000000000003.json#1"] {
            std::fs::write(on_disk.join(entry), "x").unwrap();
        }
        std::fs::create_dir(on_disk.join("_sidecars")).unwrap();
        for after in [log, name(0), name(2), name(9)] {
            let known = |metas: Vec<ObjectMeta>| -> Vec<_> {
                metas.into_iter().map(|meta| (meta.location, meta.size, meta.last_modified)).collect()
            };
            assert_eq!(known(listed(&fast, &after).await), known(listed(&plain, &after).await), "{after}");
        }
    }
}
