//! The members of an entry, each read as what it should be when it is asked for.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::time::Time;
use super::super::{Field, Unknown};
use super::names::Spelling;

/// The members of an entry.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub raw: BTreeMap<String, Box<RawValue>>,
}

impl Members {
    /// The members of an object.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(raw: &RawValue) -> Result<Self, String> {
        let mut outer = object(raw)?;
        // `aws kms describe-key` prints the metadata within a member of its own.
        if let Some(inner) = outer.remove("KeyMetadata").filter(|inner| inner.get() != "null") {
            outer.extend(object(&inner)?);
        }
        Ok(Self { raw: outer })
    }

    /// The key that the entry is about, as far as it says so; `aws kms list-keys` has a name of its own for it.
    pub fn arn(&self) -> Option<String> {
        ["Arn", "KeyArn"].into_iter().find_map(|name| self.take(name).ok().flatten())
    }

    /// The trail that the entry is about, likewise.
    pub fn trail_arn(&self) -> Option<String> {
        self.take("TrailARN").ok().flatten()
    }

    /// A member, or nothing where it is absent or null.
    ///
    /// # Errors
    /// When it is something else.
    pub fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(raw) = self.raw.get(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|error| format!("{name}: {}", without_place(&error)))
    }

    /// A member that a call of its own tells.
    ///
    /// # Errors
    /// When it is something else.
    pub fn field<T, F: DeserializeOwned>(
        &self,
        name: &str,
        action: &'static str,
        form: &str,
        read: fn(F) -> T,
    ) -> Result<Field<T>, String> {
        match self.take::<F>(name) {
            Ok(Some(value)) => Ok(Field::Known(read(value))),
            Ok(None) => Ok(Field::Unknown(Unknown::not_given(action))),
            Err(why) => Err(format!("{why}; give {form}")),
        }
    }

    /// An instant.
    ///
    /// # Errors
    /// When it is something else.
    pub fn time(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.take::<Time>(name)?.map(|time| time.0))
    }

    /// Whether any of these members says something.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.raw.get(*name).is_some_and(|raw| raw.get() != "null"))
    }

    /// Looks for names that are none, but nearly one.
    ///
    /// # Errors
    /// With the name that was probably meant.
    pub fn spelt(&self, spelling: &Spelling) -> Result<(), String> {
        self.raw.iter().try_for_each(|(name, raw)| spelling.check(name, raw))
    }
}

fn object(raw: &RawValue) -> Result<BTreeMap<String, Box<RawValue>>, String> {
    serde_json::from_str(raw.get()).map_err(|_| "it is not an object".to_owned())
}

/// The error without its line and column, which count from where the member begins and would lead astray.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(said, _)| said.to_owned())
}
