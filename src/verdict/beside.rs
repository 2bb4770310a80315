//! What a verdict tells beside its reasons: who holds grants, when the key was last used, what to think of, what no log shows.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};

use super::facts::{Member, Set};
use super::judge::{count, phase};
use super::{Asked, Assets, LastUse, LiveGrant, Phase, Sibling};
use crate::instant::plain;
use crate::inventory::Grant;

/// A look-back that is shorter misses what is done once a quarter.
const QUARTER: TimeDelta = TimeDelta::days(90);

/// Grants that are there: those of the inventory, and those that the logs tell of since, or that no inventory could read.
pub(super) fn grants(set: &Set) -> Vec<LiveGrant> {
    let mut live = Vec::new();
    for key in &set.members {
        let listed: Option<Vec<Grant>> = key.grants.as_ref().and_then(|grants| serde_json::from_str(grants).ok());
        // One that the log ends after the inventory was taken is over.
        let is_over = |id: Option<&str>| {
            set.grants.iter().any(|grant| {
                id.is_some()
                    && grant.grant_id.as_deref() == id
                    && grant.key_arn == key.key_arn
                    && grant.ended_at >= key.taken_at
            })
        };
        for grant in listed.iter().flatten().filter(|grant| !is_over(grant.grant_id.as_deref())) {
            let created = grant.creation_date.and_then(|at| DateTime::from_timestamp_micros(at.0));
            live.push(LiveGrant {
                key_arn: key.key_arn.clone(),
                grant_id: grant.grant_id.clone(),
                grantee: grant.grantee_principal.clone().or_else(|| grant.grantee_service_principal.clone()),
                created_at: created,
                source: "inventory",
            });
        }
        let read_at = listed.is_some().then_some(key.taken_at).flatten();
        let open = set.grants.iter().filter(|grant| grant.key_arn == key.key_arn && grant.ended_at.is_none());
        for (grant, created_at) in open.filter_map(|grant| Some((grant, grant.created_at?))) {
            let is_listed = grant.grant_id.is_some() && live.iter().any(|one| one.grant_id == grant.grant_id);
            // A grant takes some minutes until every list of KMS has it.
            if !is_listed && read_at.is_none_or(|read| created_at + TimeDelta::minutes(5) > read) {
                live.push(LiveGrant {
                    key_arn: key.key_arn.clone(),
                    grant_id: grant.grant_id.clone(),
                    grantee: grant.grantee.clone(),
                    created_at: Some(created_at),
                    source: "log",
                });
            }
        }
    }
    live
}

/// Those of one key: a sibling's ciphertext can be read with any of the set, so that all of them count.
pub(super) fn assets(key_arn: &str, set: &Set) -> Assets {
    let mut total: BTreeMap<&str, i64> = BTreeMap::new();
    for asset in &set.assets {
        total.insert(&asset.key_arn, asset.assets);
    }
    let mut latest = set.assets.clone();
    latest.sort_by(|a, b| {
        (b.last_used, b.key_arn == key_arn, &a.asset).cmp(&(a.last_used, a.key_arn == key_arn, &b.asset))
    });
    Assets { total: total.values().sum(), latest }
}

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

/// The later of what the logs and `GetKeyLastUsage` tell, and of the last use whose record does not name the key.
pub(super) fn last_use(set: &Set, unnamed: Option<LastUse>) -> Option<LastUse> {
    let logged = set.days.iter().max_by_key(|day| day.last_used).and_then(|day| {
        let (principal, event_id) = (day.last_principal.clone(), day.last_event_id.clone());
        Some(LastUse { at: day.last_used?, source: "log", principal, event_id })
    });
    let told = set.members.iter().filter_map(|key| {
        let (at, event_id) = (key.last_usage_time?, key.last_usage_event_id.clone());
        Some(LastUse { at, source: "GetKeyLastUsage", principal: None, event_id })
    });
    // Of one instant the log knows more.
    logged.into_iter().chain(unnamed).chain(told).reduce(|latest, one| if one.at > latest.at { one } else { latest })
}

pub(super) fn warnings(set: &Set, asked: &Asked) -> Vec<String> {
    let (mut warnings, lookback) = (Vec::new(), asked.until - asked.since);
    if lookback < QUARTER {
        warnings.push(format!(
            "the look-back of {} is shorter than a quarter: what is done once a quarter is not in it",
            count(lookback.num_days(), "day")
        ));
    }
    let used: Vec<_> = set.days.iter().filter_map(|day| day.first_used.zip(day.last_used)).collect();
    let longest = used.windows(2).map(|pair| pair[1].0 - pair[0].1).max();
    if let Some(gap) = longest.filter(|gap| *gap > lookback) {
        warnings.push(format!(
            "there were once {} between two uses: look back at least as far, with --lookback {}d",
            count(gap.num_days(), "day"),
            gap.num_days() + 1
        ));
    }
    for key in &set.members {
        let is_late = key.tracking_start.is_some_and(|start| key.creation_date.is_none_or(|created| created < start));
        if let Some(start) = key.tracking_start.filter(|_| is_late && key.last_usage_time.is_none()) {
            warnings.push(format!(
                "GetKeyLastUsage knows {} since {} only: of use before that it says nothing",
                key.key_arn,
                plain(start)
            ));
        }
    }
    let older: i64 = set.days.iter().filter(|day| day.last_used < Some(asked.since)).map(|day| day.calls).sum();
    if older > 0 {
        let last = set.days.iter().filter(|day| day.last_used < Some(asked.since)).max_by_key(|day| day.last_used);
        let by = last.and_then(|day| day.last_principal.as_ref()).map_or_else(String::new, |by| format!(" by {by}"));
        let at = last.and_then(|day| day.last_used).map_or_else(String::new, |at| format!(", last at {}", plain(at)));
        warnings.push(format!("it was used {} before the look-back{at}{by}", count(older, "time")));
    }
    let denied: i64 = set.dependents.iter().map(|dependent| dependent.denied).sum();
    if denied > 0 {
        warnings.push(format!("{} failed for other reasons: someone tries to use it", count(denied, "call")));
    }
    warnings
}

/// What no log shows, for this kind of key.
pub(super) fn cannot_see(set: &Set) -> Vec<String> {
    let mut unseen = vec![
        "data keys that were handed out and are cached or kept: their use is in no log".to_owned(),
        "S3 Bucket Keys: one call to KMS may stand for thousands of reads, and for days of them".to_owned(),
        "EBS volumes that stay attached, and databases that stay up: they may ask KMS for nothing in years".to_owned(),
        "backups, snapshots and archives under the key: they ask when someone restores them".to_owned(),
        "calls that failed: AWS logs every successful one, and only some of the others".to_owned(),
    ];
    let any = |is: &dyn Fn(&Member) -> bool| set.members.iter().any(is);
    let reads: i64 = set.members.iter().map(|key| key.public_key_reads).sum();
    let is_pair = any(&|key| {
        let spec = key.key_spec.as_deref().unwrap_or_default();
        ["RSA_", "ECC_", "SM2", "ML_"].iter().any(|kind| spec.starts_with(kind))
    });
    if is_pair || reads > 0 {
        unseen.push(format!(
            "its public key, outside of AWS: {} in the lake, and whoever has it verifies or encrypts without KMS",
            count(reads, "GetPublicKey call")
        ));
    }
    if any(&|key| key.origin.as_deref() == Some("EXTERNAL")) {
        unseen.push(
            "its imported key material, elsewhere: importing it again into a new key does not read old ciphertext"
                .to_owned(),
        );
    }
    unseen
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
