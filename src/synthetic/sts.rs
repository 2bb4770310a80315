//! How sessions begin: the STS events that a lake keeps besides KMS (facts §2.4).
//!
//! Each event hands out the very access key, session name and start that later calls of the session carry. An assumption
//! across accounts is two events: the caller's with the full identity, the role owner's with the account alone. It refuses
//! to start sessions itself.

use super::clock::{Seconds, spoken};
use super::dice::{Dice, Guid};
use super::event::Event;
use super::identity::{Kind, Principal, Trust};
use super::record::Record;
use super::world::World;

const STS: &str = "sts.amazonaws.com";

/// Which copy of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    Callers,
    RoleOwners,
}

/// The beginning of a principal's present session.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    pub(super) principal: usize,
    /// Present if the session crosses accounts, or a service began it.
    pub(super) shared: Option<Guid>,
    /// What the two copies have in common.
    pub(super) content: u64,
}

impl Beginning {
    pub(super) fn of(world: &World, principal: usize, dice: &mut Dice) -> Self {
        let crosses = crosses_accounts(world, principal);
        let by_service = matches!(&world.principals[principal].kind, Kind::Role { trust: Trust::Service(_), .. });
        let shared = (crosses || by_service).then(|| dice.guid());
        Self { principal, shared, content: dice.next() }
    }

    /// Writes a copy; false if sessions of this principal begin without an event (console sign-in is another service's).
    pub(super) fn write(&self, record: &mut Record, world: &World, copy: Copy, region: &str, id: Guid) -> bool {
        let principal = &world.principals[self.principal];
        let mut dice = Dice::new(self.content);
        match &principal.kind {
            Kind::Role { trust: Trust::Saml, .. } => {
                write_federated(record, principal, "SAML", region, id, &mut dice);
            }
            Kind::Role { trust: Trust::Web, .. } => {
                write_federated(record, principal, "WebIdentity", region, id, &mut dice);
            }
            Kind::Role { trust, .. } => self.write_assume_role(record, world, trust, (copy, region, id), &mut dice),
            Kind::Federated { .. } => write_federation_token(record, principal, region, id, &mut dice),
            _ => return false,
        }
        true
    }

    fn write_assume_role(
        &self,
        record: &mut Record,
        world: &World,
        trust: &Trust,
        (copy, region, id): (Copy, &str, Guid),
        dice: &mut Dice,
    ) {
        let role = &world.principals[self.principal];
        let by_service;
        let caller = match trust {
            Trust::Principal(caller) => &world.principals[*caller],
            Trust::Service(host) => {
                by_service = Principal::new(Kind::Service(host), role.account, &role.account_id, host, dice);
                &by_service
            }
            Trust::Saml | Trust::Web => return,
        };
        let mut event = Event::direct(caller, STS, "AssumeRole", dice).at(role.session.started, region);
        event.foreign = copy == Copy::RoleOwners;
        event.recipient = if event.foreign { &role.account_id } else { &caller.account_id };
        event.shared = self.shared;
        event.id = id;
        event.begin(record);
        record.open_in("requestParameters");
        record.text("roleArn", &role.iam_arn());
        record.text("roleSessionName", &role.session.name);
        record.number("durationSeconds", role.session.ends - role.session.started);
        record.close();
        write_answer(record, role, dice);
        write_tail(record, &event, role);
    }
}

