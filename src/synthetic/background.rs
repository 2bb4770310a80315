//! The background: what goes on all the time, one event after another.
//!
//! Most KMS events are calls of the lane's workloads; a few look at keys or change them. A call brings what belongs to it:
//! the start of a session, the other account's copy. It refuses to write records itself or to deliver them.

use std::io;

use super::choices;
use super::clock::Seconds;
use super::delivery::Run;
use super::dice::{Dice, Wheel};
use super::identity::{Kind, Trust};
use super::oddities;
use super::operation::Operation;
use super::record::Record;
use super::services::Shows;
use super::sts::{Beginning, Copy};
use super::usage::{Failure, Use};
use super::world::World;

/// So close to the end, only events that bring no others with them are made, so that the number comes out exactly.
const LAST_EVENTS: u64 = 8;

/// Who acts in each account, the steady ones first; the dice prefer the front of the list.
pub(super) fn actors(world: &World) -> Vec<(Vec<usize>, Wheel)> {
    let acts = |kind: &Kind| {
        matches!(
            kind,
            Kind::User | Kind::ConsoleUser | Kind::Role { .. } | Kind::BareRole | Kind::Root | Kind::Federated { .. }
        )
    };
    let of = |account| {
        let all = 0..world.cast.thief;
        let mut here: Vec<usize> =
            all.filter(|p| world.principals[*p].account == account && acts(&world.principals[*p].kind)).collect();
        here.sort_by_key(|p| match world.principals[*p].kind {
            Kind::User => 0,
            Kind::Root => 2,
            _ => 1,
        });
        let wheel = Wheel::zipf(here.len());
        (here, wheel)
    };
    (0..world.accounts.len() - 1).map(of).collect()
}

impl Run<'_, '_> {
    /// One event of the background in this lane, with what belongs to it; now and then none.
    pub(super) fn background_event(&mut self, lane: usize, at: Seconds) -> io::Result<()> {
        let account = self.world.lanes[lane].account;
        if self.wanted - self.made < LAST_EVENTS {
            return self.noise_by(self.actors[account].0[0], lane, at);
        }
        if self.dice.share(self.plan.kms_share) {
            match self.dice.below(1000) {
                0..=6 => return self.chore(lane, at, false),
                7..=34 => return self.chore(lane, at, true),
                _ if self.lanes[lane].wheel.is_some() => return self.call(lane, at),
                _ => {}
            }
        }
        let (people, wheel) = &self.actors[account];
        let actor = people[wheel.spin(&mut self.dice)];
        let at = self.ensure_session(actor, lane, at)?;
        if self.dice.per_mille(4) && !self.world.keys.is_empty() {
            let key = self.dice.index(self.world.cast.payroll_key);
            let (principal, region) = (&self.world.principals[actor], self.world.region(lane));
            choices::write(&mut self.record, principal, &self.world.keys[key], region, at, &mut self.dice);
            return self.put(lane, at, true);
        }
        self.noise_by(actor, lane, at)
    }

    fn noise_by(&mut self, actor: usize, lane: usize, at: Seconds) -> io::Result<()> {
        let (principal, region) = (&self.world.principals[actor], self.world.region(lane));
        self.noise.write(&mut self.record, principal, region, at, &mut self.dice);
        self.put(lane, at, false)
    }

    fn chore(&mut self, lane: usize, at: Seconds, read_only: bool) -> io::Result<()> {
        let Some(chore) = self.custodians.next(lane, read_only, &mut self.dice) else { return Ok(()) };
        if !chore.is_fit_for(&self.world) {
            return Ok(());
        }
        let at = self.ensure_session(chore.principal, lane, at)?;
        chore.write(&mut self.record, &self.world, lane, at, &mut self.dice);
        self.put(lane, at, true)
    }

