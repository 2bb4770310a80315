//! How long a channel is waited for, and how often it is tried.

use std::time::Duration;

use uuid::Uuid;

/// The longest wait between two attempts that nobody asked for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A receiver that asks for a longer wait than this is left alone until then, and the round goes on without it.
pub(super) const ASKED_MAX: Duration = Duration::from_mins(1);

/// How patient a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a message is tried in a round.
    pub attempts: u32,
    /// About how long after the first attempt the second follows; each further wait is twice as long.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, wait: Duration::from_secs(1) }
    }
}

impl Patience {
    /// How long to wait after so many failed attempts: half of it for certain, the rest by chance, so that several that
    /// were turned away together do not come back together.
    pub(super) fn after(&self, failed: u32) -> Duration {
        let whole = self.wait.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(WAIT_MAX);
        let half = whole / 2;
        let (chance, _) = Uuid::new_v4().as_u64_pair();
        let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_millis(chance % spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_never_less_than_half() {
        let patience = Patience::default();
        for (failed, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (60, 30)] {
            let (wait, whole) = (patience.after(failed), Duration::from_secs(whole));
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} after {failed}");
        }
    }
}
