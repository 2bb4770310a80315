//! From facts to a verdict. Nothing here asks anything of the lake or of the clock.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::calendar::{Gap, LaneCoverage, cover, weeks};
use super::caveats::{cannot_see, warnings};
use super::doubts::{ended, last_unnamed, rejected, unnamed, untimely};
use super::facts::{Facts, Lane, LaneHour, Member, Set, Worth};
use super::needs::{assets, grants, last_use, needed};
use super::phase::{deletion_date, phase, siblings, yearly_cost};
use super::steps::{self, settle};
use super::{Answer, Asked, Coverage, Hours, Phase, Reason, Step, Verdict, count};
use crate::instant::plain;

/// How old an inventory may be.
const INVENTORY_AGE: TimeDelta = TimeDelta::hours(24);

/// How long `GetKeyLastUsage` lags behind (facts §8.4).
const LAST_USAGE_LAG: TimeDelta = TimeDelta::hours(1);

/// Judges one key of a set by what is known of all of them and of the hours of the look-back.
#[must_use]
pub(super) fn judge(key_arn: &str, set: &Set, facts: &Facts, asked: &Asked) -> Verdict {
    let hours = &facts.hours;
    let nothing = Member::of(key_arn);
    let key = set.members.iter().find(|member| member.key_arn == key_arn).unwrap_or(&nothing);
    let phase = phase(key);
    let mut lanes: Vec<Lane> =
        set.members.iter().map(|member| (member.account_id.clone(), member.region.clone())).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let counts = |hour: &LaneHour| asked.accept_observed && is_vouched(set, hour.hour, asked);
    let lanes: Vec<LaneCoverage> = lanes.iter().map(|lane| cover(lane, hours.get(lane), asked, &counts)).collect();

    let mut reasons = needed(set, asked);
    reasons.extend(ended(key_arn, &lanes, &facts.ends, asked));
    reasons.extend(unnamed(set, &facts.unnamed, &lanes, asked));
    reasons.extend(untimely(set, &facts.untimely));
    reasons.extend(rejected(set, &facts.rejected));
    reasons.extend(unsettled(key, phase, set, asked));
    reasons.extend(lanes.iter().flat_map(|lane| uncovered(lane, asked)));
    // The worst news first: whoever reads one line must read the one that keeps data alive.
    reasons.sort_by_key(|reason| reason.supports);
    let verdict = reasons.first().map_or(Answer::NoUseFound, |reason| reason.supports);
    if verdict == Answer::NoUseFound {
        reasons.push(Reason {
            supports: Answer::NoUseFound,
            code: "no_use_found",
            key_arn: Some(key_arn.to_owned()),
            message: format!(
                "nobody used it from {} until {}, and every hour of that is vouched for{}",
                plain(asked.since),
                lanes.iter().filter_map(|lane| lane.known_until).min().map_or_else(String::new, plain),
                agreed(set),
            ),
            settle: None,
        });
    }
    let last_unnamed = last_unnamed(set, &facts.unnamed, &lanes, asked);
    let (coverage, dependents) = (coverage(set, lanes, hours, asked), set.dependents.clone());
    let mut verdict = Verdict {
        verdict,
        key_arn: key_arn.to_owned(),
        aliases: key.aliases.clone(),
        owner: key.owner.clone(),
        purpose: key.purpose.clone(),
        phase,
        deletion_date: deletion_date(key).filter(|_| phase == Phase::PendingDeletion),
        since: asked.since,
        until: asked.until,
        reasons,
        warnings: warnings(set, asked),
        last_use: last_use(set, last_unnamed),
        dependents,
        coverage,
        grants: grants(set),
        replicas: siblings(key_arn, set),
        assets: asked.key_arn.as_ref().map(|_| assets(key_arn, set)),
        cannot_see: cannot_see(set),
        yearly_cost_usd: yearly_cost(key, phase, asked),
        next_steps: Vec::new(),
        lake_version: 0,
    };
    // These repeat the options themselves, also in what settles a reason.
    verdict.next_steps = steps::next(&verdict, key, asked);
    for step in verdict.reasons.iter_mut().filter_map(|reason| reason.settle.as_mut()) {
        steps::repeat_options(step, asked);
    }
    verdict
}

