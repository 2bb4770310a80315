//! Who uses which key through which service: the standing arrangements behind the background traffic.
//!
//! Real traffic is the same few hundred arrangements over and over, and that is what bounds the answer sheet. Every
//! service of the catalogue and every key gets at least one. It refuses to touch the incidents' cast.

use super::Plan;
use super::dice::{Dice, Wheel};
use super::identity::{Kind, Principal, Trust};
use super::key::Spec;
use super::operation::{KeyForm, Operation};
use super::services::{CATALOGUE, Caller, Context, Service, Shows};
use super::world::{APPS, World};

/// A principal that uses a key through a service.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// Where its calls are made and logged.
    pub(super) lane: usize,
    pub(super) key: usize,
    /// Where `ReEncrypt` goes to.
    pub(super) destination: usize,
    pub(super) principal: usize,
    pub(super) service: &'static Service,
    pub(super) operations: &'static [(Operation, u64)],
    pub(super) app: &'static str,
    /// Seeds the names of its assets.
    pub(super) family: u64,
    /// How many assets it has.
    pub(super) assets: u64,
    pub(super) form: KeyForm,
    /// It has never been allowed to: the known noise of AWS Config (facts §5.1).
    pub(super) always_denied: bool,
}

impl Workload {
    pub(super) fn new(world: &World, principal: usize, key: usize, service: &'static Service, dice: &mut Dice) -> Self {
        let key_facts = &world.keys[key];
        let own_key = world.principals[principal].account == key_facts.account;
        let forms = [KeyForm::Arn, KeyForm::Arn, KeyForm::BareId, KeyForm::Alias, KeyForm::AliasArn];
        Self {
            lane: world.lane_of(world.principals[principal].account, key_facts.region),
            key,
            destination: key,
            principal,
            service,
            operations: if service.operations.is_empty() { Operation::mix(key_facts.spec) } else { service.operations },
            app: dice.pick::<&str>(&APPS),
            family: dice.next(),
            assets: 1 + dice.below(8),
            form: if own_key && service.shows == Shows::Nothing { *dice.pick(&forms) } else { KeyForm::Arn },
            always_denied: false,
        }
    }

    /// Where it stands among its lane's: what every account does all day, the rest, and what nobody looks at.
    pub(super) fn rank(&self) -> u8 {
        match self.service.popularity {
            _ if self.always_denied => 2,
            6.. if self.service.shows != Shows::Nothing => 0,
            _ => 1,
        }
    }

    pub(super) fn operation(&self, dice: &mut Dice) -> Operation {
        let total: u64 = self.operations.iter().map(|(_, weight)| weight).sum();
        let mut hit = dice.below(total);
        for (operation, weight) in self.operations {
            if hit < *weight {
                return *operation;
            }
            hit -= weight;
        }
        Operation::Decrypt
    }
}

/// The service and way of calling with this context.
pub(super) fn service_with(host: &str, context: Context) -> &'static Service {
    CATALOGUE.iter().find(|s| s.host == host && s.context == context).unwrap_or(&CATALOGUE[0])
}

/// All arrangements of the background.
pub(super) fn assign(world: &World, plan: &Plan, dice: &mut Dice) -> Vec<Workload> {
    let mut office = Office { world, dice, workloads: Vec::new() };
    let homes: Vec<usize> =
        (0..world.outside_lane).filter(|lane| !office.keys(*lane, Spec::Symmetric).is_empty()).collect();
    for (number, service) in CATALOGUE.iter().enumerate() {
        if !homes.is_empty() {
            office.hire(homes[number % homes.len()], service);
        }
    }
    for key in 0..world.cast.payroll_key {
        office.employ_key(key);
    }
    office.rare_callers();
    office.across_accounts();
    office.incident_apps();
    let popularity = Wheel::weighted(CATALOGUE.iter().map(|service| service.popularity));
    for _ in 0..u64::from(plan.keys).max(u64::from(plan.principals)) * 2 {
        if homes.is_empty() {
            break;
        }
        let lane = *office.dice.pick(&homes);
        let service = &CATALOGUE[popularity.spin(office.dice)];
        office.hire(lane, service);
    }
    office.workloads
}

struct Office<'a> {
    world: &'a World,
    dice: &'a mut Dice,
    workloads: Vec<Workload>,
}

