//! When objects come, how big and for whom.
//!
//! All of it is known beforehand from the plan, so that the number of events comes out exactly without keeping any. It
//! refuses to know what is in the objects.

use super::Plan;
use super::clock::{DAY, MINUTE, Seconds};
use super::dice::{Dice, Wheel};

/// The objects of a plan, in the order of their delivery.
pub(super) struct Schedule {
    seed: u64,
    start: Seconds,
    /// The end of the plan's days.
    pub(super) end: Seconds,
    pub(super) objects: u64,
    lanes: usize,
    events: u64,
    weight: u64,
    wheel: Wheel,
}

impl Schedule {
    pub(super) fn of(plan: &Plan, lanes: usize, events: u64) -> Self {
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
    pub(super) fn weights(&self) -> impl Iterator<Item = u64> + use<> {
        let mut dice = Dice::for_thing(self.seed, 0x0B1_EC75);
        let objects = self.objects;
        (0..objects).map(move |_| (32 + dice.below(32)) << (dice.below(5) + dice.below(5) + dice.below(5)))
    }

    pub(super) fn events_upto(&self, weight: u64) -> u64 {
        let share = u128::from(self.events) * u128::from(weight) / u128::from(self.weight.max(1));
        u64::try_from(share).unwrap_or(self.events)
    }

    /// Evenly over the days, but fewer by night.
    pub(super) fn delivered(&self, number: u64) -> Seconds {
        const SCALE: i64 = 1 << 20;
        let span = self.end - self.start - 5 * MINUTE;
        let even =
            i64::try_from(u128::from(number) * u128::from(span.unsigned_abs()) / u128::from(self.objects)).unwrap_or(0);
        let u = even % DAY * SCALE / DAY;
        // u + 0.8·u·(1-u)·(1-2u): an S-shaped day in fixed point, steep around midnight and flat at noon.
        let bend = u * (SCALE - u) / SCALE * (SCALE - 2 * u) / SCALE * 8 / 10;
        self.start + 5 * MINUTE + even / DAY * DAY + (u + bend) * DAY / SCALE
    }

    /// Every lane early in every day, the busy ones most of the time.
    pub(super) fn lane(&self, number: u64, dice: &mut Dice) -> usize {
        let per_day =
            (self.objects / (self.end - self.start).unsigned_abs().div_euclid(DAY.unsigned_abs()).max(1)).max(1);
        match usize::try_from(number % per_day) {
            Ok(turn) if turn < self.lanes => turn,
            _ => self.wheel.spin(dice),
        }
    }
}
