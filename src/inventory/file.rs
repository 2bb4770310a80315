//! The inventory from a file, for accounts that keytrail cannot reach: what the `aws` command line printed, put together.
//!
//! ```text
//! [ {"Arn": …, <KeyMetadata>, "Aliases", "Tags", "RotationEnabled", "Policy", "Grants", "LastUsage"}, … ]
//! { "Keys": [ … ], "Trails": [ {"TrailARN": …, <Trail, status and selectors>}, … ] }
//! ```
//!
//! What is absent or null is unknown; an empty list says that there are none. Names, times and shapes are taken as the
//! various versions of the command line and of `jq` make them. An entry that is wrong is named and left out, and those
//! beside it are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::rows::json;
use super::selectors::Selectors;
use super::time::Time;
use super::{
    Field, Inventory, InventoryError, Key, LastUsage, Listing, Metadata, Problem, Rotation, Status, Trail, Unknown,
};
use crate::cloudtrail::arn::{Arn, is_key_arn};

/// The larger of the two forms of a file.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole<'a> {
    #[serde(borrow)]
    keys: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    trails: Option<Vec<&'a RawValue>>,
}

/// Reads a file.
///
/// # Errors
/// When the file cannot be read, or has neither of the two forms. What is wrong with an entry is a problem of the
/// inventory.
pub fn read(path: &Path) -> Result<Inventory, InventoryError> {
    let path_text = || path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| InventoryError::Unreadable { path: path_text(), source })?;
    parse(&text).map_err(|why| InventoryError::Form { path: path_text(), why })
}

fn parse(text: &str) -> Result<Inventory, String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let whole = if text.starts_with('[') {
        serde_json::from_str(text).map(|keys| Whole { keys: Some(keys), trails: None })
    } else {
        serde_json::from_str(text)
    };
    let Whole { keys, trails } = whole.map_err(|error| error.to_string())?;
    if keys.is_none() && trails.is_none() {
        return Err("it has neither `Keys` nor `Trails`".to_owned());
    }
    let has_trails = trails.is_some();
    let mut inventory = Inventory { source: "file", ..Inventory::default() };
    inventory.keys = entries("Keys", keys, key, |key| &key.arn, &mut inventory.problems);
    inventory.trails = entries("Trails", trails, trail, |trail| &trail.arn, &mut inventory.problems);
    inventory.regions = listings(&inventory, has_trails);
    Ok(inventory)
}

/// How much of each account and Region the file speaks of.
fn listings(inventory: &Inventory, has_trails: bool) -> Vec<Listing> {
    let place = |arn: &str| Arn::new(arn).and_then(|arn| Some((arn.account()?.to_owned(), arn.region()?.to_owned())));
    let mut counts: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for place in inventory.keys.iter().filter_map(|key| place(&key.arn)) {
        counts.entry(place).or_default().0 += 1;
    }
    for place in inventory.trails.iter().filter_map(|trail| place(&trail.arn)) {
        counts.entry(place).or_default().1 += 1;
    }
    let listing = |((account_id, region), (keys, trails))| Listing {
        account_id: Some(account_id),
        region,
        keys: Field::Known(keys),
        trails: if has_trails {
            Field::Known(trails)
        } else {
            Field::Unknown(Unknown::not_given("cloudtrail:DescribeTrails"))
        },
    };
    counts.into_iter().map(listing).collect()
}

/// Reads one list, sorted by ARN; what is wrong with an entry is said with its place and, if it has one, its ARN.
fn entries<T>(
    list: &str,
    raw: Option<Vec<&RawValue>>,
    read: fn(&Members<'_>) -> Result<T, String>,
    arn: fn(&T) -> &String,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    let mut entries: BTreeMap<String, T> = BTreeMap::new();
    for (index, raw) in raw.into_iter().flatten().enumerate() {
        let mut place = format!("{list}[{index}]");
        let entry = Members::of(raw).and_then(|members| {
            if let Some(arn) = members.arn() {
                place = format!("{place} {arn}");
            }
            read(&members)
        });
        let why = match entry {
            Ok(entry) if entries.contains_key(arn(&entry)) => "an earlier entry is about it".to_owned(),
            Ok(entry) => {
                entries.insert(arn(&entry).clone(), entry);
                continue;
            }
            Err(why) => why,
        };
        problems.push(Problem { place, action: None, why });
    }
    entries.into_values().collect()
}

/// The members of an entry, each read as what it should be when it is asked for.
struct Members<'a> {
    raw: HashMap<String, &'a RawValue>,
}

