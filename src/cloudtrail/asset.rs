//! Which resource an encryption context names, and what that name is worth.
//!
//! One table maps context keys to a kind of resource and the service behind it (facts §4.1); its order is the priority
//! when a context has several (facts §4.2: a service's own ARN before RDS before EBS before S3). A context that no rule
//! knows still yields an asset when one of its values is an ARN.
//!
//! A context is the caller's word unless a service set it or KMS checked it: [`Trust`].

use std::borrow::Cow;

use super::key::Arn;

/// The pairs of an encryption context, sorted by key.
pub type Context<'a> = [(Cow<'a, str>, Cow<'a, str>)];

/// A resource found in a context.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset<'a> {
    /// Its name: an ARN or id, as the context spells it.
    pub name: Cow<'a, str>,
    /// Its kind, such as `s3-object`; null when not even the ARN tells.
    pub kind: Option<Cow<'a, str>>,
    /// The service that owns it, without `.amazonaws.com`; null likewise.
    pub service: Option<Cow<'a, str>>,
}

/// What the name of an asset proves (design §4, facts §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// An AWS service made the call and set the context.
    Service,
    /// A decrypt succeeded, so the context is the one that the data was encrypted with.
    Proved,
    /// Only the caller says so.
    Claimed,
}

impl Trust {
    /// The name in the `asset_trust` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Proved => "proved",
            Self::Claimed => "claimed",
        }
    }
}

