//! In which hours each account and Region has events: small, and kept at rest, so that nobody reads all events for it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use hashbrown::HashMap;
use object_store::ObjectStore;

use super::LakeError;
use super::calls;
use super::columns::{self, Column, flag, instant, text};
use super::days::{Day, Settled, Sink};
use super::identity::Texts;
use super::parquet::{self, Read};
use super::spec::TableSpec;
use crate::cloudtrail::columns::{PARTITION, lake_schema};

/// In which hours there are events.
pub static SETTLED_HOURS: TableSpec = TableSpec {
    name: "settled_hours",
    partition: Some(PARTITION),
    schema,
    doc: "in which hours each account and Region has events; a file's name identifies the event files that it covers",
};

/// How a day's hours are settled. The number changes with what the rows mean.
pub(super) const SETTLED: Settled = Settled { table: &SETTLED_HOURS, prefix: "settled-1-", make: settled };

/// Microseconds.
const HOUR: i64 = 3_600_000_000;

/// Of events, what an hour is made of.
const MADE_OF: [&str; 6] = ["account_id", "region", "event_time", "event_type", "event_source", "read_only"];

/// An hour of an account and Region.
#[derive(Debug)]
struct Hour {
    account_id: Option<String>,
    region: Option<String>,
    begin: Option<i64>,
    seen: Seen,
}

/// What its events show, but for those of VPC endpoints, which are another log.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    first_event: Option<i64>,
    last_event: Option<i64>,
    has_reads: Option<bool>,
}

const COLUMNS: [Column<Hour>; 6] = [
    text("account_id", |row| row.account_id.as_deref(), "Account that logged the events"),
    text("region", |row| row.region.as_deref(), "Its Region"),
    instant("hour", |row| row.begin, "Begin of the hour, UTC"),
    instant("first_event", |row| row.seen.first_event, "Time of the first event in it"),
    instant("last_event", |row| row.seen.last_event, "Time of the last event in it"),
    flag("has_reads", |row| row.seen.has_reads, "Whether one of them read from KMS"),
];

/// The columns, with the day.
pub(super) fn schema() -> SchemaRef {
    let day = Arc::new(Field::new(PARTITION, DataType::Date32, true));
    Arc::new(Schema::new(columns::schema(&COLUMNS).fields().iter().cloned().chain([day]).collect::<Vec<_>>()))
}

fn settled<'d>(store: Arc<dyn ObjectStore>, day: &'d Day, sink: Sink<'d>) -> BoxFuture<'d, Result<(), LakeError>> {
    Box::pin(async move {
        let mut hours = Gathered::default();
        let of = read_as()?;
        for file in &day.files {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let mut rows = parquet::open(Arc::clone(&store), file, Read::As(&of)).await?;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                hours.add(&parquet::completed(&batch, &of)?)?;
            }
        }
        sink(columns::batch(&COLUMNS, &hours.rows())?)
    })
}

fn read_as() -> Result<SchemaRef, LakeError> {
    let events = lake_schema();
    let fields = MADE_OF.map(|name| events.field_with_name(name).cloned());
    let fields = fields.into_iter().collect::<Result<Vec<Field>, _>>()?;
    Ok(parquet::dictionary_schema(&Schema::new(fields), None))
}

/// Where and when: account and Region, which are numbers here, and the begin of the hour.
type Place = (Option<usize>, Option<usize>, Option<i64>);

/// Hours by their place.
#[derive(Debug, Default)]
struct Gathered {
    names: HashMap<String, usize>,
    hours: HashMap<Place, Seen>,
}

impl Gathered {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let text = |name: &str| Texts::of(batch, name);
        let (accounts, regions) = (text("account_id")?, text("region")?);
        let (types, sources) = (text("event_type")?, text("event_source")?);
        let [times, reads] = ["event_time", "read_only"].map(|name| batch.column_by_name(name));
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let reads = reads.and_then(|reads| reads.as_boolean_opt());
        for row in 0..batch.num_rows() {
            let time = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let place = [accounts, regions].map(|names| names.get(row).map(|name| self.number(name)));
            let hour = time.map(|time| time.div_euclid(HOUR) * HOUR);
            let seen = self.hours.entry((place[0], place[1], hour)).or_default();
            if calls::is_of_endpoint(types.get(row)) {
                continue;
            }
            seen.first_event = seen.first_event.into_iter().chain(time).min();
            seen.last_event = seen.last_event.max(time);
            let is_read = reads.filter(|reads| reads.is_valid(row)).map(|reads| reads.value(row));
            seen.has_reads = seen.has_reads.max(match (sources.get(row), is_read) {
                (Some("kms.amazonaws.com"), is_read) => is_read,
                (Some(_), _) | (None, Some(false)) => Some(false),
                (None, _) => None,
            });
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> usize {
        let next = self.names.len();
        *self.names.entry_ref(name).or_insert(next)
    }

    /// The hours in order.
    fn rows(self) -> Vec<Hour> {
        let mut names = vec![String::new(); self.names.len()];
        self.names.into_iter().for_each(|(name, number)| names[number] = name);
        let name = |number: Option<usize>| number.map(|number| names[number].clone());
        let hour = |((account, region, begin), seen): (Place, Seen)| Hour {
            account_id: name(account),
            region: name(region),
            begin,
            seen,
        };
        let mut rows: Vec<Hour> = self.hours.into_iter().map(hour).collect();
        rows.sort_by(|one, other| {
            (&one.account_id, &one.region, one.begin).cmp(&(&other.account_id, &other.region, other.begin))
        });
        rows
    }
}
