//! The inventory of keys and trails: from AWS, from a file, and what is unknown of them.

mod files;
mod http;
mod login;
mod lookup;
mod moto;
mod outputs;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Dir, Keytrail, Ran, Shared};
use moto::{Front, Moto};

const SEED: &str = include_str!("seed.py");
const DUMP: &str = include_str!("dump.py");

/// An AWS with keys and trails of every kind, and the ids of its keys by the names that the script has for them. Tests only
/// ask it. Nothing where there is no moto.
static AWS: Shared<Option<(Moto, Value)>> = Shared::new(|| {
    let moto = Moto::start()?;
    let made = moto.script(&Front::of(&moto, &[]), SEED);
    Some((moto, made))
});
const REGIONS: [&str; 4] = ["--region", "eu-west-1", "--region", "us-east-1"];

fn from_aws(dir: &Dir, front: &Front) -> Keytrail {
    dir.keytrail(["inventory", "--from", "aws"]).env(front.environment())
}

/// The rows of a table without what differs between two runs.
fn rows(dir: &Dir, table: &str) -> Vec<Value> {
    let order = if table == "keys" { "key_arn" } else { "trail_arn" };
    let mut rows = dir.sql(&format!("SELECT * FROM {table} ORDER BY {order}, taken_at"));
    for row in &mut rows {
        for differing in ["taken_at", "source", "latest_delivery_time"] {
            row.as_object_mut().unwrap().remove(differing);
        }
    }
    rows
}

/// Rows of keys by the names that the script which made them gave them.
fn by_name(rows: &[Value], made: &Value, region: &str) -> BTreeMap<String, Value> {
    let named = made.as_object().unwrap().iter().filter_map(|(name, id)| {
        let row = rows.iter().find(|row| row["key_id"] == *id && row["region"] == region)?;
        Some((name.clone(), row.clone()))
    });
    named.collect()
}

/// What a row says of these columns; JSON text is read.
fn said(row: &Value, columns: &[&str]) -> Value {
    let value = |column: &str| {
        let parsed = row[column].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        parsed.filter(|value| value.is_object() || value.is_array()).unwrap_or_else(|| row[column].clone())
    };
    columns.iter().map(|column| value(column)).collect()
}

fn warnings(ran: &Ran) -> Vec<String> {
    ran.stderr().lines().filter(|line| line.starts_with("warning")).map(str::to_owned).collect()
}

