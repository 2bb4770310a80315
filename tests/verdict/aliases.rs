//! What an alias named then decides, and more logs never take that away.

use serde_json::{Value, json};

use super::{ACCOUNT, Case, HOME, Logs, arn, codes, entry, id, record};
use crate::support::gzip;

const CALLER: &str = "444455556666";

fn alias_arn(name: &str) -> String {
    format!("arn:aws:kms:{HOME}:{ACCOUNT}:{name}")
}

/// A use whose record names nothing but an alias.
fn by_alias(name: &str, at: &str) -> Value {
    record(
        &arn(HOME, &id(1)),
        at,
        json!({"eventName": "GenerateDataKey", "eventID": format!("by-{name}-{at}"),
            "requestParameters": {"keyId": alias_arn(name), "keySpec": "AES_256"},
            "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": alias_arn(name)}]}),
    )
}

/// A change of an alias, as KMS logs it (facts §3.2.4).
fn change(operation: &str, name: &str, key: &str, at: &str) -> Value {
    let resources = [alias_arn(name), key.to_owned()].map(|arn| json!({"accountId": ACCOUNT, "ARN": arn}));
    record(
        key,
        at,
        json!({"eventName": operation, "readOnly": false, "resources": resources,
            "requestParameters": {"aliasName": name, "targetKeyId": key}}),
    )
}

fn verdict(case: &Case, key: &str) -> String {
    case.check(key, &[])["verdict"].as_str().unwrap().to_owned()
}

