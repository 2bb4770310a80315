//! What a document is: keytrail's own form, or the output of one command of `aws kms` or `aws cloudtrail`; and the facts
//! in it.
//!
//! Only some outputs say which key they are about. Of the others, the file's name or folder must (about.rs).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Problem;
use super::about::{self, About};
use super::members::Members;
use super::names;
use crate::cloudtrail::arn::Arn;

/// An account and a Region.
pub(super) type Place = (String, String);

/// A JSON document of a file.
pub(super) struct Document<'a> {
    /// Its path below the folder that is read.
    pub file: &'a Path,
    /// What stands before the places in it.
    pub prefix: &'a str,
    pub raw: &'a RawValue,
}

/// Something that a document says of one key or trail.
#[derive(Debug)]
pub(super) struct Fact {
    pub about: About,
    pub members: BTreeMap<String, Box<RawValue>>,
    pub place: String,
    /// Whether it is an entry of a list that names each key or trail once.
    pub is_entry: bool,
    /// The path of its file.
    pub file: std::path::PathBuf,
}

/// What the documents say, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub facts: Vec<Fact>,
    pub problems: Vec<Problem>,
    /// Where all keys are listed.
    pub key_lists: BTreeSet<Place>,
    /// Where all trails are listed.
    pub trail_lists: BTreeSet<Place>,
}