#[test]
fn every_kind_of_key_is_read_from_aws_with_all_that_is_said_of_it() {
    let aws = AWS.get();
    let Some((moto, made)) = aws.as_ref() else { return };
    let (dir, front) = (Dir::new(), Front::of(moto, &[]));
    front.use_of(made["payroll"].as_str().unwrap());
    let account = from_aws(&dir, &front).args(REGIONS).format("json").ok().json();
    assert_eq!(
        (&account["keys"], &account["trails"], &account["regions"], &account["source"]),
        (&json!(7), &json!(2), &json!(["eu-west-1", "us-east-1"]), &json!("aws"))
    );
    assert_eq!((&account["unknown"], &account["problems"]), (&json!([]), &json!([])));

    let rows = rows(&dir, "keys");
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|row| row["unknown_fields"].is_null() && row["account_id"] == "123456789012"));
    let (west, east) = (by_name(&rows, made, "eu-west-1"), by_name(&rows, made, "us-east-1"));
    let states = |keys: &BTreeMap<String, Value>| -> Vec<(String, Value)> {
        keys.iter().map(|(name, row)| (name.clone(), row["state"].clone())).collect()
    };
    let expected = [
        ("disabled", "Disabled"),
        ("managed", "Enabled"),
        ("multi", "Enabled"),
        ("payroll", "Enabled"),
        ("pending", "PendingDeletion"),
    ];
    assert_eq!(states(&west), expected.map(|(name, state)| (name.to_owned(), json!(state))));
    assert_eq!(states(&east), [("multi", "Enabled"), ("plain", "Enabled")].map(|(n, s)| (n.to_owned(), json!(s))));

    let payroll = &west["payroll"];
    let columns = ["enabled", "key_manager", "key_usage", "key_spec", "origin", "description", "aliases", "tags"];
    assert_eq!(
        said(payroll, &columns),
        json!([true, "CUSTOMER", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "AWS_KMS", "payroll",
            ["alias/payroll", "alias/salaries"],
            {"tag0": "é 0", "tag1": "é 1", "tag2": "é 2", "tag3": "é 3", "tag4": "é 4"}])
    );
    assert_eq!(said(payroll, &["rotation_enabled", "policy"])[0], true);
    assert_eq!(said(payroll, &["policy"])[0]["Statement"][0]["Principal"], "*");
    let grants = &said(payroll, &["grants"])[0];
    let mut names: Vec<&str> = grants.as_array().unwrap().iter().map(|grant| grant["Name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["first", "second", "third"], "all pages of them");
    assert_eq!(grants[0]["GranteePrincipal"], "arn:aws:iam::123456789012:role/Payroll");
    assert_eq!(grants[0]["Constraints"]["EncryptionContextSubset"]["department"], grants[0]["Name"]);
    let used = ["last_usage_time", "last_usage_operation", "last_usage_event_id", "tracking_start"];
    assert_eq!(
        said(payroll, &used),
        json!(["2026-07-25T17:20:00.250Z", "Decrypt", "a1b2c3d4-0000-1111-2222-333344445555", "2026-04-23T00:00:00Z"])
    );

    let idle = &west["disabled"];
    assert_eq!(said(idle, &["enabled", "aliases", "tags", "grants"]), json!([false, [], {}, []]), "none, and known");
    assert_eq!(said(idle, &used), json!([null, null, null, "2026-04-23T00:00:00Z"]));
    assert!(west["pending"]["deletion_date"].is_string() && idle["deletion_date"].is_null());
    assert_eq!(said(&west["managed"], &["key_manager", "aliases"]), json!(["AWS", ["alias/aws/s3"]]));
    let of_sets = ["multi_region", "multi_region_type", "primary_key_arn", "replica_key_arns"];
    let arn = |region: &str| format!("arn:aws:kms:{region}:123456789012:key/{}", made["multi"].as_str().unwrap());
    for (key, kind) in [(&west["multi"], "PRIMARY"), (&east["multi"], "REPLICA")] {
        assert_eq!(said(key, &of_sets), json!([true, kind, arn("eu-west-1"), [arn("us-east-1")]]));
    }

    let trails = self::rows(&dir, "trails");
    let columns =
        ["name", "home_region", "is_multi_region", "log_file_validation", "prefix", "is_logging", "kms_captured"];
    let trails: Vec<Value> = trails.iter().map(|trail| said(trail, &columns)).collect();
    assert_eq!(
        trails,
        [
            json!(["everything", "eu-west-1", true, true, "all", true, true]),
            json!(["without-kms", "eu-west-1", false, false, null, false, false]),
        ],
        "a trail of all Regions is one trail"
    );
}

#[test]
fn a_file_made_by_other_means_gives_the_same_rows() {
    let aws = AWS.get();
    let Some((moto, made)) = aws.as_ref() else { return };
    let (dir, other, front) = (Dir::new(), Dir::new(), Front::of(moto, &[]));
    front.use_of(made["payroll"].as_str().unwrap());
    from_aws(&dir, &front).args(REGIONS).ok();

    fs::write(other.join("inventory.json"), moto.script(&front, DUMP).to_string()).unwrap();
    let account = other.keytrail(["inventory", "--from", "inventory.json"]).format("json").ok().json();
    assert_eq!((&account["keys"], &account["trails"], &account["unknown"]), (&json!(7), &json!(2), &json!([])));
    assert_eq!(rows(&other, "keys"), rows(&dir, "keys"));
    assert_eq!(rows(&other, "trails"), rows(&dir, "trails"));
}

/// The script that the README gives to those who have the `aws` command line and `jq`.
#[test]
fn the_script_for_the_aws_command_line_gives_the_same_rows() {
    let aws = AWS.get();
    let Some((moto, _)) = aws.as_ref() else { return };
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !has("aws") || !has("jq") {
        eprintln!("skipped: no aws command line, or no jq");
        return;
    }
    // One Region: the command line takes a second for every call.
    let (dir, other, front) = (Dir::new(), Dir::new(), Front::of(moto, &[]));
    from_aws(&dir, &front).args(["--region", "us-east-1"]).ok();

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-inventory.sh");
    let ran = Command::new("bash").arg(script).arg("us-east-1").envs(front.environment()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    fs::write(other.join("inventory.json"), &ran.stdout).unwrap();
    other.keytrail(["inventory", "--from", "inventory.json"]).ok();
    // An older command line does not know get-key-last-usage, and says so by not saying it.
    let without = |rows: Vec<Value>| -> Vec<Value> {
        let told =
            ["last_usage_time", "last_usage_operation", "last_usage_event_id", "tracking_start", "unknown_fields"];
        let strip = |mut row: Value| {
            row.as_object_mut().unwrap().retain(|column, _| !told.contains(&column.as_str()));
            row
        };
        rows.into_iter().map(strip).collect()
    };
    let keys = without(rows(&other, "keys"));
    assert!(
        keys.len() == 2
            && keys.iter().any(|key| said(key, &["aliases", "tags"]) == json!([["alias/plain"], {"team": "a b"}]))
    );
    assert_eq!(keys, without(rows(&dir, "keys")));
    assert_eq!((rows(&other, "trails"), rows(&dir, "trails").len()), (rows(&dir, "trails"), 1));
}

#[test]
fn grants_that_may_not_be_listed_are_unknown_and_not_none() {
    let aws = AWS.get();
    let Some((moto, _)) = aws.as_ref() else { return };
    let dir = Dir::new();
    let (open, refusing) = (Front::of(moto, &[]), Front::of(moto, &["ListGrants", "GetEventSelectors"]));
    let ran = from_aws(&dir, &refusing).args(REGIONS).code(3);
    assert_eq!(
        warnings(&ran),
        [
            "warning: grants unknown for 7 keys: kms:ListGrants: AccessDeniedException",
            "warning: event_selectors unknown for 2 trails: cloudtrail:GetEventSelectors: AccessDeniedException",
        ]
    );
    let hint = "hint: an IAM policy or the keys' own policies must allow cloudtrail:GetEventSelectors, kms:ListGrants";
    assert!(ran.stderr().lines().any(|line| line == hint), "{}", ran.stderr());
    assert!(ran.stdout().starts_with("7 keys in 2 Regions, "), "{}", ran.stdout());
    for row in rows(&dir, "keys") {
        assert_eq!(
            said(&row, &["grants", "unknown_fields"]),
            json!([null, {"grants": "kms:ListGrants: AccessDeniedException"}])
        );
        assert!(row["state"].is_string() && row["aliases"].is_string() && row["policy"].is_string());
    }
    for row in rows(&dir, "trails") {
        assert_eq!(
            said(&row, &["event_selectors", "kms_captured", "is_logging"]).as_array().unwrap()[..2],
            [json!(null), json!(null)]
        );
        assert!(row["unknown_fields"].as_str().unwrap().contains("cloudtrail:GetEventSelectors"));
    }

    // The next inventory may: the first one's ignorance stays with the first one.
    from_aws(&dir, &open).args(REGIONS).ok();
    let known =
        dir.sql("SELECT count(*) AS keys, count(grants) AS known, count(unknown_fields) AS unknown FROM key_inventory");
    assert_eq!(known, [json!({"keys": 7, "known": 7, "unknown": 0})]);
    let all = dir.sql("SELECT count(*) AS keys, count(grants) AS known, count(DISTINCT taken_at) AS runs FROM keys");
    assert_eq!(all, [json!({"keys": 14, "known": 7, "runs": 2})]);
}

#[test]
fn any_call_may_be_refused_but_the_first() {
    let aws = AWS.get();
    let Some((moto, _)) = aws.as_ref() else { return };
    let refused: &[(&[&str], &str)] = &[
        (&["DescribeKey"], "metadata"),
        (&["ListAliases"], "aliases"),
        (&["ListResourceTags"], "tags"),
        (&["GetKeyRotationStatus"], "rotation"),
        (&["GetKeyPolicy"], "policy"),
        (&["GetKeyLastUsage"], "last_usage"),
    ];
    for (operations, field) in refused {
        let (dir, front) = (Dir::new(), Front::of(moto, operations));
        let account = from_aws(&dir, &front).format("json").code(3).json();
        let expected = json!({"field": field, "action": format!("kms:{}", operations[0]), "why": "denied",
            "code": "AccessDeniedException", "count": 5});
        let mut gap = account["unknown"][0].clone();
        assert!(gap.as_object_mut().unwrap().remove("message").unwrap().as_str().unwrap().contains("not authorized"));
        assert_eq!((gap, account["unknown"].as_array().unwrap().len()), (expected, 1));
        for row in rows(&dir, "keys") {
            let unknown = said(&row, &["unknown_fields"])[0].clone();
            assert_eq!(unknown.as_object().unwrap().keys().collect::<Vec<_>>(), [field]);
        }
    }
    let (dir, front) = (Dir::new(), Front::of(moto, &["ListKeys"]));
    let ran = from_aws(&dir, &front).args(REGIONS).code(2);
    assert!(
        ran.stderr().starts_with("error: no key could be listed: eu-west-1: kms:ListKeys: AccessDeniedException"),
        "{}",
        ran.stderr()
    );
    assert!(!dir.lake().exists(), "an inventory that saw nothing is no inventory");
}

#[test]
fn a_key_that_is_gone_and_a_past_state_can_be_told() {
    let dir = Dir::new();
    let key = |id: &str| format!("arn:aws:kms:eu-west-1:111122223333:key/{id}");
    let file = |state: &str| json!([{"Arn": key("a"), "KeyState": state, "Aliases": ["alias/a"]}]).to_string();
    fs::write(dir.join("then.json"), file("Enabled")).unwrap();
    dir.keytrail(["inventory", "--from", "then.json"]).ok();
    let between = dir.sql("SELECT max(taken_at) AS at FROM keys")[0]["at"].as_str().unwrap().to_owned();
    fs::write(dir.join("now.json"), file("PendingDeletion")).unwrap();
    dir.keytrail(["inventory", "--from", "now.json"]).ok();

    let as_of = |at: &str| {
        let at = format!("at={at}");
        let arguments = ["query", "keys-as-of", "--param", at.as_str(), "--param", "alias=alias/a"];
        dir.keytrail(arguments).format("ndjson").ok().ndjson()
    };
    assert_eq!(as_of("now")[0]["state"], "PendingDeletion");
    assert_eq!(as_of(&between)[0]["state"], "Enabled");
    assert_eq!(as_of("2020-01-01"), [json!(null); 0]);
    let latest = dir.sql("SELECT key_id, state, gone FROM key_inventory");
    assert_eq!(
        latest,
        [json!({"key_id": "a", "state": "PendingDeletion", "gone": false})],
        "a file may leave keys out"
    );
}

#[test]
fn a_listing_that_lacks_a_key_tells_that_it_is_gone() {
    let aws = AWS.get();
    let Some((moto, _)) = aws.as_ref() else { return };
    let (dir, front) = (Dir::new(), Front::of(moto, &[]));
    let earlier = json!([{"Arn": "arn:aws:kms:us-east-1:123456789012:key/gone", "KeyState": "PendingDeletion"},
        {"Arn": "arn:aws:kms:ap-south-1:123456789012:key/elsewhere", "KeyState": "Enabled"}]);
    fs::write(dir.join("earlier.json"), earlier.to_string()).unwrap();
    dir.keytrail(["inventory", "--from", "earlier.json"]).ok();
    let anywhere = || dir.sql("SELECT key_id FROM key_inventory WHERE gone");
    let refusing = Front::of(moto, &["ListKeys"]);
    from_aws(&dir, &refusing).args(REGIONS).code(2);
    assert_eq!(anywhere(), [json!(null); 0], "nobody looked");
    from_aws(&dir, &front).args(REGIONS).ok();
    assert_eq!(anywhere(), [json!({"key_id": "gone"})], "the other's Region was not listed");
}

#[test]
fn help_says_what_it_takes() {
    insta::assert_snapshot!(Dir::new().keytrail(["inventory", "--help"]).ok().seen());
}

#[test]
fn without_a_region_or_an_answer_it_says_so() {
    let dir = Dir::new();
    let nowhere = [
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let inventory =
        || dir.keytrail(["inventory", "--from", "aws"]).env(nowhere.map(|(name, value)| (name, value.to_owned())));
    insta::assert_snapshot!(inventory().code(2).seen());
    let ran = inventory().args(["--region", "eu-west-1"]).code(2);
    assert!(
        ran.stderr().contains("error: no key could be listed: eu-west-1: kms:ListKeys: not reached"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_role_is_assumed_before_anything_is_asked() {
    let aws = AWS.get();
    let Some((moto, _)) = aws.as_ref() else { return };
    let (dir, front) = (Dir::new(), Front::of(moto, &[]));
    let role = ["--assume-role", "arn:aws:iam::123456789012:role/Auditor", "--external-id", "x-1"];
    assert_eq!(from_aws(&dir, &front).args(role).format("json").ok().json()["keys"], 5);
    let refusing = Front::of(moto, &["AssumeRole"]);
    let ran = from_aws(&dir, &refusing).args(role).code(2);
    assert!(ran.stderr().contains("no key could be listed"), "{}", ran.stderr());
    dir.keytrail(["inventory", "--from", "aws", "--external-id", "x-1"]).code(2);
}

/// What AWS says of a Region that is not enabled, a key that is deleted meanwhile, and calls that a kind of key has not.
fn unwilling(request: &http::Request) -> http::Answer {
    const GONE: &str = "arn:aws:kms:eu-west-1:123456789012:key/gone";
    const SIGNING: &str = "arn:aws:kms:eu-west-1:123456789012:key/signing";
    let error = |code: &str| http::Answer::json(400, &json!({"__type": code, "message": "because"}));
    let said = |value: Value| http::Answer::json(200, &value);
    let operation = request.operation.as_str();
    if operation == "GetCallerIdentity" {
        return lookup::identity();
    }
    if request.region != "eu-west-1" {
        return error("UnrecognizedClientException");
    }
    if operation != "ListKeys" && request.parameters()["KeyId"] == "gone" {
        return error("NotFoundException");
    }
    match operation {
        "ListKeys" => {
            said(json!({"Keys": [{"KeyId": "gone", "KeyArn": GONE}, {"KeyId": "signing", "KeyArn": SIGNING}]}))
        }
        // AWS keeps names free for keys of its own that nobody has made yet.
        "ListAliases" => said(json!({"Aliases": [{"AliasName": "alias/aws/s3"}]})),
        "DescribeKey" => said(json!({"KeyMetadata": {"KeyId": "signing", "Arn": SIGNING, "KeySpec": "RSA_2048",
            "KeyState": "NewState", "PendingDeletionWindowInDays": 9, "ValidTo": 1_767_614_400}})),
        "GetKeyRotationStatus" | "GetKeyLastUsage" => error("UnsupportedOperationException"),
        "GetKeyPolicy" => said(json!({})),
        "DescribeTrails" => said(json!({"trailList": []})),
        _ => said(json!({"Tags": [], "Grants": []})),
    }
}

#[test]
fn what_aws_does_not_have_is_told_from_what_went_wrong() {
    let (dir, server) = (Dir::new(), http::Server::start(unwilling));
    let environment = moto::environment(server.url());
    let account =
        dir.keytrail(["inventory", "--from", "aws"]).args(REGIONS).env(environment).format("json").code(3).json();
    let place = |problem: &Value| json!([problem["place"], problem["why"]]);
    assert_eq!(
        account["problems"].as_array().unwrap().iter().map(place).collect::<Vec<_>>(),
        [
            json!(["us-east-1", "kms:ListKeys: UnrecognizedClientException: because"]),
            json!(["us-east-1", "cloudtrail:DescribeTrails: UnrecognizedClientException: because"]),
        ]
    );
    assert_eq!((&account["regions"], &account["aliases"]), (&json!(["eu-west-1"]), &json!(0)));
    let gaps: BTreeMap<String, &Value> = account["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| (format!("{} {}", gap["field"].as_str().unwrap(), gap["code"].as_str().unwrap()), &gap["why"]))
        .collect();
    assert_eq!(gaps.len(), 8, "six of the key that is gone, two of the other: {gaps:?}");
    assert_eq!(gaps["last_usage UnsupportedOperationException"], "unsupported");
    assert_eq!(gaps["policy empty answer"], "failed");
    assert_eq!(gaps["grants NotFoundException"], "failed");

    let regions = dir.sql("SELECT * FROM inventories ORDER BY region");
    let columns = ["region", "account_id", "keys", "trails", "unknown_fields"];
    let refused = json!({"keys": "kms:ListKeys: UnrecognizedClientException",
        "trails": "cloudtrail:DescribeTrails: UnrecognizedClientException"});
    assert_eq!(said(&regions[0], &columns), json!(["eu-west-1", "111122223333", 2, 0, null]), "no trails, and known");
    assert_eq!(said(&regions[1], &columns), json!(["us-east-1", "111122223333", null, null, refused]));

    let keys = rows(&dir, "keys");
    assert_eq!(said(&keys[0], &["key_id", "state", "grants", "aliases"]), json!(["gone", null, null, []]));
    let columns = ["key_id", "state", "pending_window_days", "valid_to", "rotation_enabled", "grants", "multi_region"];
    assert_eq!(said(&keys[1], &columns), json!(["signing", "NewState", 9, "2026-01-05T12:00:00Z", false, [], null]));
    let unknown = json!({"last_usage": "kms:GetKeyLastUsage: UnsupportedOperationException", "policy": "kms:GetKeyPolicy: empty answer"});
    assert_eq!(said(&keys[1], &["unknown_fields"])[0], unknown);
}
