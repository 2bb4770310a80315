//! The house rules that a machine can hold.
//!
//! ```text
//! tracked files ─► source (comments, strings and tests told apart) ─► circles · imports · words · tables ─► complaints
//! ```
//!
//! A rule is a function from text to complaints, so that each is shown bad text too: a rule that cannot fail holds
//! nothing. A complaint says where and what to do instead.

mod circles;
mod imports;
mod source;
mod tables;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of these folders with this extension, with its path from the root; sorted.
fn files(folders: &[&str], extension: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Every file below a path, or the path itself if it is one; none where there is nothing.
fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    let made = ["target", "corpus", "artifacts", "coverage", ".git"];
    if path.is_file() {
        found.push(path.to_owned());
    } else if path.is_dir() && !made.iter().any(|name| path.ends_with(name)) {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), found);
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let files = files(folders, "rs");
    assert!(!files.is_empty(), "nothing to hold to the rules in {folders:?}");
    files.into_iter().map(|(path, text)| Source::new(path, &text)).collect()
}

/// Fails with every complaint there is, not with the first.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} against the house rules:\n{}", complaints.len(), complaints.join("\n"));
}
