//! How often each principal made each kind of KMS call in each half hour: kept at rest, since most questions are about how many
//! calls there were, of whom and when, and not about single calls.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use hashbrown::{HashMap, HashSet};
use object_store::ObjectStore;

use super::LakeError;
use super::calls::{self, MARKED_BY, MERGED_BY, Mark};
use super::days::{Day, Settled, Sink};
use super::identity::Texts;
use super::parquet::{self, Read};
use super::shared;
use super::spec::TableSpec;
use crate::cloudtrail::columns::{CALL, PARTITION, lake_schema};

/// How many calls there were in each half hour.
pub static SETTLED_COUNTS: TableSpec = TableSpec {
    name: "settled_counts",
    partition: Some(PARTITION),
    schema,
    doc: "how many KMS calls each principal made of each kind in each half hour; a file's name identifies the event files that it covers",
};

/// How a day's calls are counted. The number changes with what the rows mean.
pub(super) const SETTLED: Settled = Settled { table: &SETTLED_COUNTS, prefix: "settled-1-", make: settled };

/// Microseconds.
const HALF_HOUR: i64 = 30 * 60 * 1_000_000;

/// Columns of `events` in which calls that are counted together are alike, beside their half hour.
const ALIKE: [&str; 19] = [
    "key_arn",
    "principal",
    "principal_id",
    "principal_type",
    "principal_account_id",
    "account_id",
    "region",
    "event_name",
    "usage_class",
    "outcome",
    "error_code",
    "via",
    "key_id",
    "key_account_id",
    "key_region",
    "key_alias",
    "dest_key_arn",
    "asset_type",
    "asset_trust",
];

/// The places of the principal and of its id among them: who has no name goes by the id.
const PRINCIPAL: usize = 1;
const PRINCIPAL_ID: usize = 2;

/// The name of whom no record names.
const UNKNOWN: &str = "unknown";

/// What it is that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// Events, each of which is a call as it is.
    Both,
    /// Calls that several events log.
    Call,
    /// Events that are no call as they are.
    Event,
    /// Events of VPC endpoints, which are another log.
    Endpoint,
}

/// The columns beside those of `events`.
fn own_columns() -> [Field; 7] {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    [
        Field::new("is_event", DataType::Boolean, true),
        Field::new("is_call", DataType::Boolean, true),
        Field::new("half", instant(), true),
        Field::new("calls", DataType::Int64, true),
        Field::new("first_seen", instant(), true),
        Field::new("last_seen", instant(), true),
        Field::new("last_event_id", DataType::Utf8, true),
    ]
}

fn data_schema() -> Schema {
    let alike = ALIKE.map(|name| Field::new(name, DataType::Utf8, true));
    Schema::new(alike.into_iter().chain(own_columns()).collect::<Vec<_>>())
}

/// The columns, with the day.
pub(super) fn schema() -> SchemaRef {
    let day = Arc::new(Field::new(PARTITION, DataType::Date32, true));
    Arc::new(Schema::new(data_schema().fields().iter().cloned().chain([day]).collect::<Vec<_>>()))
}

fn settled<'d>(store: Arc<dyn ObjectStore>, day: &'d Day, sink: Sink<'d>) -> BoxFuture<'d, Result<(), LakeError>> {
    Box::pin(async move {
        let mut counts = Counts::default();
        let marked = [MARKED_BY.as_slice(), &[CALL]].concat();
        let of = read_as(&marked)?;
        let parts = shared::parts(&store, day).await?;
        for (at, file) in day.files.iter().enumerate() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let shared: HashSet<usize> = parts.iter().flatten().filter_map(|row| row.place_in(at)).collect();
            let mut rows = parquet::open(Arc::clone(&store), file, Read::As(&of)).await?;
            let mut first = 0;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                let batch = parquet::completed(&batch, &of)?;
                let marks = calls::marks(&batch)?;
                let types = Texts::of(&batch, "event_type")?;
                counts.add(&batch, |row| match marks[row] {
                    Mark::None => None,
                    Mark::Single => Some(Kind::Both),
                    Mark::Shared if !shared.contains(&(first + row)) => Some(Kind::Both),
                    Mark::Uncertain if calls::is_of_endpoint(types.get(row)) => Some(Kind::Endpoint),
                    Mark::Shared | Mark::Copy | Mark::Uncertain => Some(Kind::Event),
                })?;
                first += batch.num_rows();
            }
        }
        let of = read_as(&[marked.as_slice(), &MERGED_BY].concat())?;
        for part in &parts {
            counts.add(&shared::merged(&store, day, part, &of).await?, |_| Some(Kind::Call))?;
        }
        sink(counts.rows()?)
    })
}

