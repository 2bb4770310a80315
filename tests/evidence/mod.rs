//! Digests, verified: what is whole is proven, and what was done to it is found, by the object that it was done to.
//!
//! ```text
//! generated logs with digests ─► (damage) ─► verify ─► report ─► the object that was damaged, and no other outcome
//! ```
//!
//! The generator signs by its own means (facts §7.2); nothing here looks at how the verification works.

pub mod blindness;
pub mod chains;
mod changes;
mod coverage;
mod damage;
mod removal;
mod told;

use std::fs;
use std::path::{Path, PathBuf};

use keytrail::evidence::{LocalArchive, Options, Progress, PublicKeys, Report, verify};
use keytrail::source::Prune;
use keytrail::synthetic::{Plan, public_keys, write_folder};
use tempfile::TempDir;

use crate::support::Shared;

/// A day of one account, and of the outsiders' account that every plan has; and the digests of two trails for each.
fn plan() -> Plan {
    Plan { events: 1_500, days: 1, accounts: 1, regions: 1, events_per_object: 25, digests: true, ..Plan::default() }
}

/// Logs with digests in a folder of their own.
pub struct Signed {
    folder: TempDir,
}

/// Made once, for tests that only look.
static SIGNED: Shared<Signed> = Shared::new(Signed::new);

impl Signed {
    pub fn new() -> Self {
        Self::of(&plan())
    }

    pub fn of(plan: &Plan) -> Self {
        let folder = TempDir::with_prefix("keytrail-signed-").unwrap();
        write_folder(plan, folder.path(), &mut |_| ()).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every file whose path has this in it, in order.
    pub fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(self.path(), &mut found);
        found.retain(|path| path.to_str().unwrap().contains(part));
        found.sort();
        found
    }

    pub fn logs(&self) -> Vec<PathBuf> {
        self.files("/CloudTrail/")
    }

    /// Hourly digests of the account's own trail, the oldest first: names of one chain sort by time.
    pub fn digests(&self) -> Vec<PathBuf> {
        let mut chain = self.files("_management_events_");
        chain.retain(|path| !path.to_str().unwrap().contains("_backfill") && path.extension() == Some("gz".as_ref()));
        let first = chain[0].file_name().unwrap().to_str().unwrap()[..12].to_owned();
        chain.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&first));
        chain
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The address of a file, as keytrail has it.
pub fn uri(path: &Path) -> String {
    let whole = path.parent().unwrap().canonicalize().unwrap().join(path.file_name().unwrap());
    url::Url::from_file_path(whole).unwrap().to_string()
}

pub fn keys() -> PublicKeys {
    let mut keys = PublicKeys::default();
    keys.add_json(public_keys().unwrap().to_string().as_bytes(), "public-keys.json").unwrap();
    keys
}

/// All of a folder, checked with the generator's public key long after.
pub fn verified(folder: &Path) -> Report {
    verified_as(folder, &mut keys(), Prune::default())
}

pub fn verified_as(folder: &Path, keys: &mut PublicKeys, prune: Prune) -> Report {
    verified_at("2027-01-01T00:00:00Z", folder, keys, prune)
}

/// As it would be checked at this instant.
pub fn verified_at(now: &str, folder: &Path, keys: &mut PublicKeys, prune: Prune) -> Report {
    let archive = LocalArchive::open(folder).unwrap();
    let now = now.parse().unwrap();
    let options = Options { prune, jobs: 2, object_bytes_max: 1 << 26, now };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(verify(&archive, keys, &options, &Progress::default(), None)).unwrap()
}

/// State and object of each problem.
pub fn problems(report: &Report) -> Vec<(&str, &str)> {
    report.problems.iter().map(|problem| (problem.state, problem.object.as_str())).collect()
}
