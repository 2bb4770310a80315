//! What a bare name may mean: a person types `bert-jan`, and the lake knows `arn:aws:iam::111122223333:user/bert-jan`.

use serde::Deserialize;

use super::{Names, NamingError};

/// Names that an error lists.
const NAMED_MAX: usize = 5;

/// A principal or a session that a bare name may mean: a row of `named-like`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Meant {
    kind: String,
    /// Its whole name.
    pub name: String,
}

impl Meant {
    /// Whether it is a principal, and not a session.
    #[must_use]
    pub fn is_principal(&self) -> bool {
        self.kind == "principal"
    }
}

impl Names<'_> {
    /// The principals and sessions whose last part is this name; those in the same case alone, where there are any.
    ///
    /// # Errors
    /// When the lake cannot be asked.
    pub async fn like(&self, name: &str) -> Result<Vec<Meant>, NamingError> {
        let all: Vec<Meant> = self.ask("named-like", &[("name", name)]).await?;
        let exact: Vec<Meant> = all.iter().filter(|one| one.name.ends_with(name)).cloned().collect();
        Ok(if exact.is_empty() { all } else { exact })
    }

    /// The principal that a user names. A bare name stands for the one principal whose last part it is; a name that nobody has is
    /// left as it is.
    ///
    /// # Errors
    /// When it may mean several, or the lake cannot be asked.
    pub async fn principal(&self, name: &str) -> Result<String, NamingError> {
        if name.contains(['*', '/', ':']) {
            return Ok(name.to_owned());
        }
        let mut meant: Vec<Meant> = self.like(name).await?.into_iter().filter(Meant::is_principal).collect();
        if meant.is_empty() || meant.iter().any(|one| one.name == name) {
            return Ok(name.to_owned());
        }
        if let [one] = meant.as_mut_slice() {
            return Ok(std::mem::take(&mut one.name));
        }
        Err(NamingError::SeveralPrincipals { name: name.to_owned(), meant })
    }
}

/// Names in a line.
#[must_use]
pub fn listed(meant: &[Meant]) -> String {
    let names: Vec<&str> = meant.iter().take(NAMED_MAX).map(|one| one.name.as_str()).collect();
    let more = meant.len().saturating_sub(NAMED_MAX);
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &end
}