/// A session that begins with a sign-in elsewhere: single sign-on, or a web identity.
fn write_federated(record: &mut Record, role: &Principal, how: &str, region: &str, id: Guid, dice: &mut Dice) {
    let name = if how == "SAML" { "AssumeRoleWithSAML" } else { "AssumeRoleWithWebIdentity" };
    let mut event = Event::direct(role, STS, name, dice).at(role.session.started, region);
    event.id = id;
    let provider = format!("arn:aws:iam::{}:saml-provider/AWSSSO_DO_NOT_DELETE", role.account_id);
    record.open();
    record.text("eventVersion", event.version);
    record.open_in("userIdentity");
    if how == "SAML" {
        record.text("type", "SAMLUser");
        record.text("principalId", &format!("{}=:{}", dice.letters(27), role.session.name));
        record.text("userName", &role.session.name);
        record.text("identityProvider", &format!("{}=", dice.letters(27)));
    } else {
        record.text("type", "WebIdentityUser");
        let subject = "repo:acme/platform:ref:refs/heads/main";
        record.text("principalId", &format!("token.actions.githubusercontent.com:sts.amazonaws.com:{subject}"));
        record.text("userName", subject);
        record.text("identityProvider", "token.actions.githubusercontent.com");
    }
    record.close();
    record.instant("eventTime", event.at);
    record.text("eventSource", STS);
    record.text("eventName", name);
    record.text("awsRegion", region);
    record.text("sourceIPAddress", &role.source_ip);
    record.text("userAgent", &role.user_agent);
    record.open_in("requestParameters");
    if how == "SAML" {
        record.text("sAMLAssertionID", &format!("_{}", dice.guid()));
        record.text("principalArn", &provider);
    }
    record.text("roleArn", &role.iam_arn());
    record.text("roleSessionName", &role.session.name);
    record.number("durationSeconds", role.session.ends - role.session.started);
    record.close();
    write_answer(record, role, dice);
    write_tail(record, &event, role);
}

/// Whether the sessions of a role are begun from another account.
pub(super) fn crosses_accounts(world: &World, principal: usize) -> bool {
    let role = &world.principals[principal];
    matches!(&role.kind, Kind::Role { trust: Trust::Principal(by), .. } if world.principals[*by].account != role.account)
}

fn write_credentials(record: &mut Record, access_key: &str, ends: Seconds, dice: &mut Dice) {
    record.open_in("credentials");
    record.text("accessKeyId", access_key);
    record.text("sessionToken", &format!("IQoJb3JpZ2luX2Vj{}==", dice.letters(280)));
    record.text("expiration", &spoken(ends));
    record.close();
}

fn write_answer(record: &mut Record, role: &Principal, dice: &mut Dice) {
    record.open_in("responseElements");
    write_credentials(record, &role.session.access_key, role.session.ends, dice);
    record.open_in("assumedRoleUser");
    record.text("assumedRoleId", &role.principal_id());
    record.text("arn", &role.arn());
    record.close();
    record.close();
    if dice.one_in(3) {
        record.open_in("additionalEventData");
        record.open_in("RequestDetails");
        record.text("endpointType", "regional");
        record.text("awsServingRegion", "us-east-1");
        record.close();
        record.close();
    }
}

fn write_tail(record: &mut Record, event: &Event<'_>, role: &Principal) {
    event.middle(record);
    record.open_list("resources");
    record.open();
    record.text("accountId", &role.account_id);
    record.text("type", "AWS::IAM::Role");
    record.text("ARN", &role.iam_arn());
    record.close();
    record.close_list();
    event.end(record);
}

/// `GetFederationToken`, by the IAM user behind the federated user.
fn write_federation_token(record: &mut Record, federated: &Principal, region: &str, id: Guid, dice: &mut Dice) {
    let Kind::Federated { issuer } = &federated.kind else { return };
    let user = issuer.rsplit('/').next().unwrap_or("");
    let issuing = Principal::new(Kind::User, federated.account, &federated.account_id, user, dice);
    let event = Event::direct(&issuing, STS, "GetFederationToken", dice).at(federated.session.started, region).write();
    let event = Event { id, ..event };
    event.begin(record);
    record.open_in("requestParameters");
    record.text("name", &federated.name);
    record.number("durationSeconds", federated.session.ends - federated.session.started);
    record.close();
    record.open_in("responseElements");
    write_credentials(record, &federated.session.access_key, federated.session.ends, dice);
    record.open_in("federatedUser");
    record.text("federatedUserId", &federated.principal_id());
    record.text("arn", &federated.arn());
    record.close();
    record.number("packedPolicySize", 0);
    record.close();
    event.middle(record);
    event.end(record);
}
