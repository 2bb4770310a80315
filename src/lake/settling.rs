//! What follows from the events of a day, kept at rest.
//!
//! ```text
//! event files of a day ─► made from them ─┬─► settled: TABLE/event_date=…/settled-N-OF-ROWS-….parquet
//!                                         └─► not settled yet: in memory, for one session
//! ```
//!
//! Rows of the same call have the same time, and an hour is of one day, so all of these follow from the files of a day. A day is *settled* in
//! a table when that has a file made from exactly the day's current files; its name has their hash. Adding or merging a file unsettles
//! the day, so that the tables need no common commit: stale and duplicate files are ignored, and what an unsettled day's rows would say is
//! worked out when it is asked about.

use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake_core::kernel::Add;
use object_store::ObjectStore;

pub use super::days::Found;
use super::days::{self, Day, Settled, days, each};
use super::parquet::{self, FileWriter};
use super::spec::TableSpec;
use super::table::{Commit, DataFile, LakeTable};
use super::{Lake, LakeError, counts, hours, shared, uncommon};
use crate::cloudtrail::columns::PARTITION;

/// Unsettled days at which a writer settles all: each question works them out again.
const UNSETTLED_MAX: usize = 8;

/// Every table that is settled by day.
const SETTLED: [&Settled; 4] = [&shared::SETTLED, &hours::SETTLED, &counts::SETTLED, &uncommon::SETTLED];

/// What the events come to, as one of the tables has it.
///
/// # Errors
/// When a file cannot be read.
pub async fn found(spec: &TableSpec, events: &LakeTable, table: Option<&LakeTable>) -> Result<Found, LakeError> {
    match SETTLED.into_iter().find(|settled| std::ptr::eq(settled.table, spec)) {
        Some(settled) => days::found(settled, events, table).await,
        None => Ok(Found::default()),
    }
}

/// Whether each file of a table belongs to one set of event files.
pub(super) fn is_settled_by_day(table: &TableSpec) -> bool {
    SETTLED.iter().any(|settled| std::ptr::eq(settled.table, table))
}

