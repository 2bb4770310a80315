//! A plan's objects as files, with what a user of them needs beside: the answer sheet, and for digests the public key and
//! what a copy of a bucket loses.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::digests::public_keys;
use super::{LogObject, Plan, Truth, generate};

/// Generates the objects of a plan into a folder, with `truth.json` at its top.
///
/// With digests, `public-keys.json` lies beside it, as `aws cloudtrail list-public-keys` prints them, and beside the newest
/// digest of each chain its metadata, as `aws s3api head-object` prints it: no other digest names that one's signature.
/// `progress` is told the number of records written so far, after each object.
///
/// # Errors
///
/// The first file that cannot be written ends the run; the error names it.
pub fn write_folder(plan: &Plan, folder: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<Truth> {
    let mut written = 0;
    let mut newest = BTreeMap::new();
    let truth = generate(plan, &mut |object| {
        write_file(&folder.join(&object.path), &object.gzip)?;
        written += u64::from(object.records);
        progress(written);
        if !object.metadata.is_empty() {
            newest.insert(chain(&object.path), (object.path.clone(), head(&object)));
        }
        Ok(())
    })?;
    for (path, head) in newest.values() {
        write_file(&folder.join(format!("{path}.metadata.json")), &serde_json::to_vec_pretty(head)?)?;
    }
    if plan.digests {
        write_file(&folder.join("public-keys.json"), &serde_json::to_vec_pretty(&public_keys()?)?)?;
    }
    write_file(&folder.join("truth.json"), &serde_json::to_vec_pretty(&truth)?)?;
    Ok(truth)
}

/// What the digests of one chain have in common: their path without the day, their name without the time.
fn chain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let (folders, file) = parts.split_at(parts.len().saturating_sub(4));
    let name = file.last().copied().unwrap_or_default();
    let (name, end) = name.strip_suffix("_backfill.json.gz").map_or((name, ""), |name| (name, "backfill"));
    format!("{}/{}{end}", folders.join("/"), name.rsplit_once('_').map_or(name, |(name, _)| name))
}

fn head(object: &LogObject) -> Value {
    let metadata: Map<String, Value> =
        object.metadata.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))).collect();
    json!({"ContentLength": object.gzip.len(), "ContentType": "application/json", "Metadata": metadata})
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(named)?;
    }
    fs::write(path, content).map_err(named)
}
