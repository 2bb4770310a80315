//! What cannot be told from the records alone: of which key a use was, when it was, and what happened after the logs end.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::calendar::LaneCoverage;
use super::facts::{Lane, Rejected, Set, Unnamed, Untimely, set_of};
use super::steps::settle;
use super::{Answer, Asked, LastUse, Reason, count};
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
/// What names the key of an alias is known of one instant. At another one it holds as far as no change of the alias is missing in
/// between: where the logs from the one to the other are complete.
pub(super) fn unnamed(set: &Set, unnamed: &[Unnamed], lanes: &[LaneCoverage], asked: &Asked) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for row in unnamed {
        let alias = row.key_alias.as_deref();
        let (calls, at) = (count(row.calls, "time"), plain(row.last_used));
        let by = alias.map_or_else(String::new, |alias| format!(" through {alias}"));
        let event = sample(row.event_id.as_deref());
        match known_key(row, lanes, asked) {
            Some(arn) if set.members.iter().any(|key| key.key_arn == arn) => {
                let message = format!(
                    "used {calls}{by}, last at {at}: the records name no key, but the alias pointed to this key at that time (such as {event})"
                );
                reasons.push(Reason::new(Answer::InUse, "used", Some(arn), message, alias.map(settle::who)));
            }
            None if is_here(set, row.account_id.as_ref(), row.region.as_ref()) => {
                let message = format!(
                    "a key{} was used {calls}{by}, last at {at}: the records do not say which key{} (such as {event})",
                    place(row.account_id.as_ref(), row.region.as_ref()),
                    if alias.is_some() {
                        ", and it is not known which key the alias pointed to at that time"
                    } else {
                        ""
                    },
                );
                reasons.push(Reason::new(Answer::Unknown, "unnamed_use", None, message, alias.map(settle::alias)));
            }
            _ => {}
        }
    }
    reasons
}

/// The key that was used, if the logs are complete between the use and the record that shows what its alias pointed to.
fn known_key<'r>(row: &'r Unnamed, lanes: &[LaneCoverage], asked: &Asked) -> Option<&'r str> {
    let here = (row.account_id.as_ref(), row.region.as_ref());
    let lane = lanes.iter().find(|lane| (Some(&lane.account_id), Some(&lane.region)) == here)?;
    let is_before = row.is_told_before && row.from_time.is_some_and(|from| from >= asked.since);
    let is_after = row.is_told_after && row.until_time.is_some_and(|until| Some(until) <= lane.known_until);
    let is_known = lane.gaps.is_empty() && ((is_before && Some(row.last_used) <= lane.known_until) || is_after);
    row.key_arn.as_deref().filter(|_| is_known)
}

/// The last use of a key of the set that its record does not name, where it is known to be of it.
pub(super) fn last_unnamed(set: &Set, rows: &[Unnamed], lanes: &[LaneCoverage], asked: &Asked) -> Option<LastUse> {
    let is_of_set = |row: &&Unnamed| {
        known_key(row, lanes, asked).is_some_and(|arn| set.members.iter().any(|key| key.key_arn == arn))
    };
    let last = rows.iter().filter(is_of_set).max_by_key(|row| row.last_used)?;
    Some(LastUse { at: last.last_used, source: "log", principal: None, event_id: last.event_id.clone() })
}

/// Whether a set has a key of this account and Region; one that is not known may be any.
fn is_here(set: &Set, account: Option<&String>, region: Option<&String>) -> bool {
    let is = |said: Option<&String>, its: &String| said.is_none_or(|said| said == its);
    set.members.iter().any(|key| is(account, &key.account_id) && is(region, &key.region))
}

fn sample(event_id: Option<&str>) -> String {
    event_id.map_or_else(|| "an event without an id".to_owned(), |id| format!("event {id}"))
}

fn place(account: Option<&String>, region: Option<&String>) -> String {
    let part = |word: &str, said: Option<&String>| said.map_or_else(String::new, |said| format!(" {word} {said}"));
    part("of account", account) + &part("in Region", region)
}

/// Uses whose records are of a time that cannot be: they may have been in the look-back.
pub(super) fn untimely(set: &Set, rows: &[Untimely]) -> Vec<Reason> {
    // A replica may be known by such a record only.
    let is_meant = |row: &&Untimely| match &row.key_arn {
        Some(arn) => set.members.iter().any(|key| set_of(&key.key_arn) == set_of(arn)),
        None => is_here(set, row.account_id.as_ref(), row.region.as_ref()),
    };
    let reason_of = |row: &Untimely| {
        let what = row.key_arn.as_ref().map_or("a key that the records do not name", |_| "it");
        let message = format!(
            "{what} was used {} with an impossible time (such as {})",
            count(row.calls, "time"),
            sample(row.event_id.as_deref()),
        );
        Reason::new(Answer::Unknown, "untimely_use", row.key_arn.as_deref(), message, Some(settle::impossible_times()))
    };
    rows.iter().filter(is_meant).map(reason_of).collect()
}

/// Records that could not be read and name a key of the set: they may tell of a use.
pub(super) fn rejected(set: &Set, rows: &[Rejected]) -> Vec<Reason> {
    let is_meant = |row: &&Rejected| set.members.iter().any(|key| key.key_id == row.key_id);
    let reason_of = |row: &Rejected| {
        let place = row.record_index.map_or_else(String::new, |index| format!("record {index} of "));
        let message = format!(
            "{} this key (for example, {place}{}: {})",
            if row.records == 1 {
                "1 rejected record names".to_owned()
            } else {
                format!("{} rejected records name", row.records)
            },
            row.object,
            row.reason,
        );
        Reason::new(Answer::Unknown, "rejected_record", None, message, Some(settle::rejects(&row.key_id)))
    };
    rows.iter().filter(is_meant).map(reason_of).collect()
}
