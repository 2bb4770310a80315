//! The whole of a file, and every way to get one wrong.

use std::path::Path;

use super::*;

const WHOLE: &str = r#"
accounts = ["111122223333", "444455556666"]

[[trusted]]
name = "MongoDB Atlas"
accounts = ["536727724300"]
principals = ["arn:aws:iam::536727724300:role/*"]

[[key]]
keys = ["alias/payroll", "tag:team=pay"]
owner = "pay office"
decryptors = ["arn:aws:iam::111122223333:role/hr-*"]
services = ["secretsmanager.amazonaws.com", "direct"]
rotation_days = 365

[[accept]]
detector = "rotation-disabled"
key = "arn:aws:kms:*:111122223333:key/*"
reason = "rotated by hand"
until = 2026-12-31

[detectors.unused-key]
days = 180
"#;

fn parsed(text: &str) -> Result<Expectations, String> {
    parse::parse(text, Path::new("keytrail.toml")).map_err(|error| error.to_string())
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_whole_file_is_read() {
    let read = parsed(WHOLE).unwrap();
    assert_eq!(read.accounts, ["111122223333", "444455556666"]);
    assert_eq!((read.trusted[0].name.as_str(), &read.trusted[0].keys), ("MongoDB Atlas", &None));
    let key = &read.keys[0];
    assert_eq!((key.line, key.keys.len(), key.rotation_days, &key.assets), (9, 2, Some(365), &None));
    let days = &read.params["unused-key"]["days"];
    assert_eq!((days.value.as_str(), days.line), ("180", 23));
    for (name, table) in tables(&read).unwrap() {
        assert!(table.num_rows() > 0, "{name}");
        let none = tables(&Expectations::default()).unwrap();
        let empty = none.iter().find(|(other, _)| *other == name).unwrap();
        assert_eq!((empty.1.num_rows(), empty.1.schema()), (0, table.schema()), "{name}");
    }
}

#[test]
fn an_acceptance_holds_to_the_end_of_its_day_and_for_what_it_names() {
    let read = parsed(WHOLE).unwrap();
    let key = Some("arn:aws:kms:eu-west-1:111122223333:key/1");
    let holds = |detector, key, when| read.acceptance(detector, key, None, at(when)).is_some();
    assert!(holds("rotation-disabled", key, "2026-12-31T23:59:59Z"));
    assert!(!holds("rotation-disabled", key, "2027-01-01T00:00:00Z"));
    assert!(!holds("key-disabled", key, "2026-06-01T00:00:00Z"));
    assert!(!holds("rotation-disabled", Some("arn:aws:kms:eu-west-1:444455556666:key/1"), "2026-06-01T00:00:00Z"));
    assert!(!holds("rotation-disabled", None, "2026-06-01T00:00:00Z"));
}

#[test]
fn every_fault_names_its_line() {
    for (line, text, told) in [
        (10, WHOLE.replace("keys = [\"alias", "key = [\"alias"), "unknown field `key`"),
        (2, WHOLE.replace("\"111122223333\"", "\"1111\""), "twelve digits"),
        (12, WHOLE.replace("[\"arn:aws:iam::111122223333:role/hr-*\"]", "[\"hr-*\"]"), "matches no principal"),
        (14, WHOLE.replace("365", "0"), "at least 1"),
        (20, WHOLE.replace("2026-12-31", "2026-02-31"), ""),
        (20, WHOLE.replace("2026-12-31", "2026-13-01"), ""),
        (20, WHOLE.replace("2026-12-31", "\"soon\""), ""),
        (19, WHOLE.replace("\"rotated by hand\"", "\" \""), "`reason` is empty"),
        (16, WHOLE.replace("reason = \"rotated by hand\"\n", ""), "missing field `reason`"),
        (10, WHOLE.replace("[\"alias/payroll\", \"tag:team=pay\"]", "[]"), "names no key"),
        (23, WHOLE.replace("180", "[1]"), "a number"),
        (18, WHOLE.replace("\"arn:aws:kms:*:111122223333:key/*\"", "\"alias/x\""), "by its ARN"),
    ] {
        let error = parsed(&text).unwrap_err();
        let begin = format!("keytrail.toml:{line}: ");
        assert!(error.starts_with(&begin) && error.contains(told), "wanted {begin}{told}, got {error}");
    }
}

#[test]
fn patterns_match_as_a_whole() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("a*c", "abbbc", true),
        ("a*c", "abbbcd", false),
        ("*b*b*", "abab", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("", "a", false),
        ("A", "a", false),
        ("*:role/hr-*", "arn:aws:iam::1:role/x:role/hr-1", true),
    ] {
        assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
    }
}
