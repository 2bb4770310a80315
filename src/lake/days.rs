//! The days of the events, and of each whether the files that follow from it are made from exactly its current files: a file's name
//! has their hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use xxhash_rust::xxh3::xxh3_128;

use super::LakeError;
use super::spec::TableSpec;
use super::table::{DataFile, LakeTable};

/// A day is settled again once more than half its rows are new, with this minimum and maximum.
const GAINED: (u64, u64) = (4096, 256 * 1024);

/// Files and days that are read at once.
const AT_ONCE: usize = 2;

/// Takes the rows of a day, part by part.
pub(super) type Sink<'s> = &'s mut (dyn FnMut(RecordBatch) -> Result<(), LakeError> + Send);

/// Makes the rows of a day.
type Make = for<'d> fn(Arc<dyn ObjectStore>, &'d Day, Sink<'d>) -> BoxFuture<'d, Result<(), LakeError>>;

/// A table with a file for each settled day.
#[derive(Debug)]
pub(super) struct Settled {
    pub table: &'static TableSpec,
    /// Prefix of the names of its files.
    pub prefix: &'static str,
    /// Makes the rows of a day.
    pub make: Make,
}

/// What the days of a lake come to.
#[derive(Debug, Default)]
pub struct Found {
    /// The files of the settled days.
    pub files: Vec<DataFile>,
    /// The rows of the other days, with the names of these.
    pub fresh: Vec<(String, RecordBatch)>,
}

/// What the events come to, as one of the tables has it.
///
/// # Errors
/// When a file cannot be read.
pub(super) async fn found(
    settled: &'static Settled,
    events: &LakeTable,
    table: Option<&LakeTable>,
) -> Result<Found, LakeError> {
    let mut found = Found::default();
    let mut fresh = Vec::new();
    for day in days(events, table, settled.prefix) {
        match day.settled {
            Some(file) => found.files.push(file),
            None => fresh.push(day),
        }
    }
    let fresh = each(fresh, events.store(), |store, day| async move {
        let mut batches = Vec::new();
        let mut put = |batch| {
            batches.push(batch);
            Ok(())
        };
        (settled.make)(store, &day, &mut put).await?;
        Ok((day.name, batches))
    });
    for (day, batches) in fresh.await? {
        found.fresh.extend(batches.into_iter().map(|batch| (day.clone(), batch)));
    }
    found.files.retain(|file| file.rows != Some(0));
    Ok(found)
}

/// A day of events.
#[derive(Debug, Clone)]
pub(super) struct Day {
    pub name: String,
    pub files: Vec<DataFile>,
    /// The settled file of exactly these files.
    pub settled: Option<DataFile>,
    /// Settled files of earlier states of the day, and duplicates.
    pub stale: Vec<DataFile>,
}

impl Day {
    pub fn rows(&self) -> u64 {
        self.files.iter().filter_map(|file| file.rows).sum()
    }

    /// Hash of its file names, for the settled file's name.
    pub fn stamp(&self) -> u128 {
        let mut names: Vec<&str> = self.files.iter().map(|file| file.path.as_ref()).collect();
        names.sort_unstable();
        xxh3_128(names.join("\n").as_bytes())
    }

    /// Whether it has gained much since it was settled last.
    pub fn is_due(&self, prefix: &str) -> bool {
        let covered = self.stale.iter().filter_map(|file| Some(stamp_of(file, prefix)?.1)).max().unwrap_or_default();
        let (rows, (least, most)) = (self.rows(), GAINED);
        rows.saturating_sub(covered) > (rows / 2).clamp(least, most)
    }
}

/// The hash and row count in a settled file's name.
fn stamp_of(file: &DataFile, prefix: &str) -> Option<(u128, u64)> {
    let (stamp, rest) = file.path.filename()?.strip_prefix(prefix)?.split_once('-')?;
    let (rows, _) = rest.split_once('-')?;
    Some((u128::from_str_radix(stamp, 16).ok()?, rows.parse().ok()?))
}

/// The days of the events, each with the file of the other table that is made from all its files.
pub(super) fn days(events: &LakeTable, settled: Option<&LakeTable>, prefix: &str) -> Vec<Day> {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for file in events.files() {
        let name = file.partition.clone().unwrap_or_default();
        let day = Day { name: name.clone(), files: Vec::new(), settled: None, stale: Vec::new() };
        days.entry(name).or_insert(day).files.push(file);
    }
    let mut made: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    for file in settled.map(LakeTable::files).unwrap_or_default() {
        made.entry(file.partition.clone().unwrap_or_default()).or_default().push(file);
    }
    for day in days.values_mut() {
        let stamp = day.stamp();
        let mut made = made.remove(&day.name).unwrap_or_default();
        made.sort_by(|one, other| one.path.cmp(&other.path));
        let at = made.iter().position(|file| stamp_of(file, prefix).is_some_and(|(of, _)| of == stamp));
        day.settled = at.map(|at| made.remove(at));
        day.stale = made;
    }
    days.into_values().collect()
}

/// Runs `work` on each item, a few at a time, in the background.
pub(super) async fn each<I, T, F>(
    items: impl IntoIterator<Item = I>,
    store: Arc<dyn ObjectStore>,
    work: impl Fn(Arc<dyn ObjectStore>, I) -> F,
) -> Result<Vec<T>, LakeError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LakeError>> + Send + 'static,
{
    let begun = |item| {
        let work = tokio::spawn(work(Arc::clone(&store), item));
        async move {
            work.await.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process is about to end.
                Err(error) => Err(object_store::Error::Generic { store: "lake", source: error.into() }.into()),
            })
        }
    };
    stream::iter(items).map(begun).buffered(AT_ONCE).try_collect().await
}
