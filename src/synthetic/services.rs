//! The services that call KMS for somebody: how each shows itself and which encryption context it sends (facts §4.1).
//!
//! One line per service and way of calling. It refuses to choose callers or keys.

use super::clock::{Calendar, Seconds};
use super::dice::Dice;
use super::oddities;
use super::operation::Operation::{
    self, Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncrypt,
};
use super::record::Record;

/// How a service shows itself in `invokedBy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// By its host name.
    Host,
    /// As `AWS Internal`; only the encryption context says which service it was.
    Internal,
    /// Not at all: the caller calls KMS itself.
    Nothing,
}

/// Whose identity the call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A person's or workload's, on whose behalf the service calls.
    Theirs,
    /// The service's own.
    ServicePrincipal,
    /// The role that EC2 attaches volumes with.
    Infrastructure,
    /// A service-linked role.
    LinkedRole(&'static str),
}

/// A service and one way in which it uses KMS.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) host: &'static str,
    pub(super) shows: Shows,
    pub(super) caller: Caller,
    pub(super) context: Context,
    /// Out of 100 workloads of the extra ones, about how many use it.
    pub(super) popularity: u64,
    /// Empty: whatever the key is for.
    pub(super) operations: &'static [(Operation, u64)],
}

/// The encryption contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    None,
    Application,
    EncryptionSdk,
    S3Client,
    S3Object,
    S3Bucket,
    Volume,
    Snapshot,
    DbInstance,
    DbCluster,
    Table,
    Secret,
    Parameter,
    LogGroup,
    Queue,
    Topic,
    Function,
    EventSource,
    Stream,
    Trail,
    FileSystem,
    Warehouse,
    Image,
    Keyspace,
    StateMachine,
    Activity,
    Bus,
    BusAsDocumented,
    Catalog,
    Vault,
    Domain,
    Workspace,
    Mail,
    Message,
    Certificate,
    LoadBalancer,
    Configuration,
    AppBundle,
    Voice,
    Dsql,
    Agent,
}

const READ: &[(Operation, u64)] = &[(Decrypt, 1)];
const MOSTLY_READ: &[(Operation, u64)] = &[(Decrypt, 80), (GenerateDataKey, 20)];
const WRITE: &[(Operation, u64)] = &[(GenerateDataKey, 1)];
const BOTH: &[(Operation, u64)] = &[(Decrypt, 50), (GenerateDataKey, 50)];
const VALUES: &[(Operation, u64)] = &[(Decrypt, 85), (Encrypt, 15)];
const VOLUMES: &[(Operation, u64)] = &[(GenerateDataKeyWithoutPlaintext, 90), (ReEncrypt, 10)];

macro_rules! services {
    ($($host:literal $shows:ident $caller:expr, $context:ident, $popularity:literal, $operations:expr;)*) => {
        &[$(Service {
            host: $host,
            shows: Shows::$shows,
            caller: $caller,
            context: Context::$context,
            popularity: $popularity,
            operations: $operations,
        }),*]
    };
}

/// The services that call KMS as themselves.
pub(super) const SERVICE_PRINCIPALS: [&str; 7] = [
    "cloudtrail.amazonaws.com",
    "logs.amazonaws.com",
    "sns.amazonaws.com",
    "events.amazonaws.com",
    "workmail.amazonaws.com",
    "ses.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
];

use Caller::{Infrastructure, LinkedRole, ServicePrincipal, Theirs};

