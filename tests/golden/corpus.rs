//! Where the real records are, and how to read them. It never writes, and knows nothing of what they mean.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

/// The environment variable that says where the corpus is.
const PLACE: &str = "KEYTRAIL_CORPUS";

/// A file or folder of the corpus. Where it is absent, says that a test is skipped.
pub fn find(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let path = std::env::var_os(PLACE).map_or(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there ({PLACE} may say where it is)", path.display());
    None
}

/// The text of each record in a log object, as it stands there.
pub fn records(path: &Path) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct LogObject {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let mut text = String::new();
    MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let object: LogObject = serde_json::from_str(&text).unwrap();
    object.records.iter().map(|record| record.get().to_owned()).collect()
}

/// Every log object in a folder and in those below it, by name.
pub fn objects(folder: &Path) -> Vec<PathBuf> {
    files(folder, "gz")
}

/// Every file of a folder, at any depth, whose name ends so.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
