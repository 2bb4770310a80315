//! Finds the shipped queries, so that nobody registers a file: `queries/FOLDER/*.sql` becomes one sorted
//! list of name and text, included by `src/query/catalog.rs`. It reads names only; the texts are parsed, and
//! their mistakes reported, by the library and its tests.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folder under `queries/` and the variant of `query::Kind` that its files have.
const FOLDERS: [(&str, &str); 4] =
    [("views", "View"), ("questions", "Question"), ("internal", "Internal"), ("detectors", "Detector")];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("queries");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut list = String::from("&[\n");
    for (folder, kind) in FOLDERS {
        for (name, path) in sql_files(&root.join(folder))? {
            writeln!(list, "    (Kind::{kind}, {name:?}, include_str!({:?})),", path.display().to_string())?;
        }
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("shipped_queries.rs"), list)?;
    Ok(())
}

/// Stem and path of each `.sql` file in a folder, sorted by stem; a folder that is not there is empty.
fn sql_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a query's file name is not UTF-8")?;
            files.push((stem.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}
