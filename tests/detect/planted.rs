//! All detectors over generated logs: what was planted is found, with its key, principal and evidence, and nothing else
//! is worth a look. `cargo bench --bench detect` does the same over thirty seeds of each kind.

#[path = "recall.rs"]
mod recall;

use recall::{Logs, hear};

#[test]
fn what_was_planted_is_found_and_a_quiet_month_is_quiet() {
    for is_planted in [true, false] {
        let heard = hear(&Logs { seed: 7, events: 20_000, is_planted });
        let faults = heard.faults.join("\n");
        assert!(faults.is_empty(), "planted {is_planted}, with low findings {:?}:\n{faults}", heard.low);
    }
}
