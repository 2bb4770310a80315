//! Whether detectors find what was planted and nothing else, and what they cost.
//!
//! ```text
//! cargo bench --bench detect                              thirty seeds with incidents, thirty without, and the cost over
//!                                                         10 million events
//! KEYTRAIL_BENCH_SEEDS=3 KEYTRAIL_BENCH_EVENTS=400000 cargo bench --bench detect
//! ```
//!
//! It fails when an incident is missed, or when a month in which nothing was planted has a finding of medium severity or
//! worse, or many low ones of a key in a week.

#[path = "../tests/detect/recall.rs"]
mod recall;
mod support;

use std::collections::BTreeMap;
use std::process::Command;

use keytrail::query::Catalog;
use recall::{Logs, hear};
use support::{Used, logs, run, scratch, setting};

/// Events of each seed.
const EVENTS: u64 = 200_000;

fn main() {
    let (seeds, events) = (setting("KEYTRAIL_BENCH_SEEDS", 30), setting("KEYTRAIL_BENCH_EVENTS", 10_000_000));
    let (mut wrong, mut low) = (0, BTreeMap::new());
    for seed in 1..=seeds {
        for is_planted in [true, false] {
            let heard = hear(&Logs { seed, events: EVENTS, is_planted });
            wrong += heard.faults.len();
            for fault in heard.faults {
                println!("seed {seed}, planted {is_planted}: {fault}");
            }
            for (detector, count) in heard.low.into_iter().filter(|_| !is_planted) {
                *low.entry(detector).or_insert(0) += count;
            }
        }
    }
    println!("{seeds} seeds with incidents and {seeds} without, {EVENTS} events each: {wrong} faults");
    println!("low findings in the last week of the {seeds} months without incidents:");
    for (detector, count) in &low {
        println!("{detector:32} {count:>8}");
    }
    if events > 0 {
        cost(events);
    }
    assert_eq!(wrong, 0, "what was planted is not what was found");
}

/// CPU time and memory of all detectors together, and of each.
fn cost(events: u64) {
    let (logs, lake) = (logs(events), scratch().join(format!("lake-detect-{events}")));
    let keytrail = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.arg("--lake").arg(&lake).args(["--no-progress", "--quiet"]).args(arguments);
        command
    };
    run(keytrail(&["ingest"]).arg(&logs));
    let detect = |only: &[&str]| -> Used {
        let mut arguments = vec!["detect", "--no-save", "--format", "json"];
        arguments.extend(only);
        run(&mut keytrail(&arguments))
    };
    let all = detect(&[]);
    println!("all detectors over {events} records: {:.1} s CPU, {} MiB", all.cpu_seconds, all.memory_mib);
    let catalog = Catalog::shipped();
    let mut each: Vec<(f64, &str)> = catalog
        .detectors()
        .map(|detector| (detect(&["--only", &detector.name]).cpu_seconds, detector.name.as_str()))
        .collect();
    each.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{:32} {:>8} {:>12}", "detector", "CPU s", "of all");
    for (seconds, name) in &each {
        println!("{name:32} {seconds:>8.2} {:>11.0} %", 100.0 * seconds / all.cpu_seconds);
    }
}
