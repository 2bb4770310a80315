//! What a user of `verify` sees, and how it ends.

use std::ffi::OsStr;
use std::fs;

use super::{SIGNED, Signed, uri};
use crate::support::{Dir, Ran};

fn verify(dir: &Dir, signed: &Signed, keys: &OsStr, code: i32) -> Ran {
    dir.keytrail(["verify".as_ref(), signed.path().as_os_str(), "--public-keys".as_ref(), keys]).code(code)
}

#[test]
fn a_sound_folder_is_told_in_the_lines_of_aws_s_own_validator() {
    let (dir, signed) = (Dir::new(), SIGNED.get());
    let ran = verify(&dir, &signed, signed.path().join("public-keys.json").as_os_str(), 0);
    let logs = signed.logs().len();
    let text = ran.stdout();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("deliveries between 2026-01-04T23:"), "{text}");
    assert!(lines[1].ends_with(" digest files valid"), "{text}");
    let valid = |line: &str| line.split('/').next().unwrap().parse::<usize>().unwrap();
    assert_eq!(valid(lines[3]) + valid(lines[4]), logs, "{text}");
    assert_eq!(lines.len(), 5, "{text}");
    assert!(!dir.lake().exists(), "to verify makes no lake");
}

#[test]
fn a_problem_is_told_with_its_object_and_counted() {
    let (dir, signed) = (Dir::new(), Signed::new());
    let log = &signed.logs()[0];
    fs::remove_file(log).unwrap();
    let text = verify(&dir, &signed, signed.path().join("public-keys.json").as_os_str(), 1).stdout();
    assert!(text.contains(&format!("log {}: MISSING: not found\n", uri(log))), "{text}");
    assert!(text.contains(" log files MISSING\n"), "{text}");
}

#[test]
fn what_cannot_be_judged_is_neither_good_nor_bad_news() {
    let (dir, signed) = (Dir::new(), SIGNED.get());
    let keys = dir.object("keys.json", r#"{"PublicKeyList": []}"#);
    let ran = verify(&dir, &signed, keys.as_os_str(), 3);
    let text = ran.stdout();
    assert!(text.contains("public key not found in region"), "{text}");
    assert!(ran.stderr().contains("with --public-keys, or give credentials"), "{}", ran.stderr());
    let none = Dir::new();
    fs::create_dir(none.join("empty")).unwrap();
    let ran =
        none.keytrail(["verify".as_ref(), OsStr::new("empty"), "--public-keys".as_ref(), keys.as_os_str()]).code(3);
    assert!(ran.stdout().contains("no digest was found: nothing is vouched for"), "{}", ran.stdout());
}

#[test]
fn a_wrong_question_is_a_failure() {
    let (dir, signed) = (Dir::new(), SIGNED.get());
    let keys = dir.object("keys.json", "no keys");
    let told = verify(&dir, &signed, keys.as_os_str(), 2).stderr();
    assert!(told.contains("not what `aws cloudtrail list-public-keys` prints"), "{told}");
    dir.keytrail(["verify", "nowhere", "--public-keys"]).arg(keys).code(2);
}
