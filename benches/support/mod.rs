//! What the benches share: a folder of synthetic logs that is made once, and the accounting of finished processes.
//!
//! A bench measures whole processes, one after the other on the same machine in the same run, and prints ratios: a
//! second here is not a second there, a ratio mostly is.

#![allow(dead_code, reason = "each bench uses its own part")]
#![allow(clippy::missing_panics_doc, reason = "a bench that cannot run has nothing better to do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keytrail::synthetic::{Plan, write_folder};
use wait4::Wait4;

/// What a finished process used.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// CPU seconds, user and system.
    pub cpu_seconds: f64,
    /// Peak resident memory in MiB.
    pub memory_mib: u64,
}

/// Runs a command to its end, which must be a success.
pub fn run(command: &mut Command) -> Used {
    let child = command.stdout(Stdio::null()).spawn().expect("the command starts");
    let ended = child.wait4().expect("the command can be waited for");
    assert!(ended.status.success(), "{command:?} failed");
    Used {
        cpu_seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        memory_mib: ended.rusage.maxrss / 1024 / 1024,
    }
}

/// The least of several runs: what else the machine does can only add.
pub fn least(runs: usize, mut once: impl FnMut() -> Used) -> Used {
    let used: Vec<Used> = (0..runs).map(|_| once()).collect();
    Used {
        cpu_seconds: used.iter().map(|used| used.cpu_seconds).fold(f64::INFINITY, f64::min),
        memory_mib: used.iter().map(|used| used.memory_mib).max().unwrap_or_default(),
    }
}

/// This program again, as one stage of itself.
#[must_use]
pub fn stage(name: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program knows its own path"));
    command.arg("--stage").arg(name).args(arguments);
    command
}

/// The stage that this process was started for, with its arguments.
pub fn asked_stage() -> Option<(String, Vec<PathBuf>)> {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "--stage").skip(1);
    let name = arguments.next()?.into_string().ok()?;
    Some((name, arguments.map(PathBuf::from).collect()))
}

/// A number from the environment.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where benches keep their logs and lakes.
#[must_use]
pub fn scratch() -> PathBuf {
    std::env::temp_dir().join("keytrail-bench")
}

/// A folder of logs with so many events, made when it is not there.
#[must_use]
pub fn logs(events: u64) -> PathBuf {
    let folder = scratch().join(format!("logs-{events}"));
    if !folder.join("truth.json").exists() {
        eprintln!("making {events} events in {}", folder.display());
        let days = u32::try_from(events / 130_000).unwrap_or(u32::MAX).max(3);
        let plan = Plan { events, days, ..Plan::default() };
        write_folder(&plan, &folder, &mut |_| {}).expect("the logs can be written");
    }
    folder
}

/// Bytes of all files below a folder.
#[must_use]
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    entries
        .map(|entry| entry.expect("the folder can be listed"))
        .map(|entry| match entry.metadata().expect("the file is there") {
            metadata if metadata.is_dir() => bytes_below(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}
