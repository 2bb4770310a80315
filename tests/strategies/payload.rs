//! What events carry: parameters, encryption contexts, answers, details.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::spelling::Node;
use super::values::{
    Nodes, anything, extras, key_arn, key_name, member, object, odd_text, one_of, plain_scalar, rare, text,
};

/// Every key that gives an asset away, the keys that complete an asset's name, and keys that mean nothing.
const CONTEXT_KEYS: &[&str] = &[
    "SecretARN",
    "SecretVersionId",
    "PARAMETER_ARN",
    "aws:dynamodb:tableName",
    "aws:dynamodb:subscriberId",
    "aws:lambda:FunctionArn",
    "aws:lambda:EventSourceArn",
    "aws:logs:arn",
    "aws:sqs:arn",
    "aws:sns:topicArn",
    "aws:kinesis:arn",
    "aws:cloudtrail:arn",
    "aws:ecr:arn",
    "aws:elasticfilesystem:filesystem:id",
    "aws:redshift:arn",
    "aws:cassandra:tableName",
    "aws:cassandra:keyspaceName",
    "aws:cassandra:subscriberId",
    "aws:states:stateMachineArn",
    "aws:states:activityArn",
    "aws:events:event-bus:arn",
    "kms:EncryptionContext:aws:events:event-bus:arn",
    "glue_catalog_id",
    "aws:backup:backup-vault",
    "aws:es:arn",
    "aws:workmail:arn",
    "aws:ses:message-id",
    "aws:ses:rule-name",
    "aws:workspaces:sid-directoryid",
    "aws:voiceid:domain:arn",
    "aws:elasticloadbalancing:arn",
    "aws:acm:arn",
    "aws:dsql:ClusterId",
    "aws:appconfig:deployment:arn",
    "aws:appfabric:appbundle:arn",
    "aws:rds:db-id",
    "aws:rds:dbc-id",
    "aws:ebs:id",
    "aws:s3:arn",
];
/// Keys that no rule knows. The `destination:` one never meets the destination's own key of that name.
const OWN_KEYS: &[&str] =
    &["Department", "Z", "sessionToken", "secretarn", "", "é😀", "destination:own", "AWS:S3:ARN", "kms-arn"];
const CONTEXT_VALUES: &[&str] = &[
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::bucket/a/key",
    "arn:aws:s3:us-east-1:111122223333:accesspoint/a/b",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf",
    "arn:aws:kafka:us-east-1:111122223333:cluster/a",
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "arn:aws:iam::111122223333:user/Alice",
    "arn:aws",
    "snap-0123",
    "vol-0123",
    "111122223333",
    "RequestToValidateKeyAccess",
    "Alpha",
];
/// Values of a context that are no strings, spelled so that there is one way to write them compactly.
const STRUCTURES: &[&str] = &["[]", "{ }", "[1, true ,null]", "{\"a\" : 1}", "[\"arn:aws:s3:::b\", \"c\"]"];

/// An encryption context.
pub fn encryption_context() -> Nodes {
    let key = prop_oneof![3 => select(CONTEXT_KEYS), 2 => select(OWN_KEYS)].prop_map(str::to_owned);
    let value = prop_oneof![
        10 => text(one_of(CONTEXT_VALUES)),
        2 => text(odd_text()),
        2 => plain_scalar(),
        1 => select(STRUCTURES).prop_map(Node::spelled),
    ];
    vec((key, value), 0..5).prop_map(Node::Object).boxed()
}

/// `requestParameters`.
pub fn request_parameters() -> Nodes {
    let parameters = object(vec![
        rare("keyId", text(key_name())),
        member("encryptionContext", encryption_context()),
        member("sourceEncryptionContext", encryption_context()),
        member("destinationEncryptionContext", encryption_context()),
        rare("sourceKeyId", text(key_name())),
        rare("destinationKeyId", text(key_name())),
        rare("targetKeyId", text(key_name())),
        rare("aliasName", text(one_of(&["alias/project", "alias/aws/s3", "é", ""]))),
        rare("grantId", text(one_of(&["grant-1", ""]))),
        rare("policy", text(one_of(&["{\n  \"Version\" : \"2012-10-17\"\n}"]))),
        rare("constraints", anything()),
        rare("principalTags", encryption_context()),
        rare("incomingTransitiveTags", encryption_context()),
        member("tags", tags()),
        rare("SESSIONTOKEN", anything()),
        extras(),
    ]);
    prop_oneof![8 => parameters, 1 => Just(Node::spelled("null")), 1 => Just(Node::Object(Vec::new()))].boxed()
}

