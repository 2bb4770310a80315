//! What the tests of the command are written in: a folder of one's own, logs made by hand, and the command run on them
//! in an environment where nothing but its arguments counts.
//!
//! ```text
//! Dir::new() ─► dir.log("a.json.gz", &[…]) ─► dir.keytrail(["ingest", "logs"]).code(3).json()
//! ```
//!
//! It knows nothing of what keytrail should answer.

pub mod python;
pub mod rows;
pub mod s3;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder that goes away with the test: logs under `logs`, the lake in `lake`.
pub struct Dir {
    folder: TempDir,
}

impl Dir {
    pub fn new() -> Self {
        Self { folder: TempDir::with_prefix("keytrail-test-").unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Where its lake is, once there is one.
    pub fn lake(&self) -> PathBuf {
        self.join("lake")
    }

    /// Writes a file under `logs`, as it is.
    pub fn object(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join("logs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes a log object of these records; compressed when its name ends in `.gz`.
    pub fn log(&self, name: &str, records: &[Value]) -> PathBuf {
        let text = json!({ "Records": records }).to_string();
        if Path::new(name).extension() == Some("gz".as_ref()) {
            self.object(name, gzip(text.as_bytes()))
        } else {
            self.object(name, text)
        }
    }

    /// The command, on this folder's lake.
    pub fn keytrail<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Keytrail {
        let mut keytrail = self.bare(["--lake".as_ref(), self.lake().as_os_str()]);
        keytrail.command.args(arguments);
        keytrail
    }

    /// The command, with these arguments and no others.
    pub fn bare<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Keytrail {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.env_clear().current_dir(self.path());
        command.envs(["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.args(arguments).stdin(Stdio::null());
        Keytrail { command }
    }

    /// Reads a folder or file into the lake, and returns the account of it.
    pub fn ingest(&self, source: impl AsRef<Path>) -> Value {
        self.keytrail([OsStr::new("ingest"), source.as_ref().as_os_str()]).format("json").ok().json()
    }

    /// Reads `logs`, of which some cannot be used, and returns the account of it.
    pub fn ingest_damaged(&self) -> Value {
        self.keytrail(["ingest", "logs"]).format("json").code(3).json()
    }

    /// The rows of a statement, each a JSON object.
    pub fn sql(&self, statement: &str) -> Vec<Value> {
        self.keytrail(["sql", statement]).format("ndjson").ok().ndjson()
    }

    /// The text with this folder's own name taken out, so that it is the same at every run.
    pub fn mask(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "[dir]")
    }
}

/// A command that was not run yet.
pub struct Keytrail {
    command: Command,
}

impl Keytrail {
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With these variables in its environment, which is empty otherwise.
    pub fn env(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    pub fn format(self, format: &str) -> Self {
        self.arg("--format").arg(format)
    }

    /// Runs it to its end; it must succeed.
    pub fn ok(self) -> Ran {
        self.code(0)
    }

    /// Runs it to its end; it must end with this exit code.
    pub fn code(self, code: i32) -> Ran {
        self.code_among(&[code])
    }

    /// Runs it to its end; it must end with one of these exit codes.
    pub fn code_among(mut self, codes: &[i32]) -> Ran {
        let ran = Ran { output: self.command.output().unwrap() };
        let is_one = ran.status().is_some_and(|code| codes.contains(&code));
        assert!(is_one, "{:?} ended with {:?}\n{}{}", self.command, ran.status(), ran.stdout(), ran.stderr());
        ran
    }

    /// Starts it, its output kept for later.
    pub fn start(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// A command that came to its end.
#[derive(Debug)]
pub struct Ran {
    output: Output,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self { output }
    }
}

impl Ran {
    pub fn status(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// Its output as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout).unwrap()
    }

    /// Its output as a JSON value a line.
    pub fn ndjson(&self) -> Vec<Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything that a user sees.
    pub fn seen(&self) -> String {
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", self.status().unwrap(), self.stdout(), self.stderr())
    }
}

/// What several tests look at, made by the first of them and gone with the last.
pub struct Shared<T> {
    held: Mutex<Weak<T>>,
    make: fn() -> T,
}

impl<T> Shared<T> {
    pub const fn new(make: fn() -> T) -> Self {
        Shared { held: Mutex::new(Weak::new()), make }
    }

    pub fn get(&self) -> Arc<T> {
        let mut held = self.held.lock().unwrap();
        held.upgrade().unwrap_or_else(|| {
            let made = Arc::new((self.make)());
            *held = Arc::downgrade(&made);
            made
        })
    }
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The key that records made by hand are about.
pub const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A healthy `Decrypt` with this id.
pub fn decrypt(id: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": "2026-01-05T12:00:00Z", "eventType": "AwsApiCall",
        "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "readOnly": true, "eventCategory": "Management",
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "requestID": id,
        "sourceIPAddress": "192.0.2.1", "userAgent": "aws-cli/2.27.50",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
        "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}, "responseElements": null,
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY}],
    })
}

/// The same record with one top-level member replaced or added.
pub fn with(mut record: Value, member: &str, value: impl Into<Value>) -> Value {
    record[member] = value.into();
    record
}
