//! What a run comes upon and does not read, and why: a run that reads nothing must be able to say so.

use std::collections::BTreeSet;

use super::Objects;
use crate::source::{ObjectRef, Place};

/// Addresses that are named of each kind; their number is always told.
const NAMED_MAX: usize = 20;

/// Objects that were passed over, by the reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Of other accounts or Regions than those asked for.
    pub elsewhere: u64,
    /// Of accounts and Regions asked for, and of another time.
    pub other_times: u64,
    /// Digests, Insights and aggregated events, which hold nothing to read.
    pub other_kinds: u64,
    /// What holds no records that keytrail can read, as far as its name and its beginning tell.
    pub strangers: Named,
    /// Links to folders.
    pub links: Named,
}

impl PassedOver {
    pub(super) fn add(&mut self, more: &Self) {
        self.elsewhere += more.elsewhere;
        self.other_times += more.other_times;
        self.other_kinds += more.other_kinds;
        self.strangers.add(&more.strangers);
        self.links.add(&more.links);
    }
}

/// Things that should perhaps have been read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The addresses of the first.
    pub first: Vec<String>,
}

impl Named {
    pub(super) fn push(&mut self, uri: String) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(uri);
        }
    }

    fn add(&mut self, more: &Self) {
        self.count += more.count;
        let room = NAMED_MAX.saturating_sub(self.first.len());
        self.first.extend(more.first.iter().take(room).cloned());
    }
}

/// What the lister has counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub objects: Objects,
    pub passed_over: PassedOver,
    /// Folders of objects of which something was left out by the bounds of the run: their days do not settle.
    pub left_out: BTreeSet<String>,
}

impl Counted {
    /// Notes that something of an object was left out. Days of a bucket alone settle.
    pub fn left_out(&mut self, object: &ObjectRef) {
        if object.place == Place::Remote {
            self.left_out.insert(folder(&object.uri).to_owned());
        }
    }
}

/// The folder that an object is in, with the slash.
pub(super) fn folder(uri: &str) -> &str {
    uri.rfind('/').map_or(uri, |end| &uri[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted_and_the_first_of_them_named() {
        let (mut one, mut other) = (Named::default(), Named::default());
        (0..15).for_each(|number| one.push(format!("a{number}")));
        (0..15).for_each(|number| other.push(format!("b{number}")));
        one.add(&other);
        assert_eq!((one.count, one.first.len(), one.first[15].as_str()), (30, NAMED_MAX, "b0"));
    }

    #[test]
    fn a_folder_is_what_stands_before_the_name() {
        assert_eq!(folder("s3://b/a/x.json"), "s3://b/a/");
        assert_eq!(folder("x"), "x");
        assert_eq!(folder(""), "");
    }
}
