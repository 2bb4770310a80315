//! What the ledger knows of each object: enough to tell whether it must be read again.

use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::ObjectRow;

/// Reason given for an object whose bytes could not be had; such an object is tried again at every run.
pub const UNREADABLE: &str = "unreadable";

/// Part of the reason given for an object that was cut at the bound that this option sets; another run may allow more.
pub const BOUND: &str = "--max-object-bytes";

/// Reason given for an object that must be taken out of an archive before it can be read.
pub const ARCHIVED: &str = "archived";

/// The end of the reason given for an object of which the bounds of a run left something out; the bounds stand behind it.
pub const FILTERED: &str = "read only with ";

/// Addresses of archived objects that are kept in full, so that it can be looked whether they were restored: of no more, so that
/// memory stays bounded.
const ARCHIVED_NAMED_MAX: usize = 1_000_000;

/// Whether an object for which this reason is given may be read in full another time, without anyone doing anything about
/// it: what is in an archive stays there, and what was left out by bounds is left out by the same bounds again.
#[must_use]
pub fn is_to_be_read_again(reason: &str) -> bool {
    reason.starts_with(UNREADABLE) || reason.contains(BOUND)
}

/// What came of an object when it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Damaged,
    Archived,
    /// Read within the bounds of this number.
    Filtered {
        number: usize,
        damaged: bool,
    },
}

/// What the ledger says of a version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met<'k> {
    /// Nothing that would spare reading it.
    New,
    /// It was read, and its events are in the lake.
    Read,
    /// It was read, and could not be used in full.
    Damaged,
    /// It was in an archive.
    Archived,
    /// It was read within these bounds, which left something out.
    Filtered {
        /// The bounds, as the ledger has them.
        bounds: &'k str,
        /// Whether it could not be used in full either.
        damaged: bool,
    },
}

/// What the ledger knows of each object. Addresses are kept as hashes, so that a long ledger stays small in memory.
#[derive(Debug, Default)]
pub struct Known {
    objects: HashMap<u128, Version>,
    /// The bounds that runs had, as they are in the ledger, and the number of each.
    bounds: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Addresses of what was in an archive when it was last looked at.
    archived: HashSet<String>,
}

/// The latest version of an object that the ledger speaks of.
#[derive(Debug, Clone, Copy)]
struct Version {
    at: i64,
    tag: u64,
    end: End,
}

