//! What to think of before a verdict is trusted: what is odd about the look-back or the key, and what no log shows.

use chrono::TimeDelta;

use super::facts::{Member, Set};
use super::{Asked, count};
use crate::instant::plain;

/// A look-back that is shorter misses what is done once a quarter.
const QUARTER: TimeDelta = TimeDelta::days(90);

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
