//! Callers whom a record names in another way than by an ARN, and people behind a role that they share.

use serde_json::{Value, json};

use crate::support::{Dir, KEY, decrypt, with};

fn by(id: &str, identity: Value) -> Value {
    with(decrypt(id), "userIdentity", identity)
}

/// The value of a column in each row, `-` for null, in order.
fn column(rows: &[Value], name: &str) -> Vec<String> {
    let mut values: Vec<String> = rows.iter().map(|row| row[name].as_str().unwrap_or("-").to_owned()).collect();
    values.sort_unstable();
    values
}

#[test]
fn nobody_is_null_while_the_record_has_an_id() {
    let glue = json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:role/CatalogRole",
        "accountId": "111122223333", "invokedBy": "glue.amazonaws.com"});
    let bare = json!({"type": "AssumedRole", "principalId": "AROABAREBAREBAREBARE1:s9", "accountId": "111122223333"});
    let bob = json!({"type": "FederatedUser", "principalId": "111122223333:bob", "accountId": "111122223333"});
    let context = json!({"encryptionContext": {"kms-arn": KEY, "branch-key-id": "b1"}});
    let dir = Dir::new();
    let records = [
        with(by("glue", glue), "requestParameters", context),
        by("bare", bare),
        by("bob", bob),
        by("nobody", json!({})),
    ];
    dir.log("a.json", &records);
    dir.ingest("logs");

    let who = dir.keytrail(["who", KEY]).format("ndjson").ok().ndjson();
    let wanted = ["111122223333:bob", "AROABAREBAREBAREBARE1", "arn:aws:iam::111122223333:role/CatalogRole", "unknown"];
    assert_eq!(column(&who, "principal"), wanted);
    let asked = dir.keytrail(["who", KEY, "--principal", "AROABARE*"]).format("ndjson").ok().ndjson();
    assert_eq!(column(&asked, "principal"), ["AROABAREBAREBAREBARE1"]);
    let rows = dir.sql("SELECT asset, principal_inferred, session_name, via FROM events ORDER BY event_id");
    let text = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<Value>>();
    assert_eq!(text("asset"), [Value::Null, Value::Null, Value::Null, Value::Null], "the keyring's key is no asset");
    assert_eq!(text("principal_inferred"), [json!(false), json!(false), json!(true), Value::Null]);
    assert_eq!(text("session_name"), [json!("s9"), Value::Null, Value::Null, Value::Null]);

    // Whoever used the key stands in the way of its deletion.
    let verdict = dir.keytrail(["check-deletion", KEY, "--lookback", "2d", "--until", "2026-01-06T00:00:00Z"]);
    let verdict = verdict.format("json").code_among(&[1, 3]).stdout();
    for principal in wanted {
        assert!(verdict.contains(&format!("\"{principal}\"")), "{principal} in {verdict}");
    }
}

