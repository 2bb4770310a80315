//! Which time a report is about.
//!
//! Windows of a series follow one another without a gap and without an overlap: each begins where the one before ended, and ends
//! where the logs end. Only a report that was written counts as the one before.

use chrono::{DateTime, Duration, Utc};

use super::Made;
use crate::detect::Window;

/// Days before the end of a window that detectors and figures look at, at least.
pub const LOOKED_AT_DAYS: i64 = 30;

/// The window that somebody asked for; otherwise the series goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Its begin.
    pub since: Option<DateTime<Utc>>,
    /// Its end.
    pub until: Option<DateTime<Utc>>,
}

impl Asked {
    /// Whether the series goes on.
    #[must_use]
    pub fn is_next(self) -> bool {
        self == Self::default()
    }
}

/// The times of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// What it is about. It is empty when no later log came since the report before.
    pub window: Window,
    /// What detectors and figures look at.
    pub looked_at: Window,
}

/// What was asked for is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the window is empty: {since} is not before {until}")]
pub struct NoWindow {
    since: String,
    until: String,
}

/// The times of the next report: `end_of_logs` is the instant after the latest event.
///
/// # Errors
/// When the window that was asked for is empty.
pub fn windows(
    asked: Asked,
    last: Option<&Made>,
    end_of_logs: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Windows, NoWindow> {
    // What claims to be of tomorrow must not keep tomorrow's events out of the next report.
    let end = end_of_logs.map_or(now, |end| end.min(now));
    let until = asked.until.unwrap_or(end);
    let looked_back = until - Duration::days(LOOKED_AT_DAYS);
    let (since, until) = match last.filter(|_| asked.is_next()) {
        // Logs do not grow shorter, but a lake may be made anew.
        Some(last) => (last.until, until.max(last.until)),
        None => (asked.since.unwrap_or(looked_back), until),
    };
    if since >= until && !asked.is_next() {
        let told = crate::instant::plain;
        return Err(NoWindow { since: told(since), until: told(until) });
    }
    let looked_at = Window { since: since.min(until - Duration::days(LOOKED_AT_DAYS)), until };
    Ok(Windows { window: Window { since, until }, looked_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn made(since: &str, until: &str) -> Made {
        Made { made_at: at(until), run_at: at(until), since: at(since), until: at(until) }
    }

    #[test]
    fn a_series_has_no_gap_and_no_overlap_whatever_the_logs_do() {
        let ends = [
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:00Z",
            "2026-01-05T09:00:00Z",
            "2026-01-09T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ];
        let now = at("2026-01-10T00:00:00Z");
        let mut last: Option<Made> = None;
        for end in ends {
            let Windows { window, looked_at } = windows(Asked::default(), last.as_ref(), Some(at(end)), now).unwrap();
            match &last {
                Some(last) => assert_eq!(window.since, last.until, "{end}"),
                None => assert_eq!(window.since, at("2025-12-06T10:00:00Z")),
            }
            assert!(window.since <= window.until && window.until <= now, "{end}");
            assert!(looked_at.until == window.until && looked_at.since <= window.since);
            assert!(looked_at.until - looked_at.since >= Duration::days(LOOKED_AT_DAYS));
            last = Some(Made { since: window.since, until: window.until, ..made(end, end) });
        }
        assert_eq!(last.unwrap().until, now);
    }

    #[test]
    fn what_is_asked_for_is_what_one_gets_or_an_error() {
        let last = made("2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z");
        let now = at("2026-01-10T00:00:00Z");
        let asked = |since: Option<&str>, until: Option<&str>| Asked { since: since.map(at), until: until.map(at) };
        let window =
            |asked| windows(asked, Some(&last), Some(at("2026-01-08T00:00:00Z")), now).map(|times| times.window);
        let since = Some("2025-10-01T00:00:00Z");
        assert_eq!(
            window(asked(since, None)).unwrap(),
            Window { since: at("2025-10-01T00:00:00Z"), until: at("2026-01-08T00:00:00Z") }
        );
        let until = Some("2026-01-07T00:00:00Z");
        assert_eq!(window(asked(None, until)).unwrap().since, at("2025-12-08T00:00:00Z"));
        let error = window(asked(until, until)).unwrap_err();
        assert_eq!(error.to_string(), "the window is empty: 2026-01-07T00:00:00Z is not before 2026-01-07T00:00:00Z");
    }

    #[test]
    fn without_a_log_the_first_window_ends_now() {
        let now = at("2026-01-10T00:00:00Z");
        let times = windows(Asked::default(), None, None, now).unwrap();
        assert_eq!(times.window, Window { since: at("2025-12-11T00:00:00Z"), until: now });
    }
}