/// What `GetKeyLastUsage` adds to that, where it tells of a use: one in the look-back would have decided.
fn agreed(set: &Set) -> String {
    let last = set.members.iter().filter_map(|key| key.last_usage_time).max();
    last.map_or_else(String::new, |at| format!("; GetKeyLastUsage agrees: the last use was at {}", plain(at)))
}

/// Whether `GetKeyLastUsage` vouches that no key of the set was used in an hour: it tracks all of them since then, and was
/// asked later.
fn is_vouched(set: &Set, hour: DateTime<Utc>, asked: &Asked) -> bool {
    set.members.iter().all(|key| {
        let is_tracked = key
            .tracking_start
            .is_some_and(|start| start <= hour || key.creation_date.is_some_and(|created| created >= start));
        let is_known = key.taken_at.is_some_and(|taken| hour + TimeDelta::hours(1) + LAST_USAGE_LAG <= taken);
        is_tracked && is_known && key.last_usage_time.is_none_or(|used| used < asked.since)
    })
}

/// What is not known of the keys, and what would settle it.
fn unsettled(key: &Member, phase: Phase, set: &Set, asked: &Asked) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |key_arn: &str, code, message, settle| {
        reasons.push(Reason::new(Answer::Unknown, code, Some(key_arn), message, settle));
    };
    if key.key_manager.as_deref() == Some("AWS") {
        let message = "AWS manages it: nobody can delete it, and it costs nothing".to_owned();
        add(&key.key_arn, "aws_managed", message, None);
    }
    if phase == Phase::Deleted {
        add(&key.key_arn, "deleted", "it is gone already".to_owned(), None);
    }
    for member in &set.members {
        let arn = member.key_arn.as_str();
        if self::phase(member) == Phase::Deleted {
            continue;
        }
        let unserved: i64 =
            set.dependents.iter().filter(|one| one.key_arn == arn).map(|dependent| dependent.unserved).sum();
        if unserved > 0 {
            let message = format!("{} to it failed on AWS's side, such as by throttling", count(unserved, "call"));
            add(arn, "unserved", message, None);
        }
        let again = Some(settle::inventory(member));
        match member.taken_at {
            None => add(arn, "no_inventory", "no inventory has it".to_owned(), again),
            Some(taken) if taken + INVENTORY_AGE < asked.until => {
                let message = format!("the inventory is of {}, more than a day before", plain(taken));
                add(arn, "inventory_old", message, again);
            }
            Some(_) => {}
        }
        for (lack, what) in lacking(member, asked) {
            add(arn, lack, what.to_owned(), Some(settle::inventory(member)));
        }
        if let Some(fields) = &member.unknown_fields {
            let fields: BTreeMap<String, String> = serde_json::from_str(fields).unwrap_or_default();
            for (field, why) in &fields {
                let message = format!("the inventory could not read its {field} ({why})");
                add(arn, "inventory_unread", message, Some(settle::unread(member, why)));
            }
            if fields.is_empty() {
                add(
                    arn,
                    "inventory_unread",
                    "the inventory could not read all of it".to_owned(),
                    Some(settle::inventory(member)),
                );
            }
        }
        // One before the look-back is no obstacle: it says that there was none since.
        if let Some(at) = member.last_usage_time.filter(|at| *at >= asked.since)
            && !member.has_last_usage_event
            && !knows_use(set, at)
        {
            let event = member.last_usage_event_id.as_deref().unwrap_or("without an id");
            let message =
                format!("GetKeyLastUsage names a use at {} (event {event}) that is not in the lake", plain(at));
            add(arn, "last_usage_not_in_lake", message, Some(settle::ingest(member, at, at)));
        }
    }
    reasons
}

