//! A command that is run for each message, and reads it from its standard input.
//!
//! Delivered is what it ends with exit code 0 for. It is run by `sh`, in a process group of its own, so that what stops
//! keytrail does not stop it midway, and so that all of it can be ended when it takes too long.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{self, Child};

use super::Failure;

/// How long a command may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a command has no need to know.
const SECRET: &str = "KEYTRAIL_WEBHOOK";

/// A line for `sh -c`.
#[derive(Debug)]
pub struct Command {
    line: String,
    timeout: Duration,
}

impl Command {
    /// Of this line.
    #[must_use]
    pub fn new(line: &str) -> Self {
        Self { line: line.to_owned(), timeout: TIMEOUT }
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// Runs it on a text.
    pub(super) async fn run(&self, text: String) -> Result<(), Failure> {
        let mut command = process::Command::new("sh");
        command.arg("-c").arg(&self.line).env_remove(SECRET).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        #[cfg(unix)]
        command.process_group(0);
        let failed = |error: std::io::Error| Failure::passing(format!("it could not be run: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let group = child.id();
        match tokio::time::timeout(self.timeout, fed(&mut child, text)).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::passing(format!("it ended with {status}"))),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => {
                end(group).await;
                // Reaps it; that it is gone already is as well.
                let _ = child.kill().await;
                Err(Failure::passing(format!("it was not done after {} s", self.timeout.as_secs())))
            }
        }
    }
}

/// Waits for a child that is given a text meanwhile. One that ends well without having read it all has read enough.
async fn fed(child: &mut Child, text: String) -> std::io::Result<ExitStatus> {
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        std::future::pending::<std::io::Result<ExitStatus>>().await
    };
    tokio::select! {
        status = child.wait() => status,
        never = feed => never,
    }
}

/// Ends what a command has started as well.
async fn end(group: Option<u32>) {
    if let Some(group) = group.filter(|_| cfg!(unix)) {
        let mut kill = process::Command::new("kill");
        let kill = kill.args(["-s", "KILL", "--", &format!("-{group}")]).stderr(Stdio::null());
        // Where it cannot be run, the command itself is killed all the same.
        let _ = kill.status().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(line: &str, timeout: Duration, text: &str) -> Result<(), Failure> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let command = Command { timeout, ..Command::new(line) };
        runtime.block_on(command.run(text.to_owned()))
    }

    #[test]
    fn delivered_is_what_ends_well() {
        let long = "x".repeat(1 << 20);
        let minute = Duration::from_mins(1);
        assert_eq!(ran("test \"$(wc -c)\" -eq 1048576", minute, &long), Ok(()));
        // A command need not read.
        assert_eq!(ran("true", minute, &long), Ok(()));
        assert!(matches!(ran("exit 7", minute, "x"), Err(Failure::Passing { why, .. }) if why.contains('7')));
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // The shell stays, since it has more to do; what it started would outlive it.
        let line = format!("sleep 1000 & echo $! > {}; wait; true", pid.display());
        let failure = ran(&line, Duration::from_secs(1), "x").unwrap_err();
        assert_eq!(failure, Failure::passing("it was not done after 1 s"));
        let pid = std::fs::read_to_string(pid).unwrap();
        // Gone, or a zombie that its new parent has not reaped yet. A busy machine takes a moment to end what was killed.
        let is_gone = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            state.as_ref().is_err() || state.is_ok_and(|stat| stat.contains(") Z "))
        };
        let is_ended = (0..500).any(|_| {
            is_gone() || {
                std::thread::sleep(Duration::from_millis(20));
                false
            }
        });
        assert!(is_ended, "{pid} is alive");
    }
}
