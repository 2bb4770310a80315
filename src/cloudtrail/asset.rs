//! Which resource an encryption context names, and what that name is worth.
//!
//! One table maps context keys to a kind of resource and the service behind it (facts §4.1); its order is the priority
//! when a context has several (facts §4.2: a service's own ARN before RDS before EBS before S3). A context that no rule
//! knows still yields an asset when one of its values is an ARN.
//!
//! A context is the caller's word unless a service set it or KMS checked it: [`Trust`].

use std::borrow::Cow;

use super::arn::Arn;

/// The pairs of an encryption context, sorted by key.
pub type Context<'a> = [(Cow<'a, str>, Cow<'a, str>)];

/// A resource found in a context.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset<'a> {
    /// Its name: an ARN or id, as the context spells it.
    pub name: Cow<'a, str>,
    /// Its kind, such as `s3-object`; null when not even the ARN tells.
    pub kind: Option<Cow<'a, str>>,
    /// The service that owns it, as `invokedBy` would name it; null likewise.
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
    Rule { key: "SecretARN", service: "secretsmanager.amazonaws.com", shape: Shape::Secret },
    plain("PARAMETER_ARN", "ssm.amazonaws.com", "ssm-parameter"),
    Rule {
        key: "aws:dynamodb:tableName",
        service: "dynamodb.amazonaws.com",
        shape: Shape::Joined("dynamodb-table", &["aws:dynamodb:subscriberId", "aws:dynamodb:tableName"]),
    },
    plain("aws:lambda:FunctionArn", "lambda.amazonaws.com", "lambda-function"),
    plain("aws:lambda:EventSourceArn", "lambda.amazonaws.com", "lambda-event-source"),
    plain("aws:logs:arn", "logs.amazonaws.com", "log-group"),
    plain("aws:sqs:arn", "sqs.amazonaws.com", "sqs-queue"),
    plain("aws:sns:topicArn", "sns.amazonaws.com", "sns-topic"),
    plain("aws:kinesis:arn", "kinesis.amazonaws.com", "kinesis-stream"),
    plain("aws:cloudtrail:arn", "cloudtrail.amazonaws.com", "cloudtrail-trail"),
    plain("aws:ecr:arn", "ecr.amazonaws.com", "ecr-repository"),
    plain("aws:elasticfilesystem:filesystem:id", "elasticfilesystem.amazonaws.com", "efs-filesystem"),
    plain("aws:redshift:arn", "redshift.amazonaws.com", "redshift-cluster"),
    Rule {
        key: "aws:cassandra:tableName",
        service: "cassandra.amazonaws.com",
        shape: Shape::Joined("keyspaces-table", KEYSPACES),
    },
    plain("aws:states:stateMachineArn", "states.amazonaws.com", "state-machine"),
    plain("aws:states:activityArn", "states.amazonaws.com", "states-activity"),
    plain("aws:events:event-bus:arn", "events.amazonaws.com", "event-bus"),
    // AWS's own example prints the key with the condition's prefix (facts §4.1).
    plain("kms:EncryptionContext:aws:events:event-bus:arn", "events.amazonaws.com", "event-bus"),
    plain("glue_catalog_id", "glue.amazonaws.com", "glue-catalog"),
    plain("aws:backup:backup-vault", "backup.amazonaws.com", "backup-vault"),
    plain("aws:es:arn", "es.amazonaws.com", "opensearch-domain"),
    plain("aws:workmail:arn", "workmail.amazonaws.com", "workmail-organization"),
    plain("aws:ses:message-id", "ses.amazonaws.com", "ses-message"),
    plain("aws:ses:rule-name", "ses.amazonaws.com", "ses-rule"),
    plain("aws:workspaces:sid-directoryid", "workspaces.amazonaws.com", "workspace"),
    plain("aws:voiceid:domain:arn", "voiceid.amazonaws.com", "voiceid-domain"),
    plain("aws:elasticloadbalancing:arn", "elasticloadbalancing.amazonaws.com", "load-balancer"),
    plain("aws:acm:arn", "acm.amazonaws.com", "acm-certificate"),
    plain("aws:dsql:ClusterId", "dsql.amazonaws.com", "dsql-cluster"),
    plain("aws:appconfig:deployment:arn", "appconfig.amazonaws.com", "appconfig-deployment"),
    plain("aws:appfabric:appbundle:arn", "appfabric.amazonaws.com", "appfabric-bundle"),
    plain("aws:rds:db-id", "rds.amazonaws.com", "rds-instance"),
    plain("aws:rds:dbc-id", "rds.amazonaws.com", "rds-cluster"),
    Rule { key: "aws:ebs:id", service: "ec2.amazonaws.com", shape: Shape::Ebs },
    Rule { key: "aws:s3:arn", service: "s3.amazonaws.com", shape: Shape::S3 },
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
    let service = Arn::new(name).and_then(Arn::service);
    Some(Asset {
        name: name.clone(),
        kind: service.map(|service| Cow::Owned(service.to_owned())),
        service: service.map(|service| Cow::Owned(format!("{service}.amazonaws.com"))),
    })
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
