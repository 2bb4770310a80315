//! Golden rows for what no record of the corpus shows, over made-up records.
//!
//! Each case changes a plain `Decrypt` in a few places and says what a few columns must then hold.

use serde_json::{Value, json};

/// A record, and what some of its columns hold.
pub struct Case {
    pub name: &'static str,
    pub record: String,
    pub columns: Vec<(&'static str, Value)>,
}

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const FOREIGN_KEY: &str = "arn:aws:kms:us-east-1:444455556666:key/k2";

/// A plain `Decrypt` with these members put over its own. Null takes a member away.
fn case(name: &'static str, changes: Value, columns: Value) -> Case {
    let mut record = json!({
        "eventID": "e1", "eventTime": "2024-02-29T12:00:00Z", "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt", "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
    });
    let (Value::Object(members), Value::Object(changes)) = (&mut record, changes) else { unreachable!() };
    for (member, value) in changes {
        if value.is_null() { drop(members.remove(&member)) } else { drop(members.insert(member, value)) }
    }
    let Value::Object(columns) = columns else { unreachable!() };
    let columns = columns.into_iter().map(|(column, value)| (&*column.leak(), value)).collect();
    Case { name, record: record.to_string(), columns }
}

/// Every case.
pub fn all() -> Vec<Case> {
    [events(), keys(), callers(), nameless(), services(), assets(), payloads()].into_iter().flatten().collect()
}

fn events() -> Vec<Case> {
    vec![
        case(
            "a record without an id is known by its fingerprint",
            json!({"eventID": "", "requestID": "r", "userIdentity": {"principalId": "p"},
                   "resources": [{"ARN": KEY}, {"ARN": FOREIGN_KEY}]}),
            json!({"event_id": format!("fp:2024-02-29T12:00:00Z/r/Decrypt/p/{KEY}")}),
        ),
        case(
            "an offset moves the day, and a fraction is of the second that it is in",
            json!({"eventTime": "2024-03-01T00:30:00.1234567+01:00"}),
            json!({"event_time": "2024-02-29T23:30:00.000000Z", "event_date": "2024-02-29"}),
        ),
        case(
            "the fingerprint has the time as CloudTrail writes it",
            json!({"eventID": "", "eventTime": "2024-02-29T12:00:00.123+00:00", "requestID": "r", "userIdentity":
                   {"principalId": "p"}, "resources": [{"ARN": KEY}]}),
            json!({"event_id": format!("fp:2024-02-29T12:00:00Z/r/Decrypt/p/{KEY}")}),
        ),
        case(
            "only updated data points to an earlier event",
            json!({"addendum": {"reason": "DELIVERY_DELAY", "originalEventID": "e0"}}),
            json!({"original_event_id": null}),
        ),
        case(
            "a dry run says that it would have worked",
            json!({"errorCode": "DryRunOperationException"}),
            json!({"outcome": "dry_run"}),
        ),
        case(
            "a doomed key is told by the message",
            json!({"errorCode": "Whatever", "errorMessage": format!("{KEY} Is Pending Deletion.")}),
            json!({"outcome": "key_unusable", "key_arn": KEY}),
        ),
        case("a message alone is an error", json!({"errorMessage": "x"}), json!({"outcome": "error"})),
        case("an empty code is none", json!({"errorCode": "", "errorMessage": ""}), json!({"outcome": "ok"})),
    ]
}

fn keys() -> Vec<Case> {
    let re_encrypt = |resources: Value, parameters: Value| json!({"eventName": "ReEncrypt", "resources": resources, "requestParameters": parameters});
    vec![
        case(
            "ReEncrypt whose only resource is its destination",
            re_encrypt(
                json!([{"ARN": KEY}]),
                json!({"destinationKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "sourceKeyId": FOREIGN_KEY}),
            ),
            json!({"key_arn": FOREIGN_KEY, "dest_key_arn": KEY, "key_account_id": "444455556666"}),
        ),
        case(
            "ReEncrypt from a key to itself, with one resource",
            re_encrypt(
                json!([{"ARN": KEY}]),
                json!({"destinationKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "sourceKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}),
            ),
            json!({"key_arn": KEY, "dest_key_arn": null}),
        ),
        case(
            "a denied call names its key in the message only",
            json!({"errorCode": "AccessDenied", "recipientAccountId": null,
                   "errorMessage": format!("User: arn:aws:sts::1:assumed-role/r/s on resource: {FOREIGN_KEY}.")}),
            json!({"outcome": "denied", "key_arn": FOREIGN_KEY, "account_id": "444455556666", "key_id": "k2"}),
        ),
        case(
            "a ReEncrypt that may read and may not write",
            json!({"eventName": "ReEncrypt", "errorCode": "AccessDenied", "requestParameters": {"sourceKeyId": KEY},
                   "errorMessage": format!("x is not authorized to perform: kms:ReEncryptTo on resource: {FOREIGN_KEY}")}),
            json!({"key_arn": KEY, "dest_key_arn": FOREIGN_KEY, "outcome": "denied"}),
        ),
        case(
            "a bare id in China",
            json!({"awsRegion": "cn-north-1", "requestParameters": {"keyId": "mrk-1234abcd12ab34cd56ef1234567890ab"}}),
            json!({"key_arn": "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "key_region": "cn-north-1"}),
        ),
        case(
            "an alias says nothing of the key",
            json!({"requestParameters": {"keyId": "arn:aws:kms:us-east-1:111122223333:alias/aws/s3"}}),
            json!({"key_arn": null, "key_alias": "alias/aws/s3"}),
        ),
        case(
            "an alias that failed to be made for a bare id",
            json!({"eventName": "CreateAlias", "requestParameters": {"aliasName": "alias/a", "targetKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}}),
            json!({"key_arn": KEY, "key_alias": "alias/a"}),
        ),
        case(
            "context events have no key",
            json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "resources": [{"ARN": KEY}],
                   "requestParameters": {"keyId": KEY, "encryptionContext": {"aws:s3:arn": "arn:aws:s3:::b"}}}),
            json!({"usage_class": "context", "key_arn": null, "key_id": null, "encryption_context": null, "asset": null}),
        ),
    ]
}

fn callers() -> Vec<Case> {
    let caller = |name, identity: Value, columns: Value| case(name, json!({"userIdentity": identity}), columns);
    vec![
        caller(
            "a session whose role is known by the session's ARN only, and is called a user",
            json!({"type": "IAMUser", "arn": "arn:aws-us-gov:sts::111122223333:assumed-role/R/a@b",
                   "principalId": "AROA1:a@b", "accountId": "111122223333"}),
            json!({"principal": "arn:aws-us-gov:iam::111122223333:role/R", "principal_type": "AssumedRole",
                   "principal_inferred": true, "principal_id": "AROA1", "session_name": "a@b",
                   "session_arn": "arn:aws-us-gov:sts::111122223333:assumed-role/R/a@b"}),
        ),
        caller(
            "a session of a role with a path",
            json!({"arn": "arn:aws:sts::111122223333:assumed-role/R/s", "sessionContext": {
                   "sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/p/R"}, "sourceIdentity": "bob",
                   "attributes": {"creationDate": "20230710T120755Z", "mfaAuthenticated": "true"}}}),
            json!({"principal": "arn:aws:iam::111122223333:role/p/R", "principal_inferred": false, "mfa": true,
                   "source_identity": "bob", "session_start": "2023-07-10T12:07:55.000000Z",
                   "principal_account_id": "111122223333"}),
        ),
        caller(
            "an instance attaching a volume",
            json!({"arn": "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1",
                   "principalId": "111122223333:aws:ec2-infrastructure:i-1"}),
            json!({"principal": "service:ec2-infrastructure", "principal_id": "111122223333:aws:ec2-infrastructure",
                   "session_name": "i-1", "via": "ec2.amazonaws.com"}),
        ),
        caller(
            "someone of another account",
            json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AROA2:s"}),
            json!({"principal": "acct:444455556666/AROA2", "principal_id": "AROA2", "session_name": "s",
                   "principal_inferred": false, "session_arn": null}),
        ),
        caller(
            "a federated user",
            json!({"type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/bob",
                   "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:user/Alice"}}}),
            json!({"principal": "arn:aws:sts::111122223333:federated-user/bob|arn:aws:iam::111122223333:user/Alice",
                   "session_arn": "arn:aws:sts::111122223333:federated-user/bob"}),
        ),
        caller(
            "a root user without an ARN",
            json!({"type": "Root", "accountId": "111122223333"}),
            json!({"principal": "arn:aws:iam::111122223333:root", "principal_type": "Root"}),
        ),
        caller(
            "someone of the identity center",
            json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u", "identityStoreArn": "arn:store"}}),
            json!({"principal": "idc:arn:store/u"}),
        ),
        caller(
            "a user of a web identity provider",
            json!({"type": "WebIdentityUser", "userName": "w"}),
            json!({"principal": "web:w"}),
        ),
        caller(
            "nobody",
            json!({}),
            json!({"principal": null, "principal_type": "Unknown", "principal_inferred": null}),
        ),
    ]
}

/// Callers without an ARN, and people behind a role.
fn nameless() -> Vec<Case> {
    let caller = |name, identity: Value, columns: Value| case(name, json!({"userIdentity": identity}), columns);
    let store = "arn:aws:identitystore::111122223333:identitystore/d-0000000000";
    vec![
        caller(
            "a role that STS names without a session",
            json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:role/CatalogRole",
                   "accountId": "111122223333", "invokedBy": "glue.amazonaws.com"}),
            json!({"principal": "arn:aws:iam::111122223333:role/CatalogRole", "principal_type": "AssumedRole",
                   "principal_inferred": true, "session_arn": null, "session_name": null, "via": "glue.amazonaws.com"}),
        ),
        caller(
            "a session of which only the id is told",
            json!({"type": "AssumedRole", "principalId": "AROABAREBAREBAREBARE1:s9", "accountId": "111122223333"}),
            json!({"principal": "AROABAREBAREBAREBARE1", "principal_id": "AROABAREBAREBAREBARE1", "session_name": "s9",
                   "principal_inferred": false, "principal_account_id": "111122223333"}),
        ),
        caller(
            "a federated user of whom only the id is told",
            json!({"type": "FederatedUser", "principalId": "111122223333:bob", "accountId": "111122223333"}),
            json!({"principal": "111122223333:bob", "principal_inferred": false}),
        ),
        case(
            "a service that its address names",
            json!({"userIdentity": {"type": "AWSService"}, "sourceIPAddress": "config.amazonaws.com"}),
            json!({"principal": "service:config.amazonaws.com", "via": "config.amazonaws.com"}),
        ),
        caller(
            "a person of the identity center behind a role",
            json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Analysts/idc",
                   "onBehalfOf": {"userId": "14482498-a081-7000-0000-000000000001", "identityStoreArn": store}}),
            json!({"principal": "arn:aws:iam::111122223333:role/Analysts", "identity_store": store,
                   "on_behalf_of": "14482498-a081-7000-0000-000000000001"}),
        ),
        case(
            "the tags of a session: inherited, asserted and passed",
            json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "requestParameters": {
                   "incomingTransitiveTags": {"Department": "Engineering"}, "principalTags": {"Project": "Unicorn"},
                   "tags": [{"value": "johndoe@example.com", "key": "Email"}]}}),
            json!({"principal_tags":
                   {"Department": "Engineering", "Email": "johndoe@example.com", "Project": "Unicorn"}}),
        ),
        case(
            "root in a partition of its own",
            json!({"awsRegion": "us-isob-east-1", "userIdentity": {"type": "Root", "accountId": "111122223333"}}),
            json!({"principal": "arn:aws-iso-b:iam::111122223333:root"}),
        ),
        case(
            "a bare id in a partition of its own",
            json!({"awsRegion": "us-iso-east-1", "requestParameters": {"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}}),
            json!({"key_arn":
                   "arn:aws-iso:kms:us-iso-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}),
        ),
        case(
            "a resource in lower case",
            json!({"resources": [{"arn": KEY, "accountId": "111122223333", "type": "AWS::KMS::Key"}]}),
            json!({"key_arn": KEY, "key_account_id": "111122223333"}),
        ),
        case(
            "what a VPC endpoint denied",
            json!({"eventCategory": "NetworkActivity", "eventType": "AwsVpceEvent", "errorCode": "VpceAccessDenied"}),
            json!({"outcome": "denied", "event_type": "AwsVpceEvent", "usage_class": "decrypt"}),
        ),
        case(
            "network activity says so, whatever its type",
            json!({"eventCategory": "NetworkActivity", "eventType": "AwsApiCall"}),
            json!({"event_type": "AwsVpceEvent"}),
        ),
    ]
}

/// Which service a call came through, where `invokedBy` does not say.
fn services() -> Vec<Case> {
    let trail = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
    let object = "arn:aws:s3:::log-archive/AWSLogs/111122223333/CloudTrail/us-east-1/2024/02/29/part-0.json.gz";
    let log = json!({"encryptionContext": {"aws:cloudtrail:arn": trail, "aws:s3:arn": object}});
    let by = |invoked_by: &str| json!({"type": "AssumedRole", "invokedBy": invoked_by});
    vec![
        case(
            "a log object that a role reads through S3",
            json!({"userIdentity": by("AWS Internal"), "requestParameters": log}),
            json!({"via": "s3.amazonaws.com", "asset": object, "asset_type": "s3-object", "asset_trust": "service"}),
        ),
        case(
            "a log object that CloudTrail writes",
            json!({"eventName": "GenerateDataKey", "userIdentity": by("cloudtrail.amazonaws.com"), "requestParameters": log}),
            json!({"via": "cloudtrail.amazonaws.com", "asset": trail, "asset_type": "cloudtrail-trail"}),
        ),
        case(
            "an address that no caller has",
            json!({"eventName": "Encrypt", "sourceIPAddress": "AWS Internal", "userAgent": "aws-internal",
                   "requestParameters": {"encryptionContext": {"aws:acm:arn": "arn:aws:acm:us-east-1:1:certificate/0"}}}),
            json!({"via": "acm.amazonaws.com", "asset_type": "acm-certificate", "asset_trust": "service"}),
        ),
        case(
            "an ordinary address, and a user agent that anyone can send",
            json!({"sourceIPAddress": "203.0.113.50", "userAgent": "aws-internal/3", "requestParameters":
                   {"encryptionContext": {"aws:lambda:FunctionArn": "arn:aws:lambda:us-east-1:1:function:resize"}}}),
            json!({"via": null, "asset_type": "lambda-function", "asset_trust": "proved"}),
        ),
        case(
            "a key in the context is what guards, not what is guarded",
            json!({"requestParameters": {"encryptionContext": {"kms-arn": KEY, "branch-key-id": "b1"}}}),
            json!({"asset": null, "asset_type": null, "asset_trust": null}),
        ),
    ]
}

fn assets() -> Vec<Case> {
    let context = |name, invoked_by: Value, context: Value, columns: Value| {
        let identity = json!({"type": "IAMUser", "invokedBy": invoked_by});
        case(name, json!({"userIdentity": identity, "requestParameters": {"encryptionContext": context}}), columns)
    };
    let table = json!({"aws:cassandra:tableName": "t", "aws:cassandra:keyspaceName": "k"});
    vec![
        context(
            "a caller's word that a decrypt proved",
            Value::Null,
            json!({"aws:s3:arn": "arn:aws:s3:::b", "n": 1.50, "o": {"a": [true]}, "z": null}),
            json!({"asset": "arn:aws:s3:::b", "asset_type": "s3-bucket", "asset_trust": "proved", "via": null,
                   "encryption_context": {"aws:s3:arn": "arn:aws:s3:::b", "n": "1.5", "o": "{\"a\":[true]}", "z": ""}}),
        ),
        context(
            "a repository comes before the bucket that holds it",
            json!("AWS Internal"),
            json!({"aws:s3:arn": "arn:aws:s3:::b/k", "aws:ecr:arn": "arn:aws:ecr:us-east-1:1:repository/r"}),
            json!({"asset_type": "ecr-repository", "via": "ecr.amazonaws.com", "asset_trust": "service"}),
        ),
        context(
            "a secret's key being tried out",
            json!("secretsmanager.amazonaws.com"),
            json!({"SecretARN": "arn:s", "SecretVersionId": "RequestToValidateKeyAccess"}),
            json!({"asset": "arn:s", "asset_type": "secret-key-check", "via": "secretsmanager.amazonaws.com"}),
        ),
        context("a table of no known account", json!("x"), table, json!({"asset": "k/t", "via": "x"})),
        context(
            "nothing that a rule knows",
            json!("internal.amazonaws.com"),
            json!({"a": "b"}),
            json!({"asset": null, "asset_type": null, "asset_trust": null, "via": "AWS Internal"}),
        ),
        case(
            "ReEncrypt has two contexts, and the asset is the source's",
            json!({"eventName": "ReEncrypt", "requestParameters": {"encryptionContext": {"x": "y"},
                   "sourceEncryptionContext": {"a": "1", "b": "2"},
                   "destinationEncryptionContext": {"a": "1", "b": "3", "c": "arn:aws:x"}}}),
            json!({"asset": null, "encryption_context":
                   {"a": "1", "b": "2", "destination:b": "3", "destination:c": "arn:aws:x"}}),
        ),
    ]
}

fn payloads() -> Vec<Case> {
    vec![
        case(
            "a session token stays out, whatever its case and depth",
            json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
                   "responseElements": {"credentials": {"accessKeyId": "A", "SessionToken": "secret"}}}),
            json!({"response_elements": {"credentials": {"accessKeyId": "A", "SessionToken": "REDACTED"}},
                   "request_parameters": null}),
        ),
        case(
            "a rotation tells its key and its material",
            json!({"eventName": "RotateKey", "additionalEventData": {"x": 1},
                   "serviceEventDetails": {"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "currentKeyMaterialId": "m"}}),
            json!({"key_arn": KEY, "key_material_id": "m", "additional_event_data": {"additionalEventData": {"x": 1},
                   "serviceEventDetails": {"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "currentKeyMaterialId": "m"}}}),
        ),
        case(
            "everyday use keeps no payload",
            json!({"requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
                   "additionalEventData": {"keyMaterialId": "m"}}),
            json!({"request_parameters": null, "additional_event_data": null, "key_material_id": "m"}),
        ),
    ]
}