/// Every service and way. The direct ways come first.
pub(super) const CATALOGUE: &[Service] = services! {
    "" Nothing Theirs, None, 6, &[];
    "" Nothing Theirs, Application, 8, &[];
    "" Nothing Theirs, EncryptionSdk, 2, BOTH;
    "" Nothing Theirs, S3Client, 1, BOTH;
    "s3.amazonaws.com" Internal Theirs, S3Object, 30, MOSTLY_READ;
    "s3.amazonaws.com" Internal Theirs, S3Bucket, 12, MOSTLY_READ;
    "firehose.amazonaws.com" Host Theirs, S3Object, 1, WRITE;
    "ec2.amazonaws.com" Nothing Infrastructure, Volume, 4, READ;
    "ec2.amazonaws.com" Host Theirs, Volume, 1, VOLUMES;
    "autoscaling.amazonaws.com" Host LinkedRole("AWSServiceRoleForAutoScaling"), Volume, 1, VOLUMES;
    "ec2.amazonaws.com" Host Theirs, Snapshot, 1, VOLUMES;
    "rds.amazonaws.com" Host LinkedRole("AWSServiceRoleForRDS"), DbInstance, 2, BOTH;
    "rds.amazonaws.com" Host Theirs, DbCluster, 1, BOTH;
    "dynamodb.amazonaws.com" Host Theirs, Table, 8, READ;
    "secretsmanager.amazonaws.com" Host Theirs, Secret, 8, MOSTLY_READ;
    "ssm.amazonaws.com" Internal Theirs, Parameter, 6, VALUES;
    "logs.amazonaws.com" Host ServicePrincipal, LogGroup, 2, BOTH;
    "sqs.amazonaws.com" Host Theirs, Queue, 6, BOTH;
    "sns.amazonaws.com" Host ServicePrincipal, Topic, 1, BOTH;
    "lambda.amazonaws.com" Host Theirs, Function, 10, READ;
    "lambda.amazonaws.com" Host Theirs, EventSource, 1, READ;
    "kinesis.amazonaws.com" Host Theirs, Stream, 3, BOTH;
    "cloudtrail.amazonaws.com" Host ServicePrincipal, Trail, 1, WRITE;
    "elasticfilesystem.amazonaws.com" Host Theirs, FileSystem, 1, READ;
    "redshift.amazonaws.com" Host Theirs, Warehouse, 1, READ;
    "ecr.amazonaws.com" Host Theirs, Image, 2, READ;
    "cassandra.amazonaws.com" Host Theirs, Keyspace, 1, READ;
    "states.amazonaws.com" Host Theirs, StateMachine, 2, BOTH;
    "states.amazonaws.com" Host Theirs, Activity, 1, BOTH;
    "events.amazonaws.com" Host ServicePrincipal, Bus, 1, BOTH;
    "events.amazonaws.com" Host ServicePrincipal, BusAsDocumented, 1, BOTH;
    "glue.amazonaws.com" Host Theirs, Catalog, 1, READ;
    "backup.amazonaws.com" Host Theirs, Vault, 1, BOTH;
    "es.amazonaws.com" Host Theirs, Domain, 1, READ;
    "workspaces.amazonaws.com" Host Theirs, Workspace, 1, VOLUMES;
    "workmail.amazonaws.com" Host ServicePrincipal, Mail, 1, BOTH;
    "ses.amazonaws.com" Host ServicePrincipal, Message, 1, WRITE;
    "acm.amazonaws.com" Host Theirs, Certificate, 1, VALUES;
    "elasticloadbalancing.amazonaws.com" Host ServicePrincipal, LoadBalancer, 1, READ;
    "appconfig.amazonaws.com" Host Theirs, Configuration, 1, READ;
    "appfabric.amazonaws.com" Host Theirs, AppBundle, 1, READ;
    "voiceid.amazonaws.com" Host Theirs, Voice, 1, BOTH;
    "dsql.amazonaws.com" Host Theirs, Dsql, 1, READ;
    "bedrock.amazonaws.com" Host Theirs, Agent, 1, BOTH;
};

/// Where the asset of a context is, and which one of its workload's it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) app: &'a str,
    /// What makes one workload's assets different from another's.
    pub(super) family: u64,
    /// Which of the workload's assets.
    pub(super) asset: u64,
    pub(super) at: Seconds,
    pub(super) hostile: bool,
    /// A log object that CloudTrail delivered to this place, for its own call.
    pub(super) delivered: &'a str,
}