/// A cross-account call that names an alias only; the owner's copy is there first, then the caller's comes too.
fn twins() -> (Value, Value) {
    let mut owners = by_alias("alias/shared-x", "2026-05-12T09:00:00Z");
    owners["sharedEventID"] = "00000024-1111-4111-8111-000000000024".into();
    let mut callers = owners.clone();
    owners["userIdentity"] =
        json!({"type": "AWSAccount", "principalId": "AROACALLERCALLERCALL1:s", "accountId": CALLER});
    callers["userIdentity"] = json!({"type": "AssumedRole", "principalId": "AROACALLERCALLERCALL1:s", "accountId": CALLER,
        "arn": format!("arn:aws:sts::{CALLER}:assumed-role/caller/s"),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{CALLER}:role/caller")}}});
    callers["eventID"] = "00000028-1111-4111-8111-000000000028".into();
    callers["recipientAccountId"] = CALLER.into();
    (owners, callers)
}

fn deliver(case: &Case, account: &str, record: &Value) {
    let key = format!(
        "AWSLogs/{account}/CloudTrail/{HOME}/2026/05/12/{account}_CloudTrail_{HOME}_20260512T0905Z_bbbbbbbbbbbbbbbb.json.gz"
    );
    case.dir.object(&key, gzip(json!({ "Records": [record] }).to_string().as_bytes()));
    case.dir.ingest("logs");
}

#[test]
fn the_callers_copy_beside_the_owners_weakens_no_verdict() {
    let (owners, callers) = twins();
    let (named, other) = (arn(HOME, &id(1)), arn(HOME, &id(2)));
    for (aliases, expected) in
        [(json!(["alias/shared-x"]), ["in_use", "no_use_found"]), (json!([]), ["unknown", "unknown"])]
    {
        let logs = Logs {
            records: vec![owners.clone()],
            inventory: Some(vec![entry(&named, json!({"Aliases": aliases})), entry(&other, json!({}))]),
            ..Logs::default()
        };
        let case = logs.lake();
        assert_eq!([verdict(&case, &named), verdict(&case, &other)], expected, "the owner's copy alone");
        deliver(&case, CALLER, &callers);
        assert_eq!([verdict(&case, &named), verdict(&case, &other)], expected, "both copies");
        let calls = case.dir.keytrail(["who", "alias/shared-x", "--until", "2026-05-13"]).format("json").ok().json();
        let unnamed: Vec<&Value> = calls.as_array().unwrap().iter().filter(|row| row["key_arn"].is_null()).collect();
        assert_eq!(unnamed.len(), 1, "{calls}");
        assert_eq!(
            (&unnamed[0]["calls"], &unnamed[0]["principal"]),
            (&json!(1), &json!("arn:aws:iam::444455556666:role/caller"))
        );
    }
}

#[test]
fn a_use_by_an_alias_is_charged_to_the_key_that_it_named_then() {
    let (before, after) = (arn(HOME, &id(6)), arn(HOME, &id(7)));
    let lake = |is_creation_logged: bool| {
        let mut records = vec![
            by_alias("alias/moving", "2026-05-11T09:00:00Z"),
            change("UpdateAlias", "alias/moving", &after, "2026-05-11T12:00:00Z"),
        ];
        if is_creation_logged {
            records.push(change("CreateAlias", "alias/moving", &before, "2026-05-11T07:00:00Z"));
        }
        let inventory = vec![entry(&before, json!({})), entry(&after, json!({"Aliases": ["alias/moving"]}))];
        Logs { records, inventory: Some(inventory), ..Logs::default() }.lake()
    };
    let case = lake(true);
    let first = case.check(&before, &[]);
    assert_eq!((&first["verdict"], codes(&first)), (&json!("in_use"), ["used".to_owned()].into()));
    assert_eq!(first["last_use"]["at"], "2026-05-11T09:00:00Z", "{first}");
    let steps = first["next_steps"].as_array().unwrap();
    assert!(
        steps.iter().any(|step| step["command"]
            .as_str()
            .is_some_and(|one| one.starts_with("keytrail who alias/moving --lake "))),
        "{steps:?}"
    );
    assert_eq!(verdict(&case, &after), "no_use_found");
    // Where no log tells what it named before, it may have been any key.
    let case = lake(false);
    for key in [&before, &after] {
        let found = case.check(key, &[]);
        assert_eq!((&found["verdict"], codes(&found)), (&json!("unknown"), ["unnamed_use".to_owned()].into()), "{key}");
    }
}

/// Two keys behind one name are two answers, each of its own time.
#[test]
fn an_alias_that_was_moved_is_asked_for_key_by_key() {
    let (before, after) = (arn(HOME, &id(6)), arn(HOME, &id(7)));
    let used = |key: &str, at: &str| record(key, at, json!({"sourceIPAddress": "198.51.100.7"}));
    let records = vec![
        change("CreateAlias", "alias/moving", &before, "2026-05-11T07:00:00Z"),
        used(&before, "2026-05-11T08:00:00Z"),
        used(&after, "2026-05-11T09:00:00Z"),
        change("UpdateAlias", "alias/moving", &after, "2026-05-11T12:00:00Z"),
        used(&before, "2026-05-11T13:00:00Z"),
        used(&after, "2026-05-11T14:00:00Z"),
    ];
    let case = Logs { records, inventory: None, is_signed: false, ..Logs::default() }.lake();
    let ran = case.dir.keytrail(["who", "alias/moving"]).format("json").ok();
    let rows = ran.json();
    let seen: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (&row["key_arn"], &row["first_seen"], &row["last_seen"])).collect();
    let (early, late) = (json!("2026-05-11T08:00:00Z"), json!("2026-05-11T14:00:00Z"));
    let expected = [(json!(after), &late), (json!(before), &early)];
    let mut expected: Vec<_> = expected.iter().map(|(key, at)| (key, *at, *at)).collect();
    let mut seen = seen;
    let by_key = |row: &(&Value, &Value, &Value)| row.0.to_string();
    seen.sort_by_key(by_key);
    expected.sort_by_key(by_key);
    assert_eq!(seen, expected, "{rows}");
    assert!(ran.stderr().contains("alias/moving has pointed to 2 keys"), "{}", ran.stderr());
    let profile =
        case.dir.keytrail(["query", "key-profile", "--param", "key_arn=alias/moving"]).format("json").ok().json();
    let all: Vec<_> = profile.as_array().unwrap().iter().filter(|row| row["value"] == "198.51.100.7").collect();
    assert_eq!(all.len(), 2, "{profile}");
    assert!(all.iter().all(|row| row["calls"] == 1) && all[0]["key_arn"] != all[1]["key_arn"], "{profile}");
}

/// Eight keys are disabled and scheduled for deletion in one second each, with ids in any order: all of them are pending.
#[test]
fn within_a_second_the_life_of_a_key_decides_and_no_id_does() {
    let at = |number: u32| format!("2026-05-12T09:{number:02}:00Z");
    let both = |number: u32| {
        let key = arn(HOME, &id(number));
        let id =
            |first: bool| if first == number.is_multiple_of(2) { format!("a{number}") } else { format!("z{number}") };
        ["DisableKey", "ScheduleKeyDeletion"].map(|operation| {
            let over = json!({"eventName": operation, "readOnly": false, "eventID": id(operation == "DisableKey"),
                "requestParameters": {"keyId": key, "pendingWindowInDays": 7}});
            record(&key, &at(number), over)
        })
    };
    let records = (8..16).flat_map(both).collect();
    let case = Logs { records, inventory: None, ..Logs::default() }.lake();
    for number in 8..16 {
        assert_eq!(case.check(&arn(HOME, &id(number)), &[])["phase"], "pending_deletion", "{number}");
    }
}
