//! What people have: the outputs of `aws kms` and `aws cloudtrail` as they are, one by one or in a folder.

use std::fs;

use serde_json::{Value, json};

use super::{said, warnings};
use crate::support::{Dir, Ran, decrypt, with};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";
const ONE: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "0987dcba-09fe-87dc-65ba-ab0987654321";

fn arn(id: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}")
}

fn trail(name: &str) -> String {
    format!("arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{name}")
}

fn list_keys() -> Value {
    let key = |id: &str| json!({"KeyId": id, "KeyArn": arn(id)});
    json!({"Keys": [key(ONE), key(OTHER)]})
}

fn describe_key(id: &str) -> Value {
    json!({"KeyMetadata": {"AWSAccountId": ACCOUNT, "KeyId": id, "Arn": arn(id), "CreationDate": "2025-03-01T10:00:00.250000+01:00",
        "Enabled": true, "Description": "", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false}})
}

fn alias(name: &str, target: Option<&str>) -> Value {
    let mut alias = json!({"AliasName": name, "AliasArn": format!("arn:aws:kms:{REGION}:{ACCOUNT}:{name}")});
    if let Some(target) = target {
        alias["TargetKeyId"] = target.into();
    }
    alias
}

fn describe_trails() -> Value {
    json!({"trailList": [{"Name": "main", "S3BucketName": "b", "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": false, "HomeRegion": REGION, "TrailARN": trail("main"), "LogFileValidationEnabled": true,
        "HasCustomEventSelectors": true, "HasInsightSelectors": false, "IsOrganizationTrail": false}]})
}

