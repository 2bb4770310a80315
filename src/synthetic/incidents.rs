//! What goes wrong on purpose: three incidents that an engine must find, and nothing else.
//!
//! All their records are written before the run starts (a few hundred) and are merged into the stream when their time
//! comes. It refuses to touch keys and principals of the background, but for the pay office's key.

use super::Plan;
use super::clock::{DAY, HOUR, MINUTE, Seconds, iso, spoken};
use super::dice::{Dice, Guid};
use super::event::{Event, KMS};
use super::identity::{Kind, Trust};
use super::oddities::Oddity;
use super::operation::Operation;
use super::record::Record;
use super::services::{CATALOGUE, Context};
use super::sts::{Beginning, Copy};
use super::truth::{Incident, Tally};
use super::upkeep::write_alias_body;
use super::usage::{Failure, Use};
use super::workload::{Workload, service_with};
use super::world::World;

/// Evidence named per incident.
const EVENT_IDS_MAX: usize = 10;
/// Secrets taken in `secret-harvest`.
const SECRETS: u64 = 60;
/// Calls of the archive's reader while its key works, is disabled, and waits for its deletion.
const ARCHIVE_CALLS: [(Failure, i64); 3] =
    [(Failure::None, 120), (Failure::Disabled, 6), (Failure::PendingDeletion, 40)];
const OUTSIDER_CALLS: i64 = 25;

/// A record that waits for its time.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) lane: usize,
    pub(super) at: Seconds,
    pub(super) record: Vec<u8>,
    pub(super) kept: bool,
}

/// Everything that was planted.
#[derive(Debug, Default)]
pub(super) struct Plot {
    /// By time.
    pub(super) records: Vec<Planned>,
    pub(super) incidents: Vec<Incident>,
}

/// Writes the incidents of a plan, and the alias of the pay office's key in any case.
pub(super) fn plant(plan: &Plan, world: &mut World, tally: &mut Tally) -> Plot {
    let start = plan.start.timestamp();
    let span = i64::from(plan.days.max(1)) * DAY;
    let dice = Dice::for_thing(plan.seed, 0x1_2C1D);
    let mut planter = Planter { world, tally, dice, record: Record::new(), plot: Plot::default() };
    planter.name_the_payroll_key(start + MINUTE);
    if plan.incidents {
        planter.secret_harvest(start + span * 45 / 100);
        planter.scheduled_deletion(start, span);
        planter.outsider(start + span * 75 / 100);
    }
    let mut plot = planter.plot;
    plot.records.sort_by_key(|planned| planned.at);
    plot.incidents.sort_by(|a, b| a.first_seen.cmp(&b.first_seen));
    plot
}

struct Planter<'a> {
    world: &'a mut World,
    tally: &'a mut Tally,
    dice: Dice,
    record: Record,
    plot: Plot,
}

/// The events of an incident on its key, as they are planted.
#[derive(Default)]
struct Trace {
    seen: Vec<(Seconds, Guid)>,
}

impl Trace {
    fn into_incident(mut self, name: &str, key_arn: &str, principal: &str, story: String) -> Incident {
        self.seen.sort_by_key(|(at, _)| *at);
        let instant = |seen: Option<&(Seconds, Guid)>| seen.map_or_else(String::new, |(at, _)| iso(*at));
        Incident {
            name: name.to_owned(),
            key_arn: key_arn.to_owned(),
            principal: principal.to_owned(),
            first_seen: instant(self.seen.first()),
            last_seen: instant(self.seen.last()),
            events: self.seen.len() as u64,
            event_ids: self.seen.iter().take(EVENT_IDS_MAX).map(|(_, id)| id.to_string()).collect(),
            story,
        }
    }
}

