//! The inventory's file: what is taken as it comes, what is unknown, and what is complained of.

use std::fs;

use serde_json::{Value, json};

use super::{said, warnings};
use crate::support::{Dir, Ran};

const REGION: &str = "eu-west-1";

fn arn(id: &str) -> String {
    format!("arn:aws:kms:{REGION}:111122223333:key/{id}")
}

fn read(dir: &Dir, text: &str, code: i32) -> Ran {
    fs::write(dir.join("inventory.json"), text).unwrap();
    dir.keytrail(["inventory", "--from", "inventory.json"]).code(code)
}

fn key(text: &str) -> Value {
    let dir = Dir::new();
    read(&dir, text, 0);
    let mut rows = dir.sql("SELECT * FROM keys");
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

#[test]
fn what_the_command_line_and_jq_write_is_read_in_every_form() {
    let columns = ["state", "creation_date", "aliases", "tags", "rotation_enabled", "rotation_period_days", "policy"];
    let policy = "{\"Statement\":[]}";
    let expected = json!(["Enabled", "2026-01-05T12:00:00.500Z", ["alias/a", "alias/b"], {"k": "v"}, true, 180, {"Statement": []}]);
    let newer = json!([{"Arn": arn("a"), "KeyState": "Enabled", "CreationDate": "2026-01-05T13:00:00.500000+01:00",
        "Aliases": ["alias/b", "alias/a"], "Tags": {"k": "v"}, "RotationEnabled": true, "RotationPeriodInDays": 180,
        "Policy": policy}]);
    let older = json!({"Keys": [{"KeyMetadata": {"Arn": arn("a"), "KeyState": "Enabled", "CreationDate": 1_767_614_400.5},
        "Aliases": [{"AliasName": "alias/a", "TargetKeyId": "a"}, {"AliasName": "alias/b"}],
        "Tags": [{"TagKey": "k", "TagValue": "v"}], "KeyRotationEnabled": true, "RotationPeriodInDays": 180,
        "Policy": {"Statement": []}}]});
    for file in [newer.to_string(), format!("\u{feff}\n{older:#}")] {
        assert_eq!(said(&key(&file), &columns), expected, "{file}");
    }
}

#[test]
fn what_is_absent_or_null_is_unknown_and_an_empty_list_is_none() {
    let parts = ["metadata", "aliases", "tags", "rotation", "policy", "grants", "last_usage"];
    let columns = ["state", "aliases", "tags", "rotation_enabled", "policy", "grants", "last_usage_time"];
    for file in [
        json!([{"Arn": arn("a")}]),
        json!([{"Arn": arn("a"), "KeyState": null, "Aliases": null, "Tags": null, "RotationEnabled": null, "Policy": null,
            "Grants": null, "LastUsage": null}]),
        // What `jq` makes of a call that failed must not pass for "never used".
        json!([{"Arn": arn("a"), "LastUsage": {}}]),
    ] {
        let row = key(&file.to_string());
        assert_eq!(said(&row, &columns), json!([null, null, null, null, null, null, null]));
        let unknown = &said(&row, &["unknown_fields"])[0];
        assert!(parts.iter().all(|part| unknown[part].as_str().unwrap().ends_with(": not in the file")), "{unknown}");
    }
    let none = json!([{"Arn": arn("a"), "KeyState": "Enabled", "Aliases": [], "Tags": [], "RotationEnabled": false,
        "Policy": "{}", "Grants": [], "LastUsage": {"KeyLastUsage": {}, "TrackingStartDate": "2026-04-23T00:00:00Z"}}]);
    let row = key(&none.to_string());
    assert_eq!(said(&row, &columns), json!(["Enabled", [], {}, false, {}, [], null]));
    assert_eq!(said(&row, &["tracking_start", "unknown_fields"]), json!(["2026-04-23T00:00:00Z", null]));
}

#[test]
fn what_the_file_leaves_out_is_told_and_is_no_failure() {
    let dir = Dir::new();
    let file =
        json!([{"Arn": arn("a"), "KeyState": "Enabled", "Aliases": []}, {"Arn": arn("b"), "Aliases": ["alias/b"]}]);
    let ran = read(&dir, &file.to_string(), 0);
    assert!(ran.stdout().starts_with("2 keys in 1 Region, 1 alias, trails unknown; taken at "), "{}", ran.stdout());
    assert_eq!(warnings(&ran), [""; 0]);
    assert!(
        ran.stderr().contains("note: grants unknown for 2 keys: kms:ListGrants: not in the file\n"),
        "{}",
        ran.stderr()
    );
    assert!(ran.stderr().contains("note: metadata unknown for 1 key: kms:DescribeKey: not in the file\n"));
}

#[test]
fn a_wrong_entry_is_named_and_its_neighbours_are_read() {
    let dir = Dir::new();
    let file = json!({
        "Keys": [
            {"Arn": arn("good"), "KeyState": "Enabled", "Newcomer": {"a": [1]}},
            {"Arn": arn("late"), "CreationDate": "yesterday", "KeyState": "Enabled"},
            {"KeyId": "nameless"},
            7,
            {"Arn": "arn:aws:kms:eu-west-1:111122223333:alias/a"},
            {"Arn": arn("odd"), "Grants": "none"},
            {"Arn": arn("odder"), "Tags": [{"Key": "k"}]},
            {"Arn": arn("good"), "KeyState": "Disabled"},
            {"Arn": arn("last"), "Grants": [{"GrantId": "g", "CreationDate": 1_767_614_400, "Operations": ["Decrypt"], "Later": 1}]},
        ],
        "Trails": [
            {"TrailARN": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/t", "Name": "t", "IsLogging": false},
            {"Name": "nameless"},
        ],
    });
    let ran = read(&dir, &file.to_string(), 3);
    let place = |index: usize, id: &str| format!("warning: Keys[{index}] {}", arn(id));
    assert_eq!(
        warnings(&ran),
        [
            format!(
                "{}: CreationDate: invalid value: string \"yesterday\", expected a time, as RFC 3339 with an offset or as seconds since 1970",
                place(1, "late")
            ),
            "warning: Keys[2]: it has no `Arn`".to_owned(),
            "warning: Keys[3]: it is not an object".to_owned(),
            "warning: Keys[4] arn:aws:kms:eu-west-1:111122223333:alias/a: `Arn` is not the ARN of a key".to_owned(),
            format!(
                "{}: Grants: invalid type: string \"none\", expected a sequence; give what list-grants prints",
                place(5, "odd")
            ),
            format!(
                "{}: Tags: neither an object of texts nor a list of `TagKey` and `TagValue`; give an object, or what list-resource-tags prints",
                place(6, "odder")
            ),
            format!("{}: an earlier entry is about it", place(7, "good")),
            "warning: Trails[1]: it has no `TrailARN`".to_owned(),
        ]
    );
    let keys = dir.sql("SELECT key_id, state, grants FROM keys ORDER BY key_id");
    assert_eq!(keys.len(), 2);
    assert_eq!(said(&keys[0], &["key_id", "state", "grants"]), json!(["good", "Enabled", null]));
    let grant = json!([{"GrantId": "g", "CreationDate": "2026-01-05T12:00:00Z", "Operations": ["Decrypt"]}]);
    assert_eq!(said(&keys[1], &["key_id", "state", "grants"]), json!(["last", null, grant]));
    let listed = dir.sql("SELECT region, keys, trails, unknown_fields FROM inventories");
    assert_eq!(listed, [json!({"region": REGION, "keys": 2, "trails": 1, "unknown_fields": null})]);
    let trails = dir.sql("SELECT name, is_logging, kms_captured, unknown_fields FROM trails");
    let unknown = json!({"event_selectors": "cloudtrail:GetEventSelectors: not in the file"});
    assert_eq!(
        said(&trails[0], &["name", "is_logging", "kms_captured", "unknown_fields"]),
        json!(["t", false, null, unknown])
    );
}

#[test]
fn what_is_no_inventory_is_refused_and_leaves_nothing_behind() {
    for (text, why) in [
        ("", "EOF while parsing a value"),
        ("{}", "it has neither `Keys` nor `Trails`"),
        ("{\"Keys\": 7}", "invalid type: integer `7`, expected a sequence"),
        ("[{\"Arn\": ", "EOF while parsing"),
        ("keys", "expected value"),
    ] {
        let dir = Dir::new();
        let ran = read(&dir, text, 2);
        assert!(ran.stderr().starts_with("error: inventory.json is no inventory: "), "{}", ran.stderr());
        assert!(ran.stderr().contains(why), "{}", ran.stderr());
        assert!(!dir.lake().exists());
    }
    let dir = Dir::new();
    let ran = dir.keytrail(["inventory", "--from", "absent.json"]).code(2);
    assert!(ran.stderr().starts_with("error: cannot read absent.json\n"), "{}", ran.stderr());
    dir.keytrail(["inventory", "--from", "absent.json", "--region", "eu-west-1"]).code(2);
}

#[test]
fn a_lake_of_nothing_but_an_inventory_can_be_asked() {
    let dir = Dir::new();
    read(&dir, &json!([{"Arn": arn("a"), "Aliases": ["alias/a"]}]).to_string(), 0);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM usage"), [json!({"n": 0})]);
    read(&dir, "[]", 0);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM keys"), [json!({"n": 1})]);
    dir.keytrail(["maintain"]).ok();
}

#[test]
fn a_key_that_no_event_speaks_of_is_known_by_the_names_that_the_inventory_has() {
    let dir = Dir::new();
    read(&dir, &json!([{"Arn": arn("a"), "Aliases": ["alias/idle", "alias/idle2"]}]).to_string(), 0);
    for name in ["alias/idle", "idle2", arn("a").as_str(), &format!("arn:aws:kms:{REGION}:111122223333:alias/idle")] {
        let ran = dir.keytrail(["who", name]).ok();
        assert_eq!(ran.stderr(), format!("note: the lake knows {name}, but holds no use of it\n"));
    }
    for name in ["alias/idl", "alias/id*", &format!("arn:aws:kms:{REGION}:999999999999:alias/idle")] {
        let ran = dir.keytrail(["who", name]).code(2);
        assert!(ran.stderr().starts_with("error: no event in this lake speaks of the key"), "{}", ran.stderr());
    }
}

#[test]
fn a_file_is_dated_by_when_it_was_written() {
    let dir = Dir::new();
    let file = dir.join("inventory.json");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_hours(20_458 * 24);
    fs::write(
        &file,
        json!({"Keys": [], "Trails": [{"TrailARN": format!("arn:aws:cloudtrail:{REGION}:111122223333:trail/t")}]})
            .to_string(),
    )
    .unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    dir.keytrail(["inventory", "--from", "inventory.json"]).ok();
    assert_eq!(dir.sql("SELECT DISTINCT taken_at FROM trails")[0]["taken_at"], "2026-01-05T00:00:00Z");
}
