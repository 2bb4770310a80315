//! Callers: every identity type with every kind of ARN, whether they go together or not.

use proptest::prelude::*;
use proptest::sample::select;

use super::spelling::Node;
use super::values::{
    ACCOUNTS, Members, Nodes, anything, extras, instant, member, object, odd_text, one_of, rare, text,
};

const TYPES: &[&str] = &[
    "Root",
    "IAMUser",
    "AssumedRole",
    "Role",
    "FederatedUser",
    "AWSAccount",
    "AWSService",
    "IdentityCenterUser",
    "SAMLUser",
    "WebIdentityUser",
    "Directory",
    "Unknown",
    "SomethingNew",
];
const SESSIONS: &[&str] = &["s", "i-81e2f56c", "a@b.example", "x:y", "a/b", "é"];
const ROLES: &[&str] = &["Admin", "aws:ec2-infrastructure", "AWSReservedSSO_A_0123"];
const SERVICES: &[&str] = &[
    "AWS Internal",
    "internal.amazonaws.com",
    "lambda.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "ec2.amazonaws.com",
    "",
];
const RESOURCES: &[&str] = &[
    ":iam::111122223333:user/Alice",
    ":iam::111122223333:user/division/Alice",
    ":iam::111122223333:role/Admin",
    ":iam::111122223333:role/service-role/user/Admin",
    ":iam::111122223333:root",
    ":iam::111122223333:group/user/x",
    ":sts::111122223333:federated-user/Bob",
    ":sts::111122223333:assumed-role/Admin",
    ":sts:::assumed-role/Admin/s",
    ":sts::111122223333:role/Admin",
    ":sts:::role/Admin",
    ":identitystore:::user/1-2",
];

/// `userIdentity`.
pub fn identity() -> Nodes {
    let id = (select(&["AROAEXAMPLE", "AIDAEXAMPLE", "111122223333:aws:ec2-infrastructure", ""]), session_suffix());
    object(vec![
        rare_type(),
        rare("arn", text(arn())),
        prop_oneof![
            5 => member("principalId", text(id.prop_map(|(id, session)| format!("{id}{session}")))),
            1 => Just(Vec::new()),
        ]
        .boxed(),
        member("accountId", text(one_of(ACCOUNTS))),
        member("accessKeyId", text(one_of(&["ASIAEXAMPLE", "AKIAEXAMPLE", ""]))),
        rare("userName", text(one_of(&["Alice", "é", ""]))),
        rare("invokedBy", text(prop_oneof![6 => one_of(SERVICES), 1 => odd_text()])),
        rare("sessionContext", session_context()),
        rare("onBehalfOf", on_behalf_of()),
        rare("identityProvider", anything()),
        extras(),
    ])
}

fn rare_type() -> Members {
    let missing = Just(Vec::new()).boxed();
    prop_oneof![3 => member("type", text(one_of(TYPES))), 1 => missing].boxed()
}

fn session_suffix() -> BoxedStrategy<String> {
    prop_oneof![3 => select(SESSIONS).prop_map(|session| format!(":{session}")), 1 => Just(String::new())].boxed()
}

fn arn() -> BoxedStrategy<String> {
    let partition = || select(&["aws", "aws-us-gov"]);
    let session = (partition(), select(ACCOUNTS), select(ROLES), select(SESSIONS))
        .prop_map(|(p, account, role, session)| format!("arn:{p}:sts::{account}:assumed-role/{role}/{session}"));
    let other = (partition(), select(RESOURCES)).prop_map(|(partition, rest)| format!("arn:{partition}{rest}"));
    prop_oneof![4 => session, 5 => other, 1 => odd_text()].boxed()
}

fn session_context() -> Nodes {
    let issuer = object(vec![
        member("type", text(one_of(&["Role", "IAMUser", "Root"]))),
        rare("principalId", text(one_of(&["AROAISSUER", ""]))),
        member("arn", text(arn_of_issuer())),
        member("accountId", text(one_of(ACCOUNTS))),
        extras(),
    ]);
    let basic = Just("20230710T120755Z".to_owned());
    let mfa = prop_oneof![3 => text(one_of(&["true", "false", "True"])), 1 => Just(Node::spelled("true"))];
    let attributes = object(vec![
        member("creationDate", text(prop_oneof![4 => instant(), 1 => basic])),
        member("mfaAuthenticated", mfa.boxed()),
    ]);
    object(vec![
        rare("sessionIssuer", prop_oneof![4 => issuer, 1 => Just(Node::Object(Vec::new()))].boxed()),
        member("attributes", attributes),
        rare("sourceIdentity", text(one_of(&["bob", "é", ""]))),
        rare("webIdFederationData", anything()),
        extras(),
    ])
}

fn arn_of_issuer() -> BoxedStrategy<String> {
    prop_oneof![
        5 => one_of(&["arn:aws:iam::111122223333:role/a/path/Admin", "arn:aws:iam::111122223333:user/Alice"]),
        1 => odd_text(),
    ]
    .boxed()
}

fn on_behalf_of() -> Nodes {
    object(vec![
        member("userId", text(one_of(&["u-1", ""]))),
        member("identityStoreArn", text(one_of(&["arn:aws:identitystore::111122223333:identitystore/d-1"]))),
    ])
}
