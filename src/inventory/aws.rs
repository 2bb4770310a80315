//! The inventory from AWS: every Region that is asked for, at the same time, each key's parts by calls of their own.
//!
//! ```text
//! Region ─► ListKeys, ListAliases ─► per key: DescribeKey, tags, rotation, policy, grants, last usage
//! Region ─► DescribeTrails ─► by ARN, once ─► in its home Region: GetTrailStatus, GetEventSelectors
//! ```
//!
//! Nothing is changed in AWS; but every call is a read event in the very logs that keytrail reads, under the name of
//! whoever runs it.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use futures::StreamExt;

use super::ask::{first, in_region};
use super::{Field, Inventory, InventoryError, Key, Listing, Problem, Trail, Unknown, kms, trails};

pub use super::ask::Progress;
use crate::cloudtrail::arn::Arn;

/// Regions, and later trails, that are asked at the same time: each Region has up to fifty requests under way.
const AT_ONCE: usize = 6;

/// A Region's part of the inventory.
struct Listed {
    keys: Result<Vec<Key>, Unknown>,
    trails: Result<Vec<Trail>, Unknown>,
}

/// Reads what these Regions have; the configured one when none is named.
///
/// What cannot be read of a key is unknown in it, and a Region that cannot be listed is a problem; neither ends the run.
///
/// # Errors
/// When there is no Region to ask, or not one of them lets its keys be listed.
pub async fn read(config: &SdkConfig, regions: &[String], progress: &Progress) -> Result<Inventory, InventoryError> {
    let mut regions = match (regions, config.region()) {
        ([], None) => return Err(InventoryError::NoRegion),
        ([], Some(configured)) => vec![configured.to_string()],
        (named, _) => named.to_vec(),
    };
    regions.sort_unstable();
    regions.dedup();
    let asked = futures::stream::iter(&regions).map(|region| async move {
        let config = in_region(config, region);
        let first = first(&config);
        let (keys, trails) = tokio::join!(kms::keys(&config, progress), trails::described(&first));
        Listed { keys, trails }
    });
    let listed: Vec<Listed> = asked.buffered(AT_ONCE).collect().await;
    let account_id = account_id(&first(&in_region(config, &regions[0]))).await;

    let mut inventory = Inventory { source: "aws", ..Inventory::default() };
    // A trail of all Regions shows in each of them.
    let mut described: BTreeMap<String, Trail> = BTreeMap::new();
    for (region, Listed { keys, trails }) in regions.into_iter().zip(listed) {
        let of_keys = keys.as_ref().ok().and_then(|keys| Arn::new(&keys.first()?.arn)?.account());
        inventory.regions.push(Listing {
            account_id: account_id.clone().or(of_keys.map(str::to_owned)),
            region: region.clone(),
            keys: counted(&keys),
            trails: counted(&trails),
        });
        inventory.problems.extend(
            [keys.as_ref().err(), trails.as_ref().err()].into_iter().flatten().map(|why| problem(&region, why)),
        );
        inventory.keys.extend(keys.unwrap_or_default());
        described.extend(trails.unwrap_or_default().into_iter().map(|trail| (trail.arn.clone(), trail)));
    }
    let is_listed = inventory.regions.iter().any(|listing| listing.keys.known().is_some());
    if let (false, Some(first)) = (is_listed, inventory.problems.first()) {
        return Err(InventoryError::NothingListed(format!("{}: {}", first.place, first.why)));
    }
    let complete = futures::stream::iter(described.into_values()).map(|trail| trails::complete(config, trail));
    inventory.trails = complete.buffered(AT_ONCE).collect().await;
    inventory.keys.sort_by(|a, b| a.arn.cmp(&b.arn));
    Ok(inventory)
}

fn counted<T>(listed: &Result<Vec<T>, Unknown>) -> Field<usize> {
    match listed {
        Ok(list) => Field::Known(list.len()),
        Err(why) => Field::Unknown(why.clone()),
    }
}

/// Whose keys they are: a Region without keys does not tell. Everybody may ask, and it is no loss if STS cannot be reached.
async fn account_id(config: &SdkConfig) -> Option<String> {
    aws_sdk_sts::Client::new(config).get_caller_identity().send().await.ok()?.account
}

fn problem(region: &str, Unknown { action, code, message, .. }: &Unknown) -> Problem {
    let said = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    Problem { place: region.to_owned(), action: Some(action), why: format!("{action}: {said}") }
}
