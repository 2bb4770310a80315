//! What a bare name may mean: a person types `bert-jan`, and the lake knows `arn:aws:iam::111122223333:user/bert-jan`.

use anyhow::Result;
use chrono::Utc;
use keytrail::engine::Engine;
use serde::Deserialize;

use super::{Context, Hinted};

/// Names that an error lists.
const NAMED_MAX: usize = 5;

/// A row of `named-like`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Meant {
    kind: String,
    pub name: String,
}

impl Meant {
    pub fn is_principal(&self) -> bool {
        self.kind == "principal"
    }
}

/// The principals and sessions whose last part is this name; those in the same case alone, where there are any.
pub(super) fn like(context: &Context, engine: &Engine, name: &str) -> Result<Vec<Meant>> {
    let query = context.catalog.get("named-like")?;
    let values = query.bind(&[("name".to_owned(), name.to_owned())], Utc::now())?;
    let all: Vec<Meant> = context.runtime.block_on(engine.run(query, values))?.read()?;
    let exact: Vec<Meant> = all.iter().filter(|one| one.name.ends_with(name)).cloned().collect();
    Ok(if exact.is_empty() { all } else { exact })
}

/// The principal that a user names. A bare name stands for the one principal whose last part it is; where there are several,
/// nobody is chosen for the user.
pub(super) fn principal(context: &Context, engine: &Engine, name: &str) -> Result<String> {
    if name.contains(['*', '/', ':']) {
        return Ok(name.to_owned());
    }
    let meant: Vec<Meant> = like(context, engine, name)?.into_iter().filter(Meant::is_principal).collect();
    match meant.as_slice() {
        meant if meant.iter().any(|one| one.name == name) => Ok(name.to_owned()),
        [] => Ok(name.to_owned()),
        [one] => {
            context.printer.note(&format!("note: {name} is taken for {}", one.name));
            Ok(one.name.clone())
        }
        several => {
            let hint = format!("name one of them, or all with '*/{name}'");
            Err(Hinted::new(format!("{name} may be any of {}", listed(several)), hint).into())
        }
    }
}

/// Names in a line.
pub(super) fn listed(meant: &[Meant]) -> String {
    let names: Vec<&str> = meant.iter().take(NAMED_MAX).map(|one| one.name.as_str()).collect();
    let more = meant.len().saturating_sub(NAMED_MAX);
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &end
}
