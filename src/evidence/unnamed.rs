//! Logs that no digest names: injected, moved here from elsewhere, or delivered at a time that no digest covers.
//!
//! AWS's validator follows digests to logs and never comes upon these (facts §7.6).

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};

use super::Options;
use super::archive::Archive;
use super::logs::hash_of;
use crate::lake::evidence::{EXTRA, FileRow, GONE, MOVED};
use crate::source::ObjectRef;

/// How far from the edge of the covered time a log may lie and be named by the digest beyond: the minute in a name and the
/// instant of delivery are not quite the same.
const EDGE_MINUTES: i64 = 15;

/// How long a log waits for its digest, by the present: a digest ends within the hour and is delivered within the next.
const PENDING_HOURS: i64 = 3;

/// How far the clock that a log's name was made by may be ahead of this machine's.
const AHEAD_HOURS: i64 = 1;

/// How many days the time in a log's name may be away from its folder's day. More than that, and the name is no witness.
const NAME_DAYS: u64 = 1;

/// A log that no digest names, and its row without a state.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    pub object: ObjectRef,
    pub row: FileRow,
}

/// What it means that no digest names a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The digests of its time are there and do not name it.
    Extra,
    /// No digest of its time is there, or none that can be believed; and why that is a problem of its own, if it is.
    Uncovered(Option<&'static str>),
    /// Its digest may still come.
    Pending,
}

const BEYOND: &str =
    "its name tells a time at the end of the last digest or behind it, and not one for which a digest may still come";

const CONTRADICTED: &str = "its name tells another day than its folder, and no digest covers that of the folder";

/// The time that a log's name tells, unless its folder contradicts it. Names are free to choose: a time of another year
/// must not take a log out of the time that is covered, or asked for.
pub(super) fn credible(named: Option<DateTime<Utc>>, day: NaiveDate) -> Option<DateTime<Utc>> {
    named.filter(|at| at.date_naive().signed_duration_since(day).num_days().unsigned_abs() <= NAME_DAYS)
}

type Window = (DateTime<Utc>, DateTime<Utc>);

/// The times that digests cover, and those that they should and do not.
#[derive(Debug, Default)]
pub(super) struct Covered {
    good: Vec<Window>,
    bad: Vec<Window>,
}

impl Covered {
    /// A digest's window; `gap_from` is the end of the digest before, when there is time between.
    pub fn add(&mut self, window: Window, is_usable: bool, gap_from: Option<i64>, is_missing: bool) {
        if let Some(from) = gap_from.and_then(DateTime::from_timestamp_micros) {
            self.bad.push((from, window.0));
        }
        // The name of a missing digest tells its end; its window may have been a little longer.
        let edge = Duration::minutes(if is_missing { EDGE_MINUTES } else { 0 });
        if is_usable { &mut self.good } else { &mut self.bad }.push((window.0 - edge, window.1));
    }

    /// Joins the windows that meet.
    pub fn close(&mut self) {
        self.good = joined(std::mem::take(&mut self.good));
        self.bad = joined(std::mem::take(&mut self.bad));
    }

    /// What it means that no digest names a log whose name tells this time, in the folder of this day.
    pub fn judge(&self, named: Option<DateTime<Utc>>, day: NaiveDate, now: DateTime<Utc>) -> Meaning {
        let Some(at) = credible(named, day) else { return self.judge_day(day, named.is_some()) };
        let edge = Duration::minutes(EDGE_MINUTES);
        if let Some((_, end)) = self.good.last()
            && at >= *end - edge
        {
            let (oldest, newest) = (now - Duration::hours(PENDING_HOURS), now + Duration::hours(AHEAD_HOURS));
            let may_come = oldest <= at && at <= newest;
            return if may_come { Meaning::Pending } else { Meaning::Uncovered(Some(BEYOND)) };
        }
        let is_bad = self.bad.iter().any(|(from, to)| *from <= at && at < *to);
        let is_covered = self.good.iter().any(|(from, to)| *from + edge <= at && at < *to - edge);
        if is_covered && !is_bad { Meaning::Extra } else { Meaning::Uncovered(None) }
    }

