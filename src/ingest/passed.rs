//! What a run comes upon and does not read, and why: a run that reads nothing must be able to say so.

use std::collections::BTreeSet;

use super::Objects;
use crate::source::{ObjectRef, Place};

/// Addresses of strangers that are named; their number is always told.
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
    pub strangers: u64,
    /// The first of these, by their addresses.
    pub named: Vec<String>,
}

impl PassedOver {
    /// Counts something that should perhaps have been read.
    pub(super) fn stranger(&mut self, uri: String) {
        self.strangers += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(uri);
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.elsewhere += more.elsewhere;
        self.other_times += more.other_times;
        self.other_kinds += more.other_kinds;
        self.strangers += more.strangers;
        let room = NAMED_MAX.saturating_sub(self.named.len());
        self.named.extend(more.named.iter().take(room).cloned());
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
        let (mut one, mut other) = (PassedOver::default(), PassedOver::default());
        (0..15).for_each(|number| one.stranger(format!("a{number}")));
        (0..15).for_each(|number| other.stranger(format!("b{number}")));
        one.add(&other);
        assert_eq!((one.strangers, one.named.len(), one.named[15].as_str()), (30, NAMED_MAX, "b0"));
    }

    #[test]
    fn a_folder_is_what_stands_before_the_name() {
        assert_eq!(folder("s3://b/a/x.json"), "s3://b/a/");
        assert_eq!(folder("x"), "x");
        assert_eq!(folder(""), "");
    }
}
