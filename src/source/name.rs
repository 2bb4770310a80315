//! What the name of a CloudTrail object tells (facts §1.1).
//!
//! ```text
//! [prefix/]AWSLogs/[o-orgid/]<account>/<kind>/<region>/YYYY/MM/DD/<account>_<kind>_<region>_YYYYMMDDTHHmmZ_<unique>.json.gz
//! ```
//!
//! The date in a name is that of delivery; events may be older.

use chrono::{DateTime, NaiveDateTime, Utc};

/// What kind of object a name speaks of. Only log files hold management events; the others look alike and must never
/// be mixed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A log file of a trail.
    CloudTrail,
    /// A digest of log files.
    Digest,
    /// Insight events.
    Insight,
    /// Network activity events, which repeat API calls that the log files have.
    NetworkActivity,
    /// Aggregated data events, of another schema.
    Aggregated,
    /// A slice of CloudTrail's event history, which no object is named by.
    EventHistory,
    /// A name that is not CloudTrail's; it may hold records all the same.
    #[default]
    Unnamed,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "CloudTrail" => Some(Self::CloudTrail),
            "CloudTrail-Digest" => Some(Self::Digest),
            "CloudTrail-Insight" => Some(Self::Insight),
            "CloudTrail-NetworkActivity" => Some(Self::NetworkActivity),
            "CloudTrail-Aggregated" => Some(Self::Aggregated),
            _ => None,
        }
    }

    /// The name in the ledger's `kind` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudTrail => "CloudTrail",
            Self::Digest => "CloudTrail-Digest",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
            Self::EventHistory => "LookupEvents",
            Self::Unnamed => "file",
        }
    }

    /// Whether objects of this kind hold the events that keytrail reads.
    #[must_use]
    pub fn holds_events(self) -> bool {
        matches!(self, Self::CloudTrail | Self::EventHistory | Self::Unnamed)
    }
}

/// The parts of an object's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectName {
    /// What kind of object it is.
    pub kind: Kind,
    /// The account that the object was delivered for.
    pub account_id: Option<String>,
    /// Its Region.
    pub region: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
}

impl ObjectName {
    /// Reads a path whose parts are separated by slashes; a name that is not CloudTrail's is [`Kind::Unnamed`].
    #[must_use]
    pub fn parse(path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or(path);
        let mut parts = file.splitn(4, '_');
        let (account, kind, region, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        let kind = kind.and_then(Kind::parse).or_else(|| path.split('/').find_map(Kind::parse));
        let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let (Some(kind), Some(account)) = (kind, account.filter(is_account)) else {
            return Self { kind: kind.unwrap_or_default(), ..Self::default() };
        };
        Self {
            kind,
            account_id: Some(account.to_owned()),
            region: region.map(str::to_owned),
            delivered_at: rest.and_then(delivered_at),
        }
    }
}

/// The first `YYYYMMDDTHHmm[SS]Z` in the rest of a name; digests put the trail's name before it, and an old example
/// lacks the underscore behind it.
fn delivered_at(rest: &str) -> Option<DateTime<Utc>> {
    rest.split('_').find_map(|part| {
        let stamp = part.split_inclusive('Z').next()?;
        let formats = ["%Y%m%dT%H%MZ", "%Y%m%dT%H%M%SZ"];
        let parsed = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(stamp, format).ok());
        parsed.map(|time| time.and_utc())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_kind_account_region_and_delivery() {
        let day = "AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/01/05";
        let name = ObjectName::parse(&format!(
            "x/{day}/111122223333_CloudTrail_eu-west-1_20260105T0010Z_abcDEF0123456789.json.gz"
        ));
        assert_eq!(name.kind, Kind::CloudTrail);
        assert_eq!((name.account_id.as_deref(), name.region.as_deref()), (Some("111122223333"), Some("eu-west-1")));
        assert_eq!(name.delivered_at.unwrap().to_rfc3339(), "2026-01-05T00:10:00+00:00");
        let digest =
            ObjectName::parse("111122223333_CloudTrail-Digest_eu-west-1_my_trail_eu-west-1_20260105T001000Z.json.gz");
        assert_eq!((digest.kind, digest.delivered_at), (Kind::Digest, name.delivered_at));
        assert_eq!(ObjectName::parse("AWSLogs/1/CloudTrail-Insight/x.json.gz").kind, Kind::Insight);
        assert_eq!(ObjectName::parse("samples.json.gz"), ObjectName::default());
    }
}
