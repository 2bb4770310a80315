//! Every query there is: those compiled into the binary, and those in a user's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::near;
use super::{Kind, Query, QueryError};

/// Kind, name and text of each file under `queries/`, as `build.rs` found them.
const SHIPPED: &[(Kind, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped_queries.rs"));

/// What the folder of the questions was called before.
const FORMER_FOLDER: &str = "reports";

/// A file of the user's own that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What it was to be.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// File, line and fault.
    pub why: String,
}

/// A set of queries by name.
///
/// Views have names of their own, so that the question about `coverage` may be called as the view that it reads. All
/// others share one set of names.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// In dependency order.
    views: Vec<Query>,
    /// By name, all that are no views.
    others: BTreeMap<String, Query>,
    broken: Vec<Broken>,
}

impl Catalog {
    /// The queries that keytrail is shipped with.
    ///
    /// # Panics
    /// When a shipped file is malformed. A test reads them all, so no build that passed its tests does.
    #[must_use]
    pub fn shipped() -> Catalog {
        let mut catalog = Catalog::default();
        for (kind, name, text) in SHIPPED {
            let added = Query::parse(name, *kind, text).and_then(|query| catalog.add(query));
            added.unwrap_or_else(|error| panic!("a shipped query is malformed: {error}"));
        }
        let circle = catalog.sort();
        assert!(circle.is_empty(), "shipped views read each other in a circle: {circle:?}");
        catalog
    }

    /// Adds a folder of the user's own: the folders of all kinds within it, and `.sql` files directly in it, which are
    /// questions. A file that is malformed, or whose name is taken, is left out and reported by [`broken`]: the others are
    /// of use without it. A shipped query is never replaced: a query of that name would no longer mean what its
    /// documentation says.
    ///
    /// [`broken`]: Catalog::broken
    ///
    /// # Errors
    /// When the folder cannot be read or has no queries, or has some in a folder [`reports`](QueryError::Renamed).
    pub fn with_folder(mut self, dir: &Path) -> Result<Catalog, QueryError> {
        let mut files: Vec<(PathBuf, Kind)> = sql_files(dir)?.into_iter().map(|path| (path, Kind::Question)).collect();
        let old = dir.join(FORMER_FOLDER);
        if old.is_dir() && !sql_files(&old)?.is_empty() {
            return Err(QueryError::Renamed { path: old, folder: Kind::Question.folder() });
        }
        for kind in Kind::ALL {
            let folder = dir.join(kind.folder());
            if folder.is_dir() {
                files.extend(sql_files(&folder)?.into_iter().map(|path| (path, kind)));
            }
        }
        if files.is_empty() {
            let source = io::Error::new(
                io::ErrorKind::NotFound,
                "no .sql file in it, nor in its views, questions, internal or detectors",
            );
            return Err(QueryError::Unreadable { path: dir.to_owned(), source });
        }
        for (path, kind) in files {
            if let Err(error) = read(&path, kind).and_then(|query| self.add(query)) {
                self.broken.push(Broken::new(&path, kind, error));
            }
        }
        let circle = self.sort();
        let error = QueryError::Circle { views: circle.iter().map(|view| view.name.clone()).collect() };
        self.broken.extend(circle.iter().map(|view| Broken {
            kind: Kind::View,
            name: view.name.clone(),
            why: format!("{}: {error}", view.place(None)),
        }));
        Ok(self)
    }

    /// Files of the user's own that cannot be used.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Whether a detector has this name, one that cannot be used included.
    #[must_use]
    pub fn has_detector(&self, name: &str) -> bool {
        let is_broken = |broken: &Broken| broken.kind == Kind::Detector && broken.name == name;
        self.detectors().any(|detector| detector.name == name) || self.broken.iter().any(is_broken)
    }

    /// The views, each after those that it reads.
    pub fn views(&self) -> impl Iterator<Item = &Query> {
        self.views.iter()
    }

    /// The questions, by name.
    pub fn questions(&self) -> impl Iterator<Item = &Query> {
        self.of(Kind::Question)
    }

    /// What only keytrail's own code asks, by name.
    pub fn internal(&self) -> impl Iterator<Item = &Query> {
        self.of(Kind::Internal)
    }

    /// The detectors, by name.
    pub fn detectors(&self) -> impl Iterator<Item = &Query> {
        self.of(Kind::Detector)
    }

    /// The query of this name that is no view, else the view.
    ///
    /// # Errors
    /// When there is none, or it cannot be used; the error names those that look like it.
    pub fn get(&self, name: &str) -> Result<&Query, QueryError> {
        let view = || self.views.iter().find(|view| view.name == name);
        self.others.get(name).or_else(view).ok_or_else(|| {
            if let Some(broken) = self.broken.iter().find(|broken| broken.name == name) {
                return QueryError::Broken { why: broken.why.clone() };
            }
            let names = self.others.keys().chain(self.views.iter().map(|view| &view.name));
            QueryError::UnknownQuery { name: name.to_owned(), near: near(name, names.map(String::as_str)) }
        })
    }

    /// Those of a kind that is not `View`, by name.
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Query> {
        self.others.values().filter(move |query| query.kind == kind)
    }

    fn add(&mut self, query: Query) -> Result<(), QueryError> {
        let taken = match query.kind {
            Kind::View => self.views.iter().any(|view| view.name == query.name),
            Kind::Question | Kind::Internal | Kind::Detector => self.others.contains_key(&query.name),
        };
        if taken {
            let file = format!("{}/{}.sql", query.kind.folder(), query.name);
            return Err(QueryError::Duplicate { file, name: query.name });
        }
        match query.kind {
            Kind::View => self.views.push(query),
            Kind::Question | Kind::Internal | Kind::Detector => drop(self.others.insert(query.name.clone(), query)),
        }
        Ok(())
    }

    /// Sorts the views so that each comes after those that it reads, and takes out those that read each other in a circle.
    fn sort(&mut self) -> Vec<Query> {
        let (ordered, circle) = in_order(std::mem::take(&mut self.views));
        self.views = ordered;
        circle
    }
}

impl Broken {
    fn new(path: &Path, kind: Kind, error: QueryError) -> Self {
        let path_text = path.display();
        let why = match error {
            QueryError::File { line, message, .. } => format!("{path_text}:{line}: {message}"),
            QueryError::Duplicate { name, .. } => {
                format!("{path_text}:1: the name `{name}` is taken already; choose another file name")
            }
            QueryError::Unreadable { source, .. } => format!("{path_text}:1: it cannot be read: {source}"),
            other => other.to_string(),
        };
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self { kind, name, why }
    }
}

/// Sorts views so that each comes after those whose names its statement has as words; among equals, by name. Those that are
/// left over read each other, or one that does.
///
/// A word may also be a column of that name, and then the order is stricter than it need be, never wrong.
fn in_order(mut waiting: Vec<Query>) -> (Vec<Query>, Vec<Query>) {
    waiting.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<String> = waiting.iter().map(|view| view.name.clone()).collect();
        let (ready, blocked): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|view| names.iter().all(|name| *name == view.name || !view.words.contains(name)));
        if ready.is_empty() {
            return (ordered, blocked);
        }
        ordered.extend(ready);
        waiting = blocked;
    }
    (ordered, Vec::new())
}

fn read(path: &Path, kind: Kind) -> Result<Query, QueryError> {
    let unreadable = |source| QueryError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| unreadable(io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8")))?;
    Ok(Query { path: Some(path.to_owned()), ..Query::parse(stem, kind, &text)? })
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
