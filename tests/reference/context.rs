//! The encryption context, and the resource that it names (facts §4).

use std::collections::BTreeMap;

use super::Record;
use super::json::Json;
use super::keys::arn_field;

/// The pairs of an encryption context, sorted by key.
pub type Context = BTreeMap<String, String>;

/// What marks a pair that only `ReEncrypt`'s destination has.
const DESTINATION: &str = "destination:";

/// A resource that a context names.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    pub name: String,
    /// Such as `s3-object`.
    pub kind: Option<String>,
    /// The service that owns it, such as `s3.amazonaws.com`.
    pub host: Option<String>,
}

/// The key that gives an asset away, the asset's type, its service. The first that a context has is the one.
const RULES: &[(&str, &str, &str)] = &[
    ("SecretARN", "secret", "secretsmanager"),
    ("PARAMETER_ARN", "ssm-parameter", "ssm"),
    ("aws:dynamodb:tableName", "dynamodb-table", "dynamodb"),
    ("aws:lambda:FunctionArn", "lambda-function", "lambda"),
    ("aws:lambda:EventSourceArn", "lambda-event-source", "lambda"),
    ("aws:logs:arn", "log-group", "logs"),
    ("aws:sqs:arn", "sqs-queue", "sqs"),
    ("aws:sns:topicArn", "sns-topic", "sns"),
    ("aws:kinesis:arn", "kinesis-stream", "kinesis"),
    ("aws:cloudtrail:arn", "cloudtrail-trail", "cloudtrail"),
    ("aws:ecr:arn", "ecr-repository", "ecr"),
    ("aws:elasticfilesystem:filesystem:id", "efs-filesystem", "elasticfilesystem"),
    ("aws:redshift:arn", "redshift-cluster", "redshift"),
    ("aws:cassandra:tableName", "keyspaces-table", "cassandra"),
    ("aws:states:stateMachineArn", "state-machine", "states"),
    ("aws:states:activityArn", "states-activity", "states"),
    ("aws:events:event-bus:arn", "event-bus", "events"),
    ("kms:EncryptionContext:aws:events:event-bus:arn", "event-bus", "events"),
    ("glue_catalog_id", "glue-catalog", "glue"),
    ("aws:backup:backup-vault", "backup-vault", "backup"),
    ("aws:es:arn", "opensearch-domain", "es"),
    ("aws:workmail:arn", "workmail-organization", "workmail"),
    ("aws:ses:message-id", "ses-message", "ses"),
    ("aws:ses:rule-name", "ses-rule", "ses"),
    ("aws:workspaces:sid-directoryid", "workspace", "workspaces"),
    ("aws:voiceid:domain:arn", "voiceid-domain", "voiceid"),
    ("aws:elasticloadbalancing:arn", "load-balancer", "elasticloadbalancing"),
    ("aws:acm:arn", "acm-certificate", "acm"),
    ("aws:dsql:ClusterId", "dsql-cluster", "dsql"),
    ("aws:appconfig:deployment:arn", "appconfig-deployment", "appconfig"),
    ("aws:appfabric:appbundle:arn", "appfabric-bundle", "appfabric"),
    ("aws:rds:db-id", "rds-instance", "rds"),
    ("aws:rds:dbc-id", "rds-cluster", "rds"),
    ("aws:ebs:id", "ebs-volume", "ec2"),
    ("aws:s3:arn", "s3-bucket", "s3"),
];

/// The encryption context of an event; empty where it has none. Only `ReEncrypt` has a source's and a destination's
/// (facts §3.2.3), but nothing of a context may be lost, so they are read wherever they stand.
pub fn encryption_context(record: &Record) -> Context {
    if !record.is_kms() {
        return Context::new();
    }
    let source = pairs(record.at("requestParameters.sourceEncryptionContext"));
    let source = if source.is_empty() { pairs(record.at("requestParameters.encryptionContext")) } else { source };
    let mut context = source.clone();
    for (key, value) in pairs(record.at("requestParameters.destinationEncryptionContext")) {
        if source.get(&key) != Some(&value) {
            context.insert(format!("{DESTINATION}{key}"), value);
        }
    }
    context
}

