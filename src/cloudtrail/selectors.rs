//! Which events a trail records, by its event selectors: whether the use of KMS keys is among them (facts §8.3).
//!
//! Cryptographic calls to KMS are *read* management events. A trail that writes only, leaves management events out, or
//! excludes KMS as a source has none of them, and a lake of its logs is blind to the use of keys.

use serde::{Deserialize, Deserializer};

use super::operation::KMS;

/// What `PutEventSelectors` asks for and what `GetEventSelectors` answers; CloudTrail logs members with a small first
/// letter, its API has a capital one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Selectors {
    #[serde(rename = "eventSelectors", alias = "EventSelectors", deserialize_with = "some")]
    basic: Option<Vec<Basic>>,
    #[serde(rename = "advancedEventSelectors", alias = "AdvancedEventSelectors", deserialize_with = "some")]
    advanced: Option<Vec<Advanced>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Basic {
    #[serde(rename = "readWriteType", alias = "ReadWriteType")]
    read_write_type: Option<String>,
    #[serde(rename = "includeManagementEvents", alias = "IncludeManagementEvents")]
    include_management_events: Option<bool>,
    #[serde(rename = "excludeManagementEventSources", alias = "ExcludeManagementEventSources")]
    excluded: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Advanced {
    #[serde(rename = "fieldSelectors", alias = "FieldSelectors")]
    fields: Option<Vec<Field>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Field {
    #[serde(rename = "field", alias = "Field")]
    name: Option<String>,
    #[serde(rename = "equals", alias = "Equals")]
    equals: Option<Vec<String>>,
    #[serde(rename = "startsWith", alias = "StartsWith")]
    starts_with: Option<Vec<String>>,
    #[serde(rename = "endsWith", alias = "EndsWith")]
    ends_with: Option<Vec<String>>,
    #[serde(rename = "notEquals", alias = "NotEquals")]
    not_equals: Option<Vec<String>>,
    #[serde(rename = "notStartsWith", alias = "NotStartsWith")]
    not_starts_with: Option<Vec<String>>,
    #[serde(rename = "notEndsWith", alias = "NotEndsWith")]
    not_ends_with: Option<Vec<String>>,
}

/// A list that may be missing, null or empty: all three mean that there are no selectors of the kind.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    Option::<Vec<T>>::deserialize(deserializer).map(|list| list.filter(|list| !list.is_empty()))
}

/// Whether a trail with these selectors records the use of KMS keys.
///
/// `json` is the `requestParameters` or `responseElements` of `PutEventSelectors`, or the answer of `GetEventSelectors`.
/// Nothing when it holds no selectors or is not JSON: then it says nothing of the trail.
///
/// ```
/// use keytrail::cloudtrail::selectors::selectors_capture_kms;
/// let basic = |more: &str| format!(r#"{{"eventSelectors":[{{"includeManagementEvents":true,{more}}}]}}"#);
/// assert_eq!(selectors_capture_kms(&basic(r#""readWriteType":"All""#)), Some(true));
/// assert_eq!(selectors_capture_kms(&basic(r#""readWriteType":"WriteOnly""#)), Some(false));
/// assert_eq!(selectors_capture_kms("{}"), None);
/// ```
#[must_use]
pub fn selectors_capture_kms(json: &str) -> Option<bool> {
    let selectors: Selectors = serde_json::from_str(json).ok()?;
    match (selectors.basic, selectors.advanced) {
        (None, None) => None,
        (basic, advanced) => {
            let basic = basic.iter().flatten().any(Basic::captures);
            Some(basic || advanced.iter().flatten().any(Advanced::captures))
        }
    }
}

impl Basic {
    fn captures(&self) -> bool {
        let reads = self.read_write_type.as_deref().is_none_or(|kind| kind == "All" || kind == "ReadOnly");
        // Both members have defaults: management events are included, and all of them.
        let excludes_kms = self.excluded.iter().flatten().any(|source| source == KMS);
        self.include_management_events.unwrap_or(true) && reads && !excludes_kms
    }
}

impl Advanced {
    fn captures(&self) -> bool {
        let fields = || self.fields.iter().flatten();
        let names_management = fields().any(|field| field.is("eventCategory"));
        names_management && fields().all(Field::admits)
    }
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// Whether a KMS read event passes this field. What cannot be told of a field that keytrail does not know is taken
    /// for a restriction: to claim less is the safe side.
    fn admits(&self) -> bool {
        match self.name.as_deref() {
            Some("eventCategory") => self.passes("Management"),
            Some("readOnly") => self.passes("true"),
            Some("eventSource") => self.passes(KMS),
            _ => false,
        }
    }

    /// Every operator that is set must hold; each holds a list of which one entry (none, for the negated) must match.
    fn passes(&self, value: &str) -> bool {
        let any = |list: &Option<Vec<String>>, test: fn(&str, &str) -> bool| {
            list.as_ref().map(|list| list.iter().any(|entry| test(value, entry)))
        };
        let equal = |value: &str, entry: &str| value.eq_ignore_ascii_case(entry);
        let positive = [
            any(&self.equals, equal),
            any(&self.starts_with, |value, entry| value.starts_with(entry)),
            any(&self.ends_with, |value, entry| value.ends_with(entry)),
        ];
        let negative = [
            any(&self.not_equals, equal),
            any(&self.not_starts_with, |value, entry| value.starts_with(entry)),
            any(&self.not_ends_with, |value, entry| value.ends_with(entry)),
        ];
        !positive.contains(&Some(false)) && !negative.contains(&Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(members: &str) -> Option<bool> {
        selectors_capture_kms(&format!(r#"{{"trailName":"t","eventSelectors":[{{{members}}}]}}"#))
    }

    fn advanced(fields: &str) -> Option<bool> {
        selectors_capture_kms(&format!(r#"{{"advancedEventSelectors":[{{"name":"n","fieldSelectors":[{fields}]}}]}}"#))
    }

    #[test]
    fn a_basic_selector_needs_management_reads_and_kms() {
        assert_eq!(basic(r#""readWriteType":"All","includeManagementEvents":true"#), Some(true));
        assert_eq!(
            basic(r#""readWriteType":"ReadOnly","includeManagementEvents":true,"dataResources":[]"#),
            Some(true)
        );
        assert_eq!(basic(r#""readWriteType":"WriteOnly","includeManagementEvents":true"#), Some(false));
        assert_eq!(basic(r#""readWriteType":"All","includeManagementEvents":false"#), Some(false));
        assert_eq!(basic(r#""excludeManagementEventSources":["rdsdata.amazonaws.com"]"#), Some(true));
        assert_eq!(basic(r#""excludeManagementEventSources":["x","kms.amazonaws.com"]"#), Some(false));
    }

    #[test]
    fn an_advanced_selector_admits_management_reads_of_kms() {
        let management = r#"{"field":"eventCategory","equals":["Management"]}"#;
        assert_eq!(advanced(management), Some(true));
        let with = |field: &str| advanced(&format!("{management},{field}"));
        assert_eq!(with(r#"{"field":"readOnly","equals":["true"]}"#), Some(true));
        assert_eq!(with(r#"{"field":"readOnly","equals":["false"]}"#), Some(false));
        assert_eq!(with(r#"{"field":"eventSource","notEquals":["kms.amazonaws.com"]}"#), Some(false));
        assert_eq!(with(r#"{"field":"eventSource","notEquals":["rdsdata.amazonaws.com"]}"#), Some(true));
        assert_eq!(with(r#"{"field":"eventSource","notStartsWith":["kms."]}"#), Some(false));
        assert_eq!(with(r#"{"field":"somethingNew","equals":["x"]}"#), Some(false));
        assert_eq!(advanced(r#"{"field":"eventCategory","equals":["Data"]}"#), Some(false));
        assert_eq!(advanced(r#"{"field":"readOnly","equals":["true"]}"#), Some(false), "of no category");
    }

    #[test]
    fn one_selector_that_captures_is_enough_and_none_says_nothing() {
        let json = r#"{"eventSelectors":[{"readWriteType":"WriteOnly"},{"readWriteType":"ReadOnly"}]}"#;
        assert_eq!(selectors_capture_kms(json), Some(true));
        let api = r#"{"TrailARN":"t","EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,
            "DataResources":[],"ExcludeManagementEventSources":["kms.amazonaws.com"]}],"AdvancedEventSelectors":null}"#;
        assert_eq!(selectors_capture_kms(api), Some(false));
        for nothing in ["", "null", "[]", "{}", r#"{"eventSelectors":[]}"#, r#"{"eventSelectors":"x"}"#] {
            assert_eq!(selectors_capture_kms(nothing), None, "{nothing}");
        }
    }
}
