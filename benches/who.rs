//! What asking costs on a large lake, against counting its rows.
//!
//! ```text
//! cargo bench --bench who                                10 million records
//! KEYTRAIL_BENCH_EVENTS=1000000 cargo bench --bench who
//! ```
//!
//! The lake is made once and kept in the temporary folder; making it takes minutes. Each question is asked right after `ingest`, and
//! again after `maintain`. With a Python that has `duckdb` and `deltalake` (`KEYTRAIL_PYTHON`, else `python3`), DuckDB answers
//! `who` for the busiest key from the same files.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Used, least, logs, run, scratch, setting};

fn main() {
    let events = setting("KEYTRAIL_BENCH_EVENTS", 10_000_000);
    let (fresh, kept) = (scratch().join(format!("lake-fresh-{events}")), scratch().join(format!("lake-{events}")));
    if !kept.join("objects").exists() {
        let logs = logs(events);
        for lake in [&fresh, &kept] {
            run(keytrail(lake).arg("ingest").arg(&logs));
        }
        run(keytrail(&kept).arg("maintain"));
    }
    let key = busiest_key(&kept);
    let questions: [(&str, &[&str]); 8] = [
        ("count of all rows, by operation", &["sql", "SELECT event_name, count(*) FROM events GROUP BY event_name"]),
        ("who, the busiest key", &["who", &key]),
        ("who --by asset", &["who", &key, "--by", "asset"]),
        ("who, a planted key", &["who", "alias/payroll"]),
        ("timeline of one key, a day", &["timeline", "--key", &key, "--since", "2026-01-06", "--until", "2026-01-07"]),
        ("key-usage, all keys", &["query", "key-usage"]),
        ("coverage", &["coverage"]),
        ("detect, 30 days", &["detect", "--no-save"]),
    ];
    println!("{events} events");
    println!("question                             CPU × count   CPU s   peak MiB   right after ingest");
    let mut base: Option<Used> = None;
    let mut who = None;
    for (name, arguments) in questions {
        let used = least(3, || run(keytrail(&kept).args(arguments)));
        let before = least(3, || run(keytrail(&fresh).args(arguments)));
        let base = base.get_or_insert(used);
        let ratio = used.cpu_seconds / base.cpu_seconds;
        let again = before.cpu_seconds / used.cpu_seconds;
        println!("{name:<36}{ratio:>9.2}{:>10.2}{:>11}{again:>20.2}×", used.cpu_seconds, used.memory_mib);
        if arguments.first() == Some(&"who") {
            who.get_or_insert(used.cpu_seconds);
        }
    }
    match (who, duckdb(&kept, &key)) {
        (Some(who), Some(duckdb)) => {
            println!("who, the busiest key, against DuckDB's query: {:.2}× its CPU", who / duckdb);
        }
        _ => println!("DuckDB: skipped"),
    }
}

/// CPU seconds that DuckDB takes for `who`, if it is there.
fn duckdb(lake: &Path, key: &str) -> Option<f64> {
    let python = std::env::var_os("KEYTRAIL_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/who_by_duckdb.py");
    let once = || {
        let ran = Command::new(&python).arg(&script).arg(lake).arg(key).output().ok()?;
        String::from_utf8_lossy(&ran.stdout).split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    (0..3).filter_map(|_| once()).reduce(f64::min)
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
