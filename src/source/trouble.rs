//! Trouble that may pass, told while it lasts: whoever waits for a source wants to know for what.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Attempts that may fail without a word.
const SILENT_ATTEMPTS: u32 = 2;

/// How often trouble with one source is told at most; hundreds of requests may have the same.
const TOLD_EACH: Duration = Duration::from_secs(20);

/// The trouble with one source.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    told: Mutex<Option<Instant>>,
}

impl Trouble {
    /// Hears that an attempt has failed, the `attempt`th in a row, and is to be made again.
    pub fn again(&self, what: &str, attempt: u32, why: &str) {
        tracing::debug!(what, attempt, why, "asking again");
        let Ok(mut told) = self.told.lock() else { return };
        if attempt > SILENT_ATTEMPTS && told.is_none_or(|told| told.elapsed() >= TOLD_EACH) {
            *told = Some(Instant::now());
            tracing::warn!("{what}: {why}; failed {attempt} times, still trying");
        }
    }
}
