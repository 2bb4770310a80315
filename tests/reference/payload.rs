//! What an event carries: ids inside its payloads, and for the rarer events the payloads themselves.

use serde_json::{Map, Value};

use super::Record;
use super::json::Json;

/// The usage classes of which payloads are kept.
const KEPT: [&str; 7] = ["lifecycle", "rotation", "access", "keystore", "internal", "other", "context"];

/// Fills the columns that come from payloads.
pub fn columns(record: &Record, row: &mut Map<String, Value>) {
    let first = |paths: [&str; 3]| paths.into_iter().find_map(|path| record.text(path)).filter(|_| record.is_kms());
    let key_material_id = first([
        "additionalEventData.keyMaterialId",
        "responseElements.keyMaterialId",
        "serviceEventDetails.currentKeyMaterialId",
    ]);
    let grant_id = first(["responseElements.grantId", "requestParameters.grantId", "additionalEventData.grantId"]);
    row.insert("key_material_id".into(), key_material_id.into());
    row.insert("grant_id".into(), grant_id.into());

    row.insert("principal_tags".into(), principal_tags(record));

    let kept = KEPT.contains(&record.class);
    let payload = |value: Value| if kept { redacted(value) } else { Value::Null };
    row.insert("request_parameters".into(), payload(record.at("requestParameters").to_value()));
    row.insert("response_elements".into(), payload(record.at("responseElements").to_value()));
    row.insert("additional_event_data".into(), payload(additional_event_data(record)));
}

/// The tags of the session that an STS call opens: inherited, asserted and passed, the later over the earlier.
fn principal_tags(record: &Record) -> Value {
    if record.source != "sts.amazonaws.com" {
        return Value::Null;
    }
    let mut tags = Map::new();
    for path in ["requestParameters.incomingTransitiveTags", "requestParameters.principalTags"] {
        tags.extend(super::context::pairs(record.at(path)).into_iter().map(|(key, value)| (key, value.into())));
    }
    for tag in record.at("requestParameters.tags").items() {
        if let Some(key) = tag.at("key").text() {
            tags.insert(key, tag.at("value").text().unwrap_or_default().into());
        }
    }
    if tags.is_empty() { Value::Null } else { redacted(Value::Object(tags)) }
}

fn additional_event_data(record: &Record) -> Value {
    let (additional, details) = (record.at("additionalEventData"), record.at("serviceEventDetails"));
    match (additional, details) {
        (additional, Json::Null) => additional.to_value(),
        (Json::Null, details) => details.to_value(),
        (additional, details) => {
            serde_json::json!({"additionalEventData": additional.to_value(), "serviceEventDetails": details.to_value()})
        }
    }
}

/// The same value without a secret in it.
fn redacted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let secret = ["sessionToken", "secretAccessKey"].iter().any(|name| key.eq_ignore_ascii_case(name));
                (key, if secret { "REDACTED".into() } else { redacted(value) })
            });
            Value::Object(members.collect())
        }
        scalar => scalar,
    }
}

#[test]
fn a_session_token_is_redacted_wherever_it_is() {
    let value = serde_json::json!({"a": [{"SESSIONTOKEN": {"b": 1}}], "sessionTokens": 1});
    assert_eq!(redacted(value), serde_json::json!({"a": [{"SESSIONTOKEN": "REDACTED"}], "sessionTokens": 1}));
}
