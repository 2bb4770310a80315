//! What the name of a CloudTrail object tells (facts §1.1).
//!
//! ```text
//! [prefix/]AWSLogs/[o-orgid/]<account>/<kind>/<region>/YYYY/MM/DD/<account>_<kind>_<region>_YYYYMMDDTHHmmZ_<unique>.json.gz
//! ```
//!
//! The date in a name is that of delivery; events may be older.

use chrono::{DateTime, NaiveDateTime, Utc};

/// What kind of object a name speaks of. Log files and network activity hold events; the others look alike and must
/// never be mixed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A log file of a trail.
    CloudTrail,
    /// A digest of log files.
    Digest,
    /// Insight events.
    Insight,
    /// Network activity events: calls through a VPC endpoint. They repeat API calls that the log files have, and are the
    /// only record of those that the endpoint's policy denied.
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
    /// The kinds that a trail keeps events in, each below a folder of its own.
    pub const OF_EVENTS: [Self; 2] = [Self::CloudTrail, Self::NetworkActivity];

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
        matches!(self, Self::CloudTrail | Self::NetworkActivity | Self::EventHistory | Self::Unnamed)
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
        let glued = region.and_then(region_and_time);
        let region = glued.map(|(region, _)| region).or_else(|| region.filter(|region| is_region(region)));
        Self {
            kind,
            account_id: Some(account.to_owned()),
            region: region.map(str::to_owned),
            delivered_at: glued.map(|(_, at)| at).or_else(|| rest.and_then(delivered_at)),
        }
    }
}

/// Whether a text has the form of a Region's name: whatever else stands in its place says nothing of the Region.
fn is_region(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.contains('-') && text.split('-').all(is_word) && text.ends_with(|last: char| last.is_ascii_digit())
}

/// Region and time where nothing stands between them: `eu-west-120260502T0905Z`, as old names have it (facts §1.1).
fn region_and_time(text: &str) -> Option<(&str, DateTime<Utc>)> {
    let text = &text[..=text.find('Z')?];
    FORMATS.iter().find_map(|(format, len)| {
        let (region, stamp) = text.split_at_checked(text.len().checked_sub(*len)?)?;
        let time = NaiveDateTime::parse_from_str(stamp, format).ok()?;
        is_region(region).then(|| (region, time.and_utc()))
    })
}

/// The forms of a time in a name, and their lengths.
const FORMATS: [(&str, usize); 2] = [("%Y%m%dT%H%MZ", 14), ("%Y%m%dT%H%M%SZ", 16)];

/// The first `YYYYMMDDTHHmm[SS]Z` in the rest of a name; digests put the trail's name before it, and an old example
/// lacks the underscore behind it.
fn delivered_at(rest: &str) -> Option<DateTime<Utc>> {
    rest.split('_').find_map(|part| {
        let stamp = part.split_inclusive('Z').next()?;
        let parsed = FORMATS.iter().find_map(|(format, _)| NaiveDateTime::parse_from_str(stamp, format).ok());
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
        assert_eq!(ObjectName::parse("1/CloudTrail-NetworkActivity/x.json.gz").kind, Kind::NetworkActivity);
    }

    #[test]
    fn an_old_name_without_an_underscore_before_the_date_tells_its_region() {
        for stamp in ["20260502T0905Z", "20260502T090500Z"] {
            let name = ObjectName::parse(&format!("111122223333_CloudTrail_eu-west-1{stamp}_bbbbbbbbbbbbbbbb.json.gz"));
            assert_eq!(name.region.as_deref(), Some("eu-west-1"));
            assert_eq!(name.delivered_at.unwrap().to_rfc3339(), "2026-05-02T09:05:00+00:00");
        }
    }

    #[test]
    fn what_stands_where_a_region_should_and_is_none_says_nothing() {
        for file in ["111122223333_CloudTrail_export.json.gz", "111122223333_CloudTrail_may_2026.json"] {
            let name = ObjectName::parse(file);
            assert_eq!((name.kind, name.region), (Kind::CloudTrail, None), "{file}");
        }
        for region in ["us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "cn-northwest-1"] {
            assert!(is_region(region), "{region}");
        }
    }
}