/// What is read of events: what is counted, and these columns.
fn read_as(more: &[&'static str]) -> Result<SchemaRef, LakeError> {
    let events = lake_schema();
    let mut names: Vec<&str> = ALIKE.into_iter().chain(more.iter().copied()).chain(["event_time"]).collect();
    names.sort_unstable();
    names.dedup();
    let fields = names.into_iter().map(|name| events.field_with_name(name).cloned());
    let fields = fields.collect::<Result<Vec<Field>, _>>()?;
    Ok(parquet::dictionary_schema(&Schema::new(fields), None))
}

/// What calls that are counted together have in common: their texts, which are numbers here, and the begin of their half hour.
type Alike = ([u32; ALIKE.len()], Kind, i64);

/// How many there were, and when.
#[derive(Debug)]
struct Seen {
    calls: i64,
    first: i64,
    last: i64,
    last_id: Option<String>,
}

/// Texts, each with a number. Zero is null.
#[derive(Debug, Default)]
struct Numbers {
    of: HashMap<String, u32>,
}

impl Numbers {
    fn number(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return 0 };
        let next = u32::try_from(self.of.len() + 1).unwrap_or(u32::MAX);
        *self.of.entry_ref(text).or_insert(next)
    }

    /// The texts in order, null first, and where each number is among them.
    fn in_order(self) -> (Vec<Option<String>>, Vec<u32>) {
        let mut texts: Vec<(String, u32)> = self.of.into_iter().collect();
        texts.sort_unstable();
        let mut places = vec![0; texts.len() + 1];
        for ((_, number), place) in texts.iter().zip(1..) {
            places[*number as usize] = place;
        }
        (std::iter::once(None).chain(texts.into_iter().map(|(text, _)| Some(text))).collect(), places)
    }
}

#[derive(Debug, Default)]
struct Counts {
    numbers: [Numbers; ALIKE.len()],
    seen: HashMap<Alike, Seen>,
}

impl Counts {
    fn add(&mut self, batch: &RecordBatch, kind: impl Fn(usize) -> Option<Kind>) -> Result<(), ArrowError> {
        let wrong = || ArrowError::SchemaError("no event_time".to_owned());
        let times = batch.column_by_name("event_time");
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>()).ok_or_else(wrong)?;
        let ids = Texts::of(batch, "event_id")?;
        let columns = ALIKE.map(|name| Texts::of(batch, name)).into_iter().collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<Vec<u32>> = columns
            .into_iter()
            .zip(&mut self.numbers)
            .map(|(texts, numbers)| numbered(texts, numbers, batch))
            .collect();
        let caller_ids = Texts::of(batch, ALIKE[PRINCIPAL_ID])?;
        for row in 0..batch.num_rows() {
            let (Some(kind), true) = (kind(row), times.is_valid(row)) else { continue };
            let mut alike = [0; ALIKE.len()];
            for (alike, column) in alike.iter_mut().zip(&columns) {
                *alike = column[row];
            }
            if alike[PRINCIPAL] == 0 {
                alike[PRINCIPAL] = self.numbers[PRINCIPAL].number(caller_ids.get(row).or(Some(UNKNOWN)));
            }
            let (time, id) = (times.value(row), ids.get(row));
            let half = time.div_euclid(HALF_HOUR) * HALF_HOUR;
            let new = || Seen { calls: 0, first: time, last: i64::MIN, last_id: None };
            let seen = self.seen.entry((alike, kind, half)).or_insert_with(new);
            seen.calls += 1;
            seen.first = seen.first.min(time);
            // As SQL orders them: null last.
            let place = |time: i64, id: Option<&'_ str>| (time, id.is_none(), id.map(str::to_owned));
            if place(time, id) >= place(seen.last, seen.last_id.as_deref()) {
                (seen.last, seen.last_id) = (time, id.map(str::to_owned));
            }
        }
        Ok(())
    }

    /// In the order of keys and times.
    fn rows(self) -> Result<RecordBatch, LakeError> {
        let (texts, places): (Vec<_>, Vec<_>) = self.numbers.map(Numbers::in_order).into_iter().unzip();
        let mut rows: Vec<(Alike, Seen)> = self.seen.into_iter().collect();
        for ((alike, ..), _) in &mut rows {
            for (number, places) in alike.iter_mut().zip(&places) {
                *number = places[*number as usize];
            }
        }
        rows.sort_unstable_by_key(|((alike, kind, half), _)| (alike[0], *half, *alike, *kind));
        let alike = texts.iter().enumerate().map(|(column, texts)| -> ArrayRef {
            let of = rows.iter().map(|((numbers, ..), _)| texts[numbers[column] as usize].as_deref());
            Arc::new(of.collect::<StringArray>())
        });
        let flag = |is: fn(Kind) -> bool| -> ArrayRef {
            Arc::new(rows.iter().map(|((_, kind, _), _)| Some(is(*kind))).collect::<BooleanArray>())
        };
        let instants = |of: &dyn Fn(&(Alike, Seen)) -> i64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(of(row))).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let own: [ArrayRef; 7] = [
            flag(|kind| matches!(kind, Kind::Both | Kind::Event)),
            flag(|kind| matches!(kind, Kind::Both | Kind::Call)),
            instants(&|((.., half), _)| *half),
            Arc::new(rows.iter().map(|(_, seen)| Some(seen.calls)).collect::<Int64Array>()),
            instants(&|(_, seen)| seen.first),
            instants(&|(_, seen)| seen.last),
            Arc::new(rows.iter().map(|(_, seen)| seen.last_id.as_deref()).collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(Arc::new(data_schema()), alike.chain(own).collect())?)
    }
}

/// The number of each row's text. A dictionary's texts are looked up once.
fn numbered(texts: Texts<'_>, numbers: &mut Numbers, batch: &RecordBatch) -> Vec<u32> {
    let rows = 0..batch.num_rows();
    let Some((keys, values)) = texts.dictionary() else {
        return rows.map(|row| numbers.number(texts.get(row))).collect();
    };
    let of: Vec<u32> = (0..values.len()).map(|at| numbers.number(Some(values.value(at)))).collect();
    rows.map(|row| keys.key(row).map_or(0, |key| of[key])).collect()
}
