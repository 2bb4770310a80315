//! Chains, and the views and columns that rest on them.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{ALICE, CALLERS, DEPLOY, OWNERS, READER, Story, through_s3};
use crate::support::{Dir, decrypt};

/// The chain of an id, with the exit code that it must have.
fn chain(dir: &Dir, id: &str, code: i32) -> Value {
    dir.keytrail(["chain", id]).format("json").code(code).json()
}

/// Each link's proof, event and caller, the nearest first.
fn links(chain: &Value) -> Vec<(String, String, String)> {
    let text = |link: &Value, member: &str| link[member].as_str().unwrap().to_owned();
    let links = chain["links"].as_array().unwrap().iter();
    links.map(|link| (text(link, "proof"), text(link, "event_id"), text(link, "caller"))).collect()
}

fn link(proof: &str, event: &str, caller: &str) -> (String, String, String) {
    (proof.to_owned(), event.to_owned(), caller.to_owned())
}

#[test]
fn three_hops_are_followed_to_the_user_with_each_links_proof() {
    let dir = Story::new().ingest();
    let told = chain(&dir, "decrypt-s3", 0);
    let expected = [link("access_key", "assume-reader", DEPLOY), link("access_key", "assume-deploy", ALICE)];
    assert_eq!(links(&told), expected);
    assert_eq!((&told["end"]["code"], &told["end"]["principal"]), (&json!("user"), &json!(ALICE)));
    assert_eq!(told["subject"]["via"], "s3.amazonaws.com");
    assert_snapshot!("chain", dir.mask(&dir.keytrail(["chain", "decrypt-s3"]).ok().stdout()));
    assert_snapshot!("chain_json", dir.mask(&dir.keytrail(["chain", "decrypt-s3"]).format("json").ok().stdout()));
    assert_snapshot!("chain_csv", dir.mask(&dir.keytrail(["chain", "decrypt-s3"]).format("csv").ok().stdout()));
    // An access key leads back as its calls do, the event that gave it out as its caller does, and a key that KMS never saw
    // as the event that gave it out.
    assert_eq!(links(&chain(&dir, "ASIAREADER", 0)), expected);
    assert_eq!(links(&chain(&dir, "assume-reader", 0)), expected[1..]);
    assert_eq!(links(&chain(&dir, "assume-reader-seen", 0)), expected[1..]);
    assert_eq!(links(&chain(&dir, "AKIAALICE", 0)), []);
}

#[test]
fn a_session_that_a_service_forwards_under_another_key_is_followed_by_its_second() {
    let mut story = Story::new();
    story.of_owners[1] = through_s3("decrypt-s3", "ASIAFORWARDED");
    let dir = story.ingest();
    let told = chain(&dir, "decrypt-s3", 0);
    let expected = [link("creation_date", "assume-reader", DEPLOY), link("access_key", "assume-deploy", ALICE)];
    assert_eq!(links(&told), expected);
    let [row] = &dir.sql("SELECT calls, calls_by_key, calls_by_start, decrypts FROM sessions WHERE calls > 0")[..]
    else {
        panic!("one session has calls")
    };
    assert_eq!(row, &json!({"calls": 1, "calls_by_key": 0, "calls_by_start": 1, "decrypts": 1}));
}

#[test]
fn without_the_middle_event_the_chain_says_where_it_ends() {
    let mut story = Story::new();
    story.of_callers.remove(1);
    story.of_owners.remove(0);
    let told = chain(&story.ingest(), "decrypt-s3", 3);
    assert_eq!(links(&told), []);
    assert_eq!((&told["end"]["code"], &told["end"]["principal"]), (&json!("no_session_start"), &json!(READER)));
    let message = told["end"]["message"].as_str().unwrap();
    assert!(message.contains("2026-05-12T09:10:00Z"), "{message}");
    let hints = told["end"]["hints"].to_string();
    assert!(hints.contains(&format!("coverage --account {OWNERS}")) && hints.contains("nightly"), "{hints}");
}

