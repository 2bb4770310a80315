//! Lanes fill objects, objects are delivered.
//!
//! ```text
//! planted records ────┐
//!                     ├─► lane (account, Region): records waiting ─► object ─► sink
//! background's record ┘        └─ twins, second deliveries wait for the next object
//! ```
//!
//! One object is open at a time; what waits in a lane is capped in bytes. It refuses to hold events for the answer sheet:
//! it counts them as they pass.

use std::collections::VecDeque;
use std::io;

use super::clock::{DAY, MINUTE, Seconds};
use super::dice::{Dice, Wheel};
use super::digests::{Digests, Log};
use super::incidents::Planned;
use super::noise::Noise;
use super::objects::{self, ObjectBody, Packer, Shape, Trail};
use super::record::Record;
use super::truth::Tally;
use super::upkeep::Custodians;
use super::workload::Workload;
use super::world::World;
use super::{LogObject, Plan, Sink};

/// What may wait in a lane; then it becomes an object of its own.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Objects that are held back to be delivered late.
const HELD_MAX: usize = 16;
/// How long planted records wait for an object of their lane before they get their own.
const PATIENCE: Seconds = 90 * MINUTE;

/// Records waiting for an object.
#[derive(Debug, Default)]
pub(super) struct Waiting {
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

    pub(super) fn drain_into(&mut self, body: &mut ObjectBody) {
        let mut from = 0;
        for end in self.ends.drain(..) {
            body.push(&self.bytes[from..end]);
            from = end;
        }
        self.bytes.clear();
        self.due = None;
    }
}

/// What is known of an account and Region while a run goes on.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    pub(super) waiting: Waiting,
    pub(super) second_trail: Waiting,
    /// The latest object delivered for it.
    pub(super) last_path: String,
    pub(super) workloads: Vec<usize>,
    pub(super) wheel: Option<Wheel>,
}

/// The object that records go into.
pub(super) struct Open {
    pub(super) lane: usize,
    pub(super) body: ObjectBody,
    pub(super) late: bool,
}

/// A run of the generator: what there is, what waits, and where it goes.
pub(super) struct Run<'p, 's> {
    pub(super) plan: &'p Plan,
    pub(super) world: World,
    pub(super) workloads: Vec<Workload>,
    pub(super) dice: Dice,
    pub(super) record: Record,
    pub(super) tally: Tally,
    pub(super) noise: Noise,
    pub(super) custodians: Custodians,
    /// By account: who acts, the steady ones first.
    pub(super) actors: Vec<(Vec<usize>, Wheel)>,
    pub(super) lanes: Vec<LaneState>,
    pub(super) planned: VecDeque<Planned>,
    pub(super) open: Option<Open>,
    /// Background events so far.
    pub(super) made: u64,
    /// Background events to be made.
    pub(super) wanted: u64,
    pub(super) held: Vec<(Seconds, LogObject)>,
    pub(super) digests: Option<Digests>,
    pub(super) packer: Packer,
    pub(super) spare: Vec<u8>,
    pub(super) sink: Sink<'s>,
}

impl Run<'_, '_> {
    /// Delivers all that is left, once no more events are made.
    pub(super) fn finish(&mut self, end: Seconds) -> io::Result<()> {
        self.catch_up(Seconds::MAX)?;
        for lane in 0..self.lanes.len() {
            self.deliver_waiting(lane, end, Trail::Own)?;
            self.deliver_waiting(lane, end, Trail::Organization)?;
        }
        self.held.sort_by_key(|(at, _)| *at);
        let last = self.held.last().map_or(end, |(at, _)| end.max(*at));
        for (_, object) in std::mem::take(&mut self.held) {
            (self.sink)(object)?;
        }
        match &mut self.digests {
            Some(digests) => digests.finish(last, &mut self.packer, self.sink),
            None => Ok(()),
        }
    }

    /// Writes the digests of the hours before this instant; nothing is delivered for them any more.
    pub(super) fn write_digests(&mut self, now: Seconds) -> io::Result<()> {
        match &mut self.digests {
            Some(digests) => digests.close(now, &mut self.packer, self.sink),
            None => Ok(()),
        }
    }

    /// Delivers what is due before this instant: late objects, and planted records whose lane is quiet.
    pub(super) fn catch_up(&mut self, now: Seconds) -> io::Result<()> {
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

    /// Closes an object and delivers it, or holds it back.
    pub(super) fn deliver(
        &mut self,
        lane: usize,
        body: ObjectBody,
        at: Seconds,
        trail: Trail,
        hold: bool,
    ) -> io::Result<()> {
        let path = objects::path(&self.world, trail, lane, at, &mut self.dice);
        let records = body.records();
        let (gzip, spare) = body.finish(&mut self.packer)?;
        if let Some(digests) = &mut self.digests {
            digests.add(trail, lane, &Log { at, key: &path, text: &spare, is_late: hold });
        }
        self.spare = spare;
        self.tally.objects += 1;
        self.lanes[lane].last_path.clone_from(&path);
        let object = LogObject { path, gzip, records, metadata: Vec::new() };
        if hold && self.held.len() < HELD_MAX {
            self.held.push((at, object));
            return Ok(());
        }
        (self.sink)(object)
    }

    /// Puts the record that was just written where it belongs, and counts it.
    pub(super) fn put(&mut self, lane: usize, at: Seconds, kept: bool) -> io::Result<()> {
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
            state.second_trail.push(record, at + DAY);
        }
    }
}