impl Context {
    /// Writes the pairs.
    pub(super) fn write(self, record: &mut Record, p: &Place<'_>, dice: &mut Dice) {
        let mut named = Dice::for_thing(p.family, p.asset);
        let app = p.app;
        match self {
            Self::None => {}
            Self::Application => write_application(record, p, dice),
            Self::EncryptionSdk => {
                record.text("aws-crypto-public-key", &format!("{}==", named.letters(86)));
                record.text("purpose", app);
            }
            Self::S3Client => record.text("aws:x-amz-cek-alg", "AES/GCM/NoPadding"),
            Self::S3Object => record.text_of("aws:s3:arn", |t| {
                t.push("arn:aws:s3:::acme-").push(app).push("-").hex(p.family, 6).push("/");
                object_name(t, p, dice);
            }),
            Self::S3Bucket => record.text_of("aws:s3:arn", |t| {
                t.push("arn:aws:s3:::acme-").push(app).push("-lake-").hex(p.family, 6);
            }),
            Self::Volume => hex_id(record, "aws:ebs:id", "vol-0", &mut named),
            Self::Snapshot => hex_id(record, "aws:ebs:id", "snap-0", &mut named),
            Self::DbInstance => {
                let id = format!("db-{}", named.unique_id("").to_uppercase());
                record.text("aws:rds:db-id", &id);
                hex_id(record, "aws:ebs:id", "vol-0", &mut named);
            }
            Self::DbCluster => record.text("aws:rds:dbc-id", &format!("cluster-{}", named.unique_id(""))),
            Self::Table => {
                record.text("aws:dynamodb:tableName", &format!("{app}-table-{}", p.asset));
                record.text("aws:dynamodb:subscriberId", p.account);
            }
            Self::Secret => {
                arn(
                    record,
                    "SecretARN",
                    "secretsmanager",
                    p,
                    &format!("secret:prod/{app}/{}-{}", secret(p), named.letters(6)),
                );
                if dice.one_in(40) {
                    record.text("SecretVersionId", "RequestToValidateKeyAccess");
                } else {
                    record.guid("SecretVersionId", named.guid());
                }
            }
            Self::Image => {
                arn(record, "aws:ecr:arn", "ecr", p, &format!("repository/{app}/service-{}", p.asset));
                record.text_of("aws:s3:arn", |t| {
                    t.push("arn:aws:s3:::prod-").push(p.region).push("-starport-layer-bucket/").hex(named.next(), 16);
                });
            }
            Self::Trail => {
                arn(record, "aws:cloudtrail:arn", "cloudtrail", p, "trail/org-trail");
                record.text_of("aws:s3:arn", |t| {
                    t.push("arn:aws:s3:::acme-cloudtrail-logs/").push(p.delivered);
                });
            }
            Self::Message => {
                record.text("aws:ses:source-account", p.account);
                record.text("aws:ses:rule-name", &format!("{app}-inbound"));
                record.text("aws:ses:message-id", &dice.hex(40));
            }
            _ => self.write_by_arn_or_id(record, p, &mut named),
        }
    }

    fn write_by_arn_or_id(self, record: &mut Record, p: &Place<'_>, named: &mut Dice) {
        let (app, asset) = (p.app, p.asset);
        let mut one = |name: &str, service: &str, rest: String| arn(record, name, service, p, &rest);
        match self {
            Self::Parameter => one("PARAMETER_ARN", "ssm", format!("parameter/prod/{app}/{}", secret(p))),
            Self::LogGroup => one("aws:logs:arn", "logs", format!("log-group:/aws/lambda/{app}-{asset}")),
            Self::Queue => one("aws:sqs:arn", "sqs", format!("{app}-jobs-{asset}")),
            Self::Topic => {
                one("aws:sns:topicArn", "sns", format!("{app}-events-{asset}"));
                one("aws:sns:sourceArn", "cloudwatch", format!("alarm:{app}-{asset}"));
            }
            Self::Function => one("aws:lambda:FunctionArn", "lambda", format!("function:{app}-handler-{asset}")),
            Self::EventSource => {
                one("aws:lambda:EventSourceArn", "sqs", format!("{app}-jobs-{asset}"));
                record.text("aws-crypto-public-key", &format!("{}==", named.letters(86)));
            }
            Self::Stream => one("aws:kinesis:arn", "kinesis", format!("stream/{app}-clicks-{asset}")),
            Self::FileSystem => hex_id(record, "aws:elasticfilesystem:filesystem:id", "fs-0", named),
            Self::Warehouse => {
                one("aws:redshift:arn", "redshift", format!("cluster:{app}-{asset}"));
                record.text("aws:redshift:createtime", "20240311T0915Z");
            }
            Self::Keyspace => {
                record.text("aws:cassandra:keyspaceName", app);
                record.text("aws:cassandra:tableName", &format!("by_day_{asset}"));
                record.text("aws:cassandra:subscriberId", p.account);
            }
            Self::StateMachine => {
                one("aws:states:stateMachineArn", "states", format!("stateMachine:{app}-flow-{asset}"));
            }
            Self::Activity => one("aws:states:activityArn", "states", format!("activity:{app}-approval-{asset}")),
            Self::Bus => one("aws:events:event-bus:arn", "events", format!("event-bus/{app}")),
            Self::BusAsDocumented => {
                one("kms:EncryptionContext:aws:events:event-bus:arn", "events", format!("event-bus/{app}"));
            }
            Self::Catalog => record.text("glue_catalog_id", p.account),
            Self::Vault => record.text("aws:backup:backup-vault", &format!("{app}-vault")),
            Self::Domain => one("aws:es:arn", "es", format!("domain/{app}-{asset}")),
            Self::Workspace => {
                record.text(
                    "aws:workspaces:sid-directoryid",
                    &format!("S-1-5-21-{}-d-{}", named.digits(10), named.hex(10)),
                );
                hex_id(record, "aws:ebs:id", "vol-0", named);
            }
            Self::Mail => one("aws:workmail:arn", "workmail", format!("organization/m-{}", named.hex(32))),
            Self::Certificate => one("aws:acm:arn", "acm", format!("certificate/{}", named.guid())),
            Self::LoadBalancer => {
                let rest = format!("loadbalancer/app/{app}/{}", named.hex(16));
                one("aws:elasticloadbalancing:arn", "elasticloadbalancing", rest);
            }
            Self::Configuration => {
                let rest = format!("application/{}/deployment/{asset}", named.hex(7));
                one("aws:appconfig:deployment:arn", "appconfig", rest);
            }
            Self::AppBundle => {
                one("aws:appfabric:appbundle:arn", "appfabric", format!("appbundle/{}", named.guid()));
            }
            Self::Voice => one("aws:voiceid:domain:arn", "voiceid", format!("domain/{}", named.letters(22))),
            Self::Dsql => record.text("aws:dsql:ClusterId", &named.hex(26)),
            Self::Agent => one("aws:bedrock:arn", "bedrock", format!("agent/{}", named.letters(10).to_uppercase())),
            _ => {}
        }
    }
}

