//! Whatever single object is taken away, it is noticed.

use std::fs;
use std::path::{Path, PathBuf};

use keytrail::evidence::{Outcome, Report};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Signed, problems, uri, verified};

/// Verifies with a file out of the way, and puts it back.
fn without(root: &Path, path: &Path) -> Report {
    let aside = tempfile::tempdir().unwrap();
    let kept = aside.path().join("kept");
    fs::copy(path, &kept).unwrap();
    let changed = fs::metadata(path).unwrap().modified().unwrap();
    fs::remove_file(path).unwrap();
    let report = verified(root);
    fs::copy(&kept, path).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
    report
}

/// Takes away one of these files at a time, of logs that nobody else looks at meanwhile.
fn removed_at_random(
    signed: &Signed,
    paths: &[PathBuf],
    cases: u32,
    noticed: impl Fn(&Path, &Report) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let strategy = 0..paths.len();
    runner.run(&strategy, |at| noticed(&paths[at], &without(signed.path(), &paths[at]))).unwrap();
}

#[test]
fn a_log_that_is_removed_is_named_whichever_it_is() {
    let signed = Signed::new();
    let logs = signed.logs();
    assert!(logs.len() > 40, "{} logs", logs.len());
    removed_at_random(&signed, &logs, 64, |path, report| {
        prop_assert_eq!(report.outcome, Outcome::Invalid);
        let address = uri(path);
        prop_assert_eq!(problems(report), [("missing", address.as_str())]);
        Ok(())
    });
}

#[test]
fn a_digest_that_is_removed_is_noticed_whichever_it_is() {
    let signed = Signed::new();
    let mut digests = signed.files("/CloudTrail-Digest/");
    digests.retain(|path| path.extension() == Some("gz".as_ref()));
    removed_at_random(&signed, &digests, 64, |path, report| {
        prop_assert_ne!(report.outcome, Outcome::Valid);
        let address = uri(path);
        let is_named = problems(report).contains(&("missing", address.as_str()));
        // Nothing names the newest of a chain. That the chain ends before the others do tells of it, or that its logs are
        // named by none, or that the signature of the one before, which it named, is gone with it.
        let is_told =
            report.problems.iter().any(|problem| matches!(problem.state, "ends_early" | "extra" | "unsigned"));
        prop_assert!(is_named || is_told, "{:?}", report.problems);
        Ok(())
    });
}
