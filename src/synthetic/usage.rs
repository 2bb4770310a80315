//! One cryptographic call: its record, and its line in the answer sheet.
//!
//! The two are written side by side here so that they cannot drift apart. It refuses to choose: everything about the call
//! is in [`Use`], so that the other account's copy of it can be written from the same facts.

use super::clock::Seconds;
use super::dice::{Dice, Guid};
use super::event::{Event, KMS};
use super::identity::Kind;
use super::oddities::{self, Oddity};
use super::operation::{KeyForm, Operation, write_key_id};
use super::record::Record;
use super::services::{Context, Place, Shows};
use super::truth::{CallKey, Outcome};
use super::workload::Workload;
use super::world::World;

/// How a call fails, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    None,
    Denied,
    /// Denied without a word about which key: the old message.
    DeniedOpaquely,
    Disabled,
    PendingDeletion,
    DryRun,
    Throttled,
    InvalidCiphertext,
}

/// A cryptographic call.
#[derive(Clone, Debug)]
pub(super) struct Use<'a> {
    pub(super) at: Seconds,
    pub(super) workload: &'a Workload,
    pub(super) operation: Operation,
    pub(super) failure: Failure,
    pub(super) asset: u64,
    pub(super) oddity: Oddity,
    pub(super) hostile: bool,
    pub(super) late: bool,
    pub(super) id: Guid,
    pub(super) request: Guid,
    pub(super) shared: Option<Guid>,
    /// Everything else that is random about the call.
    pub(super) content: u64,
    /// Write the key owner's copy of a cross-account call.
    pub(super) as_owner: bool,
    /// See [`Place::delivered`].
    pub(super) delivered: &'a str,
}