/// What the inventory should say of a key and does not, beside what it could not read.
fn lacking(key: &Member, asked: &Asked) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_set = key.key_id.starts_with("mrk-");
    let is_whole = key.multi_region == Some(true)
        && key.multi_region_type.is_some()
        && key.primary_key_arn.is_some()
        && key.replica_key_arns.is_some();
    let is_list = |text: &str| serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text).is_ok();
    [
        (key.state.is_none(), "inventory_unread", "the inventory does not say in which state it is"),
        (key.key_manager.is_none(), "inventory_unread", "the inventory does not say who manages it"),
        (key.inventory_aliases.is_none(), "inventory_unread", "the inventory does not say which aliases it has"),
        (
            !key.grants.as_deref().is_some_and(is_list),
            "inventory_unread",
            "the inventory does not say which grants there are",
        ),
        (
            // Of an inventory that is too old as a whole, that is said once.
            key.trails_listed_at.is_none_or(|at| at + INVENTORY_AGE < asked.until && Some(at) < key.taken_at),
            "inventory_unread",
            "the trails in its account and Region were never listed, or last listed more than a day before the look-back ends: a \
             trail may encrypt its logs with this key",
        ),
        (
            is_set && !is_whole,
            "siblings_unknown",
            "it is a multi-Region key, and the inventory does not say which others there are",
        ),
    ]
    .into_iter()
    .filter(move |(is_lacking, ..)| key.taken_at.is_some() && *is_lacking)
    .map(|(_, code, what)| (code, what))
}

/// Whether the lake has a use of the set at that time, for a source that names no event.
fn knows_use(set: &Set, at: DateTime<Utc>) -> bool {
    let has_id = set.members.iter().any(|key| key.last_usage_time == Some(at) && key.last_usage_event_id.is_some());
    !has_id && set.days.iter().any(|day| day.first_used <= Some(at) && Some(at) <= day.last_used)
}

/// Hours of an account and Region that nothing vouches for.
fn uncovered(lane: &LaneCoverage, asked: &Asked) -> Vec<Reason> {
    let place = format!("{} in {}", lane.account_id, lane.region);
    let of = |is_wanted: &dyn Fn(&Gap) -> bool, code, said: &dyn Fn(i64) -> String, settle: &dyn Fn(&Gap) -> Step| {
        let gaps: Vec<&Gap> = lane.gaps.iter().filter(|gap| is_wanted(gap)).collect();
        let first = gaps.first()?;
        let hours: i64 = gaps.iter().map(|gap| gap.hours()).sum();
        let more = match gaps.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more such spans"),
        };
        let why = first.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let (from, to) = (plain(first.from), plain(first.to));
        let message = format!("{} of {place} {}, from {from} to {to}{more}{why}", count(hours, "hour"), said(hours));
        Some(Reason { supports: Answer::Unknown, code, key_arn: None, message, settle: Some(settle(first)) })
    };
    let were = |hours: i64| if hours == 1 { "is" } else { "are" };
    [
        of(
            &|gap| gap.worth == Worth::Unknown,
            "coverage_unknown",
            &|hours| format!("{} in no log of the lake", were(hours)),
            &|gap| settle::logs(lane, gap.from, gap.to),
        ),
        of(&|gap| gap.worth == Worth::Blind, "coverage_blind", &|hours| format!("{} blind", were(hours)), &|_| {
            settle::history(lane)
        }),
        of(
            &|gap| gap.worth == Worth::Observed && gap.is_doubtful,
            "coverage_damaged",
            &|hours| format!("{} known to lack something", were(hours)),
            &|gap| settle::logs(lane, gap.from, gap.to),
        ),
        of(
            &|gap| gap.worth == Worth::Observed && !gap.is_doubtful,
            "coverage_unproven",
            &|hours| format!("{} only observed: a log could be missing unnoticed", were(hours)),
            &|gap| settle::proof(lane, gap.from, gap.to, asked),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn coverage(
    set: &Set,
    lanes: Vec<LaneCoverage>,
    hours: &BTreeMap<Lane, BTreeMap<DateTime<Utc>, LaneHour>>,
    asked: &Asked,
) -> Coverage {
    let names: Vec<Lane> = lanes.iter().map(|lane| (lane.account_id.clone(), lane.region.clone())).collect();
    let all = lanes.iter().fold(Hours::default(), |all, lane| Hours {
        proven: all.proven + lane.hours.proven,
        observed: all.observed + lane.hours.observed,
        unknown: all.unknown + lane.hours.unknown,
        blind: all.blind + lane.hours.blind,
    });
    // None is less than any instant: where one lane vouches for nothing, nothing is known of the whole.
    let known_until = lanes.iter().map(|lane| lane.known_until).min().flatten();
    let weeks = weeks(asked, &names.iter().collect::<Vec<_>>(), hours, &set.days);
    Coverage { hours: all, known_until, lanes, weeks }
}