    /// A cryptographic call of one of the lane's workloads, with its twin if the key is another account's.
    fn call(&mut self, lane: usize, at: Seconds) -> io::Result<()> {
        let state = &self.lanes[lane];
        let Some(wheel) = &state.wheel else { return Ok(()) };
        let workload = state.workloads[wheel.spin(&mut self.dice)];
        let principal = self.workloads[workload].principal;
        let at = self.ensure_session(principal, lane, at)?;
        if self.world.principals[principal].kind == Kind::Ec2Infrastructure {
            let instance = format!("i-0{}", self.dice.hex(16));
            self.world.principals[principal].act_for_instance(instance);
        }
        let workload = &self.workloads[workload];
        let operation = workload.operation(&mut self.dice);
        let mut call = Use {
            at,
            operation,
            failure: failure(workload.always_denied, operation, workload.service.shows, &mut self.dice),
            asset: self.dice.skewed(workload.assets),
            oddity: oddities::next_oddity(self.plan.odd_shapes, &mut self.dice),
            hostile: self.plan.hostile && self.dice.one_in(50),
            late: self.open.as_ref().is_some_and(|open| open.late),
            id: self.dice.guid(),
            request: self.dice.guid(),
            shared: None,
            content: self.dice.next(),
            as_owner: false,
            delivered: &self.lanes[lane].last_path,
            workload,
        };
        let by_service = matches!(self.world.principals[principal].kind, Kind::Service(_));
        let twin = call.has_twin(&self.world);
        if twin {
            call.oddity = oddities::Oddity::Plain;
        }
        call.shared = (twin || by_service).then(|| self.dice.guid());
        self.tally.call(call.call(&self.world));
        call.write(&mut self.record, &self.world);
        if !twin {
            return self.put(lane, at, true);
        }
        let mut owners_copy = Record::new();
        call.as_owner = true;
        call.id = self.dice.guid();
        call.write(&mut owners_copy, &self.world);
        let key = &self.world.keys[workload.key];
        let owner = self.world.lane_of(key.account, key.region);
        self.put(lane, at, true)?;
        self.record = owners_copy;
        self.put(owner, at, true)
    }

    /// Starts a session where one is needed, with the events that tell of it; returns when the principal can act.
    fn ensure_session(&mut self, principal: usize, lane: usize, at: Seconds) -> io::Result<Seconds> {
        if !self.world.principals[principal].needs_session(at) {
            return Ok(at.max(self.world.principals[principal].session.started));
        }
        let account = self.world.principals[principal].account;
        let (mut at, mut caller) = (at, account);
        if let Kind::Role { trust: Trust::Principal(by), .. } = self.world.principals[principal].kind {
            at = self.ensure_session(by, lane, at)?;
            caller = self.world.principals[by].account;
        }
        self.world.principals[principal].start_session(at, self.plan.hostile, &mut self.dice);
        let beginning = Beginning::of(&self.world, principal, &mut self.dice);
        let region = self.world.lanes[lane].region;
        let copies = [(Copy::Callers, caller), (Copy::RoleOwners, account)];
        let wanted = if caller == account { &copies[..1] } else { &copies[..] };
        for (copy, account) in wanted {
            let (lane, id) = (self.world.lane_of(*account, region), self.dice.guid());
            if beginning.write(&mut self.record, &self.world, *copy, self.world.region(lane), id) {
                self.put(lane, at, true)?;
            }
        }
        Ok(at)
    }
}

fn failure(always_denied: bool, operation: Operation, shows: Shows, dice: &mut Dice) -> Failure {
    if always_denied {
        return Failure::Denied;
    }
    let direct = shows == Shows::Nothing;
    match dice.below(1000) {
        _ if operation == Operation::GenerateRandom => Failure::None,
        0..=2 => Failure::Denied,
        3 if operation == Operation::Decrypt => Failure::DeniedOpaquely,
        4..=5 => Failure::Throttled,
        6..=15 if direct => Failure::DryRun,
        16..=17 if direct && operation == Operation::Decrypt => Failure::InvalidCiphertext,
        _ => Failure::None,
    }
}
