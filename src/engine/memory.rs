//! How much memory a question may take up for sorting and grouping, as far as these can do with less.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Bytes for all sorts, and for all first steps of groups, that run at the same time.
pub(super) const ROOM: Room = Room { sorts: 256 * 1024 * 1024, groups: 64 * 1024 * 1024, least: 16 * 1024 * 1024 };

/// How much there is of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// What is more goes to temporary files.
    pub sorts: usize,
    /// What is more goes on to the second step, which puts the same groups together.
    pub groups: usize,
    /// Nobody is refused that has less: to put files together takes some rows of each.
    pub least: usize,
}

/// Once its room is full, refuses to give more to who has an equal share of it and can do without: then that makes room itself, and gets
/// what it asks for next. All else gets what it needs, since it would fail without (in DataFusion 55 also the second step of groups,
/// where little is left): an answer that takes memory is better than none.
#[derive(Debug)]
pub(super) struct Shared {
    room: Room,
    taken: Mutex<Taken>,
}

/// Who takes memory: DataFusion tells it by the name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sort,
    Groups,
    Other,
}

impl Kind {
    fn of(consumer: &MemoryConsumer) -> Self {
        match consumer.name().split_once('[') {
            Some(("ExternalSorter", _)) => Self::Sort,
            Some(("PartialHashAggregateStream", _)) => Self::Groups,
            _ => Self::Other,
        }
    }
}

/// What is taken by each kind.
#[derive(Debug, Default)]
struct Taken {
    consumers: [usize; 3],
    bytes: [usize; 3],
    /// Ids of those that were refused last.
    refused: HashSet<usize>,
}

impl Shared {
    pub fn new(room: Room) -> Self {
        Self { room, taken: Mutex::default() }
    }

    fn room(&self, kind: Kind) -> usize {
        match kind {
            Kind::Sort => self.room.sorts,
            Kind::Groups => self.room.groups,
            Kind::Other => usize::MAX,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryPool for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.taken().consumers[Kind::of(consumer) as usize] += 1;
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut taken = self.taken();
        taken.consumers[Kind::of(consumer) as usize] -= 1;
        taken.refused.remove(&consumer.id());
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.taken().bytes[Kind::of(reservation.consumer()) as usize] += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.taken().bytes[Kind::of(reservation.consumer()) as usize] -= shrink;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        let kind = Kind::of(consumer);
        let (room, has) = (self.room(kind), reservation.size());
        let mut taken = self.taken();
        let share = (room / taken.consumers[kind as usize].max(1)).max(self.room.least);
        let is_full = taken.bytes[kind as usize] + additional > room;
        // Who has nothing cannot make room either.
        if is_full && has > 0 && has + additional > share && taken.refused.insert(consumer.id()) {
            let what = consumer.name();
            return Err(DataFusionError::ResourcesExhausted(format!("{what} has its share of {share} bytes")));
        }
        taken.refused.remove(&consumer.id());
        taken.bytes[kind as usize] += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.taken().bytes.iter().sum()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Infinite
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {:?}", self.name(), self.room)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::{ExecutionPlan, collect};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// Twenty thousand rows, in no order.
    const ROWS: &str = "SELECT CAST((value * 7919) % 20000 AS BIGINT) AS number, \
        concat('a text of some length, which takes memory: ', (value * 104729) % 20000) AS text \
        FROM generate_series(1, 20000)";

    fn spills(plan: &Arc<dyn ExecutionPlan>) -> usize {
        let own = plan.metrics().and_then(|metrics| metrics.spill_count()).unwrap_or_default();
        own + plan.children().into_iter().map(spills).sum::<usize>()
    }

    /// The answer to a statement with this much room, and how often something was written to a file for it.
    async fn answer(room: usize, sql: &str) -> (String, usize) {
        let pool = Shared::new(Room { sorts: room, groups: room, least: 16 * 1024 });
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc().unwrap();
        let config = SessionConfig::new().with_target_partitions(4).with_batch_size(512);
        let session = SessionContext::new_with_config_rt(config, runtime);
        let plan = session.sql(&sql.replace("rows", &format!("({ROWS})"))).await.unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let rows = collect(Arc::clone(&plan), session.task_ctx()).await.unwrap();
        (pretty_format_batches(&rows).unwrap().to_string(), spills(&plan))
    }

    #[tokio::test]
    async fn an_answer_is_the_same_however_little_room_there_is() {
        for sql in [
            "SELECT * FROM rows ORDER BY text, number",
            "SELECT number % 7 AS part, text, sum(number) OVER (PARTITION BY number % 7 ORDER BY text, number) FROM rows ORDER BY 1, 2, 3",
            "SELECT text, count(DISTINCT number), first_value(number ORDER BY number) FROM rows GROUP BY text ORDER BY text",
            "SELECT a.text, b.number FROM rows AS a JOIN rows AS b ON b.number = a.number + 1 ORDER BY a.text, b.number",
        ] {
            let (whole, none) = answer(1 << 30, sql).await;
            assert_eq!(none, 0, "{sql}");
            for room in [1, 256 * 1024] {
                let (answer, spills) = answer(room, sql).await;
                assert_eq!(answer, whole, "{sql} in {room} bytes");
                assert!(spills > 0, "{sql} in {room} bytes");
            }
        }
    }
}
