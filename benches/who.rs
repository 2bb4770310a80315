//! What asking costs on a large lake, against counting its rows.
//!
//! ```text
//! cargo bench --bench who                                10 million KMS events
//! KEYTRAIL_BENCH_EVENTS=1000000 cargo bench --bench who
//! ```
//!
//! The lake is made once and kept in the temporary folder; making it takes minutes.

mod support;

use std::path::Path;
use std::process::Command;

use support::{Used, least, logs, run, scratch, setting};

fn main() {
    let events = setting("KEYTRAIL_BENCH_EVENTS", 10_000_000);
    let lake = scratch().join(format!("lake-{events}"));
    if !lake.join("objects").exists() {
        let logs = logs(events);
        run(keytrail(&lake).arg("ingest").arg(&logs));
        run(keytrail(&lake).arg("maintain"));
    }
    let key = busiest_key(&lake);
    let questions: [(&str, &[&str]); 6] = [
        ("count of all rows, by operation", &["sql", "SELECT event_name, count(*) FROM events GROUP BY event_name"]),
        ("who, the busiest key", &["who", &key]),
        ("who --by asset", &["who", &key, "--by", "asset"]),
        ("who, a planted key", &["who", "alias/payroll"]),
        ("timeline of one key, a day", &["timeline", "--key", &key, "--since", "2026-01-06", "--until", "2026-01-07"]),
        ("key-usage, all keys", &["query", "key-usage"]),
    ];
    println!("{events} events");
    println!("question                             CPU × count   CPU s   peak MiB");
    let mut base: Option<Used> = None;
    for (name, arguments) in questions {
        let used = least(3, || run(keytrail(&lake).args(arguments)));
        let base = base.get_or_insert(used);
        let ratio = used.cpu_seconds / base.cpu_seconds;
        println!("{name:<36}{ratio:>9.2}{:>10.2}{:>11}", used.cpu_seconds, used.memory_mib);
    }
}

fn keytrail(lake: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
    command.arg("--lake").arg(lake);
    command
}

fn busiest_key(lake: &Path) -> String {
    let out = keytrail(lake).args(["query", "keys", "--format", "ndjson"]).output().expect("the keys can be listed");
    let text = String::from_utf8(out.stdout).expect("JSON is UTF-8");
    let first: serde_json::Value =
        serde_json::from_str(text.lines().next().expect("there is a key")).expect("a JSON row");
    first["key_arn"].as_str().expect("a key has an ARN").to_owned()
}