/// Settles unsettled days: all if `whole`, otherwise only those worth it.
///
/// # Errors
/// The first that there was: a file cannot be read or written. What is not concerned is settled all the same.
pub async fn settle(lake: &Lake, events: &LakeTable, whole: bool) -> Result<(), LakeError> {
    let mut tables = Vec::new();
    for settled in SETTLED {
        tables.push((settled, lake.open(settled.table).await?));
    }
    // Otherwise a newer settled file of another writer would look stale.
    let mut events = events.clone();
    events.refresh().await?;
    let mut failed = None;
    for (settled, table) in tables {
        if let Err(error) = settle_in(lake, &events, settled, table, whole).await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn settle_in(
    lake: &Lake,
    events: &LakeTable,
    settled: &'static Settled,
    table: Option<LakeTable>,
    whole: bool,
) -> Result<(), LakeError> {
    let mut due: Vec<Day> = days(events, table.as_ref(), settled.prefix);
    due.retain(|day| day.settled.is_none() && !day.name.is_empty());
    if !whole && due.len() < UNSETTLED_MAX {
        due.retain(|day| day.is_due(settled.prefix));
    }
    if due.is_empty() {
        return Ok(());
    }
    let mut table = match table {
        Some(table) => table,
        None => lake.open_or_create(settled.table).await?,
    };
    let unknown: Vec<String> = events.unknown_columns().into_iter().chain(table.unknown_columns()).collect();
    if !unknown.is_empty() {
        return Err(LakeError::Newer { columns: unknown.join(", ") });
    }
    let into = table.store();
    let made = each(due, events.store(), |from, day| {
        let into = Arc::clone(&into);
        async move { Ok((made(settled, from, into, &day).await, day)) }
    });
    let (mut adds, mut removes, mut failed) = (Vec::new(), Vec::new(), None);
    for (add, day) in made.await? {
        match add {
            Ok(add) => {
                adds.push(add);
                removes.extend(day.stale.iter().map(DataFile::removal));
            }
            // A day that cannot be read keeps no other from being settled.
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    let written: Vec<String> = adds.iter().map(|add: &Add| add.path.clone()).collect();
    // Another writer has settled these days, or a newer state of them.
    if !adds.is_empty() && table.commit(adds, removes, &[]).await? == Commit::Conflict {
        table.refresh().await?;
        table.discard(&written).await;
    }
    failed.map_or(Ok(()), Err)
}

/// The file of a day.
async fn made(
    settled: &Settled,
    from: Arc<dyn ObjectStore>,
    into: Arc<dyn ObjectStore>,
    day: &Day,
) -> Result<Add, LakeError> {
    let schema = parquet::dictionary_schema(&(settled.table.schema)(), settled.table.partition);
    let rows = usize::try_from(day.rows()).unwrap_or(usize::MAX);
    let mut writer = None;
    let mut put = |batch: RecordBatch| {
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(FileWriter::new(batch.schema_ref(), rows)?),
        };
        writer.write(&batch)
    };
    (settled.make)(from, day, &mut put).await?;
    let mut writer = match writer {
        Some(writer) => writer,
        None => FileWriter::new(&schema, 0)?,
    };
    writer.named(format!("{}{:032x}-{}-", settled.prefix, day.stamp(), day.rows()));
    writer.finish(into.as_ref(), Some((PARTITION, &day.name)), true).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::columns::{Event, EventBuilder};
    use crate::lake::events::EventsWriter;
    use crate::lake::shared::{SharedCalls, is_marked, shared_calls};
    use crate::lake::tables::{EVENTS, SHARED_CALLS};

    const DAYS: i32 = 9;

    /// Events of one account, of which the first is of a call that the other account logs too.
    const ONE: &[(&str, &str)] = &[("111111111111", "s"), ("111111111111", "t")];
    const OTHER: &[(&str, &str)] = &[("222222222222", "s")];
    const BOTH: &[(&str, &str)] = &[("111111111111", "s"), ("222222222222", "s"), ("111111111111", "t")];

    /// These events on each of these days.
    fn batch(events: &[(&str, &str)], days: impl Iterator<Item = i32>, run: &str) -> RecordBatch {
        let mut builder = EventBuilder::default();
        for day in days {
            for (account, shared) in events {
                let event = Event {
                    event_id: Some(format!("{run}-{account}-{shared}").into()),
                    shared_event_id: Some(format!("{run}-{shared}").into()),
                    event_source: Some("kms.amazonaws.com".into()),
                    event_name: Some("Decrypt".into()),
                    event_time: Some(i64::from(day) * 86_400_000_000),
                    event_date: Some(day),
                    account_id: Some((*account).into()),
                    key_arn: Some("arn:aws:kms:eu-west-1:111111111111:key/1".into()),
                    ..Event::default()
                };
                builder.append(&event).unwrap();
            }
        }
        builder.finish().unwrap()
    }

    async fn found(lake: &Lake) -> SharedCalls {
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        shared_calls(&events, lake.open(&SHARED_CALLS).await.unwrap().as_ref()).await.unwrap()
    }

    #[tokio::test]
    async fn many_days_are_settled_at_once_and_what_is_added_unsettles_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        writer.append(&batch(ONE, 0..DAYS, "a")).await.unwrap();
        writer.append(&batch(OTHER, 0..DAYS, "a")).await.unwrap();
        assert_eq!((found(&lake).await.found.files.len(), found(&lake).await.found.fresh.len()), (0, 9));
        writer.upkeep().await;
        let settled = found(&lake).await;
        assert_eq!((settled.found.files.len(), settled.found.fresh.len(), settled.open.len()), (9, 0, 9));
        writer.append(&batch(BOTH, 3..4, "b")).await.unwrap();
        writer.upkeep().await;
        let added = found(&lake).await;
        assert_eq!((added.found.files.len(), added.found.fresh.len(), added.open.len()), (8, 1, 9));
        assert_eq!((added.found.fresh[0].0.as_str(), added.found.fresh[0].1.num_rows()), ("1970-01-04", 2));
        settle(&lake, &lake.open(&EVENTS).await.unwrap().unwrap(), true).await.unwrap();
        let settled = found(&lake).await;
        assert_eq!((settled.found.files.len(), settled.found.fresh.len(), settled.open.len()), (9, 0, 9));
        assert_eq!(lake.open(&SHARED_CALLS).await.unwrap().unwrap().files().len(), 9);
    }

    /// Also after Delta has written a checkpoint.
    #[tokio::test]
    async fn files_say_how_their_rows_count() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        for run in 0..15 {
            writer.append(&batch(BOTH, 0..1, &run.to_string())).await.unwrap();
        }
        assert!(folder.path().join("events/_delta_log/_last_checkpoint").exists());
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        assert!(events.files().len() == 15 && events.files().iter().all(is_marked), "{:?}", events.files());
    }

    /// What cannot be read is said, and keeps no other day from being settled.
    #[tokio::test]
    async fn a_day_that_cannot_be_read_stays_unsettled() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        EventsWriter::open(&lake).await.unwrap().append(&batch(BOTH, 0..DAYS, "a")).await.unwrap();
        let events = lake.open(&EVENTS).await.unwrap().unwrap();
        let broken = events.files().remove(0);
        std::fs::write(folder.path().join("events").join(broken.path.as_ref()), b"no Parquet").unwrap();
        let error = settle(&lake, &events, true).await.unwrap_err().to_string();
        assert!(error.contains(broken.path.as_ref()), "{error}");
        assert_eq!(lake.open(&SHARED_CALLS).await.unwrap().unwrap().files().len(), 8);
    }

    #[tokio::test]
    async fn who_settles_at_the_same_time_or_too_late_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut writer = EventsWriter::open(&lake).await.unwrap();
        writer.append(&batch(BOTH, 0..DAYS, "a")).await.unwrap();
        let before = lake.open(&EVENTS).await.unwrap().unwrap();
        let (one, other) = tokio::join!(settle(&lake, &before, true), settle(&lake, &before, true));
        one.and(other).unwrap();
        writer.append(&batch(BOTH, 0..DAYS, "b")).await.unwrap();
        let now = lake.open(&EVENTS).await.unwrap().unwrap();
        settle(&lake, &now, true).await.unwrap();
        // It read the events before there were more.
        settle(&lake, &before, true).await.unwrap();
        let found = found(&lake).await;
        let settled: u64 = found.found.files.iter().filter_map(|file| file.rows).sum();
        assert_eq!((found.found.fresh.len(), settled, found.open.len()), (0, 18, 0));
    }
}
