//! What to do next, by where the key stands; and the commands for it, which are printed and never run.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::Member;
use super::judge::count;
use super::{Answer, Asked, Phase, Step, Verdict};
use crate::instant::plain;

/// The waiting period that a deletion is scheduled with, in days: the longest that KMS takes.
const WINDOW_DAYS: i64 = 30;

fn step(what: impl Into<String>, command: Option<String>) -> Step {
    Step { what: what.into(), command }
}

/// A command of AWS about one key.
fn aws(operation: &str, key_arn: &str, region: &str, more: &str) -> String {
    format!("aws kms {operation} --key-id {key_arn} --region {region}{more}")
}

/// The steps, the first to be done first.
pub(super) fn next(verdict: &Verdict, key: &Member, asked: &Asked) -> Vec<Step> {
    let arn = verdict.key_arn.as_str();
    if key.key_manager.as_deref() == Some("AWS") {
        return Vec::new();
    }
    let look = || step("see what depends on it", Some(format!("keytrail who {arn} --by asset")));
    let settled = || verdict.reasons.iter().filter_map(|reason| reason.settle.clone());
    let (mut steps, mut settle): (Vec<Step>, Vec<Step>) = (Vec::new(), Vec::new());
    for one in settled() {
        if !settle.contains(&one) {
            settle.push(one);
        }
    }
    let ask_again = step("then ask again", Some(format!("keytrail check-deletion {arn}")));
    match verdict.phase {
        Phase::Deleted => steps.push(step("nothing: what it encrypted can be read no more", None)),
        Phase::Enabled | Phase::Unavailable | Phase::Unknown => match verdict.verdict {
            Answer::InUse => {
                steps.push(look());
                steps.push(step("keep it, or move what depends on it to another key and ask again after that", None));
            }
            Answer::Unknown => {
                steps.append(&mut settle);
                steps.push(ask_again);
            }
            Answer::NoUseFound => {
                steps.extend(replicas_first(verdict));
                steps.push(step(
                    "disable it first: that can be undone in a second, and whatever still needs it fails and shows",
                    Some(aws("disable-key", arn, &key.region, "")),
                ));
                let wait = format!("then watch it for {}, ingesting on", count(asked.watch_days, "day"));
                steps.push(step(wait, Some(format!("keytrail check-deletion {arn}"))));
            }
        },
        Phase::Disabled => steps.extend(disabled(verdict, key, asked, &mut settle)),
        Phase::PendingDeletion => steps.extend(pending(verdict, key, &mut settle)),
    }
    steps
}

/// A disabled key is watched for a while: whatever needs it fails.
fn disabled(verdict: &Verdict, key: &Member, asked: &Asked, settle: &mut Vec<Step>) -> Vec<Step> {
    let (arn, region) = (verdict.key_arn.as_str(), key.region.as_str());
    let failing = verdict.dependents.iter().filter_map(|dependent| dependent.last_failing).max();
    let mut steps = Vec::new();
    if let Some(at) = failing {
        let who: Vec<&str> = verdict
            .dependents
            .iter()
            .filter(|dependent| dependent.failing > 0)
            .filter_map(|dependent| dependent.principal.as_deref())
            .collect();
        steps.push(step(
            format!("enable it again, if they must work: calls failed until {}, by {}", plain(at), who.join(", ")),
            Some(aws("enable-key", arn, region, "")),
        ));
        steps.push(step("see what depends on it", Some(format!("keytrail who {arn} --by asset"))));
    }
    let known_until = verdict.coverage.known_until.unwrap_or(verdict.since);
    let Some(since) = key.unusable_since else {
        steps.append(settle);
        steps.push(step("since when it is disabled is not in the lake: ingest the logs back to that day", None));
        return steps;
    };
    let quiet_from = failing.map_or(since, |at| at.max(since));
    let quiet = (known_until - quiet_from).num_days().max(0);
    let watched = format!("{quiet} of {} quiet so far, since {}", count(asked.watch_days, "day"), plain(quiet_from));
    match verdict.verdict {
        Answer::NoUseFound if quiet >= asked.watch_days => {
            steps.extend(replicas_first(verdict));
            steps.push(step(
                format!("{watched}: schedule its deletion, with the longest waiting period"),
                Some(aws("schedule-key-deletion", arn, region, &format!(" --pending-window-in-days {WINDOW_DAYS}"))),
            ));
        }
        _ => {
            steps.append(settle);
            let ready = quiet_from + TimeDelta::days(asked.watch_days);
            steps.push(step(
                format!("{watched}: leave it disabled until {}, ingest on, and ask again", plain(ready)),
                Some(format!("keytrail check-deletion {arn}")),
            ));
        }
    }
    steps
}