    /// CloudTrail gives every log a time in its name; what has none is extra wherever the day is covered at all.
    fn judge_day(&self, day: NaiveDate, is_contradicted: bool) -> Meaning {
        let from = day.and_time(NaiveTime::MIN).and_utc();
        let to = from.checked_add_days(Days::new(1)).unwrap_or(from);
        let is_covered = self.good.iter().any(|(begin, end)| *begin < to && from < *end);
        let problem = is_contradicted.then_some(CONTRADICTED);
        if is_covered { Meaning::Extra } else { Meaning::Uncovered(problem) }
    }
}

fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable();
    let mut joined: Vec<Window> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some(last) if window.0 <= last.1 => last.1 = last.1.max(window.1),
            _ => joined.push(window),
        }
    }
    joined
}

/// Logs that no digest names, once they were compared with those that are missing.
pub(super) struct Resolved {
    /// Those that are extra or moved.
    pub rows: Vec<FileRow>,
    /// Those that may be none the worse for it.
    pub others: Vec<(FileRow, Meaning)>,
}

/// Addresses of missing logs, by file name and by hash.
pub(super) type Missing = (HashMap<String, String>, HashMap<String, String>);

/// Tells the extra logs from those that were moved: by the name or the hash of one that is missing.
pub(super) async fn resolve(
    archive: &dyn Archive,
    options: &Options,
    strays: Vec<(Stray, Meaning)>,
    missing: &Missing,
) -> Resolved {
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    for (stray, meaning) in strays {
        let origin = origin(archive, options, &stray, missing).await;
        let row = match (origin, meaning) {
            (Some(origin), _) => moved(stray, &origin),
            (None, Meaning::Extra) => extra(stray),
            (None, _) => {
                others.push((stray.row, meaning));
                continue;
            }
        };
        rows.push(row);
    }
    Resolved { rows, others }
}

fn moved(stray: Stray, origin: &str) -> FileRow {
    let reason = format!("has been moved from its original location: it belongs at {origin}");
    FileRow { state: MOVED, reason: Some(reason), ..stray.row }
}

/// The row of a log that no digest names.
pub(super) fn extra(stray: Stray) -> FileRow {
    let reason = "no digest names it, though digests cover its time of delivery".to_owned();
    FileRow { state: EXTRA, reason: Some(reason), ..stray.row }
}

/// Rows for the logs that an earlier check found extra or moved and this one did not come upon, though it looked.
pub(super) fn gone(
    earlier: Vec<FileRow>,
    found: &[FileRow],
    options: &Options,
    lanes: &HashSet<(String, String)>,
) -> Vec<FileRow> {
    let still: HashSet<&str> = found.iter().map(|row| row.uri.as_str()).collect();
    let (since, until) = (options.prune.since, options.prune.until);
    let is_asked = |row: &FileRow| match row.delivered_at.and_then(DateTime::from_timestamp_micros) {
        Some(at) => since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until),
        None => since.is_none() && until.is_none(),
    };
    let is_gone = |row: &FileRow| {
        lanes.contains(&(row.account_id.clone(), row.region.clone()))
            && is_asked(row)
            && !still.contains(row.uri.as_str())
    };
    let reason = || Some("was extra or moved, and is there no more".to_owned());
    earlier.into_iter().filter(is_gone).map(|row| FileRow { state: GONE, reason: reason(), ..row }).collect()
}

/// Where a log comes from that is not where it belongs.
async fn origin(
    archive: &dyn Archive,
    options: &Options,
    stray: &Stray,
    (by_file, by_hash): &Missing,
) -> Option<String> {
    let file = stray.object.uri.rsplit('/').next().unwrap_or_default();
    if let Some(uri) = by_file.get(file) {
        return Some(uri.clone());
    }
    if by_hash.is_empty() {
        return None;
    }
    by_hash.get(&hash_of(archive, &stray.object, options.object_bytes_max).await?).cloned()
}
