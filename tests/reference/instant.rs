//! Instants, as `CloudTrail` writes them and as a row shows them.

use chrono::{DateTime, NaiveDateTime, Utc};

/// An RFC 3339 instant. Anything below a microsecond is cut off.
pub fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    let instant = DateTime::parse_from_rfc3339(text).ok()?;
    DateTime::from_timestamp_micros(instant.timestamp_micros())
}

/// The second that an instant is in: events have no fractions (facts §1.2).
pub fn second(instant: DateTime<Utc>) -> DateTime<Utc> {
    use chrono::DurationRound;
    instant.duration_trunc(chrono::TimeDelta::seconds(1)).unwrap()
}

/// ISO 8601's basic form, as one AWS document has it: `20230710T120755Z`.
pub fn iso_basic(text: &str) -> Option<DateTime<Utc>> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if shape != "99999999T999999Z" {
        return None;
    }
    Some(NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?.and_utc())
}

/// `2020-06-29T23:36:41.000000Z`.
pub fn show(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[test]
fn instants_of_every_spelling_are_shown_in_one() {
    let shown = |text| rfc3339(text).map(show);
    assert_eq!(shown("2020-06-29T23:36:41Z").as_deref(), Some("2020-06-29T23:36:41.000000Z"));
    assert_eq!(shown("2020-06-30T01:36:41.1234567+02:00").as_deref(), Some("2020-06-29T23:36:41.123456Z"));
    assert_eq!(shown("2020-06-29T23:36:41"), None);
    assert_eq!(iso_basic("20230710T120755Z").map(show).as_deref(), Some("2023-07-10T12:07:55.000000Z"));
}