impl Known {
    /// What is known of this very version of an object.
    #[must_use]
    pub fn met(&self, uri: &str, version_tag: &str) -> Met<'_> {
        let tag = xxh3_64(version_tag.as_bytes());
        let Some(known) = self.objects.get(&xxh3_128(uri.as_bytes())).filter(|known| known.tag == tag) else {
            return Met::New;
        };
        match known.end {
            End::Whole => Met::Read,
            End::Damaged => Met::Damaged,
            End::Archived => Met::Archived,
            End::Filtered { number, damaged } => {
                self.bounds.get(number).map_or(Met::New, |bounds| Met::Filtered { bounds, damaged })
            }
        }
    }

    /// The addresses below a prefix of objects that were in an archive when they were last looked at, in order; not of all
    /// of them when there are very many.
    #[must_use]
    pub fn archived(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<String> = self.archived.iter().filter(|uri| uri.starts_with(prefix)).cloned().collect();
        found.sort_unstable();
        found
    }

    /// Learns what was recorded of an object at the instant `at`.
    pub fn learn_row(&mut self, row: &ObjectRow, at: i64) {
        self.learn(&row.uri, &row.version_tag, at, row.reason.as_deref());
    }

    /// Learns all that another knows.
    pub fn extend(&mut self, later: Self) {
        let numbers: Vec<usize> = later.bounds.iter().map(|bounds| self.number(bounds)).collect();
        let renumbered = later.objects.into_iter().map(|(uri, mut version)| {
            if let End::Filtered { number, .. } = &mut version.end {
                *number = numbers[*number];
            }
            (uri, version)
        });
        self.objects.extend(renumbered);
        let (objects, archived) = (&self.objects, &mut self.archived);
        archived.extend(later.archived);
        archived.retain(|uri| objects.get(&xxh3_128(uri.as_bytes())).is_some_and(|known| known.end == End::Archived));
    }

    pub(super) fn learn(&mut self, uri: &str, version_tag: &str, at: i64, reason: Option<&str>) {
        let tag = if reason.is_some_and(is_to_be_read_again) { 0 } else { xxh3_64(version_tag.as_bytes()) };
        let end = match reason {
            None => End::Whole,
            Some(reason) if reason.starts_with(ARCHIVED) => End::Archived,
            Some(reason) => match reason.rsplit_once(FILTERED) {
                Some((damage, bounds)) => End::Filtered { number: self.number(bounds), damaged: !damage.is_empty() },
                None => End::Damaged,
            },
        };
        let version = Version { at, tag, end };
        let latest = self.objects.entry(xxh3_128(uri.as_bytes())).or_insert(version);
        if latest.at <= at {
            *latest = version;
        }
        if latest.end != End::Archived {
            self.archived.remove(uri);
        } else if self.archived.len() < ARCHIVED_NAMED_MAX {
            self.archived.insert(uri.to_owned());
        }
    }

    /// The number of these bounds.
    fn number(&mut self, bounds: &str) -> usize {
        *self.numbers.entry_ref(bounds).or_insert_with(|| {
            self.bounds.push(bounds.to_owned());
            self.bounds.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_what_was_said_of_an_object_holds() {
        let mut known = Known::default();
        known.learn("a", "1", 10, Some("read only with --account 1"));
        assert_eq!(known.met("a", "1"), Met::Filtered { bounds: "--account 1", damaged: false });
        assert_eq!(known.met("a", "2"), Met::New);
        known.learn("d", "1", 10, Some("broken JSON; read only with --account 2"));
        assert_eq!(known.met("d", "1"), Met::Filtered { bounds: "--account 2", damaged: true });
        known.learn("a", "1", 20, None);
        known.learn("a", "1", 15, Some("broken JSON; read only with --account 2"));
        assert_eq!(known.met("a", "1"), Met::Read);
        known.learn("b", "1", 10, Some("unreadable: AccessDenied"));
        known.learn("c", "1", 10, Some("broken JSON"));
        assert_eq!((known.met("b", "1"), known.met("c", "1")), (Met::New, Met::Damaged));
    }

    #[test]
    fn what_one_learns_of_another_keeps_its_bounds() {
        let (mut known, mut later) = (Known::default(), Known::default());
        known.learn("a", "1", 10, Some("read only with --account 1"));
        later.learn("b", "1", 20, Some("read only with --account 2"));
        later.learn("c", "1", 20, Some("read only with --account 1"));
        known.extend(later);
        assert_eq!(known.met("a", "1"), Met::Filtered { bounds: "--account 1", damaged: false });
        assert_eq!(known.met("b", "1"), Met::Filtered { bounds: "--account 2", damaged: false });
        assert_eq!(known.met("c", "1"), Met::Filtered { bounds: "--account 1", damaged: false });
    }

    #[test]
    fn an_object_is_archived_until_it_was_read() {
        let mut known = Known::default();
        known.learn("s3://b/x", "1", 10, Some("archived: GLACIER"));
        known.learn("s3://b/y", "1", 10, Some("archived: GLACIER"));
        assert_eq!(known.met("s3://b/x", "1"), Met::Archived);
        assert_eq!(known.archived("s3://b/"), ["s3://b/x", "s3://b/y"]);
        known.learn("s3://b/x", "1", 20, None);
        assert_eq!(known.archived("s3://b/"), ["s3://b/y"]);
        assert_eq!(known.archived("s3://c/"), [""; 0]);
    }
}
