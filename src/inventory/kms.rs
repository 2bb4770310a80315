//! One Region's keys, from KMS (facts §8.4).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::{GrantListEntry, KeyMetadata};
use futures::StreamExt;

use super::ask::{Progress, first, micros, unknown};
use super::time::Time;
use super::{Constraints, Field, Grant, Key, LastUsage, Metadata, Rotation, Unknown, Why};

/// Keys asked about at the same time in one Region. With six calls each and answers in tens of milliseconds this stays
/// below the hundred `ListGrants` a second, the lowest of the quotas.
const KEYS_AT_ONCE: usize = 8;

/// The largest page that `ListKeys` gives.
const KEYS_PAGE: i32 = 1000;

/// The largest page that `ListGrants` and `ListAliases` give.
const PAGE: i32 = 100;

/// The largest page that `ListResourceTags` gives.
const TAGS_PAGE: i32 = 50;

/// Every key of the Region that the configuration names, or why they cannot be listed.
pub(super) async fn keys(config: &SdkConfig, progress: &Progress) -> Result<Vec<Key>, Unknown> {
    let client = Client::new(config);
    let arns = list(&Client::new(&first(config))).await?;
    progress.keys_listed.fetch_add(arns.len() as u64, Ordering::Relaxed);
    let aliases = aliases(&client).await;
    let (client, aliases) = (&client, &aliases);
    let keys = futures::stream::iter(arns).map(|(id, arn)| async move {
        let key = Box::pin(key(client, &id, arn, aliases)).await;
        progress.keys_read.fetch_add(1, Ordering::Relaxed);
        key
    });
    Ok(keys.buffer_unordered(KEYS_AT_ONCE).collect().await)
}

/// Id and ARN of every key.
async fn list(client: &Client) -> Result<Vec<(String, String)>, Unknown> {
    let mut pages = client.list_keys().limit(KEYS_PAGE).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unknown("kms:ListKeys", &error))?;
        keys.extend(page.keys.unwrap_or_default().into_iter().filter_map(|key| Some((key.key_id?, key.key_arn?))));
    }
    Ok(keys)
}

/// Names of aliases by the id of the key that they name. One that names none is a name that AWS keeps free.
async fn aliases(client: &Client) -> Result<HashMap<String, Vec<String>>, Unknown> {
    let mut pages = client.list_aliases().limit(PAGE).into_paginator().send();
    let mut aliases: HashMap<String, Vec<String>> = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unknown("kms:ListAliases", &error))?;
        for alias in page.aliases.unwrap_or_default() {
            if let (Some(name), Some(id)) = (alias.alias_name, alias.target_key_id) {
                aliases.entry(id).or_default().push(name);
            }
        }
    }
    for names in aliases.values_mut() {
        names.sort_unstable();
    }
    Ok(aliases)
}

async fn key(client: &Client, id: &str, arn: String, aliases: &Result<HashMap<String, Vec<String>>, Unknown>) -> Key {
    let (metadata, tags, rotation, policy, grants, last_usage) = tokio::join!(
        metadata(client, id),
        tags(client, id),
        rotation(client, id),
        policy(client, id),
        grants(client, id),
        last_usage(client, id),
    );
    let aliases = match aliases {
        Ok(aliases) => Field::Known(aliases.get(id).cloned().unwrap_or_default()),
        Err(why) => Field::Unknown(why.clone()),
    };
    Key {
        arn,
        aliases,
        metadata: field(metadata),
        tags: field(tags),
        rotation: field(rotation),
        policy: field(policy),
        grants: field(grants),
        last_usage: field(last_usage),
    }
}

fn field<T>(told: Result<T, Unknown>) -> Field<T> {
    match told {
        Ok(value) => Field::Known(value),
        Err(why) => Field::Unknown(why),
    }
}

/// An answer without the part that it is there for.
fn hollow(action: &'static str) -> Unknown {
    Unknown { action, why: Why::Failed, code: "empty answer".to_owned(), message: String::new() }
}

async fn metadata(client: &Client, id: &str) -> Result<Metadata, Unknown> {
    const ACTION: &str = "kms:DescribeKey";
    let answer = client.describe_key().key_id(id).send().await.map_err(|error| unknown(ACTION, &error))?;
    answer.key_metadata.map(described).ok_or_else(|| hollow(ACTION))
}

