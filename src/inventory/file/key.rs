//! One key's members, whoever wrote them: a person, `jq` or the `aws` command line.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::super::rows::json;
use super::super::time::Time;
use super::super::{Field, Grant, Key, LastUsage, Metadata, Rotation, Unknown};
use super::members::Members;
use super::names;
use crate::cloudtrail::arn::is_key_arn;

/// Reads a key.
///
/// # Errors
/// When a member is not what it should be, or is none at all but nearly spelt like one.
pub(super) fn key(members: &Members) -> Result<Key, String> {
    let arn: String = members.arn().ok_or("it has no `Arn`")?;
    if !is_key_arn(&arn) {
        return Err("`Arn` is not the ARN of a key".to_owned());
    }
    members.spelt(&names::KEY)?;
    Ok(Key {
        metadata: metadata(members)?,
        aliases: members.field("Aliases", "kms:ListAliases", "a list of names, or what list-aliases prints", names)?,
        tags: members.field("Tags", "kms:ListResourceTags", "an object, or what list-resource-tags prints", tags)?,
        rotation: rotation(members)?,
        policy: members.field("Policy", "kms:GetKeyPolicy", "the policy as text or as an object", PolicyForm::text)?,
        grants: members.field("Grants", "kms:ListGrants", "what list-grants prints", |mut grants: Vec<Grant>| {
            grants.sort_by(|a, b| a.grant_id.cmp(&b.grant_id));
            grants
        })?,
        last_usage: last_usage(members)?,
        arn,
    })
}

/// Members that only `DescribeKey` tells, and always does.
const DESCRIBED: [&str; 3] = ["KeyState", "KeyManager", "Enabled"];

fn metadata(members: &Members) -> Result<Field<Metadata>, String> {
    if !members.has_any(&DESCRIBED) {
        return Ok(Field::Unknown(Unknown::not_given("kms:DescribeKey")));
    }
    let set: Option<SetForm> = members.take("MultiRegionConfiguration")?;
    let replicas = set.as_ref().map(|set| {
        let arns: BTreeSet<String> = set.replica_keys.iter().filter_map(|key| key.arn.clone()).collect();
        arns.into_iter().collect()
    });
    let SetForm { multi_region_key_type, primary_key, .. } = set.unwrap_or_default();
    let state: Option<String> = members.take("KeyState")?;
    Ok(Field::Known(Metadata {
        // The two say one thing, and people leave one out.
        enabled: members.take("Enabled")?.or(state.as_ref().map(|state| state == "Enabled")),
        state,
        manager: members.take("KeyManager")?,
        usage: members.take("KeyUsage")?,
        spec: members.take("KeySpec")?,
        origin: members.take("Origin")?,
        custom_key_store_id: members.take("CustomKeyStoreId")?,
        description: members.take("Description")?,
        creation_date: members.time("CreationDate")?,
        deletion_date: members.time("DeletionDate")?,
        pending_window_days: members.take("PendingDeletionWindowInDays")?,
        valid_to: members.time("ValidTo")?,
        multi_region: members.take("MultiRegion")?,
        multi_region_type: multi_region_key_type,
        primary: primary_key.and_then(|key| key.arn),
        replicas,
    }))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SetForm {
    multi_region_key_type: Option<String>,
    primary_key: Option<SetKey>,
    replica_keys: Vec<SetKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetKey {
    arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a name nor an entry with `AliasName`")]
enum AliasForm {
    Name(String),
    Entry {
        #[serde(rename = "AliasName")]
        name: String,
    },
}

fn names(aliases: Vec<AliasForm>) -> Vec<String> {
    let name = |alias| match alias {
        AliasForm::Name(name) | AliasForm::Entry { name } => name,
    };
    aliases.into_iter().map(name).collect::<BTreeSet<_>>().into_iter().collect()
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "neither an object of texts nor a list of `TagKey` and `TagValue`")]
enum TagsForm {
    Object(BTreeMap<String, String>),
    List(Vec<TagForm>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagForm {
    tag_key: String,
    tag_value: String,
}

fn tags(form: TagsForm) -> BTreeMap<String, String> {
    match form {
        TagsForm::Object(tags) => tags,
        TagsForm::List(tags) => tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect(),
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "neither text nor an object")]
enum PolicyForm {
    Text(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

impl PolicyForm {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object(policy) => json(&policy),
        }
    }
}

fn rotation(members: &Members) -> Result<Field<Rotation>, String> {
    let enabled = match members.take("RotationEnabled")? {
        Some(enabled) => Some(enabled),
        None => members.take("KeyRotationEnabled")?,
    };
    let period_days = members.take("RotationPeriodInDays")?;
    let unknown = || Field::Unknown(Unknown::not_given("kms:GetKeyRotationStatus"));
    Ok(enabled.map_or_else(unknown, |enabled| Field::Known(Rotation { enabled, period_days })))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LastUsageForm {
    key_last_usage: Option<UseForm>,
    tracking_start_date: Option<Time>,
    /// The use itself, where someone left out what is around it.
    #[serde(flatten)]
    bare: UseForm,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UseForm {
    operation: Option<String>,
    timestamp: Option<Time>,
    cloud_trail_event_id: Option<String>,
}

/// An object that says neither a use nor since when use is tracked is no answer of `GetKeyLastUsage`, and would pass for
/// "never used".
fn last_usage(members: &Members) -> Result<Field<LastUsage>, String> {
    const ACTION: &str = "kms:GetKeyLastUsage";
    members
        .field("LastUsage", ACTION, "what get-key-last-usage prints", |form: LastUsageForm| {
            let tracking_start = form.tracking_start_date.map(|time| time.0);
            let UseForm { operation, timestamp, cloud_trail_event_id } = form.key_last_usage.unwrap_or(form.bare);
            LastUsage { time: timestamp.map(|time| time.0), operation, event_id: cloud_trail_event_id, tracking_start }
        })
        .map(|field| match field {
            Field::Known(LastUsage { time: None, tracking_start: None, .. }) => {
                Field::Unknown(Unknown::not_given(ACTION))
            }
            // A use without its time is no use that anyone could compare with a log.
            Field::Known(LastUsage { time: None, operation, event_id, .. })
                if operation.is_some() || event_id.is_some() =>
            {
                Field::Unknown(Unknown::not_given(ACTION))
            }
            field => field,
        })
}
