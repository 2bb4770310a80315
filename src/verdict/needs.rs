//! Who needs a key: its users, whoever holds a grant on it, the last use of all, and what may lie under it. Each of the first two
//! decides a verdict, however little else is known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::Set;
use super::users::Dependent;
use super::{Answer, Asked, Assets, LastUse, LiveGrant, Reason, count};
use crate::instant::plain;
use crate::inventory::Grant;

/// What shows that someone needs the key.
pub(super) fn needed(set: &Set, asked: &Asked) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |key_arn: &str, code, message| {
        reasons.push(Reason::new(Answer::InUse, code, Some(key_arn), message, None));
    };
    let whose = |dependent: &Dependent| {
        let via = dependent.via.as_ref().map_or_else(String::new, |via| format!(" through {via}"));
        format!("{}{via}", dependent.principal.as_deref().unwrap_or("someone"))
    };
    let later = |at: Option<DateTime<Utc>>| {
        let is_later = at.is_some_and(|at| at >= asked.until);
        if is_later { " (after the look-back, but it still counts)" } else { "" }
    };
    let used: BTreeSet<&str> = set.dependents.iter().map(|dependent| dependent.key_arn.as_str()).collect();
    for arn in used {
        let of_key = || set.dependents.iter().filter(|dependent| dependent.key_arn == arn);
        let calls: i64 = of_key().map(|dependent| dependent.calls).sum();
        if let Some(last) = of_key().filter(|one| one.calls > 0).max_by_key(|one| (one.last_used, &one.principal)) {
            let users = of_key().filter(|dependent| dependent.calls > 0).map(|dependent| &dependent.principal);
            let users = users.collect::<BTreeSet<_>>().len();
            let at = last.last_used.map_or_else(String::new, |at| format!(" at {}", plain(at)));
            let users = count(i64::try_from(users).unwrap_or(i64::MAX), "principal");
            add(
                arn,
                "used",
                format!(
                    "used {} with success, by {users}; last{at} by {}{}",
                    count(calls, "time"),
                    whose(last),
                    later(last.last_used)
                ),
            );
        }
        let failing: i64 = of_key().map(|dependent| dependent.failing).sum();
        if let Some(last) = of_key().filter(|one| one.failing > 0).max_by_key(|one| (one.last_failing, &one.principal))
        {
            let at = last.last_failing.map_or_else(String::new, |at| format!(" at {}", plain(at)));
            let calls = count(failing, "call");
            add(
                arn,
                "failing",
                format!(
                    "{calls} failed because the key cannot be used: something needs it; last{at} by {}{}",
                    whose(last),
                    later(last.last_failing)
                ),
            );
        }
    }
    for member in &set.members {
        let arn = member.key_arn.as_str();
        if let Some(at) = member.last_usage_time.filter(|at| *at >= asked.since) {
            let operation = member.last_usage_operation.as_deref().unwrap_or("a use");
            add(arn, "last_usage", format!("GetKeyLastUsage tells of {operation} at {}", plain(at)));
        }
        if let Some(trail) = &member.trail {
            add(arn, "trail", format!("the trail {trail} encrypts its log files with it"));
        }
        if let (Some(alias), Some(at)) = (&member.called_alias, member.called_at) {
            add(arn, "alias", format!("it was called by {alias}, last at {}: the name is in use", plain(at)));
        }
        if let Some(line) = member.rule_line {
            add(arn, "expectation", format!("line {line} of the expectations file names it"));
        }
    }
    for grant in grants(set) {
        let since = grant.created_at.map_or_else(String::new, |at| format!(" since {}", plain(at)));
        let grantee = grant.grantee.as_deref().unwrap_or("someone");
        let id = grant.grant_id.as_deref().unwrap_or("without an id");
        add(&grant.key_arn, "grant", format!("{grantee} holds a grant on it{since}: {id}"));
    }
    reasons
}

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
