//! How often a Region may be asked: CloudTrail answers two LookupEvents a second per account and Region, and whoever asks
//! more is throttled, other users of the account included.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

/// Time between two requests to one Region. Evenly spaced, there are no three in any one second.
const SPACING: Duration = Duration::from_millis(500);

/// A clock to wait by; tests bring one that does not wait.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since some beginning.
    fn now(&self) -> Duration;
    /// Returns when so much time has passed.
    async fn sleep(&self, time: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Turns to ask, one every [`SPACING`], given to whoever comes first.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    /// When the next turn is.
    next: Mutex<Duration>,
}

impl Pace {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, next: Mutex::new(Duration::ZERO) }
    }

    /// Returns when it is the caller's turn. A turn that is not taken, because the caller gave up waiting, is lost.
    pub async fn turn(&self) {
        let now = self.clock.now();
        let wait = {
            // A caller that panicked has not left the instant half-written.
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = now.max(*next);
            *next = turn + SPACING;
            turn.saturating_sub(now)
        };
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
    }

    pub async fn pause(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}
