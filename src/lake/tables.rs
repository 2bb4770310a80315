//! Which tables a lake has, and their schemas.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use super::counts::SETTLED_COUNTS;
pub use super::hours::SETTLED_HOURS;
pub use super::shared::SHARED_CALLS;
pub use super::spec::TableSpec;
pub use super::uncommon::SETTLED_UNCOMMON;
use super::{findings, inventory, reports};
use crate::cloudtrail::columns;

/// Every kept record, once.
pub static EVENTS: TableSpec = TableSpec {
    name: "events",
    partition: Some(columns::PARTITION),
    schema: columns::lake_schema,
    doc: "every kept record, once",
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

#[cfg(test)]
mod tests {
    use deltalake_core::kernel::{DataType as DeltaType, PrimitiveType};

    use super::*;
    use crate::lake::spec::delta_columns;

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
