//! Instants as AWS's APIs, its command line and people's `jq` write them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds UTC. Read from RFC 3339 with any offset, or from seconds since 1970 with any fraction; written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// AWS sends seconds as a floating-point number of three decimal places. What is beyond the sixth place is noise of
    /// that, so it is rounded: cut off, it would make .833 of .832999.
    pub(super) fn of_nanos(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000).saturating_add(i64::from(nanos.saturating_add(500) / 1000)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Reader {
    /// Within the years that can be written again.
    fn within<E: Error>(seconds: i64) -> Result<Time, E> {
        let time = DateTime::<Utc>::from_timestamp(seconds, 0);
        time.map(|time| Time(time.timestamp_micros()))
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(seconds), &Self))
    }
}

impl Visitor<'_> for Reader {
    type Value = Time;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a time, as RFC 3339 with an offset or as seconds since 1970")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        let time = DateTime::parse_from_rfc3339(text.trim());
        time.map(|time| Time(time.timestamp_micros())).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
        Self::within(seconds)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Time, E> {
        let signed = i64::try_from(seconds).map_err(|_| E::invalid_value(Unexpected::Unsigned(seconds), &self))?;
        Self::within(signed)
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked to be within the range of whole seconds")]
    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Time, E> {
        let whole = seconds.floor();
        if !(-1e11..1e11).contains(&whole) {
            return Err(E::invalid_value(Unexpected::Float(seconds), &self));
        }
        let micros = ((seconds - whole) * 1e6).round() as i64;
        Ok(Time(Self::within::<E>(whole as i64)?.0 + micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<i64> {
        serde_json::from_str::<Time>(json).ok().map(|time| time.0)
    }

    #[test]
    fn every_way_of_writing_an_instant_is_the_same_instant() {
        for json in [
            "\"2026-01-05T12:00:00.833Z\"",
            "\"2026-01-05T14:00:00.833000+02:00\"",
            "\" 2026-01-05T12:00:00.833+00:00\"",
            "1767614400.833",
        ] {
            assert_eq!(read(json), Some(1_767_614_400_833_000), "{json}");
        }
        assert_eq!(read("1767614400"), Some(1_767_614_400_000_000));
        assert_eq!(read("-1"), Some(-1_000_000));
        assert_eq!(Time::of_nanos(1_767_614_400, 832_999_945), Time(1_767_614_400_833_000));
        assert_eq!(serde_json::to_string(&Time(1_767_614_400_833_000)).unwrap(), "\"2026-01-05T12:00:00.833Z\"");
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for json in ["\"2026-01-05\"", "\"2026-01-05T12:00:00\"", "\"\"", "true", "1e300", "99999999999999999", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