fn described(key: KeyMetadata) -> Metadata {
    let set = key.multi_region_configuration;
    let replicas = set.as_ref().map(|set| {
        let mut arns: Vec<String> = set.replica_keys().iter().filter_map(|key| key.arn.clone()).collect();
        arns.sort_unstable();
        arns
    });
    Metadata {
        state: key.key_state.map(|state| state.as_str().to_owned()),
        enabled: Some(key.enabled),
        manager: key.key_manager.map(|manager| manager.as_str().to_owned()),
        usage: key.key_usage.map(|usage| usage.as_str().to_owned()),
        spec: key.key_spec.map(|spec| spec.as_str().to_owned()),
        origin: key.origin.map(|origin| origin.as_str().to_owned()),
        custom_key_store_id: key.custom_key_store_id,
        description: key.description,
        creation_date: key.creation_date.as_ref().map(micros),
        deletion_date: key.deletion_date.as_ref().map(micros),
        pending_window_days: key.pending_deletion_window_in_days.map(i64::from),
        valid_to: key.valid_to.as_ref().map(micros),
        multi_region: key.multi_region,
        multi_region_type: set
            .as_ref()
            .and_then(|set| set.multi_region_key_type.as_ref())
            .map(|kind| kind.as_str().to_owned()),
        primary: set.and_then(|set| set.primary_key).and_then(|key| key.arn),
        replicas,
    }
}

async fn tags(client: &Client, id: &str) -> Result<BTreeMap<String, String>, Unknown> {
    let mut pages = client.list_resource_tags().key_id(id).limit(TAGS_PAGE).into_paginator().send();
    let mut tags = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unknown("kms:ListResourceTags", &error))?;
        tags.extend(page.tags.unwrap_or_default().into_iter().map(|tag| (tag.tag_key, tag.tag_value)));
    }
    Ok(tags)
}

/// KMS refuses to speak of rotation for a kind of key that cannot rotate by itself, such as an asymmetric one. That is an
/// answer: it does not.
async fn rotation(client: &Client, id: &str) -> Result<Rotation, Unknown> {
    let answer = client.get_key_rotation_status().key_id(id).send().await;
    match answer.map_err(|error| unknown("kms:GetKeyRotationStatus", &error)) {
        Ok(status) => {
            let period_days = status.rotation_period_in_days.map(i64::from);
            Ok(Rotation { enabled: status.key_rotation_enabled, period_days })
        }
        Err(Unknown { why: Why::Unsupported, .. }) => Ok(Rotation::default()),
        Err(why) => Err(why),
    }
}

async fn policy(client: &Client, id: &str) -> Result<String, Unknown> {
    const ACTION: &str = "kms:GetKeyPolicy";
    let asked = client.get_key_policy().key_id(id).policy_name("default").send().await;
    asked.map_err(|error| unknown(ACTION, &error))?.policy.ok_or_else(|| hollow(ACTION))
}

async fn grants(client: &Client, id: &str) -> Result<Vec<Grant>, Unknown> {
    let mut pages = client.list_grants().key_id(id).limit(PAGE).into_paginator().send();
    let mut grants = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unknown("kms:ListGrants", &error))?;
        grants.extend(page.grants.unwrap_or_default().into_iter().map(granted));
    }
    grants.sort_by(|a, b| a.grant_id.cmp(&b.grant_id));
    Ok(grants)
}

fn granted(grant: GrantListEntry) -> Grant {
    let in_order = |pairs: HashMap<String, String>| pairs.into_iter().collect::<BTreeMap<_, _>>();
    Grant {
        grant_id: grant.grant_id,
        name: grant.name,
        creation_date: grant.creation_date.as_ref().map(|time| Time(micros(time))),
        grantee_principal: grant.grantee_principal,
        grantee_service_principal: grant.grantee_service_principal,
        retiring_principal: grant.retiring_principal,
        retiring_service_principal: grant.retiring_service_principal,
        issuing_account: grant.issuing_account,
        operations: grant.operations.iter().flatten().map(|operation| operation.as_str().to_owned()).collect(),
        constraints: grant.constraints.map(|constraints| Constraints {
            encryption_context_subset: constraints.encryption_context_subset.map(in_order),
            encryption_context_equals: constraints.encryption_context_equals.map(in_order),
            source_arn: constraints.source_arn,
        }),
    }
}

async fn last_usage(client: &Client, id: &str) -> Result<LastUsage, Unknown> {
    let answer = client.get_key_last_usage().key_id(id).send().await;
    let answer = answer.map_err(|error| unknown("kms:GetKeyLastUsage", &error))?;
    let last = answer.key_last_usage;
    if last.is_none() && answer.tracking_start_date.is_none() {
        // Without the beginning of tracking, no use known is not the same as never used.
        return Err(hollow("kms:GetKeyLastUsage"));
    }
    Ok(LastUsage {
        time: last.as_ref().and_then(|last| last.timestamp.as_ref()).map(micros),
        operation: last.as_ref().and_then(|last| last.operation.as_ref()).map(|name| name.as_str().to_owned()),
        event_id: last.and_then(|last| last.cloud_trail_event_id),
        tracking_start: answer.tracking_start_date.as_ref().map(micros),
    })
}
