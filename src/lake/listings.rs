//! Which days of which lanes were listed to their end, so that the next run lists only days that can have changed.
//!
//! A row is written when everything that a listing named is in the ledger: it says of whole days of delivery that nothing
//! in them waits to be read. A day settles once it was listed `relist_days` after its end; until then an object may
//! still arrive late, and it is listed again.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, PrimitiveArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use chrono::{DateTime, Days, NaiveDate};
use futures::TryStreamExt;
use hashbrown::HashMap;

use super::identity::Texts;
use super::parquet::{self, Read};
use super::table::LakeTable;
use super::tables::LISTINGS;
use super::{Lake, LakeError};

/// Days from, and until (exclusive); open where nothing bounds it.
pub type Span = (Option<NaiveDate>, Option<NaiveDate>);

/// Days of a lane that were listed, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The lane's address.
    pub lane: String,
    /// The days.
    pub days: Span,
}

/// What was listed before.
#[derive(Debug)]
pub struct Listings {
    table: LakeTable,
    /// By lane: the days, and the day on which they were listed.
    listed: HashMap<String, Vec<(Span, NaiveDate)>>,
}

impl Listings {
    /// Opens the table and reads all of it.
    ///
    /// # Errors
    /// When the table cannot be opened, created or read.
    pub async fn open(lake: &Lake) -> Result<Self, LakeError> {
        let mut listings = Self { table: lake.open_or_create(&LISTINGS).await?, listed: HashMap::new() };
        for file in listings.table.files() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let mut rows = parquet::open(listings.table.store(), &file, Read::Columns(&COLUMNS)).await?;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                let lanes = Texts::of(&batch, "lane")?;
                let (from, until) = (days(&batch, "from_day"), days(&batch, "until_day"));
                let at = batch["listed_at"].as_primitive::<TimestampMicrosecondType>();
                for row in 0..batch.num_rows() {
                    let Some(on) = DateTime::from_timestamp_micros(at.value(row)) else { continue };
                    let span = (day(from, row), day(until, row));
                    listings.learn(lanes.get(row).unwrap_or_default(), span, on.date_naive());
                }
            }
        }
        Ok(listings)
    }

    fn learn(&mut self, lane: &str, span: Span, on: NaiveDate) {
        self.listed.entry_ref(lane).or_default().push((span, on));
    }

    /// The days of a lane that need not be listed again: listed when they were over for `relist_days` already.
    #[must_use]
    pub fn settled(&self, lane: &str, relist_days: u32) -> Vec<Span> {
        let listed = self.listed.get(lane).map_or(&[] as &[_], Vec::as_slice);
        listed.iter().filter_map(|(span, on)| settled(*span, *on, relist_days)).collect()
    }

    /// Records what was listed at the instant `at` (microseconds UTC), as far as it settles anything.
    ///
    /// # Errors
    /// When the lake cannot be written.
    pub async fn record(&mut self, listed: &[Listing], at: i64, relist_days: u32) -> Result<(), LakeError> {
        let on = DateTime::from_timestamp_micros(at).unwrap_or_default().date_naive();
        let new: Vec<&Listing> = listed.iter().filter(|row| settled(row.days, on, relist_days).is_some()).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.table.append(&batch(&new, at)?).await?;
        for row in new {
            self.learn(&row.lane, row.days, on);
        }
        Ok(())
    }
}

const COLUMNS: [&str; 4] = ["lane", "from_day", "until_day", "listed_at"];

/// The part of some listed days that was over for so long when they were listed.
fn settled((from, until): Span, on: NaiveDate, relist_days: u32) -> Option<Span> {
    let over = on.checked_sub_days(Days::new(relist_days.into()))?;
    let until = until.map_or(over, |until| until.min(over));
    from.is_none_or(|from| from < until).then_some((from, Some(until)))
}

fn days<'a>(batch: &'a RecordBatch, column: &str) -> &'a PrimitiveArray<Date32Type> {
    batch[column].as_primitive::<Date32Type>()
}

fn day(column: &PrimitiveArray<Date32Type>, row: usize) -> Option<NaiveDate> {
    column.is_valid(row).then(|| column.value_as_date(row)).flatten()
}

fn batch(rows: &[&Listing], at: i64) -> Result<RecordBatch, LakeError> {
    let date = |get: fn(&Listing) -> Option<NaiveDate>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| get(row).map(Date32Type::from_naive_date)).collect::<Date32Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.lane.as_str())).collect::<StringArray>()),
        date(|row| row.days.0),
        date(|row| row.days.1),
        Arc::new(rows.iter().map(|_| Some(at)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new((LISTINGS.schema)(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn span(from: Option<&str>, until: Option<&str>) -> Span {
        (from.map(day), until.map(day))
    }

    #[test]
    fn a_day_settles_when_it_was_listed_long_enough_after_its_end() {
        let on = day("2026-11-22");
        let whole = span(Some("2026-01-01"), Some("2026-02-01"));
        assert_eq!(settled((None, None), on, 7), Some(span(None, Some("2026-11-15"))));
        assert_eq!(settled(whole, on, 7), Some(whole));
        let late = span(Some("2026-11-15"), None);
        assert_eq!(settled(late, on, 7), None);
        assert_eq!(settled(late, on, 0), Some(span(Some("2026-11-15"), Some("2026-11-22"))));
    }

    #[tokio::test]
    async fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let mut listings = Listings::open(&lake).await.unwrap();
        let of = |lane: &str, days: Span| Listing { lane: lane.to_owned(), days };
        let at = day("2026-11-22").and_hms_opt(12, 0, 0).unwrap().and_utc().timestamp_micros();
        let rows = [of("a/", span(None, Some("2026-11-23"))), of("b/", span(Some("2026-11-20"), None))];
        listings.record(&rows, at, 7).await.unwrap();
        let again = Listings::open(&lake).await.unwrap();
        for listings in [&listings, &again] {
            assert_eq!(listings.settled("a/", 7), [span(None, Some("2026-11-15"))]);
            assert_eq!(listings.settled("a/", 30), [span(None, Some("2026-10-23"))]);
            assert_eq!(listings.settled("b/", 7), []);
        }
    }
}