impl Planter<'_> {
    fn keep(&mut self, lane: usize, at: Seconds, kept: bool) {
        self.tally.event(kept);
        self.plot.records.push(Planned { lane, at, record: self.record.bytes().to_vec(), kept });
        self.record.clear();
    }

    /// Starts a session, with the events that tell of it.
    fn begin_session(&mut self, principal: usize, at: Seconds) {
        self.world.principals[principal].start_session(at, false, &mut self.dice);
        let beginning = Beginning::of(self.world, principal, &mut self.dice);
        let account = self.world.principals[principal].account;
        let caller = match &self.world.principals[principal].kind {
            Kind::Role { trust: Trust::Principal(by), .. } => self.world.principals[*by].account,
            _ => account,
        };
        let copies = [(Copy::Callers, caller), (Copy::RoleOwners, account)];
        let wanted = if caller == account { &copies[..1] } else { &copies[..] };
        for (copy, account) in wanted {
            let (lane, id) = (self.world.lane_of(*account, 0), self.dice.guid());
            if beginning.write(&mut self.record, self.world, *copy, self.world.region(lane), id) {
                self.keep(lane, at, true);
            }
        }
    }

    fn ensure_session(&mut self, principal: usize, at: Seconds) {
        if self.world.principals[principal].needs_session(at) {
            self.begin_session(principal, at);
        }
    }

    /// A call on a key, and its twin if the key is another account's; returns the id of the key owner's copy.
    fn call(&mut self, workload: &Workload, failure: Failure, asset: u64, at: Seconds) -> Guid {
        self.ensure_session(workload.principal, at);
        let mut call = Use {
            at,
            workload,
            operation: Operation::Decrypt,
            failure,
            asset,
            oddity: Oddity::Plain,
            hostile: false,
            late: false,
            id: self.dice.guid(),
            request: self.dice.guid(),
            shared: None,
            content: self.dice.next(),
            as_owner: false,
            delivered: "",
        };
        let twin = call.has_twin(self.world);
        call.shared = twin.then(|| self.dice.guid());
        self.tally.call(call.call(self.world));
        call.write(&mut self.record, self.world);
        self.keep(workload.lane, at, true);
        if twin {
            call.as_owner = true;
            call.id = self.dice.guid();
            call.write(&mut self.record, self.world);
            let key = &self.world.keys[workload.key];
            let lane = self.world.lane_of(key.account, key.region);
            self.keep(lane, at, true);
        }
        call.id
    }

    /// `CreateAlias` of `alias/payroll`, by the administrators.
    fn name_the_payroll_key(&mut self, at: Seconds) {
        let key = self.world.cast.payroll_key;
        let account = self.world.keys[key].account;
        let is_admin = |p: &super::identity::Principal| {
            p.account == account && p.name.starts_with("AWSReservedSSO_AdministratorAccess")
        };
        let admin = self.world.principals.iter().position(is_admin).unwrap_or(self.world.cast.key_admin);
        self.ensure_session(admin, at);
        let lane = self.world.lane_of(account, self.world.keys[key].region);
        let (principal, key) = (&self.world.principals[admin], &self.world.keys[key]);
        let event =
            Event::direct(principal, KMS, "CreateAlias", &mut self.dice).at(at, self.world.region(lane)).write();
        event.begin(&mut self.record);
        write_alias_body(&mut self.record, &event, key, &key.alias, true, &mut self.dice);
        self.keep(lane, at, true);
    }

    /// A stolen access key, two assumed roles, and every secret of the pay office in twenty minutes.
    fn secret_harvest(&mut self, at: Seconds) {
        let cast = self.world.cast.clone();
        self.begin_session(cast.stepping_stone, at);
        self.begin_session(cast.stolen_role, at + 40);
        let service = service_with("secretsmanager.amazonaws.com", Context::Secret);
        let workload = Workload::new(self.world, cast.stolen_role, cast.payroll_key, service, &mut self.dice);
        let workload = Workload { app: "hr-portal", ..workload };
        let mut trace = Trace::default();
        for number in 0..SECRETS {
            let at = at + 75 + 18 * number.cast_signed() + self.dice.seconds(0, 12);
            self.get_secret_value(cast.stolen_role, workload.lane, at);
            trace.seen.push((at, self.call(&workload, Failure::None, number, at)));
        }
        let (thief, role) = (&self.world.principals[cast.thief], &self.world.principals[cast.stolen_role]);
        let story = format!(
            "{} assumed {} and from there {}; that session then had {SECRETS} different secrets decrypted in 20 minutes.",
            thief.stable, self.world.principals[cast.stepping_stone].stable, role.stable
        );
        let key = &self.world.keys[cast.payroll_key].arn;
        self.plot.incidents.push(trace.into_incident("secret-harvest", key, &role.stable, story));
    }

    /// The service's own event beside the decryption, with the client's address.
    fn get_secret_value(&mut self, principal: usize, lane: usize, at: Seconds) {
        let region = self.world.region(lane);
        let source = "secretsmanager.amazonaws.com";
        let event = Event::direct(&self.world.principals[principal], source, "GetSecretValue", &mut self.dice);
        let event = event.at(at, region);
        event.begin(&mut self.record);
        self.record.open_in("requestParameters");
        self.record.text("secretId", "prod/hr-portal");
        self.record.close();
        self.record.null("responseElements");
        event.middle(&mut self.record);
        event.end(&mut self.record);
        self.keep(lane, at, false);
    }

    /// A key in daily use is disabled, then scheduled for deletion; its reader does not stop trying.
    fn scheduled_deletion(&mut self, start: Seconds, span: Seconds) {
        let cast = self.world.cast.clone();
        let service = service_with("s3.amazonaws.com", Context::S3Object);
        let reader = Workload::new(self.world, cast.archive_app, cast.archive_key, service, &mut self.dice);
        let reader = Workload { app: "orders", ..reader };
        let disabled = start + span * 60 / 100;
        let phases = [
            (start + span * 2 / 100, disabled),
            (disabled, disabled + HOUR),
            (disabled + HOUR, start + span * 97 / 100),
        ];
        let mut trace = Trace::default();
        for ((failure, calls), (from, to)) in ARCHIVE_CALLS.into_iter().zip(phases) {
            match failure {
                Failure::Disabled => trace.seen.push((from, self.key_change("DisableKey", from))),
                Failure::PendingDeletion => trace.seen.push((from, self.key_change("ScheduleKeyDeletion", from))),
                _ => {}
            }
            for number in 1..=calls {
                let at = from + (to - from) * number / (calls + 1);
                let id = self.call(&reader, failure, number.unsigned_abs() % 5, at);
                if failure != Failure::None {
                    trace.seen.push((at, id));
                }
            }
        }
        let admin = &self.world.principals[cast.key_admin].stable;
        let story = format!(
            "{admin} disabled a key that {} reads with every day, and scheduled it for deletion an hour later; the reader \
             keeps failing.",
            self.world.principals[cast.archive_app].stable
        );
        let key = &self.world.keys[cast.archive_key].arn;
        self.plot.incidents.push(trace.into_incident("key-scheduled-for-deletion", key, admin, story));
    }

    fn key_change(&mut self, name: &'static str, at: Seconds) -> Guid {
        let (key, admin) = (self.world.cast.archive_key, self.world.cast.key_admin);
        self.ensure_session(admin, at);
        let key = &self.world.keys[key];
        let lane = self.world.lane_of(key.account, key.region);
        let event = Event::direct(&self.world.principals[admin], KMS, name, &mut self.dice);
        let event = event.at(at, self.world.region(lane)).write();
        let record = &mut self.record;
        event.begin(record);
        record.open_in("requestParameters");
        record.text("keyId", &key.id);
        if name == "ScheduleKeyDeletion" {
            record.number("pendingWindowInDays", 7);
        }
        record.close();
        record.open_in("responseElements");
        record.text("keyId", &key.arn);
        if name == "ScheduleKeyDeletion" {
            record.text("keyState", "PendingDeletion");
            record.text("deletionDate", &spoken(at + 7 * DAY));
            record.number("pendingWindowInDays", 7);
        }
        record.close();
        event.middle(record);
        record.raw("resources", &key.resource);
        event.end(record);
        let id = event.id;
        self.keep(lane, at, true);
        id
    }

    /// A role of an account that is not ours decrypts with our key.
    fn outsider(&mut self, at: Seconds) {
        let cast = self.world.cast.clone();
        let workload = Workload::new(self.world, cast.outsider, cast.exchange_key, &CATALOGUE[1], &mut self.dice);
        let mut trace = Trace::default();
        for number in 0..OUTSIDER_CALLS {
            let at = at + 90 * number;
            trace.seen.push((at, self.call(&workload, Failure::None, number.unsigned_abs() % 3, at)));
        }
        let outsider = &self.world.principals[cast.outsider].stable;
        let story = format!("{outsider}, of an account outside the organization, decrypted with our key.");
        let key = &self.world.keys[cast.exchange_key].arn;
        self.plot.incidents.push(trace.into_incident("outsider-decrypt", key, outsider, story));
    }
}
