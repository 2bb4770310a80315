//! How much memory a question may take up for sorting; what is more goes to temporary files.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// For all sorts that run at the same time, in bytes.
pub(super) const ROOM: usize = 256 * 1024 * 1024;

/// Nobody is refused that has less: to put files together takes some rows of each.
pub(super) const LEAST: usize = 16 * 1024 * 1024;

/// What DataFusion calls a sort that can go on with files.
const SORT: &str = "ExternalSorter[";

/// Once the room is full, refuses to give more to a sort that has an equal share of it: the sort then writes what it has to a file. All
/// else gets what it needs, since it would fail without (DataFusion 55's groups do so where little is left): an answer that takes memory is
/// better than none.
#[derive(Debug)]
pub(super) struct Spilling {
    room: usize,
    least: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    sorts: usize,
    by_sorts: usize,
    by_others: usize,
}

impl Taken {
    fn by(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        if is_sort(consumer) { &mut self.by_sorts } else { &mut self.by_others }
    }
}

fn is_sort(consumer: &MemoryConsumer) -> bool {
    consumer.name().starts_with(SORT)
}

impl Spilling {
    pub fn new(room: usize, least: usize) -> Self {
        Self { room, least, taken: Mutex::default() }
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
        self.taken().sorts += usize::from(is_sort(consumer));
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut taken = self.taken();
        taken.sorts = taken.sorts.saturating_sub(usize::from(is_sort(consumer)));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.taken().by(reservation.consumer()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut taken = self.taken();
        let by = taken.by(reservation.consumer());
        *by = by.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        let mut taken = self.taken();
        let (has, share) = (reservation.size(), (self.room / taken.sorts.max(1)).max(self.least));
        let is_full = taken.by_sorts + additional > self.room;
        // Who has nothing could write nothing either.
        if is_sort(consumer) && is_full && has > 0 && has + additional > share {
            let what = consumer.name();
            return Err(DataFusionError::ResourcesExhausted(format!("{what} has its share of {share} bytes")));
        }
        *taken.by(consumer) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let taken = self.taken();
        taken.by_sorts + taken.by_others
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Infinite
    }
}

impl fmt::Display for Spilling {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {} bytes", self.name(), self.room)
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
        let pool = Spilling::new(room, 16 * 1024);
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
            let (whole, none) = answer(ROOM, sql).await;
            assert_eq!(none, 0, "{sql}");
            for room in [1, 256 * 1024] {
                let (answer, spills) = answer(room, sql).await;
                assert_eq!(answer, whole, "{sql} in {room} bytes");
                assert!(spills > 0, "{sql} in {room} bytes");
            }
        }
    }
}