/// How the asset's name and kind follow from a matched context.
enum Shape {
    /// The value is the name.
    Plain(&'static str),
    /// A secret; with a version of `RequestToValidateKeyAccess` only a check that the key may be used.
    Secret,
    /// A table: account and name are separate pairs.
    Joined(&'static str, &'static [&'static str]),
    /// A volume, or a snapshot by its prefix.
    Ebs,
    /// An object, or with a bucket key its bucket.
    S3,
}

struct Rule {
    key: &'static str,
    service: &'static str,
    shape: Shape,
}

const fn plain(key: &'static str, service: &'static str, kind: &'static str) -> Rule {
    Rule { key, service, shape: Shape::Plain(kind) }
}

const KEYSPACES: &[&str] = &["aws:cassandra:subscriberId", "aws:cassandra:keyspaceName", "aws:cassandra:tableName"];

/// The asset table (facts §4.1), highest priority first.
const RULES: &[Rule] = &[
    Rule { key: "SecretARN", service: "secretsmanager", shape: Shape::Secret },
    plain("PARAMETER_ARN", "ssm", "ssm-parameter"),
    Rule {
        key: "aws:dynamodb:tableName",
        service: "dynamodb",
        shape: Shape::Joined("dynamodb-table", &["aws:dynamodb:subscriberId", "aws:dynamodb:tableName"]),
    },
    plain("aws:lambda:FunctionArn", "lambda", "lambda-function"),
    plain("aws:lambda:EventSourceArn", "lambda", "lambda-event-source"),
    plain("aws:logs:arn", "logs", "log-group"),
    plain("aws:sqs:arn", "sqs", "sqs-queue"),
    plain("aws:sns:topicArn", "sns", "sns-topic"),
    plain("aws:kinesis:arn", "kinesis", "kinesis-stream"),
    plain("aws:cloudtrail:arn", "cloudtrail", "cloudtrail-trail"),
    plain("aws:ecr:arn", "ecr", "ecr-repository"),
    plain("aws:elasticfilesystem:filesystem:id", "elasticfilesystem", "efs-filesystem"),
    plain("aws:redshift:arn", "redshift", "redshift-cluster"),
    Rule { key: "aws:cassandra:tableName", service: "cassandra", shape: Shape::Joined("keyspaces-table", KEYSPACES) },
    plain("aws:states:stateMachineArn", "states", "state-machine"),
    plain("aws:states:activityArn", "states", "states-activity"),
    plain("aws:events:event-bus:arn", "events", "event-bus"),
    // AWS's own example prints the key with the condition's prefix (facts §4.1).
    plain("kms:EncryptionContext:aws:events:event-bus:arn", "events", "event-bus"),
    plain("glue_catalog_id", "glue", "glue-catalog"),
    plain("aws:backup:backup-vault", "backup", "backup-vault"),
    plain("aws:es:arn", "es", "opensearch-domain"),
    plain("aws:workmail:arn", "workmail", "workmail-organization"),
    plain("aws:ses:message-id", "ses", "ses-message"),
    plain("aws:ses:rule-name", "ses", "ses-rule"),
    plain("aws:workspaces:sid-directoryid", "workspaces", "workspace"),
    plain("aws:voiceid:domain:arn", "voiceid", "voiceid-domain"),
    plain("aws:elasticloadbalancing:arn", "elasticloadbalancing", "load-balancer"),
    plain("aws:acm:arn", "acm", "acm-certificate"),
    plain("aws:dsql:ClusterId", "dsql", "dsql-cluster"),
    plain("aws:appconfig:deployment:arn", "appconfig", "appconfig-deployment"),
    plain("aws:appfabric:appbundle:arn", "appfabric", "appfabric-bundle"),
    plain("aws:rds:db-id", "rds", "rds-instance"),
    plain("aws:rds:dbc-id", "rds", "rds-cluster"),
    Rule { key: "aws:ebs:id", service: "ec2", shape: Shape::Ebs },
    Rule { key: "aws:s3:arn", service: "s3", shape: Shape::S3 },
];

/// Prefix of the context keys of ReEncrypt's destination.
pub const DESTINATION: &str = "destination:";

/// The resource that a context names.
#[must_use]
pub fn asset<'a>(context: &Context<'a>) -> Option<Asset<'a>> {
    if context.is_empty() {
        return None;
    }
    let rule = RULES.iter().find_map(|rule| value(context, rule.key).map(|value| (rule, value)));
    match rule {
        Some((rule, value)) => Some(by_rule(rule, value, context)),
        None => by_arn(context),
    }
}

fn value<'c, 'a>(context: &'c Context<'a>, key: &str) -> Option<&'c Cow<'a, str>> {
    context.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn by_rule<'a>(rule: &Rule, found: &Cow<'a, str>, context: &Context<'a>) -> Asset<'a> {
    let (name, kind) = match rule.shape {
        Shape::Plain(kind) => (found.clone(), kind),
        Shape::Secret => {
            let check = value(context, "SecretVersionId").is_some_and(|id| id == "RequestToValidateKeyAccess");
            (found.clone(), if check { "secret-key-check" } else { "secret" })
        }
        Shape::Joined(kind, keys) => {
            let parts: Vec<&str> = keys.iter().filter_map(|key| value(context, key)).map(AsRef::as_ref).collect();
            (Cow::Owned(parts.join("/")), kind)
        }
        Shape::Ebs => (found.clone(), if found.starts_with("snap-") { "ebs-snapshot" } else { "ebs-volume" }),
        Shape::S3 => {
            let object = found.split_once(":::").map_or(found.as_ref(), |(_, path)| path).contains('/');
            (found.clone(), if object { "s3-object" } else { "s3-bucket" })
        }
    };
    Asset { name, kind: Some(Cow::Borrowed(kind)), service: Some(Cow::Borrowed(rule.service)) }
}

fn by_arn<'a>(context: &Context<'a>) -> Option<Asset<'a>> {
    let (_, name) = context.iter().find(|(key, value)| !key.starts_with(DESTINATION) && value.starts_with("arn:"))?;
    let service = Arn::new(name).and_then(Arn::service).map(|service| Cow::Owned(service.to_owned()));
    Some(Asset { name: name.clone(), kind: service.clone(), service })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&'static str, &'static str)]) -> Option<(String, String)> {
        let context: Vec<_> = pairs.iter().map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value))).collect();
        asset(&context).map(|asset| (asset.kind.unwrap().into_owned(), asset.name.into_owned()))
    }

    #[test]
    fn the_most_specific_pair_names_the_asset() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: &[(Pairs, (&str, &str))] = &[
            (&[("aws:s3:arn", "arn:aws:s3:::b/k")], ("s3-object", "arn:aws:s3:::b/k")),
            (&[("aws:s3:arn", "arn:aws:s3:::b")], ("s3-bucket", "arn:aws:s3:::b")),
            (&[("aws:ebs:id", "vol-1"), ("aws:rds:db-id", "db-1")], ("rds-instance", "db-1")),
            (&[("aws:ebs:id", "snap-1")], ("ebs-snapshot", "snap-1")),
            (&[("aws:ecr:arn", "arn:e"), ("aws:s3:arn", "arn:aws:s3:::b/k")], ("ecr-repository", "arn:e")),
            (&[("aws:dynamodb:subscriberId", "1"), ("aws:dynamodb:tableName", "t")], ("dynamodb-table", "1/t")),
            (
                &[("SecretARN", "arn:s"), ("SecretVersionId", "RequestToValidateKeyAccess")],
                ("secret-key-check", "arn:s"),
            ),
            (&[("new", "arn:aws:newsvc:eu-west-1:1:x/y")], ("newsvc", "arn:aws:newsvc:eu-west-1:1:x/y")),
        ];
        for (pairs, (kind, name)) in cases {
            assert_eq!(found(pairs), Some(((*kind).to_owned(), (*name).to_owned())), "{pairs:?}");
        }
        assert_eq!(found(&[("Department", "Engineering")]), None);
        assert_eq!(found(&[("destination:x", "arn:aws:s3:::b")]), None);
    }
}
