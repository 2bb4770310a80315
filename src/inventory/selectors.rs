//! A trail's event selectors in AWS's own words, whether they come from the API or from a file, so that both make the
//! same text. What they mean for KMS is `cloudtrail::selectors`' business.

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::types;
use serde::{Deserialize, Serialize};

/// What `GetEventSelectors` answers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Selectors {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_selectors: Option<Vec<Basic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced_event_selectors: Option<Vec<Advanced>>,
}

impl Selectors {
    /// A trail has one kind or the other, and the answer may name the other as an empty list.
    pub fn without_empty_lists(self) -> Self {
        Self {
            event_selectors: self.event_selectors.filter(|list| !list.is_empty()),
            advanced_event_selectors: self.advanced_event_selectors.filter(|list| !list.is_empty()),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Basic {
    read_write_type: Option<String>,
    include_management_events: Option<bool>,
    data_resources: Vec<DataResource>,
    exclude_management_event_sources: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DataResource {
    r#type: Option<String>,
    values: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Advanced {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    field_selectors: Vec<Condition>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Condition {
    field: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    equals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    starts_with: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends_with: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_equals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_starts_with: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_ends_with: Vec<String>,
}

impl From<GetEventSelectorsOutput> for Selectors {
    fn from(answer: GetEventSelectorsOutput) -> Self {
        fn all<A, B: From<A>>(list: Option<Vec<A>>) -> Option<Vec<B>> {
            list.map(|list| list.into_iter().map(B::from).collect())
        }
        let selectors = Self {
            event_selectors: all(answer.event_selectors),
            advanced_event_selectors: all(answer.advanced_event_selectors),
        };
        selectors.without_empty_lists()
    }
}

impl From<types::EventSelector> for Basic {
    fn from(selector: types::EventSelector) -> Self {
        let resource = |resource: types::DataResource| DataResource {
            r#type: resource.r#type,
            values: resource.values.unwrap_or_default(),
        };
        Self {
            read_write_type: selector.read_write_type.map(|kind| kind.as_str().to_owned()),
            include_management_events: selector.include_management_events,
            data_resources: selector.data_resources.unwrap_or_default().into_iter().map(resource).collect(),
            exclude_management_event_sources: selector.exclude_management_event_sources.unwrap_or_default(),
        }
    }
}

impl From<types::AdvancedEventSelector> for Advanced {
    fn from(selector: types::AdvancedEventSelector) -> Self {
        Self {
            name: selector.name,
            field_selectors: selector.field_selectors.into_iter().map(Condition::from).collect(),
        }
    }
}

impl From<types::AdvancedFieldSelector> for Condition {
    fn from(selector: types::AdvancedFieldSelector) -> Self {
        Self {
            field: selector.field,
            equals: selector.equals.unwrap_or_default(),
            starts_with: selector.starts_with.unwrap_or_default(),
            ends_with: selector.ends_with.unwrap_or_default(),
            not_equals: selector.not_equals.unwrap_or_default(),
            not_starts_with: selector.not_starts_with.unwrap_or_default(),
            not_ends_with: selector.not_ends_with.unwrap_or_default(),
        }
    }
}
