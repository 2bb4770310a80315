//! What a snapshot of keys and trails holds, as an inventory found them at one instant; `snapshots` writes it.
//!
//! Every run adds rows and changes none, so that what a key looked like last month can still be asked. One list per table
//! says its columns: the schema, the rows and the README's tables are made from it.
//!
//! A table of keys cannot say that there are none, nor that nobody was allowed to look: what was listed at all is in
//! `inventories`, a row for each Region of each run.
//!
//! Null is not enough to say what a row knows: a key without grants has the list `[]` in `grants`, and a key whose grants
//! could not be read has null there and the reason in `unknown_fields`.

use arrow::datatypes::SchemaRef;

use super::columns::{Column, flag, instant, number, schema, text};

/// A key at one instant. Instants are microseconds UTC; what holds lists or objects is JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `keys` table")]
pub struct KeyRow {
    pub taken_at: i64,
    pub source: &'static str,
    pub key_arn: String,
    pub key_id: Option<String>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub state: Option<String>,
    pub enabled: Option<bool>,
    pub key_manager: Option<String>,
    pub key_usage: Option<String>,
    pub key_spec: Option<String>,
    pub origin: Option<String>,
    pub custom_key_store_id: Option<String>,
    pub description: Option<String>,
    pub creation_date: Option<i64>,
    pub deletion_date: Option<i64>,
    pub pending_window_days: Option<i64>,
    pub valid_to: Option<i64>,
    pub multi_region: Option<bool>,
    pub multi_region_type: Option<String>,
    pub primary_key_arn: Option<String>,
    pub replica_key_arns: Option<String>,
    pub aliases: Option<String>,
    pub tags: Option<String>,
    pub rotation_enabled: Option<bool>,
    pub rotation_period_days: Option<i64>,
    pub policy: Option<String>,
    pub grants: Option<String>,
    pub last_usage_time: Option<i64>,
    pub last_usage_operation: Option<String>,
    pub last_usage_event_id: Option<String>,
    pub tracking_start: Option<i64>,
    pub unknown_fields: Option<String>,
}

/// A trail at one instant, likewise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `trails` table")]
pub struct TrailRow {
    pub taken_at: i64,
    pub source: &'static str,
    pub trail_arn: String,
    pub name: Option<String>,
    pub account_id: Option<String>,
    pub home_region: Option<String>,
    pub is_multi_region: Option<bool>,
    pub is_organization: Option<bool>,
    pub include_global_services: Option<bool>,
    pub log_file_validation: Option<bool>,
    pub bucket: Option<String>,
    pub prefix: Option<String>,
    pub kms_key_id: Option<String>,
    pub is_logging: Option<bool>,
    pub start_logging_time: Option<i64>,
    pub stop_logging_time: Option<i64>,
    pub latest_delivery_time: Option<i64>,
    pub latest_delivery_error: Option<String>,
    pub latest_digest_time: Option<i64>,
    pub event_selectors: Option<String>,
    pub kms_captured: Option<bool>,
    pub unknown_fields: Option<String>,
}

/// How far an inventory got in one Region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the `inventories` table")]
pub struct InventoryRow {
    pub taken_at: i64,
    pub source: &'static str,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub keys: Option<i64>,
    pub trails: Option<i64>,
    pub unknown_fields: Option<String>,
}

/// The columns of `inventories`.
pub static INVENTORY_COLUMNS: &[Column<InventoryRow>] = &[
    instant("taken_at", |row| Some(row.taken_at), "When the inventory was taken; one run has one instant"),
    text("source", |row| Some(row.source), "`aws`: all that was there; `file`: what a file had"),
    text("account_id", |row| row.account_id.as_deref(), "Account"),
    text("region", |row| row.region.as_deref(), "Region"),
    number("keys", |row| row.keys, "How many keys were found; null: they could not be listed"),
    number("trails", |row| row.trails, "How many trails showed there; null: they could not be listed"),
    text("unknown_fields", |row| row.unknown_fields.as_deref(), "What could not be listed and why, a JSON object"),
];