pub fn pairs(json: &Json) -> Context {
    let Json::Object(members) = json else { return Context::new() };
    members.iter().map(|(key, value)| (key.clone(), pair_value(value))).collect()
}

fn pair_value(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::List(_) | Json::Object(_) => value.compact(),
        _ => value.text().unwrap_or_default(),
    }
}

/// The resource that a context names. What stands beside an object's ARN is what S3 was asked to add, unless it is of
/// the service that called, or of ECR, whose buckets are AWS's own.
pub fn asset(context: &Context, caller: Option<&str>) -> Option<Asset> {
    let mut rules: Vec<_> = RULES.iter().filter(|(key, _, _)| context.contains_key(*key)).collect();
    let is_of_caller = |service: &str| caller == Some(format!("{service}.amazonaws.com").as_str());
    let is_object_read = rules.last().is_some_and(|(_, _, service)| *service == "s3")
        && rules.first().is_some_and(|(_, _, service)| *service != "ecr" && !is_of_caller(service));
    if is_object_read {
        rules.reverse();
    }
    let Some((key, kind, service)) = rules.first() else { return some_arn(context) };
    let (name, kind) = named(context, key, kind);
    Some(Asset { name, kind: Some(kind.to_owned()), host: Some(format!("{service}.amazonaws.com")) })
}

/// The asset's name and type, where these are not just the value and the rule's type.
fn named<'a>(context: &Context, key: &str, kind: &'a str) -> (String, &'a str) {
    let value = context[key].clone();
    let join = |keys: &[&str]| keys.iter().filter_map(|key| context.get(*key).cloned()).collect::<Vec<_>>().join("/");
    match key {
        "SecretARN" if context.get("SecretVersionId").is_some_and(|id| id == "RequestToValidateKeyAccess") => {
            (value, "secret-key-check")
        }
        "aws:dynamodb:tableName" => (join(&["aws:dynamodb:subscriberId", key]), kind),
        "aws:cassandra:tableName" => (join(&["aws:cassandra:subscriberId", "aws:cassandra:keyspaceName", key]), kind),
        "aws:ebs:id" if value.starts_with("snap-") => (value, "ebs-snapshot"),
        "aws:s3:arn" if value.split_once(":::").map_or(&*value, |(_, path)| path).contains('/') => (value, "s3-object"),
        _ => (value, kind),
    }
}

/// Without a rule, the first pair that holds an ARN, and not that of a key. IAM and STS name people and encrypt nothing.
fn some_arn(context: &Context) -> Option<Asset> {
    let of_source = context.iter().filter(|(key, _)| !key.starts_with(DESTINATION));
    let mut arns = of_source.map(|(_, value)| value).filter(|value| value.starts_with("arn:"));
    let arn = arns.find(|arn| arn_field(arn, 2).as_deref() != Some("kms"))?;
    let kind = arn_field(arn, 2);
    let encrypts = kind.as_ref().filter(|service| !["iam", "sts"].contains(&service.as_str()));
    let host = encrypts.map(|service| format!("{service}.amazonaws.com"));
    Some(Asset { name: arn.clone(), kind, host })
}

#[test]
fn a_table_is_named_with_its_account_and_an_unknown_service_by_its_arn() {
    let context = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Context>();
    let table = asset(&context(&[("aws:dynamodb:subscriberId", "1"), ("aws:dynamodb:tableName", "t")]), None).unwrap();
    assert_eq!((table.name.as_str(), table.kind.as_deref()), ("1/t", Some("dynamodb-table")));
    let topic = asset(&context(&[("a", "b"), ("c", "arn:aws:kafka:x")]), None).unwrap();
    assert_eq!((topic.kind.as_deref(), topic.host.as_deref()), (Some("kafka"), Some("kafka.amazonaws.com")));
    assert_eq!(asset(&context(&[("destination:c", "arn:aws:kafka:x")]), None), None);
}
