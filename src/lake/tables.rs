//! Which tables a lake has, and their schemas in Arrow's and in Delta's words.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::{DataType as DeltaType, MapType, PrimitiveType, StructField};

use super::{counts, findings, hours, inventory, reports, uncommon};
use crate::cloudtrail::columns;

/// One table of the lake.
#[derive(Debug)]
pub struct TableSpec {
    /// Its name in SQL and its folder in the lake.
    pub name: &'static str,
    /// The column that its folders are named by.
    pub partition: Option<&'static str>,
    /// All its columns, the partition included.
    pub schema: fn() -> SchemaRef,
    /// What it holds, in one sentence.
    pub doc: &'static str,
}

/// Every kept record, once.
pub static EVENTS: TableSpec = TableSpec {
    name: "events",
    partition: Some(columns::PARTITION),
    schema: columns::lake_schema,
    doc: "every kept record, once",
};

/// Calls logged in several events.
pub static SHARED_CALLS: TableSpec = TableSpec {
    name: "shared_calls",
    partition: Some(columns::PARTITION),
    schema: columns::lake_schema,
    doc: "calls logged in several rows of `events`, one row each; a file's name identifies the event files that it covers",
};

/// In which hours there are events.
pub static SETTLED_HOURS: TableSpec = TableSpec {
    name: "settled_hours",
    partition: Some(columns::PARTITION),
    schema: hours::schema,
    doc: "in which hours each account and Region has events; a file's name identifies the event files that it covers",
};

/// How many calls there were in each half hour.
pub static SETTLED_COUNTS: TableSpec = TableSpec {
    name: "settled_counts",
    partition: Some(columns::PARTITION),
    schema: counts::schema,
    doc: "how many KMS calls each principal made of each kind in each half hour; a file's name identifies the event files that it covers",
};

/// Events that are no ordinary use or read of a key.
pub static SETTLED_UNCOMMON: TableSpec = TableSpec {
    name: "settled_uncommon",
    partition: Some(columns::PARTITION),
    schema: uncommon::schema,
    doc: "the events that are neither a use of a key that they name nor a read; a file's name identifies the event files that it covers",
};

/// The ledger: one row per source object and attempt.
pub static OBJECTS: TableSpec = TableSpec {
    name: "objects",
    partition: None,
    schema: objects_schema,
    doc: "the ledger: every source object that was read, and what came of it",
};

/// What could not be used.
pub static REJECTS: TableSpec = TableSpec {
    name: "rejects",
    partition: None,
    schema: rejects_schema,
    doc: "records and objects that could not be used, with the reason and the raw bytes",
};

/// Which days of a bucket were listed to their end.
pub static LISTINGS: TableSpec = TableSpec {
    name: "listings",
    partition: None,
    schema: listings_schema,
    doc: "days of delivery that were listed to their end, per account and Region of a bucket",
};

/// What each check found of each digest.
pub static DIGESTS: TableSpec = TableSpec {
    name: "digests",
    partition: None,
    schema: digests_schema,
    doc: "what `verify` found of each digest, one row per digest and check",
};

/// What each check found of each log object.
pub static DIGEST_FILES: TableSpec = TableSpec {
    name: "digest_files",
    partition: None,
    schema: digest_files_schema,
    doc: "what `verify` found of each log object that a digest names, or should, one row per object and check",
};

/// The keys that exist, as each inventory found them.
pub static KEYS: TableSpec = TableSpec {
    name: "keys",
    partition: None,
    schema: inventory::keys_schema,
    doc: "every key that an inventory found, as it was then",
};

/// The trails that exist, likewise.
pub static TRAILS: TableSpec = TableSpec {
    name: "trails",
    partition: None,
    schema: inventory::trails_schema,
    doc: "every trail that an inventory found, as it was then",
};

/// How far each inventory got.
pub static INVENTORIES: TableSpec = TableSpec {
    name: "inventories",
    partition: None,
    schema: inventory::inventories_schema,
    doc: "every Region that an inventory went through, and what could be listed there",
};

/// What detectors found.
pub static FINDINGS: TableSpec = TableSpec {
    name: "findings",
    partition: None,
    schema: findings::findings_schema,
    doc: "what `detect` found, one row per finding and run",
};

/// Which detectors were evaluated.
pub static DETECTIONS: TableSpec = TableSpec {
    name: "detections",
    partition: None,
    schema: findings::detections_schema,
    doc: "every detector of every run of `detect`: whether it could be evaluated, and over which window",
};

/// Which reports were written.
pub static REPORTS: TableSpec = TableSpec {
    name: "reports",
    partition: None,
    schema: reports::reports_schema,
    doc: "every report of a series that was written, and its window",
};

