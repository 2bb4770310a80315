//! What to do next, by where the key stands; and the commands for it, which are printed and never run.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::Member;
use super::{Answer, Asked, Phase, Step, Verdict, count};
use crate::instant::plain;

/// The waiting period that a deletion is scheduled with, in days: the longest that KMS takes.
const WINDOW_DAYS: i64 = 30;

/// A step. Commands are made to be pasted, and parts of them come from logs: one with a character that a shell could take for
/// its own is left out.
fn step(what: impl Into<String>, command: Option<String>) -> Step {
    let is_harmless = |command: &String| {
        command
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b':' | b'/' | b'-' | b'_' | b'.' | b'='))
    };
    Step { what: what.into(), command: command.filter(is_harmless) }
}

/// Whether an ARN is one that AWS gives: what is not has no command.
fn is_real(key_arn: &str) -> bool {
    let parts: Vec<&str> = key_arn.split(':').collect();
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    matches!(parts.as_slice(), ["arn", partition, "kms", region, account, key]
        if is_name(partition) && is_name(region) && is_name(account) && key.strip_prefix("key/").is_some_and(is_name))
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
    let mut steps = steps(verdict, key, asked);
    if !is_real(arn) {
        for step in &mut steps {
            step.command = None;
        }
    }
    for step in &mut steps {
        repeat_options(step, asked);
    }
    steps
}

/// Writes again what the user wrote: a command that is pasted must ask the same lake the same question.
pub(super) fn repeat_options(step: &mut Step, asked: &Asked) {
    let Some(command) = step.command.as_mut().filter(|command| command.starts_with("keytrail ")) else { return };
    if command.starts_with("keytrail check-deletion ") {
        command.push_str(&asked.options.check);
    }
    command.push_str(&asked.options.everywhere);
}

fn steps(verdict: &Verdict, key: &Member, asked: &Asked) -> Vec<Step> {
    let arn = verdict.key_arn.as_str();
    let look = || step("see what depends on it", Some(format!("keytrail who {arn} --by asset")));
    let settled = || verdict.reasons.iter().filter_map(|reason| reason.settle.clone());
    let (mut steps, mut settle): (Vec<Step>, Vec<Step>) = (Vec::new(), Vec::new());
    for one in settled() {
        if !settle.contains(&one) {
            settle.push(one);
        }
    }
    let until = if asked.options.has_until { format!(" --until {}", plain(asked.until)) } else { String::new() };
    let ask_again = |what: &str| step(what, Some(format!("keytrail check-deletion {arn}{until}")));
    match verdict.phase {
        Phase::Deleted if verdict.replicas.iter().any(|sibling| sibling.phase != Phase::Deleted) => {
            steps.push(step("nothing: it is gone, and its siblings in other Regions read what it encrypted", None));
        }
        Phase::Deleted => steps.push(step("nothing: what it encrypted can be read no more", None)),
        Phase::Unavailable if verdict.verdict == Answer::NoUseFound => steps.push(step(
            "it cannot be used as it is (no key material, or a key store that is not connected): ask again when that is settled, \
             or watch it as one would a disabled key",
            Some(format!("keytrail check-deletion {arn}")),
        )),
        Phase::Enabled | Phase::Unavailable | Phase::Unknown => match verdict.verdict {
            Answer::InUse => {
                steps.push(look());
                let is_of_use = |step: &Step| {
                    verdict.reasons.iter().any(|one| one.supports == Answer::InUse && one.settle.as_ref() == Some(step))
                };
                steps.extend(settle.into_iter().filter(is_of_use));
                steps.push(step("keep it, or move what depends on it to another key and ask again after that", None));
            }
            Answer::Unknown => {
                let what = if settle.is_empty() { "ask again when there is more evidence" } else { "then ask again" };
                steps.append(&mut settle);
                steps.push(ask_again(what));
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
    // Days count as quiet as far as they are looked back at. Where no change of the key is in the lake, none was in a look-back
    // that is vouched for.
    let quiet_from = failing.into_iter().chain(key.changed_at).fold(verdict.since, DateTime::max);
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
            // What was used in the look-back is in use until the look-back has left that behind.
            let used = verdict.last_use.as_ref().map(|last| last.at + (asked.until - asked.since));
            let watched_until = quiet_from + TimeDelta::days(asked.watch_days);
            let ready = used.map_or(watched_until, |used| used.max(watched_until));
            let further = if TimeDelta::days(asked.watch_days) > asked.until - asked.since {
                format!(", with --lookback {}d or more", asked.watch_days)
            } else {
                String::new()
            };
            steps.push(step(
                format!("{watched}: leave it disabled until {}, ingest on, and ask again{further}", plain(ready)),
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
        |at| match (at - verdict.until).num_days() {
            ..0 => format!("due since {}: it may be gone", plain(at)),
            days => format!("on {}, in {}", plain(at), count(days, "day")),
        },
    );
    match verdict.verdict {
        Answer::InUse => vec![step(format!("cancel its deletion, which is {until}"), cancel), enable()],
        Answer::Unknown => {
            // There is no time to lose, and nothing is lost by it.
            let mut steps = vec![step(
                format!("cancel its deletion, which is {until}, unless all that follows is settled before"),
                cancel,
            )];
            steps.push(enable());
            steps.append(settle);
            steps
        }
        Answer::NoUseFound => {
            vec![step(format!("nothing: its deletion is {until}; until then it can be kept"), cancel)]
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
    use super::{Asked, DateTime, Member, Step, TimeDelta, Utc, plain, step};
    use crate::verdict::calendar::LaneCoverage;

    /// Asks about the time of which there are logs.
    pub fn ask_until(key_arn: &str, until: DateTime<Utc>) -> Step {
        let command = format!("keytrail check-deletion {key_arn} --until {}", plain(until));
        step("ask about the time that the logs cover", Some(command))
    }

    /// Who used a key by an alias, where the record does not name the key.
    pub fn who(alias: &str) -> Step {
        step(
            format!("see who used the key through {alias} (those records do not name the key itself)"),
            Some(format!("keytrail who {alias}")),
        )
    }

    /// What an alias pointed to.
    pub fn alias(alias: &str) -> Step {
        let what = "find out which key the alias pointed to: list its known targets, and ingest the logs since the alias was last changed";
        step(what, Some(format!("keytrail query aliases --param alias={alias}")))
    }

    pub fn impossible_times() -> Step {
        step("read the records with an impossible time", Some("keytrail query impossible-times".to_owned()))
    }

    /// A whole copy of the object settles it.
    pub fn rejects(key_id: &str) -> Step {
        let command = format!("keytrail query rejects-of-key --param key_id={key_id}");
        step(
            "ingest a complete copy of that log file, if there is one; else read the rejected records that name the key",
            Some(command),
        )
    }

    pub fn inventory(key: &Member) -> Step {
        step("take an inventory", Some(format!("keytrail inventory --from aws --region {}", key.region)))
    }

    /// `why` begins with the permission that is missing.
    pub fn unread(key: &Member, why: &str) -> Step {
        let action = why.split(": ").next().unwrap_or(why);
        let command = format!("keytrail inventory --from aws --region {}", key.region);
        step(format!("take the inventory again, with {action} allowed and in it"), Some(command))
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
