//! What cannot be told from the records alone: of which key a use was, when it was, and what happened after the logs end.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::calendar::LaneCoverage;
use super::facts::{Lane, Set, Unnamed, Untimely};
use super::judge::{count, reason};
use super::steps::settle;
use super::{Answer, Asked, Reason};
use crate::instant::plain;

/// Where logs end long before the look-back does, no hour after that can count: said first, with the question that they can answer.
pub(super) fn ended(
    key_arn: &str,
    lanes: &[LaneCoverage],
    ends: &BTreeMap<Lane, DateTime<Utc>>,
    asked: &Asked,
) -> Option<Reason> {
    let last_event = |lane: &LaneCoverage| ends.get(&(lane.account_id.clone(), lane.region.clone())).copied();
    let ended = lanes.iter().filter_map(|lane| Some((lane.logged_until.max(last_event(lane))?, lane)));
    let (end, lane) = ended.min_by_key(|(end, _)| *end)?;
    let early = (asked.until - end).num_days();
    // To the second after the last event, so that it is in the look-back.
    let until = end.duration_trunc(TimeDelta::seconds(1)).unwrap_or(end) + TimeDelta::seconds(1);
    (early >= 1).then(|| Reason {
        supports: Answer::Unknown,
        code: "logs_ended",
        key_arn: None,
        message: format!(
            "the logs of {} in {} end at {}, {} before the end of the look-back ({})",
            lane.account_id,
            lane.region,
            plain(end),
            count(early, "day"),
            plain(asked.until),
        ),
        settle: Some(settle::ask_until(key_arn, until)),
    })
}

/// Uses in the set's accounts and Regions of a key that their records do not name: of the key that their alias named then, or,
/// where that is not known, of any.
///
/// An alias that is known by something later only (an inventory, its deletion) named the same key before as far as no change of it is
/// missing: where the logs of the look-back are complete.
pub(super) fn unnamed(set: &Set, unnamed: &[Unnamed], lanes: &[LaneCoverage]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let is_complete = |row: &Unnamed| {
        let lane = lanes.iter().find(|lane| (&lane.account_id, &lane.region) == (&row.account_id, &row.region));
        lane.is_some_and(|lane| lane.gaps.is_empty())
    };
    for row in unnamed {
        let here = || set.members.iter().any(|key| (&key.account_id, &key.region) == (&row.account_id, &row.region));
        let alias = row.key_alias.as_deref();
        let (calls, at) = (count(row.calls, "time"), plain(row.last_used));
        let by = alias.map_or_else(String::new, |alias| format!(" by {alias}"));
        let event = row.event_id.as_deref().unwrap_or("without an id");
        let known = row.key_arn.as_deref().filter(|_| !row.is_later || is_complete(row));
        match known {
            Some(arn) if set.members.iter().any(|key| key.key_arn == arn) => {
                let message = format!(
                    "used {calls}{by}, last at {at}: the records name no key, and the alias named this one then (such as event {event})"
                );
                reasons.push(reason(Answer::InUse, "used", Some(arn), message, None));
            }
            None if here() => {
                let message = format!(
                    "a key of {} in {} was used {calls}{by}, last at {at}: the records do not say which key{} (such as event {event})",
                    row.account_id,
                    row.region,
                    if alias.is_some() { ", and it is not known which one the alias named then" } else { "" },
                );
                reasons.push(reason(Answer::Unknown, "unnamed_use", None, message, None));
            }
            _ => {}
        }
    }
    reasons
}

/// Uses whose records are of a time that cannot be: they may have been in the look-back.
pub(super) fn untimely(set: &Set, rows: &[Untimely]) -> Vec<Reason> {
    let is_here = |row: &&Untimely| match &row.key_arn {
        Some(arn) => set.members.iter().any(|key| key.key_arn == *arn),
        None => set
            .members
            .iter()
            .any(|key| (Some(&key.account_id), Some(&key.region)) == (row.account_id.as_ref(), row.region.as_ref())),
    };
    let reason_of = |row: &Untimely| {
        let what = row.key_arn.as_ref().map_or("a key there, which the records do not name,", |_| "it");
        let message = format!(
            "{what} was used {} at a time that cannot be (such as event {}): `keytrail query impossible-times` shows the records",
            count(row.calls, "time"),
            row.event_id.as_deref().unwrap_or("without an id"),
        );
        reason(Answer::Unknown, "untimely_use", row.key_arn.as_deref(), message, None)
    };
    rows.iter().filter(is_here).map(reason_of).collect()
}
