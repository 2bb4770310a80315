//! Everything else that an account does: the records that a KMS engine must pass over fast.
//!
//! About 1.2 KB each, from many services. Some mention KMS inside a string, as real policies do. None is on the list of
//! kept events.

use super::clock::Seconds;
use super::dice::{Dice, Wheel};
use super::event::Event;
use super::identity::Principal;
use super::record::Record;
use super::world::APPS;

/// What a noise record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Instances,
    Interfaces,
    Launch,
    Bucket,
    Role,
    Policy,
    Table,
    LogStream,
    Function,
    Image,
    Scaling,
    Parameter,
    Secret,
    Metrics,
    Target,
    Cluster,
    Queue,
    Identity,
}

const NOISE: &[(&str, &str, About, u64)] = &[
    ("ec2.amazonaws.com", "DescribeInstances", About::Instances, 90),
    ("ec2.amazonaws.com", "DescribeNetworkInterfaces", About::Interfaces, 60),
    ("ec2.amazonaws.com", "DescribeVolumes", About::Instances, 40),
    ("ec2.amazonaws.com", "DescribeSecurityGroups", About::Interfaces, 40),
    ("ec2.amazonaws.com", "RunInstances", About::Launch, 20),
    ("s3.amazonaws.com", "GetBucketAcl", About::Bucket, 60),
    ("s3.amazonaws.com", "GetBucketEncryption", About::Bucket, 30),
    ("s3.amazonaws.com", "ListBuckets", About::Identity, 10),
    ("iam.amazonaws.com", "GetRole", About::Role, 60),
    ("iam.amazonaws.com", "ListAttachedRolePolicies", About::Role, 40),
    ("iam.amazonaws.com", "PutRolePolicy", About::Policy, 15),
    ("dynamodb.amazonaws.com", "DescribeTable", About::Table, 60),
    ("logs.amazonaws.com", "CreateLogStream", About::LogStream, 90),
    ("logs.amazonaws.com", "DescribeLogGroups", About::LogStream, 30),
    ("lambda.amazonaws.com", "GetFunction20150331v2", About::Function, 40),
    ("ecr.amazonaws.com", "BatchGetImage", About::Image, 40),
    ("ecr.amazonaws.com", "GetAuthorizationToken", About::Identity, 30),
    ("autoscaling.amazonaws.com", "DescribeAutoScalingGroups", About::Scaling, 40),
    ("ssm.amazonaws.com", "GetParameters", About::Parameter, 50),
    ("ssm.amazonaws.com", "UpdateInstanceInformation", About::Scaling, 50),
    ("secretsmanager.amazonaws.com", "GetSecretValue", About::Secret, 40),
    ("secretsmanager.amazonaws.com", "DescribeSecret", About::Secret, 20),
    ("monitoring.amazonaws.com", "DescribeAlarms", About::Metrics, 30),
    ("elasticloadbalancing.amazonaws.com", "DescribeTargetHealth", About::Target, 50),
    ("rds.amazonaws.com", "DescribeDBInstances", About::Cluster, 30),
    ("eks.amazonaws.com", "DescribeCluster", About::Cluster, 30),
    ("sqs.amazonaws.com", "GetQueueAttributes", About::Queue, 30),
    ("sts.amazonaws.com", "GetCallerIdentity", About::Identity, 60),
    ("config.amazonaws.com", "PutEvaluations", About::Scaling, 20),
    ("organizations.amazonaws.com", "ListAccounts", About::Identity, 10),
];

/// Which events come how often.
#[derive(Debug)]
pub(super) struct Noise(Wheel);

impl Noise {
    pub(super) fn new() -> Self {
        Self(Wheel::weighted(NOISE.iter().map(|(_, _, _, weight)| *weight)))
    }

    /// Writes one record of another service.
    pub(super) fn write(&self, record: &mut Record, principal: &Principal, region: &str, at: Seconds, dice: &mut Dice) {
        let (source, name, about, _) = NOISE[self.0.spin(dice)];
        let mut event = Event::direct(principal, source, name, dice).at(at, region);
        event.read_only = !matches!(about, About::Launch | About::Policy | About::LogStream);
        if dice.one_in(50) {
            event.error = Some(("AccessDenied", "You are not authorized to perform this operation."));
        }
        event.begin(record);
        if about == About::Identity {
            record.null("requestParameters");
        } else {
            record.open_in("requestParameters");
            about.write(record, &event, dice);
            record.close();
        }
        if about == About::Launch {
            write_launched(record, &event, dice);
        } else {
            record.null("responseElements");
        }
        event.middle(record);
        event.end(record);
    }
}

