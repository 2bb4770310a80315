//! The evidence that nothing is missing: digests, the chain that they make, and the logs that they vouch for.
//!
//! ```text
//! archive ─► digests of a chain, newest first ─► signature, place, link ─► logs: hash ─► rows of the lake
//!    └────► logs of the same days ─► named by no digest? ─► extra, moved ──────────────────┘   └► report
//! ```
//!
//! CloudTrail signs, each hour, a list of the log files that it delivered (facts §7). With the lists of a trail unbroken
//! and every file as listed, no delivery is missing; this module checks just that, and more than AWS's own validator
//! does: the hash of each previous digest, and objects that no digest names. It refuses to guess: what cannot be judged
//! (no signature, no key, no digest for the time) is neither valid nor invalid, and said so.
//!
//! Memory holds one account and Region at a time: the names of its digests, a hash per log that they name, a few days of
//! listings, and as many objects as are hashed at once.

pub mod archive;
mod chain;
pub mod hash;
pub mod keys;
mod lane;
pub mod local;
mod logs;
pub mod record;
mod report;
pub mod s3;
mod unnamed;
mod verdict;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};

pub use archive::{Archive, Fetched, Place, STORED_BYTES_MAX, StoredSignature};
pub use keys::{CloudTrailKeys, KeySource, PublicKey, PublicKeys};
pub use local::LocalArchive;
pub use report::{Digests, Logs, Outcome, Problem, Report, Unnamed};
pub use s3::S3Archive;
pub use verdict::State;

use crate::lake::LakeError;
use crate::lake::evidence::EvidenceLog;
use crate::source::Prune;

/// What can end a verification before its end. What is wrong with an object does not: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The archive cannot be looked through.
    #[error("archive {uri}: {why}")]
    Archive {
        /// What could not be listed.
        uri: String,
        /// Why not.
        why: String,
    },
    /// Public keys cannot be had.
    #[error("public keys from {place}: {why}")]
    Keys {
        /// The file or API.
        place: String,
        /// Why not.
        why: String,
    },
    /// The results cannot be kept.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// What to verify, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which deliveries, accounts and Regions. A digest counts when its window overlaps.
    pub prune: Prune,
    /// Objects that are read and hashed at the same time.
    pub jobs: usize,
    /// Inflated bytes that one log may have; a larger one is not judged.
    pub object_bytes_max: u64,
    /// The present: what was delivered shortly before it may not have a digest yet.
    pub now: DateTime<Utc>,
}

/// Counts that grow while a verification goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Digests judged.
    pub digests: AtomicU64,
    /// Logs hashed.
    pub logs: AtomicU64,
    /// Bytes of logs read, as they are stored.
    pub bytes: AtomicU64,
}

impl Progress {
    fn log(&self, bytes: u64) {
        self.logs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Verifies the digests of an archive and every log that they name, and finds the logs that they do not name.
///
/// Results go to `kept`, where there is one, as they come; the report counts them and tells the problems. Must run within
/// a tokio runtime, whose blocking threads do the hashing.
///
/// # Errors
/// When the archive cannot be listed, or the lake fails. Keys that cannot be had leave digests unproven.
pub async fn verify(
    archive: &dyn Archive,
    keys: &mut PublicKeys,
    options: &Options,
    progress: &Progress,
    mut kept: Option<&mut EvidenceLog>,
) -> Result<Report, EvidenceError> {
    let started = Instant::now();
    let Prune { accounts, regions, .. } = &options.prune;
    let mut lanes: BTreeMap<(String, String), Vec<Place>> = BTreeMap::new();
    for place in archive.places(accounts, regions).await? {
        lanes.entry((place.account_id.clone(), place.region.clone())).or_default().push(place);
    }
    let mut findings = report::Findings::default();
    let names: HashSet<(String, String)> = lanes.keys().cloned().collect();
    for places in lanes.into_values() {
        let mut lane = lane::Lane::new(archive, options, progress, places);
        lane.verify(keys, &mut findings, kept.as_deref_mut()).await?;
    }
    let resolved = unnamed::resolve(archive, options, findings.take_strays(), &findings.missing_logs()).await;
    findings.resolved(&resolved);
    let rows = resolved.rows;
    if let Some(kept) = kept {
        let gone = unnamed::gone(kept.strays().await?, &rows, options, &names);
        kept.add(&[], &rows).await?;
        kept.add(&[], &gone).await?;
        kept.finish().await?;
    }
    findings.ends(options);
    Ok(findings.report(started.elapsed().as_secs_f64()))
}