/// The columns of `keys`.
pub static KEY_COLUMNS: &[Column<KeyRow>] = &[
    instant("taken_at", |key| Some(key.taken_at), "When the inventory was taken; one run has one instant"),
    text("source", |key| Some(key.source), "`aws`: a whole listing of the Region; `file`: what a file had"),
    text("key_arn", |key| Some(&key.key_arn), "The key"),
    text("key_id", |key| key.key_id.as_deref(), "Key id, the last part of `key_arn`"),
    text("account_id", |key| key.account_id.as_deref(), "Account that owns the key"),
    text("region", |key| key.region.as_deref(), "Its Region"),
    text("state", |key| key.state.as_deref(), "`KeyState`: `Enabled`, `Disabled`, `PendingDeletion`, …"),
    flag("enabled", |key| key.enabled, "`Enabled`: whether the key can be used"),
    text("key_manager", |key| key.key_manager.as_deref(), "`CUSTOMER` or `AWS`"),
    text("key_usage", |key| key.key_usage.as_deref(), "`ENCRYPT_DECRYPT`, `SIGN_VERIFY`, …"),
    text("key_spec", |key| key.key_spec.as_deref(), "`SYMMETRIC_DEFAULT`, `RSA_2048`, …"),
    text("origin", |key| key.origin.as_deref(), "`AWS_KMS`, `EXTERNAL`, `AWS_CLOUDHSM` or `EXTERNAL_KEY_STORE`"),
    text("custom_key_store_id", |key| key.custom_key_store_id.as_deref(), "Key store, for the latter two"),
    text("description", |key| key.description.as_deref(), "As its owner wrote it"),
    instant("creation_date", |key| key.creation_date, "When it was made"),
    instant("deletion_date", |key| key.deletion_date, "When it will be deleted, while that is pending"),
    number("pending_window_days", |key| key.pending_window_days, "Waiting period of a primary with replicas"),
    instant("valid_to", |key| key.valid_to, "When imported key material expires"),
    flag("multi_region", |key| key.multi_region, "Whether it is a multi-Region key"),
    text("multi_region_type", |key| key.multi_region_type.as_deref(), "`PRIMARY` or `REPLICA`"),
    text("primary_key_arn", |key| key.primary_key_arn.as_deref(), "The primary of its set"),
    text("replica_key_arns", |key| key.replica_key_arns.as_deref(), "The replicas of its set, a JSON list"),
    text("aliases", |key| key.aliases.as_deref(), "Names of its aliases, a JSON list"),
    text("tags", |key| key.tags.as_deref(), "Its tags, a JSON object"),
    flag("rotation_enabled", |key| key.rotation_enabled, "Whether it rotates by itself; false where it cannot"),
    number("rotation_period_days", |key| key.rotation_period_days, "How often"),
    text("policy", |key| key.policy.as_deref(), "Its key policy, the JSON as it is stored"),
    text("grants", |key| key.grants.as_deref(), "Its grants, a JSON list of what `ListGrants` says"),
    instant("last_usage_time", |key| key.last_usage_time, "Last successful use that `GetKeyLastUsage` tells of"),
    text("last_usage_operation", |key| key.last_usage_operation.as_deref(), "The operation of that use"),
    text("last_usage_event_id", |key| key.last_usage_event_id.as_deref(), "Its `eventID` in CloudTrail"),
    instant("tracking_start", |key| key.tracking_start, "Since when KMS tracks use: before it, no use means nothing"),
    text(
        "unknown_fields",
        |key| key.unknown_fields.as_deref(),
        "What could not be read and why, a JSON object; null: all was",
    ),
];

/// The columns of `trails`.
pub static TRAIL_COLUMNS: &[Column<TrailRow>] = &[
    instant("taken_at", |trail| Some(trail.taken_at), "When the inventory was taken; one run has one instant"),
    text("source", |trail| Some(trail.source), "`aws` or `file`"),
    text("trail_arn", |trail| Some(&trail.trail_arn), "The trail"),
    text("name", |trail| trail.name.as_deref(), "Its name"),
    text("account_id", |trail| trail.account_id.as_deref(), "Account that owns it"),
    text("home_region", |trail| trail.home_region.as_deref(), "The Region that it was made in"),
    flag("is_multi_region", |trail| trail.is_multi_region, "Whether it logs all Regions"),
    flag("is_organization", |trail| trail.is_organization, "Whether it logs all accounts of the organization"),
    flag("include_global_services", |trail| trail.include_global_services, "Whether it logs IAM, global STS, …"),
    flag("log_file_validation", |trail| trail.log_file_validation, "Whether it delivers digests"),
    text("bucket", |trail| trail.bucket.as_deref(), "Bucket that it delivers to"),
    text("prefix", |trail| trail.prefix.as_deref(), "Prefix there"),
    text("kms_key_id", |trail| trail.kms_key_id.as_deref(), "Key that its log files are encrypted with"),
    flag("is_logging", |trail| trail.is_logging, "Whether it was logging"),
    instant("start_logging_time", |trail| trail.start_logging_time, "When it was last started"),
    instant("stop_logging_time", |trail| trail.stop_logging_time, "When it was last stopped"),
    instant("latest_delivery_time", |trail| trail.latest_delivery_time, "When it last delivered a log file"),
    text("latest_delivery_error", |trail| trail.latest_delivery_error.as_deref(), "Why the last delivery failed"),
    instant("latest_digest_time", |trail| trail.latest_digest_time, "When it last delivered a digest"),
    text("event_selectors", |trail| trail.event_selectors.as_deref(), "What `GetEventSelectors` says, JSON"),
    flag(
        "kms_captured",
        |trail| trail.kms_captured,
        "Whether its selectors record use of KMS keys; null: they do not tell",
    ),
    text(
        "unknown_fields",
        |trail| trail.unknown_fields.as_deref(),
        "What could not be read and why, a JSON object; null: all was",
    ),
];

pub(super) fn keys_schema() -> SchemaRef {
    schema(KEY_COLUMNS)
}

pub(super) fn trails_schema() -> SchemaRef {
    schema(TRAIL_COLUMNS)
}

pub(super) fn inventories_schema() -> SchemaRef {
    schema(INVENTORY_COLUMNS)
}

/// What one run found.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Its keys.
    pub keys: Vec<KeyRow>,
    /// Its trails.
    pub trails: Vec<TrailRow>,
    /// The Regions that it went through.
    pub inventories: Vec<InventoryRow>,
}