#[test]
fn an_opaque_caller_is_followed_by_id_and_time_or_names_the_account_whose_log_is_missing() {
    // The caller's copy is lost: what is left says an account, an id and a session.
    let mut story = Story::new();
    story.of_callers.remove(1);
    let told = chain(&story.ingest(), "decrypt-s3", 0);
    let opaque = format!("acct:{CALLERS}/AROADEPLOY");
    let expected = [link("access_key", "assume-reader-seen", &opaque), link("time", "assume-deploy", ALICE)];
    assert_eq!(links(&told), expected);
    // Nothing of the caller's account is there.
    story.of_callers.clear();
    let told = chain(&story.ingest(), "decrypt-s3", 3);
    assert_eq!(links(&told), expected[..1]);
    assert_eq!((&told["end"]["code"], &told["end"]["principal"]), (&json!("other_account"), &json!(opaque)));
    assert!(told["end"]["message"].as_str().unwrap().contains(CALLERS), "{told}");
}

#[test]
fn the_copy_in_the_owners_log_is_followed_through_the_callers() {
    // Deploy itself decrypts with the other account's key.
    let mut story = Story::new();
    let mut call = decrypt("cross-callers");
    call["eventTime"] = "2026-05-12T09:05:00Z".into();
    call["sharedEventID"] = "shared-decrypt".into();
    call["recipientAccountId"] = CALLERS.into();
    call["userIdentity"] = super::session(DEPLOY, "AROADEPLOY", "pipeline", "ASIADEPLOY", "2026-05-12T09:00:00Z");
    let mut seen = call.clone();
    seen["eventID"] = "cross-owners".into();
    seen["recipientAccountId"] = OWNERS.into();
    seen["userIdentity"] = json!({"type": "AWSAccount", "principalId": "AROADEPLOY:pipeline", "accountId": CALLERS});
    story.of_callers.push(call);
    story.of_owners.push(seen);
    let dir = story.ingest();
    assert_eq!(links(&chain(&dir, "cross-owners", 0)), [link("access_key", "assume-deploy", ALICE)]);
    let calls = dir
        .sql("SELECT sum(calls) AS calls, sum(decrypts) AS decrypts FROM sessions WHERE access_key_id = 'ASIADEPLOY'");
    assert_eq!(calls, [json!({"calls": 1, "decrypts": 1})]);
}

#[test]
fn an_id_that_the_lake_does_not_have_is_an_error_with_a_hint() {
    let dir = Story::new().ingest();
    for command in [vec!["chain", "nothing"], vec!["timeline", "--around", "nothing"]] {
        let stderr = dir.keytrail(command).code(2).stderr();
        assert!(stderr.contains("nothing") && stderr.contains("hint:"), "{stderr}");
    }
    for window in ["soon", "96000000d", "9999999999999999999w"] {
        dir.keytrail(["timeline", "--around", "decrypt-s3", "--window", window]).code(2);
    }
}

#[test]
fn a_timeline_is_drawn_around_an_event_and_names_the_origin_of_each() {
    let dir = Story::new().ingest();
    let around = |window: &str| -> Vec<String> {
        let rows =
            dir.keytrail(["timeline", "--around", "assume-reader", "--window", window]).format("ndjson").ok().ndjson();
        rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(around("9m"), ["assume-reader", "assume-reader-seen"]);
    // Both ends are part of it.
    assert_eq!(around("10m"), ["assume-deploy", "assume-reader", "assume-reader-seen", "decrypt-s3"]);
    let rows = dir.keytrail(["timeline", "--chain"]).format("ndjson").ok().ndjson();
    let origins: Vec<(&Value, &Value, &Value)> =
        rows.iter().map(|row| (&row["event_id"], &row["origin"], &row["hops"])).collect();
    let origin = json!(ALICE);
    let expected = [("assume-deploy", 0), ("assume-reader", 1), ("assume-reader-seen", 1), ("decrypt-s3", 2)];
    let expected = expected.map(|(event, hops)| (json!(event), json!(hops)));
    assert_eq!(origins, expected.iter().map(|(event, hops)| (event, &origin, hops)).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row["origin_end"] == "user"), "{rows:?}");
}