/// Two analysts, one role, one session name; and one who came by a source identity, and one by an Identity Center role.
fn people() -> Dir {
    let store = "arn:aws:identitystore::111122223333:identitystore/d-0000000000";
    let analyst = |person: Option<&str>| {
        let mut identity = json!({"type": "AssumedRole", "principalId": "AROAANALYSTS:idc", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/Analysts/idc", "accessKeyId": "ASIAANALYSTS"});
        if let Some(person) = person {
            identity["onBehalfOf"] = json!({"userId": person, "identityStoreArn": store});
        }
        identity
    };
    let mut carol = analyst(None);
    carol["sessionContext"] = json!({"sourceIdentity": "carol", "attributes": {}});
    let reserved = "AWSReservedSSO_Admin_0123456789abcdef";
    let dave = json!({"type": "AssumedRole", "principalId": "AROASSO:dave@example.com", "accountId": "111122223333",
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{reserved}/dave@example.com"),
        "sessionContext": {"sessionIssuer": {"arn":
            format!("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/{reserved}")}}});
    let dir = Dir::new();
    dir.log(
        "a.json",
        &[
            by("one", analyst(Some("14482498-a081-7000-0000-000000000001"))),
            by("two", analyst(Some("24482498-a081-7000-0000-000000000002"))),
            by("none", analyst(None)),
            by("carol", carol),
            by("dave", dave),
        ],
    );
    dir.ingest("logs");
    dir
}

#[test]
fn two_people_behind_one_role_are_two() {
    let dir = people();
    let rows = dir.keytrail(["who", KEY, "--by", "person"]).format("ndjson").ok().ndjson();
    let wanted = [
        "-",
        "14482498-a081-7000-0000-000000000001",
        "24482498-a081-7000-0000-000000000002",
        "carol",
        "dave@example.com",
    ];
    assert_eq!(column(&rows, "person"), wanted);
    assert_eq!(column(&rows, "person_by"), ["-", "on_behalf_of", "on_behalf_of", "session", "source_identity"]);
    let stores = column(&rows, "identity_store");
    assert_eq!(stores.iter().filter(|store| store.ends_with("identitystore/d-0000000000")).count(), 2);
    assert!(rows.iter().all(|row| row["calls"] == 1), "{rows:?}");
    // By principal the analysts are one.
    let rows = dir.keytrail(["who", KEY]).format("ndjson").ok().ndjson();
    assert_eq!(column(&rows, "principal").len(), 2);
}

#[test]
fn a_person_can_be_asked_for() {
    let dir = people();
    for (person, wanted) in
        [("14482498-a081-7000-0000-000000000001", "one"), ("2448*", "two"), ("carol", "carol"), ("dave@*", "dave")]
    {
        let rows = dir.keytrail(["timeline", "--person", person]).format("ndjson").ok().ndjson();
        assert_eq!(column(&rows, "event_id"), [wanted], "{person}");
    }
    // The name of an ordinary session is free to choose, and no person.
    let rows = dir.keytrail(["timeline", "--person", "idc"]).format("ndjson").ok().ndjson();
    assert!(rows.is_empty(), "{rows:?}");
}

/// A cross-account call: the owner's log knows an account and an id, the caller's log the person.
#[test]
fn the_person_of_a_cross_account_call_comes_from_the_callers_log() {
    let call = |id: &str, account: &str, identity: Value| {
        with(with(by(id, identity), "recipientAccountId", account), "sharedEventID", "shared-1")
    };
    let opaque = json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AROAFAR:s"});
    let full = json!({"type": "AssumedRole", "principalId": "AROAFAR:s", "accountId": "444455556666",
        "arn": "arn:aws:sts::444455556666:assumed-role/Far/s", "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:s"}});
    let dir = Dir::new();
    dir.log("owner.json", &[call("o", "111122223333", opaque)]);
    dir.log("caller.json", &[call("c", "444455556666", full)]);
    dir.ingest("logs");
    let rows = dir.sql("SELECT principal, on_behalf_of, identity_store FROM calls");
    assert_eq!(
        rows,
        [json!({"principal": "arn:aws:iam::444455556666:role/Far", "on_behalf_of": "u-1", "identity_store": "arn:s"})]
    );
}

#[test]
fn the_tags_of_a_session_are_kept_with_its_start() {
    let request = json!({"roleArn": "arn:aws:iam::111122223333:role/R", "roleSessionName": "s",
        "principalTags": {"Department": "Sales"}, "incomingTransitiveTags": {"Email": "eve@example.com"},
        "tags": [{"key": "Project", "value": "x"}]});
    let start = with(with(decrypt("sts"), "eventSource", "sts.amazonaws.com"), "eventName", "AssumeRole");
    let dir = Dir::new();
    dir.log("a.json", &[with(with(start, "requestParameters", request), "resources", json!([]))]);
    dir.ingest("logs");
    let rows = dir.sql("SELECT principal_tags, json_member(principal_tags, 'Email') AS email FROM session_starts");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let tags: Value = serde_json::from_str(row["principal_tags"].as_str().unwrap()).unwrap();
    assert_eq!(tags, json!({"Department": "Sales", "Email": "eve@example.com", "Project": "x"}));
    assert_eq!(row["email"], "eve@example.com");
}
