//! KMS events that are not use: reads of a key's state, and the life of keys, aliases and grants (facts §3.2).
//!
//! Nothing here is alarming: keys are created, tagged, rotated and shared, never disabled, scheduled for deletion or opened
//! to the world; only incidents do that. None of it enters the count of calls.

use super::clock::{DAY, Seconds, spoken};
use super::dice::{Dice, Wheel};
use super::event::{Event, KMS};
use super::identity::Kind;
use super::key::Key;
use super::operation::{KeyForm, write_key_id};
use super::record::Record;
use super::world::{APPS, World};

/// Event names with weights; the reads come first.
const READS: &[(&str, u64)] = &[
    ("DescribeKey", 60),
    ("ListAliases", 10),
    ("GetKeyRotationStatus", 8),
    ("GetKeyPolicy", 6),
    ("ListGrants", 5),
    ("ListResourceTags", 5),
    ("ListKeys", 4),
    ("GetPublicKey", 1),
    ("ListKeyRotations", 1),
    ("GetKeyLastUsage", 1),
    ("ListKeyPolicies", 1),
    ("DescribeCustomKeyStores", 1),
];
const CHANGES: &[(&str, u64)] = &[
    ("CreateGrant", 30),
    ("RetireGrant", 20),
    ("RevokeGrant", 6),
    ("TagResource", 6),
    ("UntagResource", 3),
    ("CreateKey", 4),
    ("CreateAlias", 5),
    ("UpdateAlias", 3),
    ("DeleteAlias", 3),
    ("EnableKeyRotation", 4),
    ("RotateKeyOnDemand", 2),
    ("RotateKey", 4),
    ("SynchronizeMultiRegionKey", 3),
    ("PutKeyPolicy", 2),
    ("UpdateKeyDescription", 2),
    ("ImportKeyMaterial", 1),
    ("EnableKey", 1),
];

/// Something to be done about a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chore {
    name: &'static str,
    read_only: bool,
    key: usize,
    pub(super) principal: usize,
}

/// Who looks after keys, and which keys, lane by lane.
#[derive(Debug)]
pub(super) struct Custodians {
    keys: Vec<Vec<usize>>,
    people: Vec<Vec<usize>>,
    kms: Vec<usize>,
    reads: Wheel,
    changes: Wheel,
}

impl Custodians {
    pub(super) fn of(world: &World) -> Self {
        let background = &world.principals[..world.cast.thief];
        let lanes = &world.lanes[..world.outside_lane];
        let where_is = |lane: usize, wanted: fn(&Kind) -> bool| -> Vec<usize> {
            let account = world.lanes[lane].account;
            (0..background.len())
                .filter(|p| background[*p].account == account && wanted(&background[*p].kind))
                .collect()
        };
        let here = |lane: usize, key: usize| {
            (world.keys[key].account, world.keys[key].region) == (world.lanes[lane].account, world.lanes[lane].region)
        };
        let keys_of = |lane| (0..world.cast.payroll_key).filter(|key| here(lane, *key)).collect();
        Self {
            keys: (0..lanes.len()).map(keys_of).collect(),
            people: (0..lanes.len()).map(|lane| where_is(lane, looks_after_keys)).collect(),
            kms: (0..lanes.len()).map(|lane| where_is(lane, |kind| *kind == Kind::KmsInternal)[0]).collect(),
            reads: Wheel::weighted(READS.iter().map(|(_, weight)| *weight)),
            changes: Wheel::weighted(CHANGES.iter().map(|(_, weight)| *weight)),
        }
    }

    /// The next chore of a lane; none where there are no keys.
    pub(super) fn next(&self, lane: usize, read_only: bool, dice: &mut Dice) -> Option<Chore> {
        let keys = &self.keys[lane];
        if keys.is_empty() {
            return None;
        }
        let (names, wheel) = if read_only { (READS, &self.reads) } else { (CHANGES, &self.changes) };
        let name = names[wheel.spin(dice)].0;
        let internal = matches!(name, "RotateKey" | "SynchronizeMultiRegionKey");
        let principal = if internal { self.kms[lane] } else { *dice.pick(&self.people[lane]) };
        Some(Chore { name, read_only, key: *dice.pick(keys), principal })
    }
}

fn looks_after_keys(kind: &Kind) -> bool {
    matches!(kind, Kind::Root | Kind::ConsoleUser | Kind::User)
        || matches!(kind, Kind::Role { path, .. } if path.starts_with("/aws-reserved/") || path == "/ci/")
}

impl Chore {
    /// The root user only looks.
    pub(super) fn is_fit_for(&self, world: &World) -> bool {
        self.read_only || world.principals[self.principal].kind != Kind::Root
    }