#[test]
fn what_a_service_opened_without_an_id_is_joined_by_the_sessions_arn() {
    // As STS logs what it does for Lambda: no assumedRoleUser, and the expiration that it gave.
    let mut start = super::assume(
        "start",
        "2026-05-12T09:10:00Z",
        &json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}),
        (READER, "AROAREADER", "nightly"),
        "ASIAREADER",
        OWNERS,
    );
    start["responseElements"].as_object_mut().unwrap().remove("assumedRoleUser");
    start["requestParameters"].as_object_mut().unwrap().remove("durationSeconds");
    start["responseElements"]["credentials"]["expiration"] = "May 12, 2026, 9:10:00 PM".into();
    let dir = Dir::new();
    dir.log("log.json.gz", &[start, through_s3("decrypt-s3", "ASIAFORWARDED")]);
    dir.ingest("logs");
    let told = chain(&dir, "decrypt-s3", 0);
    assert_eq!(links(&told), [link("creation_date", "start", "service:lambda.amazonaws.com")]);
    let rows = dir.sql("SELECT session_name, session_id, expires_at, calls FROM sessions");
    let expected =
        json!({"session_name": "nightly", "session_id": null, "expires_at": "2026-05-12T21:10:00Z", "calls": 1});
    assert_eq!(rows, [expected]);
}

#[test]
fn a_member_of_the_same_name_further_in_is_another() {
    let mut story = Story::new();
    story.of_callers[0]["requestParameters"] = json!({
        "principalTags": {"roleArn": "arn:aws:iam::444455556666:role/Admin", "sourceIdentity": "ceo", "durationSeconds": 900},
        "roleArn": DEPLOY, "roleSessionName": "pipeline", "durationSeconds": 3600});
    let dir = story.ingest();
    let rows = dir.sql("SELECT principal, source_identity FROM session_starts WHERE event_id = 'assume-deploy'");
    assert_eq!(rows, [json!({"principal": DEPLOY, "source_identity": null})]);
}

#[test]
fn a_patch_of_a_start_that_the_lake_does_not_have_is_followed() {
    let mut story = Story::new();
    story.of_callers[0]["addendum"] = json!({"reason": "UPDATED_DATA", "originalEventID": "not-here"});
    assert_eq!(chain(&story.ingest(), "decrypt-s3", 0)["end"]["principal"], ALICE);
}

#[test]
fn an_opaque_caller_of_two_days_is_two_people_when_two_opened_the_session() {
    let mut story = Story::new();
    let opaque = json!({"type": "AWSAccount", "principalId": "AROADEPLOY:pipeline", "accountId": CALLERS});
    let seen = |id: &str, at: &str| {
        let mut record = decrypt(id);
        (record["eventTime"], record["userIdentity"]) = (at.into(), opaque.clone());
        record
    };
    story.of_owners = vec![seen("d1", "2026-05-12T09:20:00Z"), seen("d2", "2026-05-13T09:20:00Z")];
    let mut bob = super::alice();
    (bob["arn"], bob["principalId"]) = (ALICE.replace("alice", "bob").into(), "AIDABOB".into());
    let role = (DEPLOY, "AROADEPLOY", "pipeline");
    story.of_callers[1] = super::assume("assume-bob", "2026-05-13T09:00:00Z", &bob, role, "ASIABOB", CALLERS);
    for start in &mut story.of_callers {
        start["responseElements"]["credentials"].as_object_mut().unwrap().remove("expiration");
    }
    let dir = story.ingest();
    let rows = dir.keytrail(["timeline", "--chain", "--key", crate::support::KEY]).format("ndjson").ok().ndjson();
    let origins: Vec<&Value> = rows.iter().map(|row| &row["origin"]).collect();
    assert_eq!(origins, [&json!(ALICE), &bob["arn"]]);
    let told = dir.keytrail(["report", "--incident", "--key", crate::support::KEY]).format("json").ok().json();
    assert_eq!(told["identities"]["total"], 2, "{told}");
}