impl About {
    fn write(self, record: &mut Record, event: &Event<'_>, dice: &mut Dice) {
        let app = *dice.pick::<&str>(&APPS);
        let (region, account) = (event.region, event.recipient);
        match self {
            Self::Instances => id_set(record, "instancesSet", "instanceId", "i-0", 1 + dice.skewed(6), dice),
            Self::Interfaces => write_filters(record, dice),
            Self::Launch => write_launch(record, app, dice),
            Self::Bucket => {
                record.text("bucketName", &format!("acme-{app}-{}", dice.hex(6)));
                record.text("Host", &format!("s3.{region}.amazonaws.com"));
                record.text("acl", "");
            }
            Self::Role => record.text("roleName", &format!("{app}-worker")),
            Self::Policy => {
                record.text("roleName", &format!("{app}-worker"));
                record.text("policyName", "use-key");
                let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}},{"eventSource":"kms.amazonaws.com","eventName":"Decrypt"}]}"#;
                record.text("policyDocument", policy);
            }
            Self::Table => record.text("tableName", &format!("{app}-table-{}", dice.below(9))),
            Self::LogStream => {
                record.text("logGroupName", &format!("/aws/lambda/{app}-handler"));
                record.text("logStreamName", &format!("2026/01/05/[$LATEST]{}", dice.hex(32)));
            }
            Self::Function => {
                let name = format!("arn:aws:lambda:{region}:{account}:function:{app}-handler-{}", dice.below(9));
                record.text("functionName", &name);
            }
            Self::Image => {
                record.text("registryId", account);
                record.text("repositoryName", &format!("{app}/service"));
                record.open_list("imageIds");
                record.open();
                record.text("imageDigest", &format!("sha256:{}", dice.hex(64)));
                record.close();
                record.close_list();
            }
            Self::Scaling => {
                record.open_list("autoScalingGroupNames");
                record.item(&format!("eks-{app}-{}", dice.guid()));
                record.close_list();
                record.number("maxRecords", 100);
            }
            Self::Parameter => {
                record.flag("withDecryption", true);
                record.open_list("names");
                for number in 0..=dice.below(4) {
                    record.item(&format!("/prod/{app}/setting-{number}"));
                }
                record.close_list();
            }
            Self::Secret => {
                let id =
                    format!("arn:aws:secretsmanager:{region}:{account}:secret:prod/{app}/api-key-{}", dice.letters(6));
                record.text("secretId", &id);
            }
            Self::Metrics => record.text("alarmNamePrefix", &format!("TargetTracking-{app}-{}", dice.guid())),
            Self::Target => {
                let rest = format!("targetgroup/{app}/{}", dice.hex(16));
                record.text("targetGroupArn", &format!("arn:aws:elasticloadbalancing:{region}:{account}:{rest}"));
            }
            Self::Cluster => record.text("name", &format!("{app}-cluster")),
            Self::Queue => record.text("queueUrl", &format!("https://sqs.{region}.amazonaws.com/{account}/{app}-jobs")),
            Self::Identity => {}
        }
    }
}

fn id_set(record: &mut Record, set: &str, member: &str, prefix: &str, count: u64, dice: &mut Dice) {
    record.open_in(set);
    record.open_list("items");
    for _ in 0..count {
        record.open();
        let number = dice.next();
        record.text_of(member, |t| {
            t.push(prefix).hex(number, 16);
        });
        record.close();
    }
    record.close_list();
    record.close();
    record.open_in("filterSet");
    record.close();
}

fn write_filters(record: &mut Record, dice: &mut Dice) {
    record.open_in("networkInterfaceIdSet");
    record.close();
    record.open_in("filterSet");
    record.open_list("items");
    for (name, prefix) in [("vpc-id", "vpc-0"), ("subnet-id", "subnet-0"), ("attachment.instance-id", "i-0")] {
        record.open();
        record.text("name", name);
        record.open_in("valueSet");
        record.open_list("items");
        record.open();
        let number = dice.next();
        record.text_of("value", |t| {
            t.push(prefix).hex(number, 16);
        });
        record.close();
        record.close_list();
        record.close();
        record.close();
    }
    record.close_list();
    record.close();
}

fn write_launch(record: &mut Record, app: &str, dice: &mut Dice) {
    id_set(record, "instancesSet", "imageId", "ami-0", 1, dice);
    record.text("instanceType", "m7g.xlarge");
    record.open_in("blockDeviceMapping");
    record.open_list("items");
    record.open();
    record.text("deviceName", "/dev/xvda");
    record.open_in("ebs");
    record.number("volumeSize", 100);
    record.flag("encrypted", true);
    record.text("volumeType", "gp3");
    record.close();
    record.close();
    record.close_list();
    record.close();
    record.text("userData", "<sensitiveDataRemoved>");
    record.text("clientToken", &format!("{app}-{}", dice.guid()));
}

fn write_launched(record: &mut Record, event: &Event<'_>, dice: &mut Dice) {
    record.open_in("responseElements");
    record.text("reservationId", &format!("r-0{}", dice.hex(16)));
    record.text("ownerId", event.recipient);
    record.open_in("instancesSet");
    record.open_list("items");
    for _ in 0..=dice.skewed(3) {
        record.open();
        record.text("instanceId", &format!("i-0{}", dice.hex(16)));
        record.text("currentState", "pending");
        record.text(
            "privateDnsName",
            &format!(
                "ip-10-{}-{}-{}.{}.compute.internal",
                dice.below(256),
                dice.below(256),
                dice.below(256),
                event.region
            ),
        );
        record.text("subnetId", &format!("subnet-0{}", dice.hex(16)));
        record.text("vpcId", &format!("vpc-0{}", dice.hex(16)));
        record.close();
    }
    record.close_list();
    record.close();
    record.close();
}