/// The lists of a document.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow, rename = "Keys")]
    keys: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "Trails")]
    trails: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "trailList")]
    trail_list: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Alias {
    #[serde(rename = "AliasName")]
    name: Option<String>,
    #[serde(rename = "AliasArn")]
    arn: Option<String>,
    #[serde(rename = "TargetKeyId")]
    target: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfKey {
    key_id: Option<String>,
}

/// Outputs that tell nothing which an inventory keeps.
const OF_NO_USE: [&str; 3] = ["PolicyNames", "Rotations", "Marker"];

impl Told {
    /// Takes a document.
    ///
    /// # Errors
    /// When it is nothing that is known.
    pub fn take(&mut self, document: &Document<'_>) -> Result<(), String> {
        let said = |error: serde_json::Error| error.to_string();
        if document.raw.get().starts_with('[') {
            let entries: Vec<&RawValue> = serde_json::from_str(document.raw.get()).map_err(said)?;
            self.key_lists.extend(places(&entries));
            self.entries(document, "Keys", entries);
            return Ok(());
        }
        let Whole { keys, trails, trail_list } = serde_json::from_str(document.raw.get()).map_err(said)?;
        let members = Members::of(document.raw)?;
        if keys.is_none() && trails.is_none() && trail_list.is_none() {
            return self.output(document, members);
        }
        let misspelt = members.raw.keys().find_map(|name| Some((name, names::WHOLE.meant(name)?)));
        if let Some((name, meant)) = misspelt {
            return Err(format!("there is no `{name}`; did you mean `{meant}`?"));
        }
        // An output of list-keys is of one Region, keytrail's own form of all that its keys and trails are in.
        let is_output = |list: &[&RawValue]| {
            list.iter().all(|key| Members::of(key).is_ok_and(|key| key.raw.contains_key("KeyArn")))
        };
        let is_cut = self.is_cut(document, &members);
        let own: Vec<&RawValue> = keys.iter().chain(&trails).flatten().copied().collect();
        if let Some(keys) = keys {
            if !is_cut {
                self.key_lists.extend(places(if is_output(&keys) { &keys } else { &own }));
            }
            self.entries(document, "Keys", keys);
        }
        if let Some(trails) = trails {
            // Of list-trails as well, which is of one account and has its trails of all Regions.
            if !is_cut {
                self.trail_lists.extend(places(&own));
            }
            self.entries(document, "Trails", trails);
        }
        if let Some(trails) = trail_list {
            let described: Vec<Members> = trails.iter().filter_map(|trail| Members::of(trail).ok()).collect();
            if !is_cut {
                self.trail_lists.extend(asked_in(document.file, &described));
            }
            self.entries(document, "trailList", trails);
        }
        Ok(())
    }

    /// The entries of a list, each about a key or trail that it names; what is wrong with one is said with its place and, if
    /// it has one, its ARN.
    fn entries(&mut self, document: &Document<'_>, list: &str, entries: Vec<&RawValue>) {
        let of_trails = list != "Keys";
        for (index, raw) in entries.into_iter().enumerate() {
            let mut place = format!("{}{list}[{index}]", document.prefix);
            let about = Members::of(raw).and_then(|members| {
                let arn = if of_trails { members.trail_arn() } else { members.arn() };
                if let Some(arn) = &arn {
                    place = format!("{place} {arn}");
                }
                let about = match (arn, of_trails) {
                    (Some(arn), true) => About::Trail(arn),
                    (None, true) => return Err("it has no `TrailARN`".to_owned()),
                    (Some(arn), false) => About::key(arn)?,
                    (None, false) => {
                        // In a list that `jq -s` made of outputs, or misspelt.
                        members.spelt(&names::KEY)?;
                        return Err("it has no `Arn`".to_owned());
                    }
                };
                Ok((about, members))
            });
            match about {
                Ok((about, members)) => {
                    // An entry of list-keys says nothing but that there is the key, and a trail of all Regions shows in each.
                    let is_entry = !members.raw.contains_key("KeyArn") && list != "trailList";
                    self.add(document, place, about, members, is_entry);
                }
                Err(why) => self.problems.push(Problem { place, action: None, why }),
            }
        }
    }

    fn add(&mut self, document: &Document<'_>, place: String, about: About, members: Members, is_entry: bool) {
        let file = document.file.to_owned();
        self.facts.push(Fact { about, members: members.raw, place, is_entry, file });
    }

    /// What one command printed.
    fn output(&mut self, document: &Document<'_>, mut members: Members) -> Result<(), String> {
        let place = match document.prefix.trim_end_matches(": ") {
            "" => document.file.display().to_string(),
            name => name.to_owned(),
        };
        if let Some(trail) = members.raw.remove("Trail") {
            return self.output(document, Members::of(&trail)?);
        }
        if let Some(arn) = members.arn() {
            self.add(document, format!("{place}: {arn}"), About::key(arn)?, members, false);
            return Ok(());
        }
        if let Some(arn) = members.trail_arn() {
            self.add(document, format!("{place}: {arn}"), About::Trail(arn), members, false);
            return Ok(());
        }
        let has = |name: &str| members.raw.contains_key(name);
        if has("Aliases") {
            if !self.is_cut(document, &members) {
                self.aliases(document, &place, &members)?;
            }
            return Ok(());
        }
        if has("Statement") {
            let policy = document.raw.to_owned();
            let members = Members { raw: BTreeMap::from([("Policy".to_owned(), policy)]) };
            self.add(document, place, About::TheKeyOfItsPath, members, false);
            return Ok(());
        }
        if has("KeyLastUsage") || has("TrackingStartDate") {
            let about = about_key(&members)?;
            let members = Members { raw: BTreeMap::from([("LastUsage".to_owned(), document.raw.to_owned())]) };
            self.add(document, place, about, members, false);
            return Ok(());
        }
        if has("Grants") {
            let grants: Vec<OfKey> = members.take("Grants")?.unwrap_or_default();
            let keys: BTreeSet<String> = grants.into_iter().filter_map(|grant| grant.key_id).collect();
            let about =
                match keys.len() {
                    0 => About::TheKeyOfItsPath,
                    1 => About::told(keys.into_iter().next().unwrap_or_default())?,
                    _ => return Err(
                        "it has grants of several keys, and not surely all of each: list-grants prints those of one"
                            .to_owned(),
                    ),
                };
            self.one(document, place, about, members, &["Grants"]);
            return Ok(());
        }
        for (mark, names) in [
            ("Policy", &["Policy"] as &[&str]),
            ("Tags", &["Tags"]),
            ("KeyRotationEnabled", &["KeyRotationEnabled", "RotationPeriodInDays"]),
        ] {
            if has(mark) {
                let about = about_key(&members)?;
                self.one(document, place, about, members, names);
                return Ok(());
            }
        }
        if has("IsLogging") {
            self.add(document, place, About::TheTrailOfItsPath, members, false);
            return Ok(());
        }
        if members.raw.keys().any(|name| OF_NO_USE.contains(&name.as_str())) {
            return Ok(());
        }
        let meant = members.raw.keys().find_map(|name| Some((name, names::WHOLE.meant(name)?)));
        Err(match meant {
            Some((name, meant)) => format!("there is no `{name}`; did you mean `{meant}`?"),
            None => "it has neither `Keys` nor `Trails`, and is not a known output of `aws kms` or `aws cloudtrail`; \
                     `keytrail inventory --template` shows the form"
                .to_owned(),
        })
    }

    /// Some members of an output about one key; of a list that was cut off, nothing is taken.
    fn one(&mut self, document: &Document<'_>, place: String, about: About, mut members: Members, names: &[&str]) {
        if !self.is_cut(document, &members) {
            members.raw.retain(|name, _| names.contains(&name.as_str()));
            self.add(document, place, about, members, false);
        }
    }

    /// Aliases by the keys that they name. A list that names several keys, or none for some alias, is of all keys of its
    /// Region; one of a single key's aliases says nothing of other keys.
    fn aliases(&mut self, document: &Document<'_>, place: &str, members: &Members) -> Result<(), String> {
        let aliases: Vec<Alias> = members.take("Aliases")?.unwrap_or_default();
        if aliases.is_empty() {
            self.add(document, place.to_owned(), About::TheKeyOfItsPath, list_of_aliases(&[]), false);
            return Ok(());
        }
        let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut is_whole = false;
        for alias in &aliases {
            let name = alias.name.clone().ok_or("Aliases: an entry has no `AliasName`")?;
            let place = alias.arn.as_deref().and_then(Arn::new);
            let Some(target) = &alias.target else {
                is_whole = true;
                continue;
            };
            let key = match place {
                Some(arn) if !target.starts_with("arn:") => format!(
                    "arn:{}:kms:{}:{}:key/{target}",
                    arn.partition().unwrap_or("aws"),
                    arn.region().unwrap_or_default(),
                    arn.account().unwrap_or_default()
                ),
                _ => target.clone(),
            };
            by_key.entry(key).or_default().push(name);
        }
        is_whole |= by_key.len() > 1;
        let region = aliases.iter().find_map(|alias| region(alias.arn.as_deref()?));
        let account = aliases.iter().find_map(|alias| Some(Arn::new(alias.arn.as_deref()?)?.account()?.to_owned()));
        for (key, mut names) in by_key {
            names.sort_unstable();
            self.add(document, format!("{place}: {key}"), About::target(key)?, list_of_aliases(&names), false);
        }
        if let (true, Some(account), Some(region)) = (is_whole, account, region) {
            let about = About::OthersOf { account, region };
            self.add(document, place.to_owned(), about, list_of_aliases(&[]), false);
        }
        Ok(())
    }

    /// Whether a list goes on elsewhere, which is a problem.
    fn is_cut(&mut self, document: &Document<'_>, members: &Members) -> bool {
        let is_true = |name: &str| members.take::<bool>(name).ok().flatten() == Some(true);
        let is_cut = is_true("Truncated") || members.has_any(&["NextMarker", "NextToken"]);
        if is_cut {
            let place = document.file.display().to_string();
            let why = "the list is truncated: rerun the command without --max-items or --no-paginate".to_owned();
            self.problems.push(Problem { place, action: None, why });
        }
        is_cut
    }
}

/// The key that an output names by `KeyId`, where it does.
fn about_key(members: &Members) -> Result<About, String> {
    members.take::<String>("KeyId")?.map_or(Ok(About::TheKeyOfItsPath), About::told)
}

fn list_of_aliases(names: &[String]) -> Members {
    let list = RawValue::from_string(super::super::rows::json(names)).ok();
    Members { raw: list.map(|list| ("Aliases".to_owned(), list)).into_iter().collect() }
}

fn region(arn: &str) -> Option<String> {
    Arn::new(arn)?.region().map(str::to_owned)
}

/// The account and Region of an ARN.
pub(super) fn place(arn: &str) -> Option<Place> {
    let arn = Arn::new(arn)?;
    Some((arn.account()?.to_owned(), arn.region()?.to_owned()))
}

/// Where these keys and trails are.
fn places(entries: &[&RawValue]) -> BTreeSet<Place> {
    let arn = |raw: &&RawValue| {
        let members = Members::of(raw).ok()?;
        place(&members.arn().or_else(|| members.trail_arn())?)
    };
    entries.iter().filter_map(arn).collect()
}

/// The account and Region in which describe-trails was asked, where that shows: by a trail of one Region, which no other shows, or
/// by the file's path.
fn asked_in(file: &Path, trails: &[Members]) -> Option<Place> {
    let of_one = trails.iter().find(|trail| trail.take::<bool>("IsMultiRegionTrail").ok().flatten() == Some(false));
    let home = of_one.and_then(|trail| place(&trail.trail_arn()?));
    let homes = trails.iter().filter_map(|trail| place(&trail.trail_arn()?)).collect::<BTreeSet<_>>();
    home.or_else(|| homes.into_iter().find(|(_, region)| about::names_region(file, region)))
}
