//! Keys and trails as rows of the lake: each known part in its columns, each unknown one in `unknown_fields`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Field, Inventory, Key, LastUsage, Listing, Metadata, Rotation, Status, Trail, Unknown};
use crate::cloudtrail::arn::{Arn, key_id};
use crate::cloudtrail::selectors::selectors_capture_kms;
use crate::lake::inventory::{InventoryRow, KeyRow, Snapshot, TrailRow};

/// What an inventory found at this instant (microseconds UTC), as rows of the lake.
#[must_use]
pub fn snapshot(inventory: &Inventory, taken_at: i64) -> Snapshot {
    let Inventory { source, regions, keys, trails, .. } = inventory;
    Snapshot {
        keys: keys.iter().map(|key| key_row(key, source, taken_at)).collect(),
        trails: trails.iter().map(|trail| trail_row(trail, source, taken_at)).collect(),
        inventories: regions.iter().map(|listing| inventory_row(listing, source, taken_at)).collect(),
    }
}

fn inventory_row(listing: &Listing, source: &'static str, taken_at: i64) -> InventoryRow {
    let count = |field: &Field<usize>| field.known().and_then(|&count| i64::try_from(count).ok());
    InventoryRow {
        taken_at,
        source,
        account_id: listing.account_id.clone(),
        region: Some(listing.region.clone()),
        keys: count(&listing.keys),
        trails: count(&listing.trails),
        unknown_fields: unknown_fields(listing.unknowns()),
    }
}

fn key_row(key: &Key, source: &'static str, taken_at: i64) -> KeyRow {
    let arn = Arn::new(&key.arn);
    let metadata = key.metadata.known().cloned().unwrap_or_default();
    let Metadata { replicas, .. } = &metadata;
    let replica_key_arns = replicas.as_ref().map(json);
    let rotation = key.rotation.known();
    let LastUsage { time, operation, event_id, tracking_start } = key.last_usage.known().cloned().unwrap_or_default();
    KeyRow {
        taken_at,
        source,
        key_arn: key.arn.clone(),
        key_id: key_id(&key.arn).map(str::to_owned),
        account_id: arn.and_then(Arn::account).map(str::to_owned),
        region: arn.and_then(Arn::region).map(str::to_owned),
        state: metadata.state,
        enabled: metadata.enabled,
        key_manager: metadata.manager,
        key_usage: metadata.usage,
        key_spec: metadata.spec,
        origin: metadata.origin,
        custom_key_store_id: metadata.custom_key_store_id,
        description: metadata.description,
        creation_date: metadata.creation_date,
        deletion_date: metadata.deletion_date,
        pending_window_days: metadata.pending_window_days,
        valid_to: metadata.valid_to,
        multi_region: metadata.multi_region,
        multi_region_type: metadata.multi_region_type,
        primary_key_arn: metadata.primary,
        replica_key_arns,
        aliases: key.aliases.known().map(json),
        tags: key.tags.known().map(json),
        rotation_enabled: rotation.map(|Rotation { enabled, .. }| *enabled),
        rotation_period_days: rotation.and_then(|rotation| rotation.period_days),
        policy: key.policy.known().cloned(),
        grants: key.grants.known().map(json),
        last_usage_time: time,
        last_usage_operation: operation,
        last_usage_event_id: event_id,
        tracking_start,
        unknown_fields: unknown_fields(key.unknowns()),
    }
}

fn trail_row(trail: &Trail, source: &'static str, taken_at: i64) -> TrailRow {
    let status = trail.status.known().cloned().unwrap_or_default();
    let Status { is_logging, start_logging_time, stop_logging_time, latest_delivery_time, .. } = status;
    TrailRow {
        taken_at,
        source,
        trail_arn: trail.arn.clone(),
        name: trail.name.clone(),
        account_id: Arn::new(&trail.arn).and_then(Arn::account).map(str::to_owned),
        home_region: trail.home_region.clone(),
        is_multi_region: trail.is_multi_region,
        is_organization: trail.is_organization,
        include_global_services: trail.include_global_services,
        log_file_validation: trail.log_file_validation,
        bucket: trail.bucket.clone(),
        prefix: trail.prefix.clone(),
        kms_key_id: trail.kms_key_id.clone(),
        is_logging,
        start_logging_time,
        stop_logging_time,
        latest_delivery_time,
        latest_delivery_error: status.latest_delivery_error,
        latest_digest_time: status.latest_digest_time,
        event_selectors: trail.selectors.known().cloned(),
        kms_captured: trail.selectors.known().and_then(|selectors| selectors_capture_kms(selectors)),
        unknown_fields: unknown_fields(trail.unknowns()),
    }
}

/// `{"grants":"kms:ListGrants: AccessDeniedException"}`; null when everything is known.
fn unknown_fields<'a>(unknowns: impl Iterator<Item = (&'static str, &'a Unknown)>) -> Option<String> {
    let reasons: BTreeMap<&str, String> =
        unknowns.map(|(field, Unknown { action, code, .. })| (field, format!("{action}: {code}"))).collect();
    (!reasons.is_empty()).then(|| json(&reasons))
}

pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Texts, lists and maps with text as keys: nothing in them can fail to be written.
    serde_json::to_string(value).unwrap_or_default()
}
