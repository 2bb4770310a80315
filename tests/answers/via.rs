//! Through which service a call came, and what that says of the asset.

use serde_json::{Value, json};

use crate::support::{Dir, KEY, decrypt, with};

/// A Decrypt or the like by a role, with this context, from this address.
fn call(id: &str, role: &str, address: &str, context: Value) -> Value {
    let identity = json!({
        "type": "AssumedRole", "principalId": format!("AROA{role}:s1"), "accountId": "111122223333",
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/s1"),
    });
    let record = with(with(decrypt(id), "userIdentity", identity), "sourceIPAddress", address);
    let mut parameters = json!({});
    parameters["encryptionContext"] = context;
    with(record, "requestParameters", parameters)
}

fn invoked_by(mut record: Value, service: &str) -> Value {
    record["userIdentity"]["invokedBy"] = service.into();
    record
}

/// A role reads seven log objects of a trail through S3, and CloudTrail writes one.
#[test]
fn log_objects_of_a_trail_are_read_through_s3_and_written_by_cloudtrail() {
    let context = |part: u32| {
        json!({
            "aws:cloudtrail:arn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main",
            "aws:s3:arn": format!("arn:aws:s3:::log-archive/AWSLogs/111122223333/CloudTrail/part-{part}.json.gz"),
        })
    };
    let mut records: Vec<Value> = (0..7)
        .map(|part| invoked_by(call(&format!("d{part}"), "log-reader", "AWS Internal", context(part)), "AWS Internal"))
        .collect();
    let own = call("g", "x", "cloudtrail.amazonaws.com", context(9));
    let own = with(own, "userIdentity", json!({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}));
    records.push(with(own, "eventName", "GenerateDataKey"));
    let dir = Dir::new();
    dir.log("a.json", &records);
    dir.ingest("logs");

    let rows = dir.keytrail(["who", KEY, "--by", "asset"]).format("ndjson").ok().ndjson();
    let (own, read): (Vec<Value>, Vec<Value>) = rows.into_iter().partition(|row| row["operation"] == "GenerateDataKey");
    assert_eq!(read.len(), 7, "each a log object of its own");
    for row in &read {
        assert_eq!((&row["via"], &row["asset_type"]), (&json!("s3.amazonaws.com"), &json!("s3-object")), "{row}");
        assert_eq!((&row["asset_trust"], &row["calls"]), (&json!("service"), &json!(1)), "{row}");
        assert!(row["asset"].as_str().unwrap().starts_with("arn:aws:s3:::log-archive/"), "{row}");
    }
    let [own] = &own[..] else { panic!("{own:?}") };
    assert_eq!(own["via"], "cloudtrail.amazonaws.com");
    assert_eq!(own["principal"], "service:cloudtrail.amazonaws.com");
}

/// The address is AWS's word; a user agent is anyone's.
#[test]
fn an_address_that_no_caller_has_is_a_service_and_a_user_agent_proves_nothing() {
    let acm = json!({"aws:acm:arn": "arn:aws:acm:eu-west-1:111122223333:certificate/0000"});
    let redshift = json!({"aws:redshift:arn": "arn:aws:redshift:eu-west-1:111122223333:cluster:dw"});
    let lambda = json!({"aws:lambda:FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:resize"});
    let agent = "aws-internal/3 aws-sdk-java/1.12";
    let dir = Dir::new();
    dir.log(
        "a.json",
        &[
            with(call("acm", "certs", "AWS Internal", acm), "eventName", "Encrypt"),
            call("redshift", "warehouse", "AWS Internal", redshift),
            with(call("forged", "fn", "203.0.113.50", lambda.clone()), "userAgent", agent),
            call("named", "fn", "lambda.amazonaws.com", lambda),
            call("unknown", "x", "AWS Internal", json!({"Department": "Sales"})),
            call("keyring", "x", "AWS Internal", json!({"kms-arn": KEY, "branch-key-id": "b1"})),
        ],
    );
    dir.ingest("logs");
    let row = |id: &str| {
        let rows = dir.sql(&format!("SELECT via, asset_type, asset_trust FROM calls WHERE event_id = '{id}'"));
        let [row] = &rows[..] else { panic!("{id}: {rows:?}") };
        [&row["via"], &row["asset_type"], &row["asset_trust"]].map(|value| value.as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(row("acm"), ["acm.amazonaws.com", "acm-certificate", "service"]);
    assert_eq!(row("redshift"), ["redshift.amazonaws.com", "redshift-cluster", "service"]);
    assert_eq!(row("forged"), ["-", "lambda-function", "proved"]);
    assert_eq!(row("named"), ["lambda.amazonaws.com", "lambda-function", "service"]);
    assert_eq!(row("unknown"), ["AWS Internal", "-", "-"]);
    assert_eq!(row("keyring"), ["AWS Internal", "-", "-"], "the key that guards is no asset");
}