impl Use<'_> {
    /// Whether the key belongs to another account than the caller.
    pub(super) fn is_cross_account(&self, world: &World) -> bool {
        self.operation != Operation::GenerateRandom
            && world.keys[self.workload.key].account != world.principals[self.workload.principal].account
    }

    /// The owner sees the call only if it was let in.
    pub(super) fn has_twin(&self, world: &World) -> bool {
        self.is_cross_account(world) && !matches!(self.failure, Failure::Denied | Failure::DeniedOpaquely)
    }

    /// The line of the answer sheet.
    pub(super) fn call(&self, world: &World) -> CallKey {
        let names_key = self.operation != Operation::GenerateRandom && self.failure != Failure::DeniedOpaquely;
        CallKey {
            key: names_key.then_some(self.workload.key),
            principal: self.workload.principal,
            operation: self.operation.name(),
            outcome: match self.failure {
                Failure::None => Outcome::Ok,
                Failure::Denied | Failure::DeniedOpaquely => Outcome::Denied,
                Failure::Disabled | Failure::PendingDeletion => Outcome::KeyUnusable,
                Failure::DryRun => Outcome::DryRun,
                Failure::Throttled => Outcome::Throttled,
                Failure::InvalidCiphertext => Outcome::Error,
            },
            via: self.via(world),
        }
    }

    fn via(&self, world: &World) -> Option<&'static str> {
        let service = self.workload.service;
        match service.shows {
            Shows::Internal if self.failure == Failure::DeniedOpaquely => Some("AWS Internal"),
            Shows::Host | Shows::Internal => Some(service.host),
            Shows::Nothing => (world.principals[self.workload.principal].kind == Kind::Ec2Infrastructure)
                .then_some("ec2.amazonaws.com"),
        }
    }

    fn invoked_by(&self) -> Option<&'static str> {
        match self.workload.service.shows {
            Shows::Host => Some(self.workload.service.host),
            Shows::Internal if self.oddity == Oddity::Old => Some("internal.amazonaws.com"),
            Shows::Internal => Some("AWS Internal"),
            Shows::Nothing => None,
        }
    }

    /// Writes the record.
    pub(super) fn write(&self, record: &mut Record, world: &World) {
        let mut dice = Dice::new(self.content);
        let principal = &world.principals[self.workload.principal];
        let key = &world.keys[self.workload.key];
        let error = self.error(world);
        let mut event = Event::direct(principal, KMS, self.operation.name(), &mut dice);
        event = Event {
            at: self.at,
            region: world.regions[key.region],
            recipient: if self.as_owner { &world.accounts[key.account] } else { world.account(self.workload.lane) },
            foreign: self.as_owner,
            invoked_by: self.invoked_by(),
            error: error.as_ref().map(|(code, message)| (*code, message.as_str())),
            id: self.id,
            request: Some(self.request),
            shared: self.shared,
            late: self.late,
            ..event
        };
        if self.hostile && self.workload.service.shows == Shows::Nothing {
            event.user_agent = dice.pick::<String>(oddities::hostile_names());
        }
        if self.oddity == Oddity::Old {
            event.version = "1.02";
        }
        record.ascii_only = self.oddity == Oddity::Escaped;
        event.begin(record);
        self.write_parameters(record, world, &mut dice);
        record.null("responseElements");
        if self.failure == Failure::None && self.oddity != Oddity::Old && self.operation != Operation::GenerateRandom {
            record.open_in("additionalEventData");
            record.text("keyMaterialId", &key.material_id);
            record.close();
        }
        event.middle(record);
        self.write_resources(record, world);
        event.end(record);
        if self.oddity == Oddity::Shuffled {
            record.shuffle_members(&mut dice);
        }
    }

    fn error(&self, world: &World) -> Option<(&'static str, String)> {
        let arn = &world.keys[self.workload.key].arn;
        let action = self.operation.name();
        Some(match self.failure {
            Failure::None => return None,
            Failure::Denied => {
                let user = world.principals[self.workload.principal].arn();
                let message = format!(
                    "User: {user} is not authorized to perform: kms:{action} on resource: {arn} because no \
                     identity-based policy allows the kms:{action} action"
                );
                ("AccessDenied", message.replace('\u{0}', ""))
            }
            Failure::DeniedOpaquely => (
                "AccessDenied",
                "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                 or you are not allowed to access."
                    .to_owned(),
            ),
            Failure::Disabled => ("DisabledException", format!("{arn} is disabled.")),
            Failure::PendingDeletion => ("KMSInvalidStateException", format!("{arn} is pending deletion.")),
            Failure::DryRun => (
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.".to_owned(),
            ),
            Failure::Throttled => (
                "ThrottlingException",
                "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.".to_owned(),
            ),
            Failure::InvalidCiphertext => ("InvalidCiphertextException", String::new()),
        })
    }

    fn write_parameters(&self, record: &mut Record, world: &World, dice: &mut Dice) {
        if self.failure == Failure::DeniedOpaquely || self.operation == Operation::GenerateRandom {
            return record.null("requestParameters");
        }
        let key = &world.keys[self.workload.key];
        record.open_in("requestParameters");
        if !self.operation.key_from_ciphertext() {
            write_key_id(record, "keyId", key, self.workload.form);
        }
        if self.operation == Operation::ReEncrypt {
            write_key_id(record, "destinationKeyId", &world.keys[self.workload.destination], KeyForm::Arn);
        }
        if self.failure == Failure::DryRun {
            record.flag("dryRun", true);
        }
        self.operation.write_parameters(record, self.oddity == Oddity::Old, dice);
        let context = self.workload.service.context;
        if self.operation.takes_context() && context != Context::None {
            let members: &[&str] = if self.operation == Operation::ReEncrypt {
                &["sourceEncryptionContext", "destinationEncryptionContext"]
            } else {
                &["encryptionContext"]
            };
            for member in members {
                record.open_in(member);
                context.write(record, &self.place(world), dice);
                record.close();
            }
        }
        record.close();
    }

    fn place<'a>(&'a self, world: &'a World) -> Place<'a> {
        let key = &world.keys[self.workload.key];
        Place {
            account: world.account(self.workload.lane),
            region: world.regions[key.region],
            app: self.workload.app,
            family: self.workload.family,
            asset: self.asset,
            at: self.at,
            hostile: self.hostile,
            delivered: self.delivered,
        }
    }

    fn write_resources(&self, record: &mut Record, world: &World) {
        let key = &world.keys[self.workload.key];
        match self.operation {
            Operation::GenerateRandom => record.raw("resources", b"[]"),
            _ if self.failure == Failure::DeniedOpaquely || self.leaves_out_resources(world) => {}
            Operation::ReEncrypt => {
                record.open_list("resources");
                let both = [key, &world.keys[self.workload.destination]];
                for resource in both.map(|key| &key.resource) {
                    record.raw_members(&resource[1..resource.len() - 1]);
                }
                record.close_list();
            }
            _ if self.oddity == Oddity::Old => {
                record.open_list("resources");
                record.open();
                record.text("ARN", &key.arn);
                record.text("accountId", &world.accounts[key.account]);
                record.close();
                record.close_list();
            }
            _ => record.raw("resources", &key.resource),
        }
    }

    /// Only where the key can still be told: from the request, or from the message.
    fn leaves_out_resources(&self, world: &World) -> bool {
        let told = match self.workload.form {
            KeyForm::Arn | KeyForm::BareId => !self.operation.key_from_ciphertext(),
            KeyForm::Alias | KeyForm::AliasArn => false,
        };
        let in_message = self.failure == Failure::Denied && self.operation == Operation::Decrypt;
        self.oddity == Oddity::NoResources && (told || in_message) && !self.is_cross_account(world)
    }
}
