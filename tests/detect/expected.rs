//! The expectations file: what is wrong with it, what it accepts, what is learned, and what no longer matches.

use std::fs;

use serde_json::{Value, json};

use crate::evidence::blindness::at;
use crate::support::{Dir, KEY, decrypt, with};

/// A key that its owner disables, after somebody used it.
fn lake() -> Dir {
    let dir = Dir::new();
    let mut disabled = at(decrypt(""), "2026-01-07T10:00:00Z");
    (disabled["eventName"], disabled["readOnly"]) = ("DisableKey".into(), false.into());
    disabled["requestParameters"] = json!({ "keyId": KEY });
    let used =
        (0..5).map(|hour| with(at(decrypt(""), &format!("2026-01-06T1{hour}:00:00Z")), "eventID", format!("e{hour}")));
    let records: Vec<Value> = used.chain([with(disabled, "eventID", "off")]).collect();
    dir.log("a.json.gz", &records);
    dir.ingest("logs");
    dir
}

const WINDOW: [&str; 4] = ["--since", "2026-01-05", "--until", "2026-01-20"];

fn expects(dir: &Dir, text: &str) {
    fs::write(dir.join("keytrail.toml"), text).unwrap();
}

#[test]
fn a_fault_is_an_error_with_file_and_line() {
    let dir = lake();
    for (text, told) in [
        ("accounts = []\n\n[[key]]\nkey = [\"x\"]\n", "keytrail.toml:4: unknown field `key`"),
        (
            "[[accept]]\ndetector = \"key-disabld\"\nreason = \"r\"\nuntil = 2027-01-01\n",
            "keytrail.toml:1: key-disabld is no detector",
        ),
        ("[[accept]]\ndetector = \"key-disabled\"\nreason = \"r\"\nuntil = 2027-02-30\n", "keytrail.toml:4: "),
        ("\n[detectors.key-disabled]\nrecent = 3\n", "keytrail.toml:3: key-disabled has no parameter recent"),
        ("\n[detectors.key-disabled]\nrecent_days = \"x\"\n", "keytrail.toml:3: "),
        ("accounts = [\"1\"\n", "keytrail.toml:"),
    ] {
        expects(&dir, text);
        let ran = dir.keytrail(["detect"]).args(WINDOW).code(2);
        assert!(ran.stderr().contains(told), "wanted {told}, got {}", ran.stderr());
    }
    let ran = dir.keytrail(["--expectations", "nowhere.toml", "detect"]).code(2);
    assert!(ran.stderr().contains("nowhere.toml"), "{}", ran.stderr());
}

#[test]
fn what_is_accepted_is_no_finding_until_its_last_day() {
    let dir = lake();
    let detect = |until: &str| {
        expects(
            &dir,
            &format!("[[accept]]\ndetector = \"key-disabled\"\nkey = \"{KEY}\"\nreason = \"known\"\nuntil = {until}\n"),
        );
        dir.keytrail(["detect", "--only", "key-disabled"]).args(WINDOW).format("json").ok().json()
    };
    let held = detect("2199-12-31");
    assert_eq!((&held["findings"], &held["accepted"][0]["reason"]), (&json!([]), &json!("known")));
    let ended = detect("2026-01-10");
    assert_eq!((&ended["findings"][0]["status"], &ended["accepted"]), (&json!("new"), &json!([])));
}

#[test]
fn what_was_learned_is_a_file_that_is_read_and_that_matches() {
    let dir = lake();
    let learned = dir.keytrail(["expectations", "--learn"]).ok().stdout();
    assert!(learned.contains("decryptors = [\n    \"arn:aws:iam::111122223333:user/alice\",\n]"), "{learned}");
    assert!(
        learned.contains("services = [\n    \"direct\",\n]") && learned.contains("accounts = [\"111122223333\"]"),
        "{learned}"
    );
    expects(&dir, &learned);
    let checked = dir.keytrail(["expectations", "--check"]).format("json").ok().json();
    assert_eq!(checked, json!([]));
}

#[test]
fn what_no_longer_matches_is_told() {
    let dir = lake();
    expects(
        &dir,
        &format!(
            "accounts = [\"111122223333\", \"999999999999\"]\n\n[[trusted]]\nname = \"host\"\naccounts = [\"888888888888\"]\n\n\
             [[key]]\nkeys = [\"{KEY}\", \"alias/nobody\"]\ndecryptors = [\"*:user/alice\", \"*:role/gone\"]\nservices = [\"direct\"]\n\n\
             [[accept]]\ndetector = \"key-disabled\"\nreason = \"r\"\nuntil = 2199-01-01\n"
        ),
    );
    dir.keytrail(["detect", "--only", "key-disabled", "--since", "2026-02-01", "--until", "2026-02-02"]).ok();
    let rows = dir.keytrail(["expectations", "--check"]).format("json").code(1).json();
    let told: Vec<(&str, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["entry"].as_str().unwrap(), row["value"].as_str().unwrap()))
        .collect();
    let mut told = told.clone();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("accept", "key-disabled"),
            ("account", "999999999999"),
            ("decryptor", "*:role/gone"),
            ("key", "alias/nobody"),
            ("trusted", "host 888888888888")
        ]
    );
}
