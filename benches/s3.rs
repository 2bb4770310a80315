//! What it costs that logs are in S3 and not in a folder: the same objects, 40 ms before each answer.
//!
//! ```text
//! cargo bench --bench s3                                 2,000,000 events: the way there, some ten requests, counts little
//! KEYTRAIL_BENCH_DELAY_MS=0 cargo bench --bench s3       the same without the way
//! ```
//!
//! The server is in this process and shares the machine with what is measured, so its own work counts against keytrail.

#[path = "../tests/support/s3.rs"]
#[allow(dead_code, reason = "a bench needs no trouble")]
mod server;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Instant;

use server::{BUCKET, Server};
use support::{logs, scratch, setting};

fn main() {
    let events = setting("KEYTRAIL_BENCH_EVENTS", 2_000_000);
    let delay_ms = setting("KEYTRAIL_BENCH_DELAY_MS", 40);
    let runs = setting("KEYTRAIL_BENCH_RUNS", 5);
    let logs = logs(events);
    let server = Server::start();
    server.bucket.fill(&logs);
    server.mood.delay_ms.store(delay_ms, Ordering::Relaxed);
    let bucket = format!("s3://{BUCKET}");
    let (mut folder, mut s3) = (f64::INFINITY, f64::INFINITY);
    // In turns, so that what else the machine does is shared out.
    for _ in 0..runs {
        folder = folder.min(seconds(&mut ingest(logs.as_os_str())));
        s3 = s3.min(seconds(ingest(bucket.as_ref()).envs(server.environment())));
    }
    println!("{events} events, {delay_ms} ms before each answer of S3, the least of {runs} runs");
    println!("from a folder  {folder:>6.2} s");
    println!("from S3        {s3:>6.2} s   {:.2} × the folder", s3 / folder);
}

fn ingest(source: &std::ffi::OsStr) -> Command {
    let lake = scratch().join("lake-s3");
    let _ = fs::remove_dir_all(&lake);
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
    command.arg("--lake").arg::<&Path>(&lake).arg("ingest").arg(source);
    command
}

fn seconds(command: &mut Command) -> f64 {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("the command starts");
    assert!(status.success(), "{command:?} failed");
    began.elapsed().as_secs_f64()
}
