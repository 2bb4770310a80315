//! Events that are neither a use of a key that they name nor a read: the few that change keys, grants, aliases and trails, and uses of
//! a key that the record does not name. Kept apart at rest, since many questions are about these alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use hashbrown::{HashMap, HashSet};
use object_store::ObjectStore;

use super::LakeError;
use super::calls::{self, Mark};
use super::days::{Day, Settled, Sink};
use super::identity::Texts;
use super::parquet::{self, Read};
use super::shared;
use super::spec::TableSpec;
use super::table::DataFile;
use crate::cloudtrail::columns::{CALL, PARTITION, lake_schema};
use crate::cloudtrail::operation::USES;

/// Events that are no ordinary use or read of a key.
pub static SETTLED_UNCOMMON: TableSpec = TableSpec {
    name: "settled_uncommon",
    partition: Some(PARTITION),
    schema,
    doc: "the events that are neither a use of a key that they name nor a read; a file's name identifies the event files that it covers",
};

/// How a day's events are set apart. The number changes with what the rows are.
pub(super) const SETTLED: Settled = Settled { table: &SETTLED_UNCOMMON, prefix: "settled-1-", make: settled };

/// Of events, what decides.
const DECIDED_BY: [&str; 5] = ["event_source", "usage_class", "event_name", "key_arn", "dest_key_arn"];

/// The columns beside those of `events`.
const OWN: [&str; 2] = ["is_event", "is_call"];

/// The columns, with the day.
pub(super) fn schema() -> SchemaRef {
    with_own(&lake_schema())
}

/// Those of `events` but how an event counts, which is said by the others.
fn with_own(schema: &Schema) -> SchemaRef {
    let own = OWN.map(|name| Arc::new(Field::new(name, DataType::Boolean, true)));
    let of_events = schema.fields().iter().filter(|field| field.name() != CALL).cloned();
    Arc::new(Schema::new(of_events.chain(own).collect::<Vec<_>>()))
}

fn settled<'d>(store: Arc<dyn ObjectStore>, day: &'d Day, sink: Sink<'d>) -> BoxFuture<'d, Result<(), LakeError>> {
    Box::pin(async move {
        let of = shared::schema();
        let parts = shared::parts(&store, day).await?;
        let mut apart: HashSet<u128> = HashSet::new();
        for (at, file) in day.files.iter().enumerate() {
            let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
            let places = places(&store, file).await?;
            if places.is_empty() {
                continue;
            }
            let shared: HashMap<usize, u128> =
                parts.iter().flatten().filter_map(|row| Some((row.place_in(at)?, row.call()))).collect();
            apart.extend(places.iter().filter_map(|place| shared.get(place)));
            let mut rows = parquet::open_rows(Arc::clone(&store), file, Read::As(&of), &places).await?;
            let mut first = 0;
            while let Some(batch) = rows.try_next().await.map_err(failed)? {
                let batch = parquet::completed(&batch, &of)?;
                let marks = calls::marks(&batch)?;
                let places = &places[first..first + batch.num_rows()];
                let is_call = |(mark, place): (&Mark, &usize)| match mark {
                    Mark::Single => true,
                    Mark::Shared => !shared.contains_key(place),
                    Mark::Copy | Mark::None | Mark::Uncertain => false,
                };
                let is_call: Vec<bool> = marks.iter().zip(places).map(is_call).collect();
                first += batch.num_rows();
                sink(flagged(&batch, true, is_call)?)?;
            }
        }
        // A call is set apart only if all its rows are.
        for mut part in parts {
            part.retain(|row| apart.contains(&row.call()));
            if part.is_empty() {
                continue;
            }
            let calls = shared::merged(&store, day, &part, &of).await?;
            let calls = filter_record_batch(&calls, &uncommon(&calls)?)?;
            if calls.num_rows() > 0 {
                sink(flagged(&calls, false, vec![true; calls.num_rows()])?)?;
            }
        }
        Ok(())
    })
}

/// Where in a file the events are that are set apart.
async fn places(store: &Arc<dyn ObjectStore>, file: &DataFile) -> Result<Vec<usize>, LakeError> {
    let failed = |source| LakeError::Parquet { path: file.path.to_string(), source };
    let of = decided_by()?;
    let mut rows = parquet::open(Arc::clone(store), file, Read::As(&of)).await?;
    let (mut places, mut first) = (Vec::new(), 0);
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        let apart = uncommon(&parquet::completed(&batch, &of)?)?;
        places.extend((0..batch.num_rows()).filter(|&row| apart.value(row)).map(|row| first + row));
        first += batch.num_rows();
    }
    Ok(places)
}

fn decided_by() -> Result<SchemaRef, LakeError> {
    let events = lake_schema();
    let fields = DECIDED_BY.map(|name| events.field_with_name(name).cloned());
    let fields = fields.into_iter().collect::<Result<Vec<Field>, _>>()?;
    Ok(parquet::dictionary_schema(&Schema::new(fields), None))
}

/// Which rows are set apart.
fn uncommon(batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let texts = DECIDED_BY.map(|name| Texts::of(batch, name)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let is_apart = |row: usize| is_uncommon([0, 1, 2, 3, 4].map(|column: usize| texts[column].get(row)));
    Ok((0..batch.num_rows()).map(|row| Some(is_apart(row))).collect())
}

/// Whether an event is set apart, by the values of [`DECIDED_BY`].
fn is_uncommon([source, class, name, key, dest]: [Option<&str>; 5]) -> bool {
    match (source, class) {
        (Some("cloudtrail.amazonaws.com"), _) => true,
        (Some("kms.amazonaws.com"), Some(class)) if USES.contains(&class) => {
            let is_nameless = key.is_none() || (name == Some("ReEncrypt") && dest.is_none());
            is_nameless && name != Some("GenerateRandom")
        }
        (Some("kms.amazonaws.com"), class) => class != Some("read"),
        _ => false,
    }
}

/// Rows with what they are: events of the log, calls, or both.
fn flagged(rows: &RecordBatch, is_event: bool, is_call: Vec<bool>) -> Result<RecordBatch, ArrowError> {
    let own: [ArrayRef; 2] =
        [Arc::new(BooleanArray::from(vec![is_event; rows.num_rows()])), Arc::new(BooleanArray::from(is_call))];
    let fields = rows.schema_ref().fields().iter().zip(rows.columns());
    let of_events = fields.filter(|(field, _)| field.name() != CALL).map(|(_, column)| Arc::clone(column));
    let columns = of_events.chain(own).collect();
    RecordBatch::try_new(with_own(rows.schema_ref()), columns)
}
