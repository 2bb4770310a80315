//! Which key or trail a fact is about, where its document does not say so: by the name of the file or of a folder that it
//! is in, or because the folder speaks of one only.
//!
//! Where several could be meant, nothing is guessed.

use std::collections::BTreeSet;
use std::path::Path;

use super::about::{About, is_id, names, names_region};
use super::outputs::Fact;
use crate::cloudtrail::arn::{Arn, key_id};

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Key(String),
    Trail(String),
    /// All keys of an account and Region, as far as nothing else says otherwise.
    OthersOf(String, String),
}

/// The keys and trails that documents name.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    keys: BTreeSet<String>,
    trails: BTreeSet<String>,
    /// Each folder, and a key or trail that is described in it.
    described: Vec<(std::path::PathBuf, Subject)>,
}

impl Subjects {
    /// Those that these facts name by ARN.
    pub fn of(facts: &[Fact]) -> Self {
        let mut subjects = Self::default();
        for fact in facts {
            let folder = fact.file.parent().map(Path::to_owned).unwrap_or_default();
            match &fact.about {
                About::Key(arn) => {
                    subjects.keys.insert(arn.clone());
                    subjects.described.push((folder, Subject::Key(arn.clone())));
                }
                About::Trail(arn) => {
                    subjects.trails.insert(arn.clone());
                    subjects.described.push((folder, Subject::Trail(arn.clone())));
                }
                _ => {}
            }
        }
        subjects
    }

    /// What a fact is about.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn of_fact(&self, fact: &Fact) -> Result<Subject, String> {
        match &fact.about {
            About::Key(arn) | About::Target(arn) => Ok(Subject::Key(arn.clone())),
            About::Trail(arn) => Ok(Subject::Trail(arn.clone())),
            About::KeyId(id) => self.by_id(id, &fact.file).map(Subject::Key),
            About::TheKeyOfItsPath => self.key_of(&fact.file).map(Subject::Key),
            About::TheTrailOfItsPath => self.trail_of(&fact.file).map(Subject::Trail),
            About::OthersOf { account, region } => Ok(Subject::OthersOf(account.clone(), region.clone())),
        }
    }

    fn by_id(&self, id: &str, file: &Path) -> Result<String, String> {
        let found: Vec<&String> = self.keys.iter().filter(|arn| key_id(arn) == Some(id)).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(format!("no key of the id {id} is named: add what list-keys or describe-key prints")),
            // The keys of a set share their id.
            several => {
                let of_region = |arn: &&&String| {
                    Arn::new(arn).and_then(Arn::region).is_some_and(|region| names_region(file, region))
                };
                let mut here = several.iter().filter(of_region);
                match (here.next(), here.next()) {
                    (Some(one), None) => Ok((*one).clone()),
                    _ => Err(format!(
                        "there are {} keys of the id {id}: put the Region into the name of the file",
                        several.len()
                    )),
                }
            }
        }
    }

    fn key_of(&self, file: &Path) -> Result<String, String> {
        if let Some(id) = file.components().rev().find_map(|part| id_in(part.as_os_str().to_str()?)) {
            return self.by_id(&id, file);
        }
        self.only(file, |subject| match subject {
            Subject::Key(arn) => Some(arn),
            _ => None,
        })
        .ok_or_else(|| {
            "it does not say which key it is about: put the key's id into the name of the file or its folder, or \
             the key's describe-key output into the same folder"
                .to_owned()
        })
    }

    fn trail_of(&self, file: &Path) -> Result<String, String> {
        let name = |arn: &'_ str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let is_part = |arn: &&String| {
            let name = name(arn);
            file.components()
                .any(|part| Path::new(part.as_os_str()).file_stem().is_some_and(|part| part == name.as_str()))
        };
        // A folder or file whose whole name is the trail's is better evidence than one that only contains it.
        let mut named: Vec<&String> = self.trails.iter().filter(is_part).collect();
        if named.is_empty() {
            named = self.trails.iter().filter(|arn| names(file, &name(arn))).collect();
        }
        // `main` is in the name of a file about `main-eu`; the longer one is meant.
        let longest = named.iter().map(|arn| name(arn)).max_by_key(String::len).unwrap_or_default();
        let is_of_longest = named.iter().all(|arn| longest.contains(&name(arn)));
        let mut named = named.into_iter().filter(|arn| name(arn) == longest);
        match (named.next(), named.next()) {
            (Some(one), None) if is_of_longest => return Ok(one.clone()),
            (None, _) if self.trails.len() == 1 => return Ok(self.trails.iter().next().cloned().unwrap_or_default()),
            _ => {}
        }
        self.only(file, |subject| match subject {
            Subject::Trail(arn) => Some(arn),
            _ => None,
        })
        .ok_or_else(|| {
            "it does not say which trail it is about: put the trail's name into the name of the file or of its folder"
                .to_owned()
        })
    }

    /// The one that the files of the same folder describe.
    fn only(&self, file: &Path, of: impl Fn(&Subject) -> Option<&String>) -> Option<String> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut here =
            self.described.iter().filter(|(place, _)| place == folder).filter_map(|(_, subject)| of(subject));
        let first = here.next()?;
        here.all(|other| other == first).then(|| first.clone())
    }
}

