//! Which resource an encryption context names, and what that name is worth.
//!
//! One table maps context keys to a kind of resource and the service behind it (facts §4.1); its order is the priority
//! when a context has several (facts §4.2: a service's own ARN before RDS before EBS before S3). A context that no rule
//! knows still yields an asset when one of its values is an ARN, unless that is a key's: the hierarchical keyring of the
//! AWS Encryption SDK puts the key that guards its branch keys into the context (`kms-arn`), which says nothing of the data.
//!
//! An object's ARN is the exception to the order. S3 sets it, and adds to it what whoever stored the object asked for:
//! CloudTrail adds its trail to each log object. So whoever reads the object reads *the object*, through S3, and only
//! the service that stored it has to do with what it added. ECR's layers lie in buckets of AWS's own, where the repository is
//! all that is known to anyone else.
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
    S3,
];

const S3: Rule = Rule { key: "aws:s3:arn", service: "s3.amazonaws.com", shape: Shape::S3 };

/// Prefix of the context keys of ReEncrypt's destination.
pub const DESTINATION: &str = "destination:";

/// Of the services that store objects in buckets of AWS's own.
const OWN_BUCKETS: &str = "ecr.amazonaws.com";

/// The resource that a context names. `maker` is the service that made the call, where the record names it.
#[must_use]
pub fn asset<'a>(context: &Context<'a>, maker: Option<&str>) -> Option<Asset<'a>> {
    if context.is_empty() {
        return None;
    }
    let found = |rule: &'static Rule| Some((rule, value(context, rule.key)?));
    let Some(mut first) = RULES.iter().find_map(found) else { return by_arn(context) };
    if first.0.service != OWN_BUCKETS && maker != Some(first.0.service) {
        first = found(&S3).unwrap_or(first);
    }
    Some(by_rule(first.0, first.1, context))
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
    let is_data = |arn: Arn<'_>| arn.service() != Some("kms");
    let (_, name) =
        context.iter().find(|(key, value)| !key.starts_with(DESTINATION) && Arn::new(value).is_some_and(is_data))?;
    let service = Arn::new(name).and_then(Arn::service);
    // An identity in a context says whose the data is, and not that IAM or STS encrypted it.
    let calls = service.filter(|service| !matches!(*service, "iam" | "sts"));
    Some(Asset {
        name: name.clone(),
        kind: service.map(|service| Cow::Owned(service.to_owned())),
        service: calls.map(|service| Cow::Owned(format!("{service}.amazonaws.com"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset_of(pairs: &[(&'static str, &'static str)], maker: Option<&str>) -> Option<Asset<'static>> {
        let context: Vec<_> = pairs.iter().map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value))).collect();
        asset(&context, maker)
    }

    fn found(pairs: &[(&'static str, &'static str)]) -> Option<(String, String)> {
        asset_of(pairs, None).map(|asset| (asset.kind.unwrap().into_owned(), asset.name.into_owned()))
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

    #[test]
    fn an_object_is_read_through_s3_and_stored_by_whoever_added_to_its_context() {
        let trail = "arn:aws:cloudtrail:eu-west-1:1:trail/t";
        let pairs = [("aws:cloudtrail:arn", trail), ("aws:s3:arn", "arn:aws:s3:::b/AWSLogs/x.json.gz")];
        for reader in [None, Some("athena.amazonaws.com"), Some("s3.amazonaws.com")] {
            let asset = asset_of(&pairs, reader).unwrap();
            let (kind, service) = (asset.kind.as_deref(), asset.service.as_deref());
            assert_eq!((kind, service), (Some("s3-object"), Some("s3.amazonaws.com")), "{reader:?}");
        }
        let stored = asset_of(&pairs, Some("cloudtrail.amazonaws.com")).unwrap();
        assert_eq!((stored.kind.as_deref(), stored.name.as_ref()), (Some("cloudtrail-trail"), trail));
        // What a caller has S3 add is not a secret that Secrets Manager read.
        let forged = [("SecretARN", "arn:aws:secretsmanager:eu-west-1:1:secret:s"), ("aws:s3:arn", "arn:aws:s3:::b/k")];
        assert_eq!(found(&forged).unwrap().0, "s3-object");
    }

    #[test]
    fn a_key_in_a_context_is_no_asset_and_an_identity_no_service() {
        const KEY: &str = "arn:aws:kms:eu-west-1:1:key/k";
        assert_eq!(found(&[("branch-key-id", "b1"), ("kms-arn", KEY)]), None);
        assert_eq!(found(&[("kms_cmk_id", "arn:aws:kms:eu-west-1:1:alias/a")]), None);
        assert_eq!(found(&[("kms-arn", KEY), ("table", "arn:aws:dynamodb:x:1:table/t")]).unwrap().0, "dynamodb");
        let person = asset_of(&[("owner", "arn:aws:iam::1:user/eve")], None).unwrap();
        assert_eq!((person.kind.as_deref(), person.service), (Some("iam"), None));
    }
}