/// Reads these files, as a folder.
fn read(dir: &Dir, files: &[(&str, Value)], code: i32) -> Ran {
    for (name, value) in files {
        let path = dir.join("outputs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.as_str().map_or_else(|| format!("{value:#}\n"), str::to_owned)).unwrap();
    }
    dir.keytrail(["inventory", "--from", "outputs"]).code(code)
}

fn keys(dir: &Dir, columns: &[&str]) -> Vec<Value> {
    dir.sql("SELECT * FROM keys ORDER BY key_arn DESC").iter().map(|row| said(row, columns)).collect()
}

#[test]
fn list_keys_alone_gives_keys_of_which_nothing_else_is_known() {
    let dir = Dir::new();
    fs::write(dir.join("list-keys.json"), list_keys().to_string()).unwrap();
    let ran = dir.keytrail(["inventory", "--from", "list-keys.json"]).ok();
    assert!(ran.stdout().starts_with("2 keys in 1 Region, aliases unknown, trails unknown"), "{}", ran.stdout());
    for row in dir.sql("SELECT * FROM keys") {
        let nulls = said(&row, &["state", "enabled", "key_manager", "aliases", "grants", "policy", "last_usage_time"]);
        assert_eq!(nulls, json!([null, null, null, null, null, null, null]));
        assert_eq!(said(&row, &["unknown_fields"])[0].as_object().unwrap().len(), 7);
    }
    let listed = dir.sql("SELECT keys, trails FROM inventories");
    assert_eq!(listed, [json!({"keys": 2, "trails": null})]);
    // What is not known is no reason to delete anything.
    dir.log("a.json", &[with(decrypt("a"), "eventTime", "2026-01-05T12:00:00Z")]);
    dir.ingest("logs");
    let verdict = dir.keytrail(["check-deletion", &arn(OTHER)]).format("json").code(3).json();
    assert!(verdict.to_string().contains("\"unknown\""), "{verdict}");
}

/// An archive, or `cp -p`, gives two files one time.
#[test]
fn a_file_of_the_same_time_that_knows_more_is_believed_and_one_of_another_key_takes_no_trails_away() {
    let dir = Dir::new();
    let read_at = |name: &str, value: &Value, at: &str| {
        fs::write(dir.join(name), value.to_string()).unwrap();
        let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
        fs::File::options().write(true).open(dir.join(name)).unwrap().set_modified(at.into()).unwrap();
        dir.keytrail(["inventory", "--from", name]).ok().stdout()
    };
    let key = |state: Option<&str>| {
        let mut key = json!({"Arn": arn(ONE)});
        if let Some(state) = state {
            key["KeyState"] = state.into();
        }
        json!({"Keys": [key], "Trails": []})
    };
    for (first, second) in [(None, Some("Enabled")), (Some("Disabled"), None)] {
        let at = if first.is_none() { "2026-01-05T12:00:00Z" } else { "2026-01-06T12:00:00Z" };
        read_at("a.json", &key(first), at);
        read_at("a.json", &key(second), at);
        let known = dir.sql("SELECT state FROM key_inventory");
        assert_eq!(known, [json!({"state": first.or(second)})]);
    }
    let told = read_at("b.json", &describe_key(OTHER), "2026-01-06T13:00:00Z");
    assert!(told.contains("trails unknown"), "{told}");
    let asked = ["query", "deletion-keys", "--param", "since=2026-01-01", "--param"];
    let rows = dir.keytrail(asked).args([format!("key_id={ONE}")]).format("ndjson").ok().ndjson();
    assert_eq!(rows[0]["trails_listed_at"], "2026-01-06T12:00:00Z");
}

#[test]
fn a_folder_of_outputs_is_one_inventory() {
    let dir = Dir::new();
    let grant = json!({"KeyId": arn(ONE), "GrantId": "g", "GranteePrincipal": "arn:aws:iam::111122223333:role/r",
        "CreationDate": "2026-01-05T12:00:00Z", "IssuingAccount": ACCOUNT, "Operations": ["Decrypt"]});
    let usage = json!({"KeyId": arn(ONE), "KeyLastUsage": {"Operation": "Decrypt", "Timestamp": "2026-05-02T09:00:00Z",
        "CloudTrailEventId": "e", "KmsRequestId": "r"}, "TrackingStartDate": "2026-04-23T00:00:00Z"});
    let aliases = [alias("alias/b", Some(ONE)), alias("alias/a", Some(ONE)), alias("alias/aws/s3", None)];
    let ran = read(
        &dir,
        &[
            ("list-keys.json", list_keys()),
            (&format!("describe-{ONE}.json"), describe_key(ONE)),
            ("list-aliases.json", json!({"Aliases": aliases})),
            (&format!("policy-{ONE}.json"), json!({"Policy": "{\"Statement\":[]}", "PolicyName": "default"})),
            ("grants.json", json!({"Grants": [grant], "Truncated": false})),
            (&format!("{ONE}/tags.json"), json!({"Tags": [{"TagKey": "k", "TagValue": "v"}], "Truncated": false})),
            ("rotation.json", json!({"KeyRotationEnabled": true, "KeyId": ONE, "RotationPeriodInDays": 365})),
            ("usage.json", usage),
            ("trails.json", describe_trails()),
            ("trail-status.json", json!({"IsLogging": true, "LatestDeliveryTime": "2026-05-02T09:05:00Z"})),
            (
                "selectors.json",
                json!({"TrailARN": trail("main"), "EventSelectors": [{"ReadWriteType": "All",
                "IncludeManagementEvents": true, "DataResources": [], "ExcludeManagementEventSources": []}]}),
            ),
            ("README.md", "about these files".into()),
        ],
        0,
    );
    assert!(ran.stderr().contains("note: 1 file that is not JSON was passed over: README.md"), "{}", ran.stderr());
    let columns = [
        "key_id",
        "state",
        "creation_date",
        "aliases",
        "tags",
        "rotation_period_days",
        "policy",
        "last_usage_event_id",
        "unknown_fields",
    ];
    assert_eq!(
        keys(&dir, &columns),
        [
            json!([ONE, "Enabled", "2025-03-01T09:00:00.250Z", ["alias/a", "alias/b"], {"k": "v"}, 365, {"Statement": []}, "e", null]),
            // All aliases are listed, and none names it.
            json!([OTHER, null, null, [], null, null, null, null, {
                "grants": "kms:ListGrants: not in the file", "last_usage": "kms:GetKeyLastUsage: not in the file",
                "metadata": "kms:DescribeKey: not in the file", "policy": "kms:GetKeyPolicy: not in the file",
                "rotation": "kms:GetKeyRotationStatus: not in the file", "tags": "kms:ListResourceTags: not in the file"}]),
        ]
    );
    assert_eq!(keys(&dir, &["grants"])[0][0][0]["GrantId"], "g");
    let trails = dir.sql("SELECT * FROM trails");
    assert_eq!(trails.len(), 1);
    assert_eq!(
        said(&trails[0], &["name", "is_logging", "latest_delivery_time", "kms_captured", "unknown_fields"]),
        json!(["main", true, "2026-05-02T09:05:00Z", true, null])
    );
    let listed = dir.sql("SELECT region, keys, trails FROM inventories");
    assert_eq!(listed, [json!({"region": REGION, "keys": 2, "trails": 1})]);
}

/// Nothing is made of what an output does not say.
#[test]
fn what_the_outputs_do_not_say_stays_unknown() {
    let dir = Dir::new();
    let describe = (&*format!("describe-{ONE}.json"), describe_key(ONE));
    read(
        &dir,
        &[
            describe,
            // The aliases of one key, which says nothing of another.
            ("aliases.json", json!({"Aliases": [alias("alias/a", Some(ONE))]})),
            (&format!("describe-{OTHER}.json"), describe_key(OTHER)),
            // Of which Region they were asked for does not show: a trail of all Regions shows in each.
            (
                "trails.json",
                json!({"trailList": [{"Name": "org", "IsMultiRegionTrail": true, "HomeRegion": REGION,
                "TrailARN": trail("org")}]}),
            ),
        ],
        0,
    );
    assert_eq!(keys(&dir, &["key_id", "aliases"]), [json!([ONE, ["alias/a"]]), json!([OTHER, null])]);
    let trails = dir.sql("SELECT is_logging, event_selectors, kms_captured FROM trails");
    assert_eq!(trails, [json!({"is_logging": null, "event_selectors": null, "kms_captured": null})]);
    // Two keys were described, and nobody listed which there are, nor which trails.
    assert_eq!(dir.sql("SELECT keys, trails FROM inventories"), [json!({"keys": null, "trails": null})]);
}

/// What is listed of one account is not listed of another, whatever Region they are in.
#[test]
fn a_list_is_of_its_own_account() {
    let dir = Dir::new();
    let other = arn(OTHER).replace(ACCOUNT, "444455556666");
    let mut describe = describe_key(OTHER);
    describe["KeyMetadata"]["Arn"] = other.as_str().into();
    let mut cut = describe_trails();
    cut["trailList"][0]["TrailARN"] = trail("main").replace(ACCOUNT, "777788889999").into();
    cut["NextToken"] = "x".into();
    let files = [
        ("a/list-keys.json", list_keys()),
        ("a/describe-trails.json", describe_trails()),
        ("b/describe-key.json", describe),
        ("c/own.json", json!({"Keys": [{"Arn": arn(ONE).replace(ACCOUNT, "555566667777")}]})),
        ("d/describe-trails.json", cut),
    ];
    let ran = read(&dir, &files, 3);
    assert_eq!(
        warnings(&ran),
        [
            "warning: d/describe-trails.json: the list is truncated: rerun the command without --max-items or --no-paginate"
        ]
    );
    let known = dir.sql("SELECT account_id, keys, trails FROM inventories ORDER BY account_id");
    assert_eq!(
        known.iter().map(|row| said(row, &["account_id", "keys", "trails"])).collect::<Vec<_>>(),
        [
            json!([ACCOUNT, 2, 1]),
            json!(["444455556666", null, null]),
            json!(["555566667777", 1, null]),
            json!(["777788889999", null, null]),
        ]
    );
}

#[test]
fn an_output_that_names_no_key_is_of_the_key_that_its_folder_describes() {
    let dir = Dir::new();
    read(
        &dir,
        &[
            ("payroll/describe-key.json", describe_key(ONE)),
            ("payroll/list-grants.json", json!({"Grants": []})),
            ("payroll/policy.json", json!({"Version": "2012-10-17", "Statement": []})),
            ("other/describe-key.json", describe_key(OTHER)),
            ("other/list-grants.json", json!({"Grants": [], "Truncated": false})),
        ],
        0,
    );
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    assert_eq!(keys(&dir, &["key_id", "grants", "policy"]), [json!([ONE, [], policy]), json!([OTHER, [], null])]);
}

#[test]
fn what_cannot_be_used_of_a_folder_is_named_and_the_rest_is_read() {
    let dir = Dir::new();
    let cut = json!({"Grants": [], "Truncated": true, "NextMarker": "x"});
    let ran = read(
        &dir,
        &[
            ("list-keys.json", list_keys()),
            ("a-policy.json", json!({"Policy": "{}"})),
            ("b-empty.json", "".into()),
            ("c-unknown.json", json!({"StackSummaries": []})),
            (&format!("d-{ONE}.json"), cut),
            ("e-missing.json", json!({"KeyRotationEnabled": true, "KeyId": "00000000-0000-0000-0000-000000000000"})),
            ("f-status.json", json!({"IsLogging": true})),
            (&format!("g-{ONE}.json"), json!({"Tags": [{"TagKey": "k", "TagValue": "v"}]})),
            (&format!("h-{ONE}.json"), json!({"Tags": []})),
            ("i-misspelt.json", json!({"KeyMetdata": {}})),
        ],
        3,
    );
    let expected = [
        "a-policy.json: it does not say which key it is about: put the key's id into the name of the file or its folder, or the key's describe-key output into the same folder",
        "b-empty.json: EOF while parsing a value: it is empty, the command that wrote it has probably failed",
        "c-unknown.json: it has neither `Keys` nor `Trails`, and is not a known output of `aws kms` or `aws cloudtrail`; `keytrail inventory --template` shows the form",
        &format!("d-{ONE}.json: the list is truncated: rerun the command without --max-items or --no-paginate"),
        "e-missing.json: no key of the id 00000000-0000-0000-0000-000000000000 is named: add what list-keys or describe-key prints",
        "f-status.json: it does not say which trail it is about: put the trail's name into the name of the file or of its folder",
        &format!("h-{ONE}.json: `Tags` is given twice, with different values"),
        "i-misspelt.json: there is no `KeyMetdata`; did you mean `KeyMetadata`?",
    ];
    assert_eq!(warnings(&ran), expected.map(|line| format!("warning: {line}")));
    assert_eq!(keys(&dir, &["key_id", "tags", "grants"]), [json!([ONE, {"k": "v"}, null]), json!([OTHER, null, null])]);
}

#[test]
fn a_misspelt_field_is_an_error_that_names_the_nearest() {
    let dir = Dir::new();
    let file = json!({"Keys": [
        {"Arn": arn(ONE), "Enabld": true},
        {"Arn": arn(OTHER), "KeyState": "Enabled", "Grants": [{"GrantId": "g", "GranteePrincpal": "p", "Operations": []}]},
    ], "Trails": [{"TrailARN": trail("main"), "IsLoging": true}]});
    fs::write(dir.join("inventory.json"), file.to_string()).unwrap();
    let ran = dir.keytrail(["inventory", "--from", "inventory.json"]).code(3);
    assert_eq!(
        warnings(&ran),
        [
            format!("warning: Keys[0] {}: there is no `Enabld`; did you mean `Enabled`?", arn(ONE)),
            format!(
                "warning: Keys[1] {}: Grants: there is no `GranteePrincpal`; did you mean `GranteePrincipal`?",
                arn(OTHER)
            ),
            format!("warning: Trails[0] {}: there is no `IsLoging`; did you mean `IsLogging`?", trail("main")),
        ]
    );
    assert_eq!(dir.sql("SELECT count(*) AS n FROM keys"), [json!({"n": 0})]);
    for (text, meant) in [("{\"Kyes\": []}", "Keys"), ("{\"Keys\": [], \"Trials\": []}", "Trails")] {
        fs::write(dir.join("inventory.json"), text).unwrap();
        let ran = dir.keytrail(["inventory", "--from", "inventory.json"]).code(2);
        assert!(ran.stderr().contains(&format!("did you mean `{meant}`?")), "{}", ran.stderr());
    }
}

#[test]
fn the_template_is_itself_an_inventory() {
    let dir = Dir::new();
    let template = dir.keytrail(["inventory", "--template"]).ok().stdout();
    assert!(!dir.lake().exists());
    fs::write(dir.join("inventory.json"), template).unwrap();
    let account = dir.keytrail(["inventory", "--from", "inventory.json"]).format("json").ok().json();
    assert_eq!((&account["keys"], &account["trails"], &account["unknown"]), (&json!(1), &json!(1), &json!([])));
    dir.keytrail(["inventory"]).code(2);
    dir.keytrail(["inventory", "--template", "--from", "inventory.json"]).code(2);
}

/// What several files say was true when the oldest of them was written.
#[test]
fn a_folder_is_dated_by_its_oldest_file() {
    let dir = Dir::new();
    let old = "old/list-keys.json";
    read(&dir, &[(old, list_keys()), ("new.json", describe_key(ONE))], 0);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_hours(20_458 * 24);
    fs::File::options().write(true).open(dir.join("outputs").join(old)).unwrap().set_modified(long_ago).unwrap();
    dir.keytrail(["inventory", "--from", "outputs"]).ok();
    let taken = dir.sql("SELECT min(taken_at) AS at FROM keys");
    assert_eq!(taken, [json!({"at": "2026-01-05T00:00:00Z"})]);

    // What was passed over says nothing, and dates nothing.
    let read_me = dir.join("outputs/README");
    fs::write(&read_me, "notes").unwrap();
    fs::File::options().write(true).open(read_me).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    dir.keytrail(["inventory", "--from", "outputs"]).ok();
    assert_eq!(dir.sql("SELECT min(taken_at) AS at FROM keys"), taken);
}
