//! The inventory from a file or a folder, for accounts that keytrail cannot reach: what the `aws` command line printed, as
//! it is or put together.
//!
//! ```text
//! [ {"Arn": …, <KeyMetadata>, "Aliases", "Tags", "RotationEnabled", "Policy", "Grants", "LastUsage"}, … ]
//! { "Keys": [ … ], "Trails": [ {"TrailARN": …, <Trail, status and selectors>}, … ] }
//! list-keys, describe-key, list-aliases, list-grants, … ; describe-trails, get-trail-status, … (outputs.rs)
//!
//! files ─► documents ─► facts: a key or trail, some of its members ─► joined by ARN ─► Key, Trail
//! ```
//!
//! What is absent or null is unknown; an empty list says that there are none. Names, times and shapes are taken as the
//! various versions of the command line and of `jq` make them. An entry that is wrong is named and left out, and those
//! beside it are read. A member that is nearly spelt like a known one is wrong; one that is new is let pass.

mod about;
mod key;
mod members;
mod names;
mod outputs;
mod subjects;
mod template;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::{Field, Inventory, InventoryError, Listing, Problem, Unknown};
use crate::cloudtrail::arn::Arn;
use members::Members;
use outputs::{Document, Fact, Place, Told, place};
use subjects::{Subject, Subjects};

pub use template::TEMPLATE;

/// The files that an inventory is read from: the file itself, or all of a folder and what is below it, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, InventoryError> {
    let mut found = Vec::new();
    below(path, &mut found)?;
    found.sort_unstable();
    Ok(found)
}

fn below(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), InventoryError> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let failed = |source| InventoryError::Unreadable { path: path.display().to_string(), source };
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        // A link to a folder may lead back to where it is.
        if !(entry.is_symlink() && entry.is_dir()) {
            below(&entry, found)?;
        }
    }
    Ok(())
}

/// Reads a file, or all files of a folder together.
///
/// # Errors
/// When a file cannot be read, or a single one has none of the forms. What is wrong with an entry, or with one file of a
/// folder, is a problem of the inventory.
pub fn read(path: &Path) -> Result<Inventory, InventoryError> {
    let text = |file: &Path| {
        let failed = |source| InventoryError::Unreadable { path: file.display().to_string(), source };
        std::fs::read_to_string(file).map_err(failed)
    };
    let form = |why| InventoryError::Form { path: path.display().to_string(), why };
    let mut gathered = Gathered::default();
    if !path.is_dir() {
        gathered.take(Path::new(path.file_name().unwrap_or_default()), "", &text(path)?).map_err(form)?;
        return Ok(gathered.inventory());
    }
    for file in files(path)? {
        let name = file.strip_prefix(path).unwrap_or(&file);
        let place = name.display().to_string();
        let why = match text(&file) {
            Err(InventoryError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::InvalidData => {
                let is_named_so = name.extension().is_some_and(|ending| ending == "json");
                is_named_so.then(|| {
                    "it is not UTF-8: PowerShell's `>` writes UTF-16; use `| Out-File -Encoding utf8` instead"
                        .to_owned()
                })
            }
            Err(error) => return Err(error),
            Ok(text) if is_json(&text) || name.extension().is_some_and(|ending| ending == "json") => {
                match gathered.take(name, &format!("{place}: "), &text) {
                    Ok(()) => continue,
                    Err(why) => Some(why),
                }
            }
            Ok(_) => None,
        };
        match why {
            Some(why) => gathered.problems.push(Problem { place, action: None, why }),
            None => gathered.passed_over.push(place),
        }
    }
    if gathered.told.facts.is_empty() && gathered.problems.is_empty() {
        return Err(form("no file in it is what `aws kms` or `aws cloudtrail` print with --output json".to_owned()));
    }
    Ok(gathered.inventory())
}

fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '['])
}

/// What was read so far, of one file or many.
#[derive(Default)]
struct Gathered {
    told: Told,
    problems: Vec<Problem>,
    passed_over: Vec<String>,
}

/// A key or trail, by what several documents say of it.
#[derive(Default)]
struct Entry {
    place: String,
    members: Members,
    /// Whether an entry of a list spoke of it: another one is one too many.
    is_listed: bool,
}

impl Gathered {
    /// Takes a file's text; `prefix` stands before the places that it names.
    fn take(&mut self, file: &Path, prefix: &str, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let values: Vec<Box<RawValue>> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        if values.is_empty() {
            let why = "EOF while parsing a value: it is empty, the command that wrote it has probably failed";
            return Err(why.to_owned());
        }
        for value in &values {
            self.told.take(&Document { file, prefix, raw: value })?;
        }
        Ok(())
    }

