//! Where in CloudTrail's layout a prefix stands (facts §1.1):
//!
//! ```text
//! [any/prefix/]AWSLogs/[o-orgid/]<account>/<kind>/<region>/YYYY/MM/DD/
//! ```
//!
//! A prefix may also begin within it: a copy of one account's folder is read like the original.

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::source::Kind;

/// Days of delivery, from and until (exclusive); open where nothing bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaySpan {
    /// The first day.
    pub from: Option<NaiveDate>,
    /// The day behind the last.
    pub until: Option<NaiveDate>,
}

impl DaySpan {
    /// The days that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: match (self.until, other.until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Whether there is no day in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if from >= until)
    }

    /// The days of it that are in none of these others.
    #[must_use]
    pub fn without(self, others: &[Self]) -> Vec<Self> {
        let mut left = vec![self];
        left.retain(|span| !span.is_empty());
        for other in others {
            // What is empty goes at once: cut further, it would double with each of the others.
            left = left.into_iter().flat_map(|span| span.cut(*other)).filter(|span| !span.is_empty()).collect();
        }
        left.sort_by_key(|span| span.from);
        left
    }

    /// What lies before and behind another.
    fn cut(self, other: Self) -> [Self; 2] {
        let none = Self { from: Some(NaiveDate::MAX), until: Some(NaiveDate::MAX) };
        [
            other.from.map_or(none, |from| self.and(Self { from: None, until: Some(from) })),
            other.until.map_or(none, |until| self.and(Self { from: Some(until), until: None })),
        ]
    }

    /// Whether a year, month or day that begins at `first` and ends before `end` has days in common with it.
    fn meets(self, first: NaiveDate, end: NaiveDate) -> bool {
        !self.and(Self { from: Some(first), until: Some(end) }).is_empty()
    }
}

/// What a prefix is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Somewhere above: an `AWSLogs/` may be below.
    Above,
    /// `AWSLogs/`, or an organization's folder in it: accounts are below.
    Accounts,
    /// An account: kinds are below.
    Account,
    /// A kind of one account: Regions are below.
    Regions,
    /// An account and Region: days are below. `lane` is the prefix down to the Region.
    Lane { lane: String, days: DaySpan },
    /// What other services or other kinds keep.
    Elsewhere,
}

impl Place {
    /// Reads a prefix that is empty or ends in a slash.
    pub fn of(prefix: &str, kinds: &[Kind]) -> Self {
        let mut place = Self::Above;
        let mut lane = String::new();
        let mut date: Vec<&str> = Vec::new();
        for part in prefix.split_terminator('/') {
            if !matches!(place, Self::Lane { .. }) {
                lane.push_str(part);
                lane.push('/');
            }
            place = match place {
                Self::Above if part == "AWSLogs" => Self::Accounts,
                Self::Above | Self::Accounts if is_account(part) => Self::Account,
                Self::Above | Self::Account if kinds.iter().any(|kind| part == kind.name()) => Self::Regions,
                Self::Accounts if part.starts_with("o-") => Self::Accounts,
                Self::Above => Self::Above,
                Self::Regions => Self::Lane { lane: lane.clone(), days: DaySpan::default() },
                Self::Lane { lane, .. } => {
                    date.push(part);
                    match days_of(&date) {
                        Some(days) => Self::Lane { lane, days },
                        None => return Self::Elsewhere,
                    }
                }
                Self::Accounts | Self::Account | Self::Elsewhere => return Self::Elsewhere,
            };
        }
        place
    }
}

