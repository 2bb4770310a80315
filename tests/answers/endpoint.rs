//! What VPC endpoints log of calls to KMS: denials that exist nowhere else, and repeats that must not count.

use serde_json::{Value, json};

use crate::support::{Dir, KEY, decrypt, with};

/// A Decrypt by an outsider, as a VPC endpoint logs it.
fn at_endpoint(id: &str) -> Value {
    let outsider = json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAOUTSIDEOUTSIDE001"});
    let record = with(with(decrypt(id), "eventCategory", "NetworkActivity"), "eventType", "AwsVpceEvent");
    let record = with(with(record, "vpcEndpointId", "vpce-0123456789abcdef0"), "userIdentity", outsider);
    with(record, "requestParameters", Value::Null)
}

fn denied(record: Value) -> Value {
    let message = "The request was denied due to a VPC endpoint policy";
    with(with(record, "errorCode", "VpceAccessDenied"), "errorMessage", message)
}

/// As AWS's own examples have it: without any resource.
fn keyless(record: Value) -> Value {
    with(record, "resources", json!([]))
}

fn lake(records: &[Value]) -> Dir {
    let dir = Dir::new();
    dir.log("a.json", records);
    dir.ingest("logs");
    dir
}

fn count(dir: &Dir, what: &str) -> i64 {
    dir.sql(&format!("SELECT count(*) AS n FROM {what}"))[0]["n"].as_i64().unwrap()
}

#[test]
fn what_an_endpoint_denied_is_a_denied_call() {
    let second =
        |at: u32| with(denied(at_endpoint(&format!("d{at:02}"))), "eventTime", format!("2026-01-05T12:00:{at:02}Z"));
    let mut records: Vec<Value> = (0..30).map(second).collect();
    records.push(with(with(decrypt("insight"), "eventCategory", "Insight"), "eventType", "AwsCloudTrailInsight"));
    records.push(with(at_endpoint("other-service"), "eventSource", "sts.amazonaws.com"));
    let dir = Dir::new();
    dir.log("a.json", &records);
    let account = dir.ingest("logs");
    assert_eq!((&account["records"]["kept"], &account["records"]["other"]), (&json!(30), &json!(2)));

    let denied = dir.keytrail(["query", "denied"]).format("ndjson").ok().ndjson();
    let [row] = &denied[..] else { panic!("{denied:?}") };
    assert_eq!((&row["calls"], &row["outcome"]), (&json!(30), &json!("denied")));
    assert_eq!(row["principal"], "acct:444455556666/AIDAOUTSIDEOUTSIDE001");
    assert_eq!(row["error_code"], "VpceAccessDenied");
    let who = dir.keytrail(["who", KEY]).format("ndjson").ok().ndjson();
    assert_eq!((&who[0]["calls"], &who[0]["failures"]), (&json!(30), &json!(30)));
    assert_eq!(count(&dir, "calls WHERE failed"), 30);

    let detect =
        ["detect", "--no-save", "--only", "denied-decrypt-burst", "--since", "2026-01-05", "--until", "2026-01-06"];
    let found = dir.keytrail(detect).format("json").ok().json();
    assert_eq!(found["findings"][0]["principal"], "acct:444455556666/AIDAOUTSIDEOUTSIDE001", "{found}");
    assert_eq!(found["findings"][0]["events"], 30);
}

#[test]
fn a_burst_that_names_no_key_is_one_all_the_same() {
    let records: Vec<Value> = (0..25).map(|at| keyless(denied(at_endpoint(&format!("d{at:02}"))))).collect();
    let dir = lake(&records);
    let detect =
        ["detect", "--no-save", "--only", "denied-decrypt-burst", "--since", "2026-01-05", "--until", "2026-01-06"];
    let found = dir.keytrail(detect).format("json").ok().json();
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1), "{found}");
}

/// The endpoint's owner and the caller may both be told, under one shared id.
#[test]
fn a_denial_that_two_accounts_log_is_one() {
    let copy = |id: &str, account: &str| {
        with(with(keyless(denied(at_endpoint(id))), "recipientAccountId", account), "requestID", "r")
    };
    let shared = |record: Value| with(record, "sharedEventID", "702f74c4-f692-4bfd-8491-000000000000");
    let dir = lake(&[shared(copy("a", "111122223333")), shared(copy("b", "444455556666"))]);
    assert_eq!((count(&dir, "events"), count(&dir, "calls")), (2, 1));
}

#[test]
fn an_event_of_an_endpoint_that_repeats_a_call_counts_once() {
    let later = |record: Value| with(record, "eventTime", "2026-01-05T12:00:01Z");
    let request = |record: Value, id: &str| with(record, "requestID", id);
    let refused = with(with(decrypt("m2"), "errorCode", "AccessDenied"), "errorMessage", "no");
    let shared = |record: Value| with(with(record, "sharedEventID", "s3"), "requestID", Value::Null);
    let dir = lake(&[
        request(decrypt("m1"), "r1"),
        keyless(later(request(at_endpoint("n1"), "r1"))),
        // KMS denied what the endpoint let through: the call failed.
        request(refused, "r2"),
        keyless(later(request(at_endpoint("n2"), "r2"))),
        shared(decrypt("m3")),
        shared(at_endpoint("n3")),
        // Another operation under the same id is another call.
        request(with(denied(at_endpoint("n4")), "eventName", "Encrypt"), "r1"),
    ]);
    assert_eq!(count(&dir, "events"), 7, "all are kept");
    let rows = dir.sql("SELECT event_id, outcome FROM calls ORDER BY event_id");
    let shown: Vec<String> = rows.iter().map(|row| format!("{} {}", row["event_id"], row["outcome"])).collect();
    assert_eq!(shown.join(", ").replace('"', ""), "m1 ok, m2 denied, m3 ok, n4 denied");
    assert_eq!(count(&dir, "usage WHERE outcome = 'ok'"), 2);
    assert_eq!(count(&dir, "kms_events"), 3, "what KMS itself logged");
}

/// Where only the endpoint's log has a call, a use must not vanish: it may be of any key.
#[test]
fn a_call_that_only_an_endpoint_logged_is_a_use_that_names_no_key() {
    let dir = lake(&[keyless(at_endpoint("n"))]);
    assert_eq!(count(&dir, "usage WHERE outcome = 'ok' AND key_arn IS NULL"), 1);
    let ask = ["query", "deletion-unnamed", "--param", "since=2026-01-05", "--param", "until=2026-01-06"];
    let rows = dir.keytrail(ask).format("ndjson").ok().ndjson();
    // The key may be one of the account that logged it, or of the caller's.
    let accounts: Vec<_> = rows.iter().map(|row| (&row["account_id"], &row["calls"])).collect();
    assert_eq!(accounts, [(&json!("111122223333"), &json!(1)), (&json!("444455556666"), &json!(1))]);
}

/// Another log says nothing of whether the trail records management events.
#[test]
fn what_an_endpoint_logs_is_no_evidence_of_the_trail() {
    let dir = lake(&[at_endpoint("n"), denied(at_endpoint("d"))]);
    assert_eq!(count(&dir, "coverage"), 0);
    assert_eq!(count(&dir, "objects WHERE first_kms_read IS NOT NULL"), 0);
    let dir = lake(&[at_endpoint("n"), decrypt("m")]);
    assert_eq!(count(&dir, "coverage WHERE state = 'observed'"), 1);
    assert_eq!(count(&dir, "objects WHERE first_kms_read IS NOT NULL"), 1);
}