    fn inventory(mut self) -> Inventory {
        let Told { facts, problems, key_lists, trail_lists } = std::mem::take(&mut self.told);
        self.problems.extend(problems);
        let subjects = Subjects::of(&facts);
        let files: BTreeSet<PathBuf> = facts.iter().map(|fact| fact.file.clone()).collect();
        let (mut keys, mut trails) = (BTreeMap::new(), BTreeMap::new());
        let mut of_others = Vec::new();
        for fact in facts {
            let place = fact.place.clone();
            match subjects.of_fact(&fact) {
                Ok(Subject::Key(arn)) => self.join(&mut keys, arn, fact),
                Ok(Subject::Trail(arn)) => self.join(&mut trails, arn, fact),
                Ok(Subject::OthersOf(account, region)) => of_others.push((account, region, fact.members)),
                Err(why) => self.problems.push(Problem { place, action: None, why }),
            }
        }
        // A list of all aliases of a Region says of the keys that it does not name that they have none.
        for (account, region, members) in of_others {
            let is_there = |arn: &str| {
                Arn::new(arn).is_some_and(|arn| arn.account() == Some(&account) && arn.region() == Some(&region))
            };
            for (_, entry) in keys.iter_mut().filter(|(arn, _)| is_there(arn)) {
                for (name, raw) in &members {
                    entry.members.raw.entry(name.clone()).or_insert_with(|| raw.clone());
                }
            }
        }
        let keys = self.built(keys, key::key);
        let trails = self.built(trails, trail::trail);
        let mut inventory = Inventory { source: "file", keys, trails, ..Inventory::default() };
        self.problems.sort_by(|one, other| in_order(&one.place).cmp(&in_order(&other.place)));
        inventory.regions = listings(&inventory, &key_lists, &trail_lists);
        inventory.problems = self.problems;
        inventory.passed_over = self.passed_over;
        inventory.files = files.into_iter().collect();
        inventory
    }

    /// Adds a fact to what is known of its key or trail; where two say different things, the first stands.
    fn join(&mut self, entries: &mut BTreeMap<String, Entry>, arn: String, fact: Fact) {
        let entry = entries.entry(arn).or_default();
        let mut complain =
            |why: &str| self.problems.push(Problem { place: fact.place.clone(), action: None, why: why.to_owned() });
        if fact.is_entry && entry.is_listed {
            return complain("an earlier entry is about it");
        }
        entry.is_listed |= fact.is_entry;
        if entry.place.is_empty() || fact.is_entry {
            entry.place.clone_from(&fact.place);
        }
        for (name, raw) in fact.members {
            match entry.members.raw.get(&name) {
                Some(had) if had.get() != "null" && raw.get() != "null" && had.get() != raw.get() => {
                    complain(&format!("`{name}` is given twice, with different values"));
                }
                Some(had) if had.get() != "null" => {}
                _ => drop(entry.members.raw.insert(name, raw)),
            }
        }
    }

    fn built<T>(&mut self, entries: BTreeMap<String, Entry>, read: fn(&Members) -> Result<T, String>) -> Vec<T> {
        let mut built = Vec::new();
        for Entry { place, members, .. } in entries.into_values() {
            match read(&members) {
                Ok(one) => built.push(one),
                Err(why) => self.problems.push(Problem { place, action: None, why }),
            }
        }
        built
    }
}

/// A place by what stands before its number, and the number: `Keys[10]` comes behind `Keys[9]`.
fn in_order(place: &str) -> (&str, u64) {
    let (list, rest) = place.split_once('[').unwrap_or((place, ""));
    (list, rest.split(']').next().and_then(|number| number.parse().ok()).unwrap_or_default())
}

/// How much of each account and Region the files speak of: a list of keys, or of trails, says that there are no others.
fn listings(inventory: &Inventory, key_lists: &BTreeSet<Place>, trail_lists: &BTreeSet<Place>) -> Vec<Listing> {
    let mut counts: BTreeMap<Place, (usize, usize)> = BTreeMap::new();
    for place in inventory.keys.iter().filter_map(|key| place(&key.arn)) {
        counts.entry(place).or_default().0 += 1;
    }
    for place in inventory.trails.iter().filter_map(|trail| place(&trail.arn)) {
        counts.entry(place).or_default().1 += 1;
    }
    let counted = |is_listed: bool, count, action| {
        if is_listed { Field::Known(count) } else { Field::Unknown(Unknown::not_given(action)) }
    };
    let listing = |(place, (keys, trails)): (Place, (usize, usize))| Listing {
        keys: counted(key_lists.contains(&place), keys, "kms:ListKeys"),
        trails: counted(trail_lists.contains(&place), trails, "cloudtrail:DescribeTrails"),
        account_id: Some(place.0),
        region: place.1,
    };
    counts.into_iter().map(listing).collect()
}
