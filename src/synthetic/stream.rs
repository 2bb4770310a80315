//! The run: time passes, lanes fill objects, objects are delivered.
//!
//! ```text
//! plot ─┐
//!       ├─► lane (account, Region): records waiting ─► object ─► sink
//! background ┘        └─ twins, second deliveries wait for the next object
//! ```
//!
//! One object is open at a time; what waits in a lane is capped in bytes. It refuses to hold events for the answer sheet:
//! it counts them as they pass.

use std::collections::VecDeque;
use std::io;

use super::clock::{DAY, HOUR, MINUTE, Seconds};
use super::dice::{Dice, Wheel};
use super::identity::{Kind, Trust};
use super::incidents::{self, Planned, Plot};
use super::noise::Noise;
use super::objects::{self, ObjectBody, Packer, Shape, Trail};
use super::oddities;
use super::operation::Operation;
use super::record::Record;
use super::services::Shows;
use super::sts::{Beginning, Copy};
use super::truth::{Tally, Truth};
use super::upkeep::Custodians;
use super::usage::{Failure, Use};
use super::world::World;
use super::{LogObject, Plan, choices};

/// What may wait in a lane; then it becomes an object of its own.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Objects that are held back to be delivered late.
const HELD_MAX: usize = 16;
/// So close to the end, only events that bring no others with them are made, so that the number comes out exactly.
const LAST_EVENTS: u64 = 8;
/// How long planted records wait for an object of their lane before they get their own.
const PATIENCE: Seconds = 10 * MINUTE;

/// Records waiting for an object.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// When the first of them has waited long enough.
    due: Option<Seconds>,
}

impl Waiting {
    fn push(&mut self, record: &[u8], due: Seconds) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn drain_into(&mut self, body: &mut ObjectBody) {
        let mut from = 0;
        for end in self.ends.drain(..) {
            body.push(&self.bytes[from..end]);
            from = end;
        }
        self.bytes.clear();
        self.due = None;
    }
}

#[derive(Debug, Default)]
struct LaneState {
    waiting: Waiting,
    second_trail: Waiting,
    last_path: String,
    workloads: Vec<usize>,
    wheel: Option<Wheel>,
}

struct Open {
    lane: usize,
    body: ObjectBody,
    late: bool,
}

type Sink<'s> = &'s mut dyn FnMut(LogObject) -> io::Result<()>;

/// A run of the generator.
pub(super) struct Run<'p, 's> {
    plan: &'p Plan,
    world: World,
    dice: Dice,
    record: Record,
    tally: Tally,
    noise: Noise,
    custodians: Custodians,
    /// By account: who acts, the steady ones first.
    actors: Vec<(Vec<usize>, Wheel)>,
    lanes: Vec<LaneState>,
    planned: VecDeque<Planned>,
    open: Option<Open>,
    /// Background events so far.
    made: u64,
    /// Background events to be made.
    wanted: u64,
    held: Vec<(Seconds, LogObject)>,
    packer: Packer,
    spare: Vec<u8>,
    sink: Sink<'s>,
}

/// Runs a plan from its start to its end.
pub(super) fn run(plan: &Plan, sink: Sink<'_>) -> io::Result<Truth> {
    let mut world = World::build(plan);
    let mut tally = Tally::default();
    let Plot { records, incidents } = incidents::plant(plan, &mut world, &mut tally);
    let mut dice = Dice::for_thing(plan.seed, 0x57_0EA3);
    let mut run = Run {
        plan,
        custodians: Custodians::of(&world),
        actors: actors(&world),
        lanes: rosters(&world, &mut dice),
        wanted: plan.events.saturating_sub(records.len() as u64),
        planned: records.into(),
        world,
        dice,
        record: Record::new(),
        tally,
        noise: Noise::new(),
        open: None,
        made: 0,
        held: Vec::new(),
        packer: Packer::new(),
        spare: Vec::new(),
        sink,
    };
    run.deliver_everything()?;
    Ok(run.tally.into_truth(plan.seed, &run.world, incidents))
}

fn rosters(world: &World, dice: &mut Dice) -> Vec<LaneState> {
    let mut lanes: Vec<LaneState> = world.lanes.iter().map(|_| LaneState::default()).collect();
    for (number, workload) in world.workloads.iter().enumerate() {
        lanes[workload.lane].workloads.push(number);
    }
    for lane in &mut lanes {
        dice.shuffle(&mut lane.workloads);
        lane.wheel = (!lane.workloads.is_empty()).then(|| Wheel::zipf(lane.workloads.len()));
    }
    lanes
}

