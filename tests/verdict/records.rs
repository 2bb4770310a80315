//! Records that tell of a use, or of a grant, in another way than most.

use std::fs;

use serde_json::{Value, json};

use super::{HOME, Logs, arn, codes, entry, id, record};

#[test]
fn a_broken_record_that_names_a_key_and_a_grant_whose_answer_is_missing_are_no_silence() {
    let (broken, granted) = (arn(HOME, &id(1)), arn(HOME, &id(2)));
    // After the inventory was taken; facts §3.2: without an answer the grant's id is not known.
    let grant = json!({"eventName": "CreateGrant", "readOnly": false, "responseElements": null,
        "requestParameters": {"keyId": id(2), "granteePrincipal": "arn:aws:iam::111122223333:role/g"}});
    let logs = Logs {
        records: vec![record(&granted, "2026-05-13T01:30:00Z", grant)],
        inventory: Some(vec![entry(&broken, json!({})), entry(&granted, json!({}))]),
        ..Logs::default()
    };
    let case = logs.lake();
    let at_first = case.check(&broken, &[]);
    assert_eq!(at_first["verdict"], "no_use_found", "{at_first}");
    // One record lacks its time; the other has a byte that is no UTF-8, beside another id.
    let second = record(&granted, "2026-05-12T10:00:00Z", json!({"userAgent": "x?", "sourceIPAddress": id(1)}));
    let log = json!({ "Records": [record(&broken, "garbage", json!({})), second] }).to_string();
    let log: Vec<u8> = log.into_bytes().into_iter().map(|byte| if byte == b'?' { 0xFF } else { byte }).collect();
    let late = case.dir.join("logs/late.json");
    fs::write(&late, log).unwrap();
    case.dir.ingest_damaged();

    let found = case.check(&broken, &[]);
    assert_eq!((&found["verdict"], codes(&found)), (&json!("unknown"), ["rejected_record".to_owned()].into()));
    let steps: Vec<&str> =
        found["next_steps"].as_array().unwrap().iter().filter_map(|step| step["command"].as_str()).collect();
    let question = format!("keytrail query rejects-of-key --param key_id={}", id(1));
    assert!(steps.iter().any(|step| step.starts_with(&question)), "{steps:?}");
    let rows = case.dir.keytrail(question.split(' ').skip(1)).format("ndjson").ok().ndjson();
    assert_eq!((rows.len(), &rows[0]["reason"]), (2, &json!("no readable eventTime")), "{rows:?}");
    assert_eq!(case.all(&[])[&broken]["verdict"], "unknown", "asked for one or for all");

    let found = case.check(&granted, &[]);
    assert_eq!((&found["verdict"], codes(&found)), (&json!("in_use"), ["grant".to_owned()].into()), "{found}");
    let grants: Vec<&Value> = found["grants"].as_array().unwrap().iter().collect();
    assert_eq!((grants.len(), &grants[0]["grantee"]), (1, &json!("arn:aws:iam::111122223333:role/g")));
    assert!(grants[0]["grant_id"].is_null(), "{grants:?}");

    // A complete copy of the object settles it.
    fs::write(&late, json!({ "Records": [] }).to_string()).unwrap();
    case.dir.ingest("logs");
    assert_eq!(case.check(&broken, &[])["verdict"], "no_use_found");
}