impl<'a> Members<'a> {
    fn of(raw: &'a RawValue) -> Result<Self, String> {
        let members = |raw: &'a RawValue| {
            serde_json::from_str::<HashMap<String, &'a RawValue>>(raw.get())
                .map_err(|_| "it is not an object".to_owned())
        };
        let mut outer = members(raw)?;
        // `aws kms describe-key` prints the metadata within a member of its own.
        if let Some(inner) = outer.remove("KeyMetadata").filter(|inner| inner.get() != "null") {
            outer.extend(members(inner)?);
        }
        Ok(Self { raw: outer })
    }

    /// What the entry is about, as far as it says so.
    fn arn(&self) -> Option<String> {
        ["Arn", "TrailARN"].into_iter().find_map(|name| self.take(name).ok().flatten())
    }

    /// A member, or nothing where it is absent or null.
    fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(raw) = self.raw.get(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|error| format!("{name}: {}", without_place(&error)))
    }

    /// A member that a call of its own tells.
    fn field<T, F: DeserializeOwned>(
        &self,
        name: &str,
        action: &'static str,
        form: &str,
        read: fn(F) -> T,
    ) -> Result<Field<T>, String> {
        match self.take::<F>(name) {
            Ok(Some(value)) => Ok(Field::Known(read(value))),
            Ok(None) => Ok(Field::Unknown(Unknown::not_given(action))),
            Err(why) => Err(format!("{why}; give {form}")),
        }
    }

    fn time(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.take::<Time>(name)?.map(|time| time.0))
    }

    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.raw.get(*name).is_some_and(|raw| raw.get() != "null"))
    }
}

/// The error without its line and column, which count from where the member begins and would lead astray.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(said, _)| said.to_owned())
}

fn key(members: &Members<'_>) -> Result<Key, String> {
    let arn: String = members.take("Arn")?.ok_or("it has no `Arn`")?;
    if !is_key_arn(&arn) {
        return Err("`Arn` is not the ARN of a key".to_owned());
    }
    Ok(Key {
        metadata: metadata(members)?,
        aliases: members.field("Aliases", "kms:ListAliases", "a list of names, or what list-aliases prints", names)?,
        tags: members.field("Tags", "kms:ListResourceTags", "an object, or what list-resource-tags prints", tags)?,
        rotation: rotation(members)?,
        policy: members.field("Policy", "kms:GetKeyPolicy", "the policy as text or as an object", PolicyForm::text)?,
        grants: members.field(
            "Grants",
            "kms:ListGrants",
            "what list-grants prints",
            |mut grants: Vec<super::Grant>| {
                grants.sort_by(|a, b| a.grant_id.cmp(&b.grant_id));
                grants
            },
        )?,
        last_usage: last_usage(members)?,
        arn,
    })
}

/// Members that only `DescribeKey` tells, and always does.
const DESCRIBED: [&str; 3] = ["KeyState", "KeyManager", "Enabled"];

fn metadata(members: &Members<'_>) -> Result<Field<Metadata>, String> {
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

fn rotation(members: &Members<'_>) -> Result<Field<Rotation>, String> {
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
fn last_usage(members: &Members<'_>) -> Result<Field<LastUsage>, String> {
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

fn trail(members: &Members<'_>) -> Result<Trail, String> {
    let arn: String = members.take("TrailARN")?.ok_or("it has no `TrailARN`")?;
    let status = Status {
        is_logging: members.take("IsLogging")?,
        start_logging_time: members.time("StartLoggingTime")?,
        stop_logging_time: members.time("StopLoggingTime")?,
        latest_delivery_time: members.time("LatestDeliveryTime")?,
        latest_delivery_error: members.take("LatestDeliveryError")?.filter(|error: &String| !error.is_empty()),
        latest_digest_time: members.time("LatestDigestDeliveryTime")?,
    };
    let is_selected = members.has_any(&["EventSelectors", "AdvancedEventSelectors"]);
    let selectors = Selectors {
        event_selectors: members.take("EventSelectors")?,
        advanced_event_selectors: members.take("AdvancedEventSelectors")?,
    };
    Ok(Trail {
        name: members.take("Name")?,
        home_region: members.take("HomeRegion")?,
        is_multi_region: members.take("IsMultiRegionTrail")?,
        is_organization: members.take("IsOrganizationTrail")?,
        include_global_services: members.take("IncludeGlobalServiceEvents")?,
        log_file_validation: members.take("LogFileValidationEnabled")?,
        bucket: members.take("S3BucketName")?,
        prefix: members.take("S3KeyPrefix")?,
        kms_key_id: members.take("KmsKeyId")?,
        status: match status.is_logging {
            Some(_) => Field::Known(status),
            None => Field::Unknown(Unknown::not_given("cloudtrail:GetTrailStatus")),
        },
        selectors: if is_selected {
            Field::Known(json(&selectors.without_empty_lists()))
        } else {
            Field::Unknown(Unknown::not_given("cloudtrail:GetEventSelectors"))
        },
        arn,
    })
}
