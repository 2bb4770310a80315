//! What keys and trails exist, and what could not be learnt of them.
//!
//! ```text
//! KMS, CloudTrail ─► aws ──┐
//!                          ├─► Key, Trail ─► rows ─► the lake's `keys` and `trails`
//! a JSON file ─────► file ─┘
//! ```
//!
//! Each part of a key comes from a call of its own, and any of these calls may be refused. Such a part is a [`Field`]:
//! known, or unknown for a reason. Nothing here turns "could not be read" into "there is none"; a key without grants and
//! a key whose grants may not be listed are told apart from the first answer to the last row.
//!
//! An inventory says what is there now. It does not know how things came to be so, nor when: that is in the logs.

mod ask;
pub mod aws;
pub mod file;
mod kms;
mod rows;
mod selectors;
mod time;
mod trails;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use rows::snapshot;
pub use time::Time;

/// Something that a call was to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<T> {
    /// It did.
    Known(T),
    /// It did not.
    Unknown(Unknown),
}

impl<T> Field<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The reason, if it is not.
    pub fn unknown(&self) -> Option<&Unknown> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The permission of the call that was to tell, such as `kms:ListGrants`.
    pub action: &'static str,
    /// What kind of reason it is.
    pub why: Why,
    /// AWS's error code, or a few words.
    pub code: String,
    /// What AWS said besides.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The caller may not make the call.
    Denied,
    /// The call does not exist for this key, Region or account.
    Unsupported,
    /// The call failed.
    Failed,
    /// The file does not say.
    NotGiven,
}

impl Why {
    /// Whether the inventory is less than it should be for this reason: what AWS does not offer and what a file leaves out
    /// is unknown as well, but there was nothing to read.
    #[must_use]
    pub fn is_a_gap(self) -> bool {
        matches!(self, Self::Denied | Self::Failed)
    }
}

impl Unknown {
    /// A part that the file does not have.
    #[must_use]
    pub fn not_given(action: &'static str) -> Self {
        Self { action, why: Why::NotGiven, code: "not in the file".to_owned(), message: String::new() }
    }
}

/// A key. Instants are microseconds UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its ARN.
    pub arn: String,
    /// What `DescribeKey` tells.
    pub metadata: Field<Metadata>,
    /// Names of its aliases, sorted.
    pub aliases: Field<Vec<String>>,
    /// Its tags.
    pub tags: Field<BTreeMap<String, String>>,
    /// Whether and how often it rotates by itself.
    pub rotation: Field<Rotation>,
    /// Its key policy as it is stored.
    pub policy: Field<String>,
    /// Its grants, by their ids.
    pub grants: Field<Vec<Grant>>,
    /// Its last use as far as KMS tracks it.
    pub last_usage: Field<LastUsage>,
}

impl Key {
    /// Every part that is not known, by its name.
    pub fn unknowns(&self) -> impl Iterator<Item = (&'static str, &Unknown)> {
        let Self { metadata, aliases, tags, rotation, policy, grants, last_usage, .. } = self;
        [
            ("metadata", metadata.unknown()),
            ("aliases", aliases.unknown()),
            ("tags", tags.unknown()),
            ("rotation", rotation.unknown()),
            ("policy", policy.unknown()),
            ("grants", grants.unknown()),
            ("last_usage", last_usage.unknown()),
        ]
        .into_iter()
        .filter_map(|(name, why)| Some((name, why?)))
    }
}

/// `DescribeKey`'s `KeyMetadata`; what AWS leaves out is null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are AWS's own, and columns of the `keys` table")]
pub struct Metadata {
    pub state: Option<String>,
    pub enabled: Option<bool>,
    pub manager: Option<String>,
    pub usage: Option<String>,
    pub spec: Option<String>,
    pub origin: Option<String>,
    pub custom_key_store_id: Option<String>,
    pub description: Option<String>,
    pub creation_date: Option<i64>,
    pub deletion_date: Option<i64>,
    pub pending_window_days: Option<i64>,
    pub valid_to: Option<i64>,
    pub multi_region: Option<bool>,
    pub multi_region_type: Option<String>,
    pub primary: Option<String>,
    /// ARNs, sorted; null when the key is no multi-Region key.
    pub replicas: Option<Vec<String>>,
}