    pub(super) fn write(&self, record: &mut Record, world: &World, lane: usize, at: Seconds, dice: &mut Dice) {
        let principal = &world.principals[self.principal];
        let key = &world.keys[self.key];
        let mut event = Event::direct(principal, KMS, self.name, dice).at(at, world.region(lane));
        event.read_only = self.read_only;
        if self.name == "RotateKey" {
            event.request = None;
        }
        event.begin(record);
        let mut resources = Resources::Key;
        if self.read_only {
            resources = self.write_read(record, key, dice);
        } else {
            match self.name {
                "CreateKey" => return write_create_key(record, &event, world, lane, at, dice),
                "CreateAlias" | "UpdateAlias" | "DeleteAlias" => {
                    return self.write_alias(record, &event, key, dice);
                }
                "CreateGrant" => write_create_grant(record, key, world, self.principal, dice),
                "RetireGrant" => write_retire_grant(record, dice),
                _ => self.write_change(record, key, at, dice),
            }
        }
        event.middle(record);
        if matches!(resources, Resources::Key) {
            record.raw("resources", &key.resource);
        }
        event.end(record);
    }

    fn write_read(&self, record: &mut Record, key: &Key, dice: &mut Dice) -> Resources {
        let none = match self.name {
            "ListAliases" | "ListKeys" => {
                record.open_in("requestParameters");
                record.number("limit", 1000);
                record.close();
                Resources::None
            }
            "DescribeCustomKeyStores" => {
                record.null("requestParameters");
                Resources::None
            }
            name => {
                record.open_in("requestParameters");
                let forms = [KeyForm::Arn, KeyForm::BareId, KeyForm::Alias, KeyForm::AliasArn];
                let form = if name == "DescribeKey" { *dice.pick(&forms) } else { *dice.pick(&forms[..2]) };
                write_key_id(record, "keyId", key, form);
                if name == "GetKeyPolicy" {
                    record.text("policyName", "default");
                }
                record.close();
                Resources::Key
            }
        };
        record.null("responseElements");
        none
    }

    fn write_change(&self, record: &mut Record, key: &Key, at: Seconds, dice: &mut Dice) {
        let internal = matches!(self.name, "RotateKey" | "SynchronizeMultiRegionKey");
        if internal {
            record.null("requestParameters");
        } else {
            record.open_in("requestParameters");
            write_key_id(record, "keyId", key, *dice.pick(&[KeyForm::Arn, KeyForm::BareId]));
            self.write_details(record, key, at, dice);
            record.close();
        }
        if matches!(self.name, "RevokeGrant" | "PutKeyPolicy" | "UpdateKeyDescription") || dice.one_in(4) {
            record.null("responseElements");
        } else {
            record.open_in("responseElements");
            record.text("keyId", &key.arn);
            record.close();
        }
        if self.name == "RotateKey" {
            record.open_in("serviceEventDetails");
            record.text("keyId", &key.id);
            record.text("rotationType", "AUTOMATIC");
            record.text("keyOrigin", "AWS_KMS");
            record.text("previousKeyMaterialId", &dice.hex(64));
            record.text("currentKeyMaterialId", &key.material_id);
            record.close();
        }
    }

    fn write_details(&self, record: &mut Record, key: &Key, at: Seconds, dice: &mut Dice) {
        match self.name {
            "RevokeGrant" => record.text("grantId", &dice.hex(64)),
            "TagResource" => {
                record.open_list("tags");
                record.open();
                record.text("tagKey", "CostCenter");
                record.text("tagValue", &dice.digits(4));
                record.close();
                record.close_list();
            }
            "UntagResource" => {
                record.open_list("tagKeys");
                record.item("Temporary");
                record.close_list();
            }
            "EnableKeyRotation" => record.number("rotationPeriodInDays", 365),
            "UpdateKeyDescription" => record.text("description", "Schlüssel für die Buchhaltung — do not delete"),
            "ImportKeyMaterial" => {
                record.text("expirationModel", "KEY_MATERIAL_EXPIRES");
                record.text("validTo", &spoken(at + 90 * DAY));
            }
            "PutKeyPolicy" => {
                let account = key.arn.split(':').nth(4).unwrap_or("");
                let policy = format!(
                    "{{\n  \"Version\" : \"2012-10-17\",\n  \"Statement\" : [ {{\n    \"Sid\" : \"Enable IAM\",\n    \
                     \"Effect\" : \"Allow\",\n    \"Principal\" : {{ \"AWS\" : \"arn:aws:iam::{account}:root\" }},\n    \
                     \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  }} ]\n}}"
                );
                record.text("policyName", "default");
                record.text("policy", &policy);
                record.flag("bypassPolicyLockoutSafetyCheck", false);
            }
            _ => {}
        }
    }

