//! Every query there is: those compiled into the binary, and those in a user's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::near;
use super::{Kind, Query, QueryError};

/// Kind, name and text of each file under `queries/`, as `build.rs` found them.
const SHIPPED: &[(Kind, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped_queries.rs"));

/// A set of queries by name.
///
/// Views have names of their own, so that the report on `coverage` may be called as the view that it reads. Reports
/// and detectors share one set of names.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// In dependency order.
    views: Vec<Query>,
    /// By name, reports and detectors together.
    others: BTreeMap<String, Query>,
}

impl Catalog {
    /// The queries that keytrail is shipped with.
    ///
    /// # Panics
    /// When a shipped file is malformed. A test reads them all, so no build that passed its tests does.
    #[must_use]
    pub fn shipped() -> Catalog {
        let parsed = SHIPPED.iter().map(|(kind, name, text)| Query::parse(name, *kind, text));
        let catalog = parsed.collect::<Result<Vec<_>, _>>().and_then(|queries| Catalog::default().with(queries));
        catalog.unwrap_or_else(|error| panic!("a shipped query is malformed: {error}"))
    }

    /// Adds a folder of the user's own: `views/`, `reports/` and `detectors/` within it, and `.sql` files directly in
    /// it, which are reports.
    ///
    /// # Errors
    /// When the folder cannot be read or has no queries, a file is malformed, or a name is taken. A shipped query is
    /// never replaced: a report of that name would no longer mean what its documentation says.
    pub fn with_folder(self, dir: &Path) -> Result<Catalog, QueryError> {
        let mut queries = Vec::new();
        for path in sql_files(dir)? {
            queries.push(read(&path, Kind::Report)?);
        }
        for kind in Kind::ALL {
            let folder = dir.join(kind.folder());
            if folder.is_dir() {
                for path in sql_files(&folder)? {
                    queries.push(read(&path, kind)?);
                }
            }
        }
        if queries.is_empty() {
            let source =
                io::Error::new(io::ErrorKind::NotFound, "no .sql file in it, nor in its views, reports or detectors");
            return Err(QueryError::Unreadable { path: dir.to_owned(), source });
        }
        self.with(queries)
    }

    /// The views, each after those that it reads.
    pub fn views(&self) -> impl Iterator<Item = &Query> {
        self.views.iter()
    }

    /// The reports, by name.
    pub fn reports(&self) -> impl Iterator<Item = &Query> {
        self.others.values().filter(|query| query.kind == Kind::Report)
    }

    /// The detectors, by name.
    pub fn detectors(&self) -> impl Iterator<Item = &Query> {
        self.others.values().filter(|query| query.kind == Kind::Detector)
    }

    /// The report or detector of this name, else the view.
    ///
    /// # Errors
    /// When there is none; the error names those that look like it.
    pub fn get(&self, name: &str) -> Result<&Query, QueryError> {
        let view = || self.views.iter().find(|view| view.name == name);
        self.others.get(name).or_else(view).ok_or_else(|| {
            let names = self.others.keys().chain(self.views.iter().map(|view| &view.name));
            QueryError::UnknownQuery { name: name.to_owned(), near: near(name, names.map(String::as_str)) }
        })
    }

    fn with(mut self, queries: Vec<Query>) -> Result<Catalog, QueryError> {
        for query in queries {
            let taken = match query.kind {
                Kind::View => self.views.iter().any(|view| view.name == query.name),
                Kind::Report | Kind::Detector => self.others.contains_key(&query.name),
            };
            if taken {
                let file = format!("{}/{}.sql", query.kind.folder(), query.name);
                return Err(QueryError::Duplicate { file, name: query.name });
            }
            match query.kind {
                Kind::View => self.views.push(query),
                Kind::Report | Kind::Detector => drop(self.others.insert(query.name.clone(), query)),
            }
        }
        self.views = in_order(self.views)?;
        Ok(self)
    }
}

/// Sorts views so that each comes after those whose names its statement has as words; among equals, by name.
///
/// A word may also be a column of that name, and then the order is stricter than it need be, never wrong.
fn in_order(mut waiting: Vec<Query>) -> Result<Vec<Query>, QueryError> {
    waiting.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<String> = waiting.iter().map(|view| view.name.clone()).collect();
        let (ready, blocked): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|view| names.iter().all(|name| *name == view.name || !view.words.contains(name)));
        if ready.is_empty() {
            return Err(QueryError::Circle { views: names.into_iter().collect() });
        }
        ordered.extend(ready);
        waiting = blocked;
    }
    Ok(ordered)
}

fn read(path: &Path, kind: Kind) -> Result<Query, QueryError> {
    let unreadable = |source| QueryError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| unreadable(io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8")))?;
    Query::parse(stem, kind, &text)
}

/// The `.sql` files directly in a folder, sorted.
fn sql_files(dir: &Path) -> Result<Vec<PathBuf>, QueryError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sql") && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    };
    list().map_err(|source| QueryError::Unreadable { path: dir.to_owned(), source })
}
