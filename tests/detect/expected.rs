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
    // Nobody has an open finding here: whoever has one is in a comment.
    let dir = Dir::new();
    let used =
        (0..5).map(|hour| with(at(decrypt(""), &format!("2026-01-06T1{hour}:00:00Z")), "eventID", format!("e{hour}")));
    dir.log("a.json.gz", &used.collect::<Vec<Value>>());
    dir.ingest("logs");
    let learned = dir.keytrail(["expectations", "--learn"]).ok().stdout();
    assert!(learned.contains("decryptors = [\n    \"arn:aws:iam::111122223333:user/alice\",\n]"), "{learned}");
    assert!(learned.contains("services = [\n    \"direct\",\n]"), "{learned}");
    assert!(learned.contains("accounts = [\n    \"111122223333\","), "{learned}");
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

/// A role of another account, whose log is in the lake too, and root, decrypt with a key that alice uses through S3.
fn visited() -> Dir {
    let dir = Dir::new();
    let call = |id: &str, hour: u32| with(at(decrypt(""), &format!("2026-01-06T{hour}:00:00Z")), "eventID", id);
    let mut through_s3 = call("s3", 10);
    through_s3["userIdentity"]["invokedBy"] = "s3.amazonaws.com".into();
    through_s3["sourceIPAddress"] = "s3.amazonaws.com".into();
    let mut visitor = with(call("visit", 11), "sharedEventID", "shared");
    visitor["userIdentity"] = json!({
        "type": "AssumedRole", "principalId": "AROAVISITOR:s", "accountId": "444455556666", "accessKeyId": "ASIAVISITOR",
        "arn": "arn:aws:sts::444455556666:assumed-role/visitor/s",
        "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAVISITOR", "accountId": "444455556666",
            "arn": "arn:aws:iam::444455556666:role/visitor", "userName": "visitor"}},
    });
    let twin = with(with(visitor.clone(), "eventID", "visit-2"), "recipientAccountId", "444455556666");
    let mut root = call("root", 12);
    root["userIdentity"] = json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333",
        "arn": "arn:aws:iam::111122223333:root", "accessKeyId": ""});
    dir.log("owner.json.gz", &[through_s3, visitor, root]);
    dir.log("visitor.json.gz", &[twin]);
    dir.ingest("logs");
    dir
}

#[test]
fn what_is_suspicious_is_learned_as_a_comment_and_expected_by_nobody() {
    let dir = visited();
    let detect = ["detect", "--only", "root-uses-key,foreign-account-decrypts"];
    // Nothing was detected before: it is looked at all the same.
    for _ in 0..2 {
        let learned = dir.keytrail(["expectations", "--learn"]).ok().stdout();
        let line = |part: &str| learned.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{learned}"));
        assert!(line("user/alice").starts_with("    \"arn:"), "{learned}");
        let root = line("111122223333:root");
        assert!(root.starts_with("    # ") && root.contains("# has an open finding: root-uses-key ("), "{root}");
        assert_eq!(
            line("\"444455556666\""),
            "    # \"444455556666\", # is it yours? it decrypted with keys of 111122223333"
        );
        assert!(line("\"direct\"").trim_start().starts_with("\"direct\","), "the visitor has no finding: {learned}");
        let file: toml::Table = learned.parse().unwrap();
        assert_eq!(file["accounts"], toml::Value::try_from(["111122223333"]).unwrap());
        dir.keytrail(detect).ok();
    }
    // Told whose accounts they are, the visitor is a finding, and what only they did is not expected either.
    expects(&dir, "accounts = [\"111122223333\"]\n");
    dir.keytrail(detect).ok();
    let learned = dir.keytrail(["expectations", "--learn"]).ok().stdout();
    let file: toml::Table = learned.parse().unwrap();
    let key = &file["key"][0];
    assert_eq!(
        key["decryptors"],
        toml::Value::try_from(["arn:aws:iam::111122223333:user/alice"]).unwrap(),
        "{learned}"
    );
    assert_eq!(key["services"], toml::Value::try_from(["s3.amazonaws.com"]).unwrap(), "{learned}");
    assert!(
        learned.contains("# \"444455556666\", # has an open finding: foreign-account-decrypts (high)"),
        "{learned}"
    );
    assert!(learned.contains("# \"direct\", # only by who has an open finding"), "{learned}");
}

/// The days that `detect` looks at are looked at, however few are learned from.
#[test]
fn a_finding_from_before_the_days_learned_from_marks_its_principal() {
    let dir = Dir::new();
    let mut policy = with(at(decrypt("policy"), "2026-01-06T10:00:00Z"), "eventName", "PutKeyPolicy");
    policy["readOnly"] = false.into();
    policy["requestParameters"] = json!({"policy": "{}", "bypassPolicyLockoutSafetyCheck": true});
    dir.ingest(dir.log("a.json", &[policy, at(decrypt("use"), "2026-01-20T10:00:00Z")]));
    for since in ["2026-01-19", "2026-01-01"] {
        let learned = dir.keytrail(["expectations", "--learn", "--since", since]).ok().stdout();
        assert!(learned.contains("user/alice\", # has an open finding: policy-lockout-bypassed"), "{since}: {learned}");
    }
}

#[test]
fn that_accounts_are_not_declared_is_told_in_every_form() {
    let dir = visited();
    let why = "counts as ours only because its logs are in the lake";
    let detect = ["detect", "--no-save", "--only", "foreign-account-decrypts"];
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let told = dir.keytrail(detect).format(format).ok().stdout();
        assert!(told.contains(why), "{format}: {told}");
    }
    let said = dir.keytrail(detect).ok().stderr();
    assert!(said.contains("nothing found; 1 detectors evaluated (1 of them not for everything), 0 not"), "{said}");
    for format in ["table", "html"] {
        let told = dir.keytrail(["report", "--no-save"]).format(format).ok().stdout();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(why), "{format}: {told}");
    }
    expects(&dir, "accounts = [\"111122223333\", \"444455556666\"]\n");
    let declared = dir.keytrail(detect).format("json").ok().json();
    assert_eq!((&declared["findings"], &declared["not_evaluated"]), (&json!([]), &json!([])));
}
