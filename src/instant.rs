//! Times as a person writes them on a command line or in a query's header, against a clock that the caller names.
//!
//! Understands RFC 3339, a UTC day, `now`, and ages such as `-30d`. Never reads the system's clock.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use thiserror::Error;

/// A text that names no instant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InstantError {
    /// None of the forms fits.
    #[error(
        "{0:?} is not a time; write RFC 3339 (2026-01-31T08:00:00Z), a UTC day (2026-01-31), now, \
         or an age such as -30d, -6h or -15m"
    )]
    Form(String),
    /// The form fits and the calendar does not, or the age leaves the range of dates.
    #[error("{0:?} is not a date that exists")]
    Range(String),
}

/// The earliest instant that [`parse`] answers with.
pub const EARLIEST: DateTime<Utc> = at_midnight(1900);

/// The latest one. What counts in nanoseconds, as SQL does with a plain timestamp, reaches from 1677 to 2262: that leaves
/// room for a question to look some decades further back or ahead.
pub const LATEST: DateTime<Utc> = at_midnight(2200);

const fn at_midnight(year: i32) -> DateTime<Utc> {
    match NaiveDate::from_ymd_opt(year, 1, 1) {
        Some(day) => day.and_time(NaiveTime::MIN).and_utc(),
        None => DateTime::UNIX_EPOCH,
    }
}

/// An instant as RFC 3339 in UTC, without a fraction that is zero.
#[must_use]
pub fn plain(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads an instant, `now` being what the caller says it is.
///
/// | form | means |
/// |---|---|
/// | `2026-01-31T08:00:00Z`, `2026-01-31T09:00:00.5+01:00` | that instant (RFC 3339) |
/// | `2026-01-31` | midnight at the start of that day, UTC |
/// | `now` | `now` |
/// | `-90s`, `-15m`, `-6h`, `-30d`, `-4w` | so long before `now` |
///
/// No log is of before [`EARLIEST`] or after [`LATEST`]: an instant beyond, such as `9999-12-31` for an end that is open, is
/// taken for these, so that a question can count from it.
///
/// # Errors
/// When the text has none of these forms, or names a date that does not exist.
///
/// ```
/// use chrono::{DateTime, Utc};
/// let now: DateTime<Utc> = "2026-01-31T08:00:00Z".parse().unwrap();
/// assert_eq!(keytrail::instant::parse("-6h", now).unwrap().to_rfc3339(), "2026-01-31T02:00:00+00:00");
/// ```
pub fn parse(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, InstantError> {
    Ok(read(text.trim(), now)?.clamp(EARLIEST, LATEST))
}

fn read(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, InstantError> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(bound) = beyond_four_digits(text) {
        return Ok(bound);
    }
    if let Some(age) = text.strip_prefix('-') {
        return before(now, age, text);
    }
    if is_day_shaped(text) {
        return text
            .parse::<NaiveDate>()
            .map(|day| day.and_time(NaiveTime::MIN).and_utc())
            .map_err(|_| InstantError::Range(text.to_owned()));
    }
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|error| match error.kind() {
        chrono::format::ParseErrorKind::OutOfRange | chrono::format::ParseErrorKind::Impossible => {
            InstantError::Range(text.to_owned())
        }
        _ => InstantError::Form(text.to_owned()),
    })
}

/// Reads a length of time: `90s`, `30m`, `6h`, `90d` or `26w`, with or without the minus sign of an age.
///
/// # Errors
/// When the text has none of these forms.
///
/// ```
/// assert_eq!(keytrail::instant::length("30m").unwrap(), chrono::TimeDelta::minutes(30));
/// ```
pub fn length(text: &str) -> Result<TimeDelta, InstantError> {
    let now = DateTime::UNIX_EPOCH;
    before(now, text.trim().trim_start_matches('-'), text).map(|then| now - then)
}

fn before(now: DateTime<Utc>, age: &str, text: &str) -> Result<DateTime<Utc>, InstantError> {
    let form = || InstantError::Form(text.to_owned());
    let unit = age.chars().next_back().ok_or_else(form)?;
    let digits = &age[..age.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(form());
    }
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(form()),
    };
    digits
        .parse::<i64>()
        .ok()
        .and_then(|count| count.checked_mul(seconds))
        .and_then(TimeDelta::try_seconds)
        .and_then(|age| now.checked_sub_signed(age))
        .ok_or_else(|| InstantError::Range(text.to_owned()))
}

/// The bound for a year that RFC 3339 has no form for, as what counts from the years 0 and 9999 writes it: `-0001-12-31T…` and
/// `+10000-01-01T…`.
fn beyond_four_digits(text: &str) -> Option<DateTime<Utc>> {
    let bound = match text.as_bytes().first()? {
        b'-' => EARLIEST,
        b'+' => LATEST,
        _ => return None,
    };
    let year = text[1..].split('-').next()?;
    let is_year = year.len() >= 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    (is_year && text[1 + year.len()..].contains('T')).then_some(bound)
}

/// Whether the text is `dddd-dd-dd`: chrono alone would also take `2026-1-1` and years of five digits.
fn is_day_shaped(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:30:00Z".parse().unwrap()
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("now", "2026-03-01T12:30:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
            ("2026-01-31T08:00:00.25Z", "2026-01-31T08:00:00.25Z"),
            ("2026-01-31T08:00:00+02:00", "2026-01-31T06:00:00Z"),
            (" 2026-01-31 ", "2026-01-31T00:00:00Z"),
            ("-0d", "2026-03-01T12:30:00Z"),
            ("-90s", "2026-03-01T12:28:30Z"),
            ("-15m", "2026-03-01T12:15:00Z"),
            ("-6h", "2026-03-01T06:30:00Z"),
            ("-30d", "2026-01-30T12:30:00Z"),
            ("-1w", "2026-02-22T12:30:00Z"),
        ] {
            assert_eq!(parse(text, now()), Ok(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_no_log_is_of_is_taken_for_the_bound() {
        assert_eq!((plain(EARLIEST), plain(LATEST)), ("1900-01-01T00:00:00Z".into(), "2200-01-01T00:00:00Z".into()));
        for (text, expected) in [
            ("9999-12-31", LATEST),
            ("9999-12-31T23:59:59.999999Z", LATEST),
            ("2200-01-01", LATEST),
            ("2199-12-31T23:59:59Z", LATEST - TimeDelta::seconds(1)),
            ("0000-01-01", EARLIEST),
            ("1899-12-31T23:59:59Z", EARLIEST),
            ("-999999d", EARLIEST),
            ("-0001-12-31T23:00:00Z", EARLIEST),
            ("+10000-01-01T01:00:00Z", LATEST),
            ("now", now()),
        ] {
            assert_eq!(parse(text, now()), Ok(expected), "{text}");
        }
        // A length is a difference, and not an instant.
        assert_eq!(length("300000d"), Ok(TimeDelta::days(300_000)));
    }

    #[test]
    fn what_is_no_time_is_refused_and_named() {
        for text in [
            "",
            "-",
            "-d",
            "30d",
            "+30d",
            "--30d",
            "-3 d",
            "-1.5h",
            "-5y",
            "-5é",
            "yesterday",
            "2026-1-31",
            "1767225600",
            "2026-01-31 08:00:00x",
        ] {
            assert_eq!(parse(text, now()), Err(InstantError::Form(text.trim().to_owned())), "{text}");
        }
        for text in ["2026-02-30", "2026-13-01", "2026-02-30T00:00:00Z", "-99999999999d", "-9999999999999999999999s"] {
            assert_eq!(parse(text, now()), Err(InstantError::Range(text.to_owned())), "{text}");
        }
    }
}
