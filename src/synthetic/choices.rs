//! The other services' events that a lake keeps: those that choose a key for data, and plain session tokens.
//!
//! CloudTrail's own control events are absent on purpose: a trail that is stopped is an incident, not background.

use super::clock::{HOUR, Seconds, spoken};
use super::dice::Dice;
use super::event::Event;
use super::identity::Principal;
use super::key::Key;
use super::record::Record;
use super::world::APPS;

const CHOICES: [(&str, &str); 8] = [
    ("s3.amazonaws.com", "PutBucketEncryption"),
    ("s3.amazonaws.com", "CreateBucket"),
    ("rds.amazonaws.com", "CreateDBInstance"),
    ("rds.amazonaws.com", "CopyDBSnapshot"),
    ("ec2.amazonaws.com", "ModifyEbsDefaultKmsKeyId"),
    ("secretsmanager.amazonaws.com", "CreateSecret"),
    ("secretsmanager.amazonaws.com", "UpdateSecret"),
    ("sts.amazonaws.com", "GetSessionToken"),
];

/// Writes one of them.
pub(super) fn write(record: &mut Record, principal: &Principal, key: &Key, region: &str, at: Seconds, dice: &mut Dice) {
    let (source, name) = *dice.pick(&CHOICES);
    let event = Event::direct(principal, source, name, dice).at(at, region).write();
    event.begin(record);
    record.open_in("requestParameters");
    write_parameters(record, name, key, region, dice);
    record.close();
    match name {
        "CreateSecret" | "UpdateSecret" => {
            record.open_in("responseElements");
            let arn =
                format!("arn:aws:secretsmanager:{region}:{}:secret:prod/new-{}", principal.account_id, dice.letters(6));
            record.text("arn", &arn);
            record.close();
        }
        "GetSessionToken" => {
            record.open_in("responseElements");
            record.open_in("credentials");
            record.text("accessKeyId", &dice.unique_id("ASIA"));
            record.text("sessionToken", &format!("IQoJb3JpZ2luX2Vj{}==", dice.letters(180)));
            record.text("expiration", &spoken(at + 12 * HOUR));
            record.close();
            record.close();
        }
        "CreateDBInstance" => write_instance(record, principal, key, region, dice),
        _ => record.null("responseElements"),
    }
    event.middle(record);
    event.end(record);
}

fn write_parameters(record: &mut Record, name: &str, key: &Key, region: &str, dice: &mut Dice) {
    let app = dice.pick(&APPS);
    match name {
        "PutBucketEncryption" => {
            record.text("bucketName", &format!("acme-{app}-{}", dice.hex(6)));
            record.text("Host", &format!("s3.{region}.amazonaws.com"));
            record.text("encryption", "");
            record.open_in("ServerSideEncryptionConfiguration");
            record.text("xmlns", "http://s3.amazonaws.com/doc/2006-03-01/");
            record.open_in("Rule");
            record.flag("BucketKeyEnabled", dice.one_in(2));
            record.open_in("ApplyServerSideEncryptionByDefault");
            record.text("SSEAlgorithm", "aws:kms");
            record.text("KMSMasterKeyID", &key.arn);
            record.close();
            record.close();
            record.close();
        }
        "CreateBucket" => {
            record.text("bucketName", &format!("acme-{app}-{}", dice.hex(6)));
            record.text("x-amz-acl", "private");
        }
        "CreateDBInstance" => {
            record.text("dBInstanceIdentifier", &format!("{app}-db"));
            record.text("engine", "postgres");
            record.flag("storageEncrypted", true);
            record.text("kmsKeyId", &key.arn);
            record.text("masterUserPassword", "HIDDEN_DUE_TO_SECURITY_REASONS");
        }
        "CopyDBSnapshot" => {
            record.text("sourceDBSnapshotIdentifier", &format!("rds:{app}-db-2026-01-04-03-10"));
            record.text("targetDBSnapshotIdentifier", &format!("{app}-copy"));
            record.text("kmsKeyId", &key.arn);
        }
        "ModifyEbsDefaultKmsKeyId" => {
            record.open_in("ModifyEbsDefaultKmsKeyIdRequest");
            record.text("KmsKeyId", &key.arn);
            record.close();
        }
        "CreateSecret" | "UpdateSecret" => {
            record.text("name", &format!("prod/{app}/new"));
            record.text("kmsKeyId", &key.alias);
            record.guid("clientRequestToken", dice.guid());
        }
        _ => record.number("durationSeconds", 12 * HOUR),
    }
}

fn write_instance(record: &mut Record, principal: &Principal, key: &Key, region: &str, dice: &mut Dice) {
    record.open_in("responseElements");
    let resource = format!("db-{}", dice.unique_id(""));
    record.text("dBInstanceArn", &format!("arn:aws:rds:{region}:{}:db:new-db", principal.account_id));
    record.text("dbiResourceId", &resource);
    record.flag("storageEncrypted", true);
    record.text("kmsKeyId", &key.arn);
    record.text("dBInstanceStatus", "creating");
    record.close();
}
