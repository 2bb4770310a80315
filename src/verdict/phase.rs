//! Where a key stands on its way to deletion, by the inventory and by what the logs tell since; what its siblings are; and what it
//! costs to keep it.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::{Member, Set};
use super::{Asked, Phase, Sibling};

/// Where a key stands: by the inventory, or by a change that is later.
pub(super) fn phase(key: &Member) -> Phase {
    let is_later = is_later(key);
    // A replica that was deleted may have been made anew: an inventory that has it knows.
    if key.gone == Some(true) || (is_later && key.last_change.as_deref() == Some("DeleteKey")) {
        return Phase::Deleted;
    }
    match (key.state.as_deref(), key.last_change.as_deref()) {
        (_, Some("EnableKey")) if is_later => Phase::Enabled,
        (_, Some("DisableKey" | "CancelKeyDeletion")) if is_later => Phase::Disabled,
        (_, Some("ScheduleKeyDeletion")) if is_later => Phase::PendingDeletion,
        (Some("Enabled" | "Updating"), _) => Phase::Enabled,
        (Some("Disabled"), _) => Phase::Disabled,
        (Some("PendingDeletion" | "PendingReplicaDeletion"), _) => Phase::PendingDeletion,
        (Some("PendingImport" | "Unavailable" | "Creating"), _) => Phase::Unavailable,
        _ => Phase::Unknown,
    }
}

/// Whether the last change that the logs tell of is later than what the inventory found.
fn is_later(key: &Member) -> bool {
    key.changed_at.zip(key.taken_at).is_none_or(|(changed, taken)| changed > taken)
}

/// When it will be deleted: as the inventory says, or as a later call asked for (facts §3.2: a hint).
pub(super) fn deletion_date(key: &Member) -> Option<DateTime<Utc>> {
    let asked_for = || Some(key.changed_at? + TimeDelta::try_days(key.window_days?)?);
    let is_known = key.changed_at.is_none() || !is_later(key);
    key.deletion_date.filter(|_| is_known).or_else(asked_for)
}

/// The other keys of a multi-Region set.
pub(super) fn siblings(key_arn: &str, set: &Set) -> Vec<Sibling> {
    let others = set.members.iter().filter(|member| member.key_arn != key_arn);
    others
        .map(|member| Sibling {
            key_arn: member.key_arn.clone(),
            region: member.region.clone(),
            phase: phase(member),
            multi_region_type: member.multi_region_type.clone(),
        })
        .collect()
}

/// One USD a month, and one more for each of the first two rotations that there may have been.
pub(super) fn yearly_cost(key: &Member, phase: Phase, asked: &Asked) -> i64 {
    if key.key_manager.as_deref() == Some("AWS") || matches!(phase, Phase::PendingDeletion | Phase::Deleted) {
        return 0;
    }
    let age = key.creation_date.map_or(0, |created| (asked.until - created).num_days());
    let rotations = match key.rotation_enabled {
        Some(true) => (age / key.rotation_period_days.unwrap_or(365).max(1)).clamp(0, 2),
        _ => 0,
    };
    12 * (1 + rotations)
}