fn arn(record: &mut Record, name: &str, service: &str, p: &Place<'_>, rest: &str) {
    record.text_of(name, |t| {
        t.push("arn:aws:").push(service).push(":").push(p.region).push(":").push(p.account).push(":").push(rest);
    });
}

fn hex_id(record: &mut Record, name: &str, prefix: &str, named: &mut Dice) {
    let number = named.next();
    record.text_of(name, |t| {
        t.push(prefix).hex(number, 16);
    });
}

/// What a secret or parameter is called.
fn secret(p: &Place<'_>) -> String {
    const WORDS: [&str; 8] =
        ["db-password", "api-key", "oauth-client", "smtp", "sftp", "webhook-token", "jwt", "license"];
    let word = WORDS[usize::from((p.asset % 8) as u8)];
    if p.asset < 8 { word.to_owned() } else { format!("{word}-{}", p.asset) }
}

fn write_application(record: &mut Record, p: &Place<'_>, dice: &mut Dice) {
    record.text("application", p.app);
    record.text_of("tenant", |t| {
        t.number(p.asset.cast_signed() + 1000, 5);
    });
    if p.hostile {
        let name = dice.pick(oddities::hostile_names());
        record.text("comment", name);
        record.pair("a \"quoted\" \\key", name);
        record.pair("Straße 😀", "naïve — 日本語");
    }
}

/// An object name with the entropy of real ones: dates, partitions, GUIDs, numbers; now and then another script.
fn object_name(t: &mut super::record::Text<'_>, p: &Place<'_>, dice: &mut Dice) {
    let c = Calendar::of(p.at);
    match dice.below(64) {
        0 => {
            t.push("facturas/año ")
                .number(c.year, 4)
                .push("/レポート-")
                .number(dice.below(9999).cast_signed(), 4)
                .push("😀.pdf");
        }
        1..=25 => {
            t.push("raw/events/dt=").number(c.year, 4).push("-").number(c.month, 2).push("-").number(c.day, 2);
            t.push("/hour=").number(c.hour, 2).push("/part-").number(dice.below(400).cast_signed(), 5).push("-");
            t.guid(dice.guid()).push(".c000.snappy.parquet");
        }
        26..=45 => {
            t.push("uploads/").number(c.year, 4).push("/").number(c.month, 2).push("/").number(c.day, 2).push("/");
            t.hex(dice.next(), 16).push("/document-").number(dice.below(100_000).cast_signed(), 1).push(".pdf");
        }
        46..=55 => {
            t.push("tenants/").number(1000 + dice.skewed(500).cast_signed(), 5).push("/images/");
            t.hex(dice.next(), 12).push("_1024.webp");
        }
        _ => {
            t.push("config/").push(p.app).push("/settings-").number(dice.skewed(40).cast_signed(), 1).push(".json");
        }
    }
}