fn actors(world: &World) -> Vec<(Vec<usize>, Wheel)> {
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
    fn deliver_everything(&mut self) -> io::Result<()> {
        let schedule = Schedule::of(self.plan, self.world.outside_lane, self.wanted);
        let mut weights = schedule.weights();
        let mut weight_so_far = 0;
        for number in 0..schedule.objects {
            weight_so_far += weights.next().unwrap_or(1);
            let target = schedule.events_upto(weight_so_far);
            if target <= self.made {
                continue;
            }
            let delivered = schedule.delivered(number);
            self.catch_up(delivered)?;
            let lane = schedule.lane(number, &mut self.dice);
            self.one_object(lane, delivered, target, number)?;
        }
        self.catch_up(Seconds::MAX)?;
        for lane in 0..self.lanes.len() {
            self.deliver_waiting(lane, schedule.end, Trail::Own)?;
            self.deliver_waiting(lane, schedule.end, Trail::Organization)?;
        }
        self.held.sort_by_key(|(at, _)| *at);
        for (_, object) in std::mem::take(&mut self.held) {
            (self.sink)(object)?;
        }
        Ok(())
    }

    /// Delivers what is due before this instant: late objects, and planted records whose lane is quiet.
    fn catch_up(&mut self, now: Seconds) -> io::Result<()> {
        while self.planned.front().is_some_and(|planned| planned.at + MINUTE <= now) {
            let Some(planned) = self.planned.pop_front() else { break };
            let impatient = self.lanes[planned.lane].waiting.due.filter(|due| *due <= planned.at);
            if let Some(due) = impatient {
                self.deliver_waiting(planned.lane, due, Trail::Own)?;
            }
            self.lanes[planned.lane].waiting.push(&planned.record, planned.at + PATIENCE);
            self.deliver_again(planned.lane, &planned.record, planned.kept, planned.at);
        }
        for lane in 0..self.lanes.len() {
            if let Some(due) = self.lanes[lane].waiting.due.filter(|due| *due <= now) {
                self.deliver_waiting(lane, due, Trail::Own)?;
            }
            if let Some(due) = self.lanes[lane].second_trail.due.filter(|due| *due <= now) {
                self.deliver_waiting(lane, due, Trail::Organization)?;
            }
        }
        self.held.sort_by_key(|(at, _)| *at);
        while self.held.first().is_some_and(|(at, _)| *at <= now) {
            (self.sink)(self.held.remove(0).1)?;
        }
        Ok(())
    }

    /// An object with what waits in the lane, and background events up to `target`.
    fn one_object(&mut self, lane: usize, delivered: Seconds, target: u64, number: u64) -> io::Result<()> {
        let late = number == 5 || number == 9 || self.dice.one_in(80);
        let mut body =
            ObjectBody::new(Shape::of(self.tally.objects, self.plan.odd_shapes), std::mem::take(&mut self.spare));
        self.lanes[lane].waiting.drain_into(&mut body);
        self.open = Some(Open { lane, body, late });
        let start = self.plan.start.timestamp();
        let (from, to) = ((delivered - self.dice.seconds(4, 15) * MINUTE).max(start), delivered - MINUTE);
        let (first, count) = (self.made, target - self.made);
        while self.made < target {
            let share = (self.made - first).cast_signed();
            let at = from + (to - from).max(1) * share / count.cast_signed() + self.dice.seconds(0, 20);
            self.background_event(lane, at)?;
        }
        let Some(Open { body, .. }) = self.open.take() else { return Ok(()) };
        let delay = match number {
            _ if !late => 0,
            9 => DAY + 3 * HOUR,
            _ => self.dice.seconds(2 * HOUR, 30 * HOUR),
        };
        self.deliver(lane, body, delivered + delay, Trail::Own, delay > 0)
    }

    fn deliver_waiting(&mut self, lane: usize, at: Seconds, trail: Trail) -> io::Result<()> {
        let state = &mut self.lanes[lane];
        let waiting = if trail == Trail::Own { &mut state.waiting } else { &mut state.second_trail };
        if waiting.ends.is_empty() {
            return Ok(());
        }
        let shape = Shape::of(self.tally.objects, self.plan.odd_shapes);
        let mut body = ObjectBody::new(shape, std::mem::take(&mut self.spare));
        waiting.drain_into(&mut body);
        self.deliver(lane, body, at, trail, false)
    }

    fn deliver(&mut self, lane: usize, body: ObjectBody, at: Seconds, trail: Trail, hold: bool) -> io::Result<()> {
        let path = objects::path(&self.world, trail, lane, at, &mut self.dice);
        let records = body.records();
        let (gzip, spare) = body.finish(&mut self.packer)?;
        self.spare = spare;
        self.tally.objects += 1;
        self.lanes[lane].last_path.clone_from(&path);
        let object = LogObject { path, gzip, records };
        if hold && self.held.len() < HELD_MAX {
            self.held.push((at, object));
            return Ok(());
        }
        (self.sink)(object)
    }

    /// Puts the record that was just written where it belongs, and counts it.
    fn put(&mut self, lane: usize, at: Seconds, kept: bool) -> io::Result<()> {
        self.tally.event(kept);
        self.made += 1;
        let record = std::mem::take(&mut self.record);
        match &mut self.open {
            Some(open) if open.lane == lane => open.body.push(record.bytes()),
            _ => self.lanes[lane].waiting.push(record.bytes(), at + DAY),
        }
        self.deliver_again(lane, record.bytes(), kept, at);
        self.record = record;
        self.record.clear();
        if self.lanes[lane].waiting.bytes.len() > WAITING_BYTES_MAX {
            self.deliver_waiting(lane, at + PATIENCE, Trail::Own)?;
        }
        if self.lanes[lane].second_trail.bytes.len() > WAITING_BYTES_MAX {
            self.deliver_waiting(lane, at + PATIENCE, Trail::Organization)?;
        }
        Ok(())
    }

    /// A second delivery, for some: in a later object of the lane, or by the organization's trail.
    fn deliver_again(&mut self, lane: usize, record: &[u8], kept: bool, at: Seconds) {
        if !self.dice.share(self.plan.duplicate_share) {
            return;
        }
        self.tally.delivered_again(kept);
        let is_open = self.open.as_ref().is_some_and(|open| open.lane == lane);
        let state = &mut self.lanes[lane];
        if is_open && self.dice.one_in(2) {
            state.waiting.push(record, at + DAY);
        } else {
            state.second_trail.push(record, at + 6 * HOUR);
        }
    }

    fn background_event(&mut self, lane: usize, at: Seconds) -> io::Result<()> {
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
        let principal = self.world.workloads[workload].principal;
        let at = self.ensure_session(principal, lane, at)?;
        if self.world.principals[principal].kind == Kind::Ec2Infrastructure {
            let instance = format!("i-0{}", self.dice.hex(16));
            self.world.principals[principal].act_for_instance(instance);
        }
        let workload = &self.world.workloads[workload];
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

/// When objects come, how big and for whom: known beforehand, so that the numbers come out exactly without keeping any.
struct Schedule {
    seed: u64,
    start: Seconds,
    end: Seconds,
    objects: u64,
    lanes: usize,
    events: u64,
    weight: u64,
    wheel: Wheel,
}

impl Schedule {
    fn of(plan: &Plan, lanes: usize, events: u64) -> Self {
        let start = plan.start.timestamp();
        let days = u64::from(plan.days.max(1));
        let by_size = events.div_ceil(u64::from(plan.events_per_object.max(1)));
        let by_day = (days * lanes as u64 * 2).min(events / 20);
        let end = start + days.cast_signed() * DAY;
        let objects = by_size.max(by_day).max(1);
        let wheel = Wheel::zipf(lanes);
        let mut schedule = Self { seed: plan.seed, start, end, objects, lanes, events, weight: 0, wheel };
        schedule.weight = schedule.weights().sum();
        schedule
    }

    /// The sizes of the objects against each other: powers of two with a long tail, from 1 to some thousands.
    fn weights(&self) -> impl Iterator<Item = u64> + use<> {
        let mut dice = Dice::for_thing(self.seed, 0x0B1_EC75);
        let objects = self.objects;
        (0..objects).map(move |_| (32 + dice.below(32)) << (dice.below(5) + dice.below(5) + dice.below(5)))
    }

    fn events_upto(&self, weight: u64) -> u64 {
        let share = u128::from(self.events) * u128::from(weight) / u128::from(self.weight.max(1));
        u64::try_from(share).unwrap_or(self.events)
    }

    /// Evenly over the days, but fewer by night.
    fn delivered(&self, number: u64) -> Seconds {
        const SCALE: i64 = 1 << 20;
        let span = self.end - self.start - 5 * MINUTE;
        let even =
            i64::try_from(u128::from(number) * span.unsigned_abs() as u128 / u128::from(self.objects)).unwrap_or(0);
        let u = even % DAY * SCALE / DAY;
        // u + 0.8·u·(1-u)·(1-2u): an S-shaped day in fixed point, steep around midnight and flat at noon.
        let bend = u * (SCALE - u) / SCALE * (SCALE - 2 * u) / SCALE * 8 / 10;
        self.start + 5 * MINUTE + even / DAY * DAY + (u + bend) * DAY / SCALE
    }

    /// Every lane early in every day, the busy ones most of the time.
    fn lane(&self, number: u64, dice: &mut Dice) -> usize {
        let per_day =
            (self.objects / (self.end - self.start).unsigned_abs().div_euclid(DAY.unsigned_abs()).max(1)).max(1);
        match usize::try_from(number % per_day) {
            Ok(turn) if turn < self.lanes => turn,
            _ => self.wheel.spin(dice),
        }
    }
}