/// A list of tags, as STS spells them and as KMS does.
fn tags() -> Nodes {
    let named = |key, value| {
        object(vec![
            member(key, text(one_of(&["Department", "sessionToken", "é", ""]))),
            member(value, prop_oneof![4 => text(odd_text()), 1 => anything()].boxed()),
        ])
    };
    let tag = prop_oneof![6 => named("key", "value"), 2 => named("tagKey", "tagValue"), 1 => anything()];
    prop_oneof![9 => vec(tag, 0..3).prop_map(Node::List), 1 => anything()].boxed()
}

/// `responseElements`.
pub fn response_elements() -> Nodes {
    let metadata = object(vec![member("arn", text(key_arn())), rare("keyId", text(key_name())), extras()]);
    let credentials = object(vec![
        member("accessKeyId", text(one_of(&["ASIAEXAMPLE"]))),
        member("sessionToken", prop_oneof![text(odd_text()), anything()].boxed()),
    ]);
    let elements = object(vec![
        rare("keyId", text(key_name())),
        rare("keyMetadata", metadata),
        rare("grantId", text(one_of(&["grant-2", ""]))),
        rare("keyMaterialId", text(one_of(&["material-2", ""]))),
        rare("credentials", credentials),
        extras(),
    ]);
    prop_oneof![1 => elements, 1 => Just(Node::spelled("null"))].boxed()
}

/// `additionalEventData`.
pub fn additional_event_data() -> Nodes {
    object(vec![
        rare("keyMaterialId", text(one_of(&["material-1", ""]))),
        rare("grantId", text(one_of(&["grant-3", ""]))),
        rare("recipient", anything()),
        rare("backingKeys", text(one_of(&["[{\"keyHandle\":\"01\"}]"]))),
        extras(),
    ])
}

/// `serviceEventDetails`.
pub fn service_event_details() -> Nodes {
    object(vec![
        member("keyId", text(key_name())),
        rare("currentKeyMaterialId", text(one_of(&["material-3"]))),
        rare("rotationType", text(one_of(&["AUTOMATIC", "ON_DEMAND"]))),
        extras(),
    ])
}

/// `resources`.
pub fn resources() -> Nodes {
    let alias = one_of(&["arn:aws:kms:us-east-1:111122223333:alias/project", "x:alias/y"]);
    let arn = prop_oneof![8 => key_arn(), 2 => alias, 1 => odd_text()];
    let resource = object(vec![
        prop_oneof![5 => member("ARN", text(arn)), 1 => Just(Vec::new())].boxed(),
        member("accountId", text(one_of(&["111122223333", "AWS Internal"]))),
        rare("type", text(one_of(&["AWS::KMS::Key"]))),
        rare("arn", text(key_arn())),
    ]);
    vec(prop_oneof![12 => resource, 1 => anything()], 0..4).prop_map(Node::List).boxed()
}

/// `errorMessage`.
pub fn error_message() -> Nodes {
    let about = |around: [&'static str; 2]| key_arn().prop_map(move |arn| format!("{}{arn}{}", around[0], around[1]));
    let denied = [
        "User: arn:aws:sts::111122223333:assumed-role/r/s@x is not authorized to perform: kms:Decrypt on resource: ",
        " because no resource-based policy allows the kms:Decrypt action",
    ];
    let half = ["User: x is not authorized to perform: kms:ReEncryptTo on resource: ", ""];
    let message = prop_oneof![
        about(denied),
        about(half),
        about(["", " is pending deletion."]),
        about(["", " Is Disabled"]),
        about(["(", ")"]),
        one_of(&["The ciphertext refers to a customer master key that does not exist", ""]),
        odd_text(),
    ];
    text(message)
}