/// The id of a key that a text has in it.
fn id_in(text: &str) -> Option<String> {
    let lengths = [("mrk-", 36), ("", 36)];
    lengths.iter().find_map(|(start, length)| {
        text.char_indices().filter(|(at, _)| text[*at..].starts_with(start)).find_map(|(at, _)| {
            let part = text.get(at..at + length)?;
            is_id(part).then(|| part.to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const SET: &str = "mrk-1234abcd12ab34cd56ef1234567890ab";

    fn fact(about: About, file: &str) -> Fact {
        Fact {
            about,
            members: std::collections::BTreeMap::new(),
            place: String::new(),
            is_entry: false,
            file: file.into(),
        }
    }

    fn arn(region: &str, id: &str) -> String {
        format!("arn:aws:kms:{region}:111122223333:key/{id}")
    }

    #[test]
    fn an_id_is_found_in_a_name() {
        assert_eq!(id_in(&format!("policy-{ID}.json")).as_deref(), Some(ID));
        assert_eq!(id_in(&format!("{SET}_grants.json")).as_deref(), Some(SET));
        assert_eq!(id_in("grants.json"), None);
        assert_eq!(id_in(&format!("{}.json", ID.to_uppercase())), None);
    }

    #[test]
    fn a_region_is_a_word_of_its_own_in_a_path() {
        for file in ["eu-west-1/trails.json", "trails-eu-west-1.json", "eu-west-1_trails.json"] {
            assert!(names_region(Path::new(file), "eu-west-1"), "{file}");
        }
        assert!(!names_region(Path::new("eu-west-11.json"), "eu-west-1"));
    }

    #[test]
    fn a_path_tells_the_key_or_the_folder_does() {
        let facts = [
            fact(About::Key(arn("eu-west-1", ID)), "a/describe-key.json"),
            fact(About::Key(arn("eu-west-1", SET)), "list.json"),
            fact(About::Key(arn("us-east-1", SET)), "list.json"),
        ];
        let subjects = Subjects::of(&facts);
        let of = |file: &str| subjects.of_fact(&fact(About::TheKeyOfItsPath, file));
        let key = |region: &str, id: &str| Ok(Subject::Key(arn(region, id)));
        assert_eq!(of(&format!("policy-{ID}.json")), key("eu-west-1", ID));
        assert_eq!(of(&format!("{ID}/policy.json")), key("eu-west-1", ID));
        assert_eq!(of("a/policy.json"), key("eu-west-1", ID));
        assert_eq!(of(&format!("us-east-1/{SET}.json")), key("us-east-1", SET));
        assert!(of(&format!("{SET}.json")).unwrap_err().contains("put the Region into the name"));
        for file in ["policy.json", "b/policy.json"] {
            assert!(of(file).unwrap_err().contains("put the key's id into the name"), "{file}");
        }
        assert!(of("policy-00000000-0000-0000-0000-000000000000.json").unwrap_err().contains("no key of the id"));
    }

    #[test]
    fn a_path_tells_the_trail_unless_there_is_but_one() {
        let trail = |name: &str| format!("arn:aws:cloudtrail:eu-west-1:111122223333:trail/{name}");
        let two = [fact(About::Trail(trail("main")), "t.json"), fact(About::Trail(trail("main-eu")), "t.json")];
        let of = |facts: &[Fact], file: &str| Subjects::of(facts).of_fact(&fact(About::TheTrailOfItsPath, file));
        assert_eq!(of(&two, "status-main-eu.json"), Ok(Subject::Trail(trail("main-eu"))));
        assert_eq!(of(&two, "status-main.json"), Ok(Subject::Trail(trail("main"))));
        let other = [fact(About::Trail(trail("main")), "t.json"), fact(About::Trail(trail("trail")), "t.json")];
        assert_eq!(of(&other, "main/get-trail-status.json"), Ok(Subject::Trail(trail("main"))));
        assert!(of(&other, "main-get-trail-status.json").is_err());
        assert!(of(&two, "status.json").unwrap_err().contains("put the trail's name"));
        assert_eq!(of(&two[..1], "elsewhere/status.json"), Ok(Subject::Trail(trail("main"))));
        assert!(of(&[], "status.json").is_err());
    }
}
