//! The run: time passes, and one object after another is filled with what happens until it is delivered.

use std::io;

use super::background::actors;
use super::clock::{DAY, HOUR, MINUTE, Seconds};
use super::delivery::{LaneState, Open, Run};
use super::dice::{Dice, Wheel};
use super::digests::Digests;
use super::incidents::{self, Plot};
use super::noise::Noise;
use super::objects::{ObjectBody, Packer, Shape, Trail};
use super::record::Record;
use super::schedule::Schedule;
use super::truth::{Tally, Truth};
use super::upkeep::Custodians;
use super::workload::{self, Workload};
use super::world::World;
use super::{Plan, Sink};

/// Runs a plan from its start to its end.
pub(super) fn run(plan: &Plan, sink: Sink<'_>) -> io::Result<Truth> {
    let (mut world, mut dice) = World::build(plan);
    let workloads = workload::assign(&world, plan, &mut dice);
    let mut tally = Tally::default();
    let Plot { records, incidents } = incidents::plant(plan, &mut world, &mut tally);
    let mut dice = Dice::for_thing(plan.seed, 0x57_0EA3);
    let mut run = Run {
        plan,
        custodians: Custodians::of(&world),
        actors: actors(&world),
        lanes: rosters(&world, &workloads, &mut dice),
        wanted: plan.events.saturating_sub(records.len() as u64),
        planned: records.into(),
        world,
        workloads,
        dice,
        record: Record::new(),
        tally,
        noise: Noise::new(),
        open: None,
        made: 0,
        held: Vec::new(),
        digests: None,
        packer: Packer::new(),
        spare: Vec::new(),
        sink,
    };
    run.digests = plan.digests.then(|| Digests::new(&run.world, plan.start.timestamp())).transpose()?;
    run.deliver_everything()?;
    Ok(run.tally.into_truth(plan.seed, &run.world, incidents))
}

fn rosters(world: &World, workloads: &[Workload], dice: &mut Dice) -> Vec<LaneState> {
    let mut lanes: Vec<LaneState> = world.lanes.iter().map(|_| LaneState::default()).collect();
    for (number, workload) in workloads.iter().enumerate() {
        lanes[workload.lane].workloads.push(number);
    }
    for lane in &mut lanes {
        dice.shuffle(&mut lane.workloads);
        lane.workloads.sort_by_key(|number| workloads[*number].rank());
        lane.wheel = (!lane.workloads.is_empty()).then(|| Wheel::zipf(lane.workloads.len()));
    }
    lanes
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
            self.write_digests(delivered)?;
            let lane = schedule.lane(number, &mut self.dice);
            self.one_object(lane, delivered, target, number)?;
        }
        self.finish(schedule.end)
    }

    /// An object with what waits in the lane, and background events up to `target`.
    fn one_object(&mut self, lane: usize, delivered: Seconds, target: u64, number: u64) -> io::Result<()> {
        let is_late = number == 5 || number == 9 || self.dice.one_in(80);
        let mut body =
            ObjectBody::new(Shape::of(self.tally.objects, self.plan.odd_shapes), std::mem::take(&mut self.spare));
        self.lanes[lane].waiting.drain_into(&mut body);
        self.open = Some(Open { lane, body, late: is_late });
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
            _ if !is_late => 0,
            9 => DAY + 3 * HOUR,
            _ => self.dice.seconds(2 * HOUR, 30 * HOUR),
        };
        self.deliver(lane, body, delivered + delay, Trail::Own, delay > 0)
    }
}
