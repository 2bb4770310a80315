//! Who was behind a call, and what happened: `chain`, `sessions`, `timeline --around` and `--chain`, profiles and
//! `report --incident`, on logs by hand after facts §2.4 and on the corpus's real account.
//!
//! ```text
//! account A: alice ── AssumeRole ──► Deploy ── AssumeRole (both logs) ──► account B: Reader ── Decrypt through S3
//! ```

mod chains;
mod reports;

use serde_json::{Value, json};

use crate::support::{Dir, decrypt};

/// Alice's account, and that of `Deploy`.
pub const CALLERS: &str = "444455556666";
/// The account of `Reader` and of the key.
pub const OWNERS: &str = "111122223333";

pub const ALICE: &str = "arn:aws:iam::444455556666:user/alice";
pub const DEPLOY: &str = "arn:aws:iam::444455556666:role/ci/Deploy";
pub const READER: &str = "arn:aws:iam::111122223333:role/Reader";

/// A session of a role as `userIdentity` tells it.
pub fn session(role: &str, id: &str, name: &str, key: &str, began: &str) -> Value {
    let account = role.split(':').nth(4).unwrap();
    let short = role.rsplit('/').next().unwrap();
    json!({
        "type": "AssumedRole", "principalId": format!("{id}:{name}"), "accountId": account, "accessKeyId": key,
        "arn": format!("arn:aws:sts::{account}:assumed-role/{short}/{name}"),
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": id, "arn": role, "accountId": account, "userName": short},
            "attributes": {"creationDate": began, "mfaAuthenticated": "false"},
        },
    })
}

pub fn alice() -> Value {
    json!({"type": "IAMUser", "principalId": "AIDAALICE", "arn": ALICE, "accountId": CALLERS, "accessKeyId": "AKIAALICE",
        "userName": "alice"})
}

/// An `AssumeRole`, as the log of `account` tells it.
pub fn assume(event: &str, at: &str, caller: &Value, role: (&str, &str, &str), key: &str, account: &str) -> Value {
    let (arn, id, name) = role;
    let owner = arn.split(':').nth(4).unwrap();
    let short = arn.rsplit('/').next().unwrap();
    json!({
        "eventVersion": "1.11", "eventID": event, "eventTime": at, "eventType": "AwsApiCall",
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "readOnly": true, "eventCategory": "Management",
        "awsRegion": "eu-west-1", "recipientAccountId": account, "requestID": event, "userIdentity": caller,
        "sourceIPAddress": "203.0.113.7", "userAgent": "aws-cli/2.27.50",
        "requestParameters": {"roleArn": arn, "roleSessionName": name, "durationSeconds": 3600},
        "responseElements": {
            "credentials": {"accessKeyId": key, "sessionToken": "secret", "expiration": "May 12, 2026, 10:10:00 AM"},
            "assumedRoleUser": {"assumedRoleId": format!("{id}:{name}"),
                "arn": format!("arn:aws:sts::{owner}:assumed-role/{short}/{name}")},
        },
        "resources": [{"accountId": owner, "type": "AWS::IAM::Role", "ARN": arn}],
    })
}

/// The records of the chain, in each account's log.
pub struct Story {
    pub of_callers: Vec<Value>,
    pub of_owners: Vec<Value>,
}

impl Story {
    /// Alice becomes `Deploy`, which becomes `Reader` of the other account, whose session S3 forwards to decrypt.
    pub fn new() -> Self {
        let deploy = (DEPLOY, "AROADEPLOY", "pipeline");
        let reader = (READER, "AROAREADER", "nightly");
        let as_deploy = session(DEPLOY, "AROADEPLOY", "pipeline", "ASIADEPLOY", "2026-05-12T09:00:00Z");
        let opaque = json!({"type": "AWSAccount", "principalId": "AROADEPLOY:pipeline", "accountId": CALLERS});
        let first = assume("assume-deploy", "2026-05-12T09:00:00Z", &alice(), deploy, "ASIADEPLOY", CALLERS);
        let shared = |mut event: Value| {
            event["sharedEventID"] = "shared-assume-reader".into();
            event
        };
        let at = "2026-05-12T09:10:00Z";
        let callers = shared(assume("assume-reader", at, &as_deploy, reader, "ASIAREADER", CALLERS));
        let owners = shared(assume("assume-reader-seen", at, &opaque, reader, "ASIAREADER", OWNERS));
        Self { of_callers: vec![first, callers], of_owners: vec![owners, through_s3("decrypt-s3", "ASIAREADER")] }
    }

    /// Reads both logs into a lake.
    pub fn ingest(&self) -> Dir {
        let dir = Dir::new();
        for (name, records) in [("callers.json.gz", &self.of_callers), ("owners.json.gz", &self.of_owners)] {
            if !records.is_empty() {
                dir.log(name, records);
            }
        }
        // One job, so that the lake's version is the same at every run.
        dir.keytrail(["ingest", "logs", "--jobs", "1"]).ok();
        dir
    }
}

/// A decrypt that S3 makes for a session of `Reader`, signed with this key.
pub fn through_s3(event: &str, key: &str) -> Value {
    let mut record = decrypt(event);
    record["eventTime"] = "2026-05-12T09:20:00Z".into();
    record["userIdentity"] = session(READER, "AROAREADER", "nightly", key, "2026-05-12T09:10:00Z");
    record["userIdentity"]["invokedBy"] = "AWS Internal".into();
    record["sourceIPAddress"] = "AWS Internal".into();
    record["userAgent"] = "AWS Internal".into();
    record["requestParameters"] = json!({"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::payroll/may.csv"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"});
    record
}
