//! Other people's programs, by way of Python: engines, servers, validators and browsers that know nothing of keytrail.
//!
//! `KEYTRAIL_PYTHON` names an interpreter that has them (`.ci/run` lists the packages). Without one a test says that it was
//! skipped, unless `KEYTRAIL_REQUIRE_PYTHON=1` makes that a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An interpreter that can import these modules, with commas between.
pub fn python(modules: &str) -> Option<PathBuf> {
    let named = std::env::var_os("KEYTRAIL_PYTHON").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/keytrail/venv/bin/python"));
    let able = |python: &PathBuf| {
        let import = Command::new(python).args(["-c", &format!("import {modules}")]).output();
        import.is_ok_and(|ran| ran.status.success())
    };
    let found = [named, home].into_iter().flatten().find(able);
    if found.is_none() {
        is_missing(&format!("Python with {modules} (KEYTRAIL_PYTHON may name one)"));
    }
    found
}

/// Says that a test is skipped for want of something, or fails where nothing may be wanting.
pub fn is_missing(what: &str) {
    let is_required = std::env::var_os("KEYTRAIL_REQUIRE_PYTHON").is_some_and(|wanted| wanted == "1");
    assert!(!is_required, "no {what}");
    eprintln!("skipped: no {what}");
}