/// What `GetKeyRotationStatus` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Whether the key's material rotates by itself.
    pub enabled: bool,
    /// How often, in days.
    pub period_days: Option<i64>,
}

/// What `GetKeyLastUsage` tells. Only successful cryptographic use is tracked, and only from a day on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastUsage {
    /// When; null when there was none since the tracking began.
    pub time: Option<i64>,
    /// Which operation.
    pub operation: Option<String>,
    /// Its `eventID`.
    pub event_id: Option<String>,
    /// Since when use is tracked: that there was none says nothing about earlier days.
    pub tracking_start: Option<i64>,
}

/// A grant, in the words of `ListGrants`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are AWS's own")]
pub struct Grant {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grantee_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grantee_service_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_service_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuing_account: Option<String>,
    #[serde(default)]
    pub operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Constraints>,
}

/// What a grant's use is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are AWS's own")]
pub struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context_subset: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context_equals: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
}

/// A trail. Instants are microseconds UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are AWS's own, and columns of the `trails` table")]
pub struct Trail {
    pub arn: String,
    pub name: Option<String>,
    pub home_region: Option<String>,
    pub is_multi_region: Option<bool>,
    pub is_organization: Option<bool>,
    pub include_global_services: Option<bool>,
    pub log_file_validation: Option<bool>,
    pub bucket: Option<String>,
    pub prefix: Option<String>,
    pub kms_key_id: Option<String>,
    /// What `GetTrailStatus` tells.
    pub status: Field<Status>,
    /// What `GetEventSelectors` tells, as JSON in AWS's own words.
    pub selectors: Field<String>,
}

impl Trail {
    /// Every part that is not known, by its name.
    pub fn unknowns(&self) -> impl Iterator<Item = (&'static str, &Unknown)> {
        [("status", self.status.unknown()), ("event_selectors", self.selectors.unknown())]
            .into_iter()
            .filter_map(|(name, why)| Some((name, why?)))
    }
}

/// What `GetTrailStatus` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are AWS's own, and columns of the `trails` table")]
pub struct Status {
    pub is_logging: Option<bool>,
    pub start_logging_time: Option<i64>,
    pub stop_logging_time: Option<i64>,
    pub latest_delivery_time: Option<i64>,
    pub latest_delivery_error: Option<String>,
    pub latest_digest_time: Option<i64>,
}

/// What an inventory found.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Where it is from: `aws` or `file`.
    pub source: &'static str,
    /// The Regions that were asked; of a file, those that it speaks of.
    pub regions: Vec<Listing>,
    /// The keys, sorted by ARN.
    pub keys: Vec<Key>,
    /// The trails, sorted by ARN.
    pub trails: Vec<Trail>,
    /// Whole Regions or entries that could not be read.
    pub problems: Vec<Problem>,
    /// Files of a folder that were passed over, because they hold no JSON.
    pub passed_over: Vec<String>,
    /// Files that it was read from, below the folder that was named.
    pub files: Vec<std::path::PathBuf>,
}

/// What could be listed in a Region of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The account, where it is known.
    pub account_id: Option<String>,
    /// The Region.
    pub region: String,
    /// How many keys there are.
    pub keys: Field<usize>,
    /// How many trails show there: those of other Regions too, when they log this one.
    pub trails: Field<usize>,
}

impl Listing {
    /// What could not be listed, by its name.
    pub fn unknowns(&self) -> impl Iterator<Item = (&'static str, &Unknown)> {
        [("keys", self.keys.unknown()), ("trails", self.trails.unknown())]
            .into_iter()
            .filter_map(|(name, why)| Some((name, why?)))
    }
}

/// A listing or an entry that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A Region, or an entry of the file by its place and ARN.
    pub place: String,
    /// The permission of the call that failed; null for an entry of a file.
    pub action: Option<&'static str>,
    /// Why.
    pub why: String,
}

/// What ends an inventory before it begins.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// No Region is configured, and none was named.
    #[error("no Region is configured")]
    NoRegion,
    /// Not one Region could be listed.
    #[error("no key could be listed: {0}")]
    NothingListed(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no JSON of the form that is asked for.
    #[error("{path} is no inventory: {why}")]
    Form {
        /// Which file.
        path: String,
        /// Why not.
        why: String,
    },
}
