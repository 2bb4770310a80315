//! Keys and callers outside the partition `aws`, and members in lower case.

use serde_json::{Value, json};

use crate::support::{Dir, decrypt, with};

const ID: &str = "00000046-0000-4000-8000-000000000046";

/// Every partition of AWS, and one of its Regions.
const PARTITIONS: [(&str, &str); 8] = [
    ("aws", "eu-west-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-cn", "cn-north-1"),
    ("aws-eusc", "eusc-de-east-1"),
    ("aws-iso", "us-iso-east-1"),
    ("aws-iso-b", "us-isob-east-1"),
    ("aws-iso-e", "eu-isoe-west-1"),
    ("aws-iso-f", "us-isof-south-1"),
];

fn lake(records: &[Value]) -> Dir {
    let dir = Dir::new();
    dir.log("a.json", records);
    dir.ingest("logs");
    dir
}

#[test]
fn key_caller_and_owner_are_known_in_every_partition() {
    for (partition, region) in PARTITIONS {
        let key = format!("arn:{partition}:kms:{region}:111122223333:key/{ID}");
        let role = json!({"type": "AssumedRole", "principalId": "AROAAPP:s1", "accountId": "111122223333",
            "arn": format!("arn:{partition}:sts::111122223333:assumed-role/app/s1")});
        let record = with(with(decrypt("e"), "awsRegion", region), "userIdentity", role);
        let dir = lake(&[with(record, "resources", json!([{"ARN": key, "accountId": "111122223333"}]))]);
        let rows = dir.keytrail(["who", &key]).format("ndjson").ok().ndjson();
        let [row] = &rows[..] else { panic!("{partition}: {rows:?}") };
        assert_eq!(row["principal"], format!("arn:{partition}:iam::111122223333:role/app"));
        let owner = dir.sql("SELECT key_account_id, key_region, key_id, failed FROM calls");
        let wanted = json!({"key_account_id": "111122223333", "key_region": region, "key_id": ID, "failed": false});
        assert_eq!(owner, [wanted], "{partition}");
    }
}

/// A bare key id, and root without an ARN, say nothing of a partition: the Region does.
#[test]
fn what_has_no_arn_is_of_the_partition_of_its_region() {
    let records: Vec<Value> = PARTITIONS
        .iter()
        .map(|(partition, region)| {
            let root = json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333"});
            let record = with(with(decrypt(partition), "awsRegion", *region), "userIdentity", root);
            let record = with(with(record, "eventName", "GenerateDataKey"), "requestParameters", json!({"keyId": ID}));
            with(record, "resources", json!([]))
        })
        .collect();
    let dir = lake(&records);
    for (partition, region) in PARTITIONS {
        let rows = dir.sql(&format!("SELECT key_arn, principal FROM events WHERE event_id = '{partition}'"));
        let key = format!("arn:{partition}:kms:{region}:111122223333:key/{ID}");
        let root = format!("arn:{partition}:iam::111122223333:root");
        assert_eq!(rows, [json!({"key_arn": key, "principal": root})]);
    }
}

/// Root of a member account, opened from the management account by `AssumeRoot`.
#[test]
fn a_root_session_is_of_the_partition_of_whoever_opened_it() {
    let caller = json!({"type": "AssumedRole", "principalId": "AROA:s", "accountId": "111122223333",
        "arn": "arn:aws-us-gov:sts::111122223333:assumed-role/Admin/s"});
    let record = with(with(decrypt("sts"), "eventSource", "sts.amazonaws.com"), "eventName", "AssumeRoot");
    let record = with(with(record, "userIdentity", caller), "awsRegion", "us-gov-west-1");
    let dir = lake(&[with(record, "requestParameters", json!({"targetPrincipal": "444455556666"}))]);
    let rows = dir.sql("SELECT principal FROM session_starts");
    assert_eq!(rows, [json!({"principal": "arn:aws-us-gov:iam::444455556666:root"})]);
}

#[test]
fn a_resource_in_lower_case_is_a_resource() {
    let key = format!("arn:aws:kms:eu-west-1:111122223333:key/{ID}");
    let resource = json!([{"arn": key, "accountId": "111122223333", "type": "AWS::KMS::Key"}]);
    let dir = lake(&[with(decrypt("e"), "resources", resource)]);
    let rows = dir.keytrail(["who", &key]).format("ndjson").ok().ndjson();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(dir.sql("SELECT key_account_id FROM events"), [json!({"key_account_id": "111122223333"})]);
}
