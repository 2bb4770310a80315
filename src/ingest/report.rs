//! The account of a run: what became of every object and every record.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::PassedOver;

/// What became of the objects.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Objects {
    /// Seen in the sources.
    pub listed: u64,
    /// Read in full.
    pub ingested: u64,
    /// In the ledger already, and the same since.
    pub unchanged: u64,
    /// Of the unchanged ones, those that could not be used in full when they were read.
    pub unchanged_damaged: u64,
    /// No log objects by their names, or not asked for.
    pub skipped: u64,
    /// Read as far as it went.
    pub partial: u64,
    /// Of no use.
    pub rejected: u64,
    /// In an archive, and not read before they were restored; absent from JSON when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub archived: u64,
}

/// What became of the records: `read = kept + other + duplicate + rejected`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the law above says them all")]
pub struct Records {
    pub read: u64,
    pub kept: u64,
    pub other: u64,
    pub duplicate: u64,
    pub rejected: u64,
    /// Of the other ones, those that would have been kept but for `--account`, `--region`, `--since` or `--until`; absent
    /// from JSON when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub filtered: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Bytes read, before and after inflating.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Bytes {
    pub compressed: u64,
    pub decompressed: u64,
}

/// An object that is not wholly in the lake, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Rejected {
    pub object: String,
    pub reason: String,
}

/// The end of a run; its JSON is part of the command line's contract.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Report {
    /// What became of the objects.
    pub objects: Objects,
    /// What became of the records.
    pub records: Records,
    /// Bytes read.
    pub bytes: Bytes,
    /// Objects that were rejected or are partial.
    pub rejects: Vec<Rejected>,
    /// Version of the events table after the run.
    pub lake_version: u64,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// What could not be listed or fetched and is left for the next pass.
    #[serde(skip)]
    pub put_off: u64,
    /// When the newest object that was read had been delivered, by its name.
    #[serde(skip)]
    pub newest_delivery: Option<DateTime<Utc>>,
    /// Objects with events of a time that cannot be: before there was CloudTrail, or more than a day ahead.
    #[serde(skip)]
    pub untimely: u64,
    /// Accounts and Regions of buckets, some days of which are settled and were not listed.
    #[serde(skip)]
    pub settled_lanes: u64,
    /// Accounts and Regions of buckets that were asked for and found, whether anything is in them or not.
    #[serde(skip)]
    pub lanes: u64,
    /// Of the archived objects, those that were too many to see whether they were restored.
    #[serde(skip)]
    pub archived_beyond: u64,
    /// What was not read, and why.
    #[serde(skip)]
    pub passed_over: PassedOver,
    /// Folders in which something was left out by the bounds of the run.
    #[serde(skip)]
    pub left_out: BTreeSet<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether every object of the sources is in the lake in full, as far as it was asked for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Objects { partial, rejected, unchanged_damaged, archived, .. } = self.objects;
        partial + rejected + unchanged_damaged + archived + self.put_off == 0 && !self.interrupted
    }

    /// Whether the sources have nothing of what was asked for: no object of these accounts and Regions, and no record.
    ///
    /// A time at which nothing was delivered is no such case where the source is known to have objects of these accounts
    /// and Regions; nor is a run that finds everything unchanged.
    #[must_use]
    pub fn is_empty_handed(&self) -> bool {
        let Objects { ingested, unchanged, partial, rejected, archived, .. } = self.objects;
        let is_known = unchanged + self.settled_lanes + self.lanes + self.passed_over.other_times > 0;
        let Records { kept, duplicate, filtered, other, .. } = self.records;
        // A record that was asked for, and is of another service, shows that the log of that account was read.
        let is_other = filtered > 0 && kept + duplicate == 0 && other == filtered;
        let has_read = ingested + partial + rejected + archived > 0;
        !is_known && !self.interrupted && self.put_off == 0 && (!has_read || (is_other && partial + rejected == 0))
    }
}