/// A key that is pending deletion can be kept until its last day.
fn pending(verdict: &Verdict, key: &Member, settle: &mut Vec<Step>) -> Vec<Step> {
    let (arn, region) = (verdict.key_arn.as_str(), key.region.as_str());
    let cancel = Some(aws("cancel-key-deletion", arn, region, ""));
    let enable = || step("a key that was kept stays disabled: enable it", Some(aws("enable-key", arn, region, "")));
    let until = verdict.deletion_date.map_or_else(
        || "on a date that the inventory does not tell (aws kms describe-key does)".to_owned(),
        |at| format!("on {}, in {}", plain(at), count((at - verdict.until).num_days().max(0), "day")),
    );
    match verdict.verdict {
        Answer::InUse => vec![step(format!("cancel its deletion, which is {until}"), cancel), enable()],
        Answer::Unknown => {
            let mut steps = std::mem::take(settle);
            steps.push(step(
                format!("cancel its deletion, which is {until}, unless all of that is settled before"),
                cancel,
            ));
            steps.push(enable());
            steps
        }
        Answer::NoUseFound => {
            vec![step(format!("nothing: it will be deleted {until}; until then it can be kept"), cancel)]
        }
    }
}

/// KMS deletes a primary key when its last replica is gone (facts §6.2).
fn replicas_first(verdict: &Verdict) -> Option<Step> {
    let left: Vec<&str> = verdict
        .replicas
        .iter()
        .filter(|key| key.multi_region_type.as_deref() == Some("REPLICA") && key.phase != Phase::Deleted)
        .map(|key| key.key_arn.as_str())
        .collect();
    (!left.is_empty())
        .then(|| step(format!("its replicas go first, each with a verdict of its own: {}", left.join(", ")), None))
}

/// What would settle a doubt.
pub(super) mod settle {
    use super::{Asked, DateTime, Member, Step, TimeDelta, Utc, step};
    use crate::verdict::calendar::LaneCoverage;

    pub fn inventory(key: &Member) -> Step {
        step("take an inventory", Some(format!("keytrail inventory --from aws --region {}", key.region)))
    }

    /// `why` begins with the permission that is missing.
    pub fn unread(key: &Member, why: &str) -> Step {
        let action = why.split(": ").next().unwrap_or(why);
        let command = format!("keytrail inventory --from aws --region {}", key.region);
        step(format!("let whoever takes the inventory call {action}, and take it again"), Some(command))
    }

    /// Days as ingest and verify take them, with one more for what was delivered late.
    fn narrowed(command: &str, (account, region): (&str, &str), from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let (first, last) = (from.date_naive(), (to + TimeDelta::days(1)).date_naive());
        let last = if last > first { last } else { first };
        format!("keytrail {command} SOURCE --since {first} --until {last} --account {account} --region {region}")
    }

    pub fn ingest(key: &Member, from: DateTime<Utc>, to: DateTime<Utc>) -> Step {
        let place = (key.account_id.as_str(), key.region.as_str());
        step("ingest the logs of that time, where they are", Some(narrowed("ingest --verify", place, from, to)))
    }

    pub fn logs(lane: &LaneCoverage, from: DateTime<Utc>, to: DateTime<Utc>) -> Step {
        let place = (lane.account_id.as_str(), lane.region.as_str());
        step("ingest the logs of that time, and verify them", Some(narrowed("ingest --verify", place, from, to)))
    }

    /// What a trail did not record is not to be had from it.
    pub fn history(lane: &LaneCoverage) -> Step {
        let what =
            "no trail brings that back; CloudTrail's event history has the last 90 days, whatever trails leave out";
        step(what, Some(format!("keytrail ingest lookup://{}", lane.region)))
    }

    pub fn proof(lane: &LaneCoverage, from: DateTime<Utc>, to: DateTime<Utc>, asked: &Asked) -> Step {
        let or = if asked.accept_observed {
            "; without digests, GetKeyLastUsage of an inventory that is newer"
        } else {
            "; without digests, let GetKeyLastUsage vouch: --accept-observed"
        };
        let place = (lane.account_id.as_str(), lane.region.as_str());
        step(format!("verify the trail's digests{or}"), Some(narrowed("verify", place, from, to)))
    }
}
