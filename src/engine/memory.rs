//! How much memory a question may take up for sorting and grouping; what is more goes to temporary files.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// For all that sorts and groups at the same time, in bytes.
pub(super) const ROOM: usize = 256 * 1024 * 1024;

/// Gives each of those that can write to files the same share of the room. What cannot, such as the smaller side of a join, gets
/// what it needs: an answer that takes memory is better than none.
#[derive(Debug)]
pub(super) struct Spilling {
    room: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// How many can write to files.
    spillers: usize,
    bytes: usize,
}

impl Spilling {
    pub fn new(room: usize) -> Self {
        Self { room, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryPool for Spilling {
    fn name(&self) -> &'static str {
        "spilling"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.taken().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut taken = self.taken();
        taken.spillers = taken.spillers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.taken().bytes += additional;
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        let mut taken = self.taken();
        taken.bytes = taken.bytes.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut taken = self.taken();
        let share = self.room / taken.spillers.max(1);
        if reservation.consumer().can_spill() && reservation.size() + additional > share {
            let what = reservation.consumer().name();
            return Err(DataFusionError::ResourcesExhausted(format!("{what} has its share of {share} bytes")));
        }
        taken.bytes += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.taken().bytes
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.room)
    }
}

impl fmt::Display for Spilling {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {} bytes", self.name(), self.room)
    }
}