impl Office<'_> {
    /// The background's customer keys of a lane, of a kind.
    fn keys(&self, lane: usize, spec: Spec) -> Vec<usize> {
        let lane = self.world.lanes[lane];
        let here = |key: &usize| {
            let key = &self.world.keys[*key];
            (key.account, key.region) == (lane.account, lane.region) && key.spec == spec && !key.aws_managed
        };
        (0..self.world.cast.payroll_key).filter(here).collect()
    }

    fn principals(&self, account: usize, wanted: impl Fn(&Principal) -> bool) -> Vec<usize> {
        let background = &self.world.principals[..self.world.cast.thief];
        (0..background.len()).filter(|p| background[*p].account == account && wanted(&background[*p])).collect()
    }

    /// One arrangement of a service in a lane that has symmetric keys.
    fn hire(&mut self, lane: usize, service: &'static Service) {
        let keys = self.keys(lane, Spec::Symmetric);
        let key = keys[Wheel::zipf(keys.len()).spin(self.dice)];
        let Some(principal) = self.caller(self.world.lanes[lane].account, service) else { return };
        let mut workload = Workload::new(self.world, principal, key, service, self.dice);
        workload.destination = *self.dice.pick(&keys);
        self.workloads.push(workload);
    }

    fn caller(&mut self, account: usize, service: &Service) -> Option<usize> {
        let candidates = match service.caller {
            Caller::Theirs => self.principals(account, |p| {
                matches!(&p.kind, Kind::User | Kind::Role { trust: Trust::Service(_) | Trust::Saml, .. })
                    && !p.name.starts_with("AWSServiceRole")
            }),
            Caller::ServicePrincipal => {
                self.principals(account, |p| matches!(p.kind, Kind::Service(host) if host == service.host))
            }
            Caller::Infrastructure => self.principals(account, |p| p.kind == Kind::Ec2Infrastructure),
            Caller::LinkedRole(name) => self.principals(account, |p| p.name == name),
        };
        let at = Wheel::zipf(candidates.len()).spin(self.dice);
        candidates.get(at).copied()
    }

    /// Every key is used by somebody.
    fn employ_key(&mut self, key: usize) {
        let facts = &self.world.keys[key];
        let service = match facts.spec {
            Spec::Symmetric if facts.aws_managed => service_with("ec2.amazonaws.com", Context::Volume),
            Spec::Symmetric => service_with("s3.amazonaws.com", Context::S3Object),
            _ => &CATALOGUE[0],
        };
        if let Some(principal) = self.caller(facts.account, service) {
            self.workloads.push(Workload::new(self.world, principal, key, service, self.dice));
        }
    }

    /// One arrangement for each rarer kind of identity, and the one that is always refused.
    fn rare_callers(&mut self) {
        for lane in 0..self.world.outside_lane {
            let keys = self.keys(lane, Spec::Symmetric);
            let account = self.world.lanes[lane].account;
            if keys.is_empty() || self.world.lanes[lane].region != 0 {
                continue;
            }
            let rare = self.principals(account, |p| match &p.kind {
                Kind::Role { trust: Trust::Principal(_) | Trust::Web, .. } => true,
                kind => is_rare(kind),
            });
            for principal in rare {
                let service = match self.world.principals[principal].kind {
                    Kind::Role { .. } | Kind::IdentityCenter { .. } => {
                        service_with("s3.amazonaws.com", Context::S3Object)
                    }
                    _ => &CATALOGUE[1],
                };
                let key = *self.dice.pick(&keys);
                self.workloads.push(Workload::new(self.world, principal, key, service, self.dice));
            }
            if let Some(config) = self.principals(account, |p| p.name == "AWSServiceRoleForConfig").first() {
                let service = service_with("lambda.amazonaws.com", Context::Function);
                let workload = Workload::new(self.world, *config, keys[0], service, self.dice);
                self.workloads.push(Workload { always_denied: true, ..workload });
            }
        }
    }

    /// Calls with the key of another of our accounts: through S3, and directly.
    fn across_accounts(&mut self) {
        for lane in 0..self.world.outside_lane {
            let account = self.world.lanes[lane].account;
            let foreign: Vec<usize> = self.keys(lane, Spec::Symmetric);
            let neighbour = (0..self.world.outside_lane)
                .map(|lane| self.world.lanes[lane].account)
                .find(|other| *other != account && (account == 0 || *other + 1 == account));
            let (Some(key), Some(neighbour)) = (foreign.first(), neighbour) else { continue };
            for service in [service_with("s3.amazonaws.com", Context::S3Object), &CATALOGUE[1]] {
                if let Some(principal) = self.caller(neighbour, service) {
                    self.workloads.push(Workload::new(self.world, principal, *key, service, self.dice));
                }
            }
        }
    }

    /// The pay office and the partner export go about their own business. The archive's reader is the incidents' alone.
    fn incident_apps(&mut self) {
        let cast = &self.world.cast;
        let secrets = service_with("secretsmanager.amazonaws.com", Context::Secret);
        let payroll = Workload::new(self.world, cast.payroll_app, cast.payroll_key, secrets, self.dice);
        self.workloads.push(Workload { app: "hr-portal", assets: 3, form: KeyForm::Alias, ..payroll });
        let objects = service_with("s3.amazonaws.com", Context::S3Object);
        let export = Workload::new(self.world, cast.exchange_app, cast.exchange_key, objects, self.dice);
        self.workloads.push(export);
    }
}

fn is_rare(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::ConsoleUser
            | Kind::BareRole
            | Kind::Federated { .. }
            | Kind::IdentityCenter { .. }
            | Kind::Directory
            | Kind::Unknown
    )
}