/// Who was told of findings.
pub static NOTIFICATIONS: TableSpec = TableSpec {
    name: "notifications",
    partition: None,
    schema: findings::notifications_schema,
    doc: "every finding that `watch` told, one row per finding and channel",
};

/// Every table.
pub static TABLES: [&TableSpec; 17] = [
    &EVENTS,
    &SHARED_CALLS,
    &SETTLED_HOURS,
    &SETTLED_COUNTS,
    &SETTLED_UNCOMMON,
    &OBJECTS,
    &REJECTS,
    &LISTINGS,
    &DIGESTS,
    &DIGEST_FILES,
    &KEYS,
    &TRAILS,
    &INVENTORIES,
    &FINDINGS,
    &DETECTIONS,
    &REPORTS,
    &NOTIFICATIONS,
];

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

fn objects_schema() -> SchemaRef {
    schema(&[
        ("uri", DataType::Utf8),
        ("version_tag", DataType::Utf8),
        ("kind", DataType::Utf8),
        ("account_id", DataType::Utf8),
        ("region", DataType::Utf8),
        ("delivered_at", instant()),
        ("state", DataType::Utf8),
        ("reason", DataType::Utf8),
        ("bytes_compressed", DataType::Int64),
        ("bytes_decompressed", DataType::Int64),
        ("records_read", DataType::Int64),
        ("records_kept", DataType::Int64),
        ("records_other", DataType::Int64),
        ("records_duplicate", DataType::Int64),
        ("records_rejected", DataType::Int64),
        ("first_event_time", instant()),
        ("last_event_time", instant()),
        ("first_kms_read", instant()),
        ("ingested_at", instant()),
    ])
}

fn rejects_schema() -> SchemaRef {
    schema(&[
        ("object", DataType::Utf8),
        ("record_index", DataType::Int64),
        ("reason", DataType::Utf8),
        ("raw", DataType::Binary),
        ("rejected_at", instant()),
    ])
}

fn listings_schema() -> SchemaRef {
    schema(&[
        ("lane", DataType::Utf8),
        ("from_day", DataType::Date32),
        ("until_day", DataType::Date32),
        ("listed_at", instant()),
    ])
}

fn digests_schema() -> SchemaRef {
    schema(&[
        ("uri", DataType::Utf8),
        ("account_id", DataType::Utf8),
        ("region", DataType::Utf8),
        ("trail", DataType::Utf8),
        ("home_region", DataType::Utf8),
        ("prefix", DataType::Utf8),
        ("is_organization", DataType::Boolean),
        ("is_backfill", DataType::Boolean),
        ("start_time", instant()),
        ("end_time", instant()),
        ("state", DataType::Utf8),
        ("reason", DataType::Utf8),
        ("chain", DataType::Utf8),
        ("gap_from", instant()),
        ("previous_uri", DataType::Utf8),
        ("logs_valid", DataType::Int64),
        ("logs_invalid", DataType::Int64),
        ("logs_missing", DataType::Int64),
        ("checked_at", instant()),
    ])
}

fn digest_files_schema() -> SchemaRef {
    schema(&[
        ("uri", DataType::Utf8),
        ("version_tag", DataType::Utf8),
        ("account_id", DataType::Utf8),
        ("region", DataType::Utf8),
        ("delivered_at", instant()),
        ("digest_uri", DataType::Utf8),
        ("state", DataType::Utf8),
        ("reason", DataType::Utf8),
        ("checked_at", instant()),
    ])
}

/// The columns of a table in Delta's words.
pub(super) fn delta_columns(spec: &TableSpec) -> Vec<StructField> {
    (spec.schema)()
        .fields()
        .iter()
        .map(|field| StructField::nullable(field.name(), delta_type(field.data_type())))
        .collect()
}

fn delta_type(kind: &DataType) -> DeltaType {
    let primitive = match kind {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int32 => PrimitiveType::Integer,
        DataType::Int64 => PrimitiveType::Long,
        DataType::Date32 => PrimitiveType::Date,
        DataType::Timestamp(..) => PrimitiveType::Timestamp,
        DataType::Binary => PrimitiveType::Binary,
        DataType::Map(..) => {
            let text = DeltaType::Primitive(PrimitiveType::String);
            return MapType::new(text.clone(), text, true).into();
        }
        _ => PrimitiveType::String,
    };
    DeltaType::Primitive(primitive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_every_table_has_its_own_delta_type() {
        for spec in TABLES {
            for (field, delta) in (spec.schema)().fields().iter().zip(delta_columns(spec)) {
                let text = delta.data_type() == &DeltaType::Primitive(PrimitiveType::String);
                assert_eq!(text, field.data_type() == &DataType::Utf8, "{}.{}", spec.name, field.name());
            }
        }
    }
}
