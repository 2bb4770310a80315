//! A store that lists in order where Delta relies on it: its log is read from a listing, the latest version last, and
//! neither folders nor every kind of bucket list in any order.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// The store itself, but for listings from a place on.
#[derive(Debug, Clone)]
pub(super) struct Ordered(pub Arc<dyn ObjectStore>);

impl fmt::Display for Ordered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[async_trait]
impl ObjectStore for Ordered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    /// What is listed from a place on is a table's log since its last checkpoint, and few.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.0.list_with_offset(prefix, offset);
        let ordered = async move {
            let mut all: Vec<ObjectMeta> = listed.try_collect().await?;
            all.sort_unstable_by(|one, other| one.location.cmp(&other.location));
            Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(ordered).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    use super::*;

    #[tokio::test]
    async fn a_listing_from_a_place_on_is_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Ordered(Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()));
        let name = |number: u32| Path::from(format!("log/{number:020}.json"));
        for number in (0..60).rev().step_by(2).chain((0..60).step_by(2)) {
            store.put(&name(number), PutPayload::from_static(b"{}")).await.unwrap();
        }
        let listed = store.list_with_offset(Some(&Path::from("log")), &name(9));
        let listed: Vec<Path> = listed.map_ok(|meta| meta.location).try_collect().await.unwrap();
        assert_eq!(listed, (10..60).map(name).collect::<Vec<_>>());
    }
}
