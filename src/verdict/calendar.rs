//! What the logs are worth over the look-back: which hours count, which do not and why, and how that looks week by week.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::Serialize;

use super::Asked;
use super::facts::{Lane, LaneHour, UseDay, Worth};

/// Of the last hours of the look-back nothing is wanted yet: their digests, and those of the two hours after, are on the way.
const LAG: TimeDelta = TimeDelta::hours(6);

/// Hours by what the logs are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the view `coverage`")]
pub struct Hours {
    pub proven: i64,
    pub observed: i64,
    pub unknown: i64,
    pub blind: i64,
}

impl Hours {
    fn add(&mut self, worth: Worth) {
        *match worth {
            Worth::Proven => &mut self.proven,
            Worth::Observed => &mut self.observed,
            Worth::Unknown => &mut self.unknown,
            Worth::Blind => &mut self.blind,
        } += 1;
    }

    fn all(self) -> i64 {
        self.proven + self.observed + self.unknown + self.blind
    }

    /// What the worst of the hours is worth; null for none.
    fn worst(self) -> Option<Worth> {
        let Self { observed, unknown, blind, .. } = self;
        match () {
            () if self.all() == 0 => None,
            () if blind > 0 => Some(Worth::Blind),
            () if unknown > 0 => Some(Worth::Unknown),
            () if observed > 0 => Some(Worth::Observed),
            () => Some(Worth::Proven),
        }
    }
}

/// Hours that follow each other and do not count, for one reason.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gap {
    pub worth: Worth,
    /// Whether something is known to be missing or wrong.
    pub is_doubtful: bool,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub reason: Option<String>,
}

impl Gap {
    pub fn hours(&self) -> i64 {
        (self.to - self.from).num_hours()
    }
}

/// What the logs of one account and Region are worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneCoverage {
    /// The account.
    pub account_id: String,
    /// The Region.
    pub region: String,
    /// The hours of the look-back.
    #[serde(flatten)]
    pub hours: Hours,
    /// The end of the last hour that counts: what happened later is known only as far as it is in the lake.
    pub known_until: Option<DateTime<Utc>>,
    /// The end of the last hour of which there is any log, whether it counts or not.
    #[serde(skip)]
    pub(super) logged_until: Option<DateTime<Utc>>,
    #[serde(skip)]
    pub(super) gaps: Vec<Gap>,
}

/// A week of the look-back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Week {
    /// Its first instant.
    pub begin: DateTime<Utc>,
    /// Its hours, of all accounts and Regions that matter.
    #[serde(flatten)]
    pub hours: Hours,
    /// Successful uses.
    pub calls: i64,
    /// Calls that failed because a key cannot be used.
    pub failing: i64,
    /// What the worst hour of each of its days is worth, in order.
    pub days: Vec<Worth>,
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

/// The hours of the look-back, from the one that it begins in to the one that it ends in.
fn hours(asked: &Asked) -> impl Iterator<Item = DateTime<Utc>> {
    let (first, until) = (hour_of(asked.since), asked.until);
    (0..).map(move |hour| first + TimeDelta::hours(hour)).take_while(move |hour| *hour < until)
}

/// What the logs of a lane are worth. `counts` says of an hour that is observed whether it counts all the same.
pub(super) fn cover(
    (account_id, region): &Lane,
    known: Option<&BTreeMap<DateTime<Utc>, LaneHour>>,
    asked: &Asked,
    counts: &dyn Fn(&LaneHour) -> bool,
) -> LaneCoverage {
    let row = |hour: &DateTime<Utc>| known.and_then(|known| known.get(hour));
    let worth = |hour: &DateTime<Utc>| row(hour).map_or(Worth::Unknown, |row| row.state);
    let is_counted = |hour: &DateTime<Utc>| match worth(hour) {
        Worth::Proven => true,
        Worth::Observed => row(hour).is_some_and(|row| !row.is_doubtful && counts(row)),
        Worth::Unknown | Worth::Blind => false,
    };
    let known_until = hours(asked).filter(is_counted).last().map(|hour| hour + TimeDelta::hours(1));
    let is_logged = |hour: &DateTime<Utc>| matches!(worth(hour), Worth::Proven | Worth::Observed);
    let logged_until = hours(asked).filter(is_logged).last().map(|hour| hour + TimeDelta::hours(1));
    let end = asked.until - LAG;
    let (mut all, mut gaps): (Hours, Vec<Gap>) = (Hours::default(), Vec::new());
    for hour in hours(asked) {
        let worth = worth(&hour);
        all.add(worth);
        let (is_doubtful, reason) = row(&hour).map_or((false, None), |row| (row.is_doubtful, row.reason.as_deref()));
        // What is known to be hidden or lost stays so in the last hours too.
        if is_counted(&hour) || (hour >= end && worth != Worth::Blind && !is_doubtful) {
            continue;
        }
        match gaps.last_mut() {
            Some(gap) if gap.to == hour && (gap.worth, gap.is_doubtful) == (worth, is_doubtful) => {
                gap.to = hour + TimeDelta::hours(1);
            }
            _ => gaps.push(Gap {
                worth,
                is_doubtful,
                from: hour,
                to: hour + TimeDelta::hours(1),
                reason: reason.map(str::to_owned),
            }),
        }
    }
    LaneCoverage { account_id: account_id.clone(), region: region.clone(), hours: all, known_until, logged_until, gaps }
}

/// The look-back as weeks, of the lanes that matter and the days with use.
pub(super) fn weeks(
    asked: &Asked,
    lanes: &[&Lane],
    known: &BTreeMap<Lane, BTreeMap<DateTime<Utc>, LaneHour>>,
    used: &[UseDay],
) -> Vec<Week> {
    let first = hour_of(asked.since).duration_trunc(TimeDelta::days(1)).unwrap_or(asked.since);
    let mut days: BTreeMap<i64, Hours> = BTreeMap::new();
    for hour in hours(asked) {
        let day = days.entry((hour - first).num_days()).or_default();
        for lane in lanes {
            let row = known.get(*lane).and_then(|lane| lane.get(&hour));
            day.add(row.map_or(Worth::Unknown, |row| row.state));
        }
    }
    let mut weeks: Vec<Week> = Vec::new();
    for (number, hours) in days {
        let begin = first + TimeDelta::days(number);
        if number % 7 == 0 {
            weeks.push(Week { begin, hours: Hours::default(), calls: 0, failing: 0, days: Vec::new() });
        }
        let Some(week) = weeks.last_mut() else { continue };
        week.hours.proven += hours.proven;
        week.hours.observed += hours.observed;
        week.hours.unknown += hours.unknown;
        week.hours.blind += hours.blind;
        week.days.extend(hours.worst());
        for day in used.iter().filter(|day| day.day == begin.date_naive()) {
            week.calls += day.calls;
            week.failing += day.failing;
        }
    }
    weeks
}