pub(super) fn is_account(part: &str) -> bool {
    part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The days below `[YYYY]`, `[YYYY, MM]` or `[YYYY, MM, DD]`.
pub(super) fn days_of(date: &[&str]) -> Option<DaySpan> {
    let number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let year = i32::try_from(date.first().and_then(number)?).ok()?;
    let month = date.get(1).map(number);
    let day = date.get(2).map(number);
    let (from, until) = match (month, day) {
        (None, _) => {
            let from = NaiveDate::from_ymd_opt(year, 1, 1)?;
            (from, from.checked_add_months(Months::new(12))?)
        }
        (Some(month), None) => {
            let from = NaiveDate::from_ymd_opt(year, month?, 1)?;
            (from, from.checked_add_months(Months::new(1))?)
        }
        (Some(month), Some(day)) => {
            let from = NaiveDate::from_ymd_opt(year, month?, day?)?;
            (from, from.checked_add_days(Days::new(1))?)
        }
    };
    (date.len() <= 3).then_some(DaySpan { from: Some(from), until: Some(until) })
}

/// Whether the years, months or days below this date part of a prefix have anything of the span.
pub(super) fn meets(span: DaySpan, date: &[&str]) -> bool {
    let Some(DaySpan { from: Some(first), until: Some(end) }) = days_of(date) else { return false };
    span.meets(first, end)
}

/// The last part of a prefix that ends in a slash.
pub(super) fn last_part(prefix: &str) -> &str {
    prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The prefix of one day.
pub(super) fn day_prefix(lane: &str, day: NaiveDate) -> String {
    format!("{lane}{:04}/{:02}/{:02}/", day.year(), day.month(), day.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn span(from: &str, until: &str) -> DaySpan {
        DaySpan { from: Some(day(from)), until: Some(day(until)) }
    }

    #[test]
    fn a_prefix_tells_where_it_stands() {
        let of = |prefix: &str| Place::of(prefix, &[Kind::CloudTrail]);
        assert_eq!(of(""), Place::Above);
        assert_eq!(of("logs/of/ours/"), Place::Above);
        assert_eq!(of("x/AWSLogs/"), Place::Accounts);
        assert_eq!(of("AWSLogs/o-abcdefghij/"), Place::Accounts);
        assert_eq!(of("AWSLogs/o-abcdefghij/111122223333/"), Place::Account);
        assert_eq!(of("case-7/111122223333/CloudTrail/"), Place::Regions);
        let lane = "AWSLogs/111122223333/CloudTrail/eu-west-1/".to_owned();
        assert_eq!(of(&lane), Place::Lane { lane: lane.clone(), days: DaySpan::default() });
        let month = Place::Lane { lane: lane.clone(), days: span("2026-11-01", "2026-12-01") };
        assert_eq!(of(&format!("{lane}2026/11/")), month);
        assert_eq!(of(&format!("{lane}2026/13/")), Place::Elsewhere);
    }

    #[test]
    fn other_kinds_and_other_services_are_elsewhere() {
        let of = |prefix: &str| Place::of(prefix, &Kind::OF_EVENTS);
        for kind in ["CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated", "Config"] {
            assert_eq!(of(&format!("AWSLogs/111122223333/{kind}/eu-west-1/")), Place::Elsewhere, "{kind}");
        }
        let digest = Place::of("AWSLogs/111122223333/CloudTrail-Digest/", &[Kind::Digest]);
        assert_eq!(digest, Place::Regions);
        assert_eq!(of("AWSLogs/111122223333/CloudTrail-NetworkActivity/"), Place::Regions);
    }

    #[test]
    fn what_was_listed_is_cut_out() {
        let all = DaySpan::default();
        assert_eq!(all.without(&[]), [all]);
        let listed = DaySpan { from: None, until: Some(day("2026-03-01")) };
        let rest = DaySpan { from: Some(day("2026-03-01")), until: None };
        assert_eq!(all.without(&[listed]), [rest]);
        let week = span("2026-02-01", "2026-02-08");
        let cut = week.without(&[span("2026-02-03", "2026-02-05"), span("2026-01-01", "2026-02-02")]);
        assert_eq!(cut, [span("2026-02-02", "2026-02-03"), span("2026-02-05", "2026-02-08")]);
        assert_eq!(week.without(&[listed]), []);
        // As many holes as a year has days.
        let days = (0..365).map(|at| day("2024-01-01") + Days::new(at));
        let days: Vec<DaySpan> = days.map(|day| DaySpan { from: Some(day), until: Some(day + Days::new(1)) }).collect();
        assert_eq!(span("2024-01-01", "2025-01-02").without(&days), [span("2024-12-31", "2025-01-02")]);
    }

    #[test]
    fn a_span_meets_years_months_and_days() {
        let week = span("2025-12-29", "2026-01-02");
        assert!(meets(week, &["2025"]) && meets(week, &["2026", "01"]) && meets(week, &["2026", "01", "01"]));
        assert!(!meets(week, &["2024"]) && !meets(week, &["2026", "02"]) && !meets(week, &["2026", "01", "02"]));
    }
}