    /// Alias events name the key and the alias, in either order.
    fn write_alias(&self, record: &mut Record, event: &Event<'_>, key: &Key, dice: &mut Dice) {
        let alias = format!("alias/{}-next-{}", dice.pick(&APPS), dice.below(20));
        write_alias_body(record, event, key, &alias, self.name != "DeleteAlias", dice);
    }
}

/// The rest of an alias event, from `requestParameters` on.
pub(super) fn write_alias_body(
    record: &mut Record,
    event: &Event<'_>,
    key: &Key,
    alias: &str,
    target: bool,
    dice: &mut Dice,
) {
    record.open_in("requestParameters");
    record.text("aliasName", alias);
    if target {
        write_key_id(record, "targetKeyId", key, *dice.pick(&[KeyForm::Arn, KeyForm::BareId]));
    }
    record.close();
    record.open_in("responseElements");
    record.text("keyId", &key.arn);
    record.close();
    event.middle(record);
    record.open_list("resources");
    let prefix = key.arn.split(":key/").next().unwrap_or("");
    let alias_arn = format!("{prefix}:{alias}");
    let mut both = [key.arn.as_str(), alias_arn.as_str()];
    dice.shuffle(&mut both);
    for arn in both {
        record.open();
        record.text("accountId", event.recipient);
        record.text("type", "AWS::KMS::Key");
        record.text("ARN", arn);
        record.close();
    }
    record.close_list();
    event.end(record);
}

#[derive(Clone, Copy)]
enum Resources {
    Key,
    None,
}

fn write_create_grant(record: &mut Record, key: &Key, world: &World, principal: usize, dice: &mut Dice) {
    let account = &world.principals[principal].account_id;
    record.open_in("requestParameters");
    record.text("keyId", &key.arn);
    record.open_in("constraints");
    record.open_in("encryptionContextSubset");
    record.text("aws:ebs:id", &format!("vol-0{}", dice.hex(16)));
    record.close();
    record.close();
    record.open_list("operations");
    for operation in ["Decrypt", "CreateGrant", "RetireGrant"] {
        record.item(operation);
    }
    record.close_list();
    record.text("granteePrincipal", &format!("{account}:aws:ec2-infrastructure:i-0{}", dice.hex(16)));
    record.text("retiringPrincipal", "ec2.us-east-1.amazonaws.com");
    record.close();
    record.open_in("responseElements");
    record.text("grantId", &dice.hex(64));
    record.text("keyId", &key.arn);
    record.close();
}

/// `RetireGrant` may have no parameters: the token names the grant.
fn write_retire_grant(record: &mut Record, dice: &mut Dice) {
    record.null("requestParameters");
    record.null("responseElements");
    record.open_in("additionalEventData");
    record.text("grantId", &dice.hex(64));
    record.close();
}

fn write_create_key(record: &mut Record, event: &Event<'_>, world: &World, lane: usize, at: Seconds, dice: &mut Dice) {
    let (account, id) = (world.account(lane), dice.guid().to_string());
    let arn = format!("arn:aws:kms:{}:{account}:key/{id}", world.region(lane));
    record.open_in("requestParameters");
    record.text("description", "");
    record.text("origin", "AWS_KMS");
    record.flag("bypassPolicyLockoutSafetyCheck", false);
    record.flag("multiRegion", false);
    for member in ["customerMasterKeySpec", "keySpec"] {
        record.text(member, "SYMMETRIC_DEFAULT");
    }
    record.text("keyUsage", "ENCRYPT_DECRYPT");
    record.close();
    record.open_in("responseElements");
    record.open_in("keyMetadata");
    record.text("aWSAccountId", account);
    record.text("keyId", &id);
    record.text("arn", &arn);
    record.text("creationDate", &spoken(at));
    record.flag("enabled", true);
    record.text("keyState", "Enabled");
    record.text("origin", "AWS_KMS");
    record.text("keyManager", "CUSTOMER");
    record.text("keyUsage", "ENCRYPT_DECRYPT");
    record.text("keySpec", "SYMMETRIC_DEFAULT");
    record.flag("multiRegion", false);
    record.close();
    record.close();
    event.middle(record);
    record.open_list("resources");
    record.open();
    record.text("accountId", account);
    record.text("type", "AWS::KMS::Key");
    record.text("ARN", &arn);
    record.close();
    record.close_list();
    event.end(record);
}
