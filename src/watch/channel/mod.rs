//! The ways on which findings are told, and what it means that one of them failed.

pub mod command;
pub mod file;
pub mod webhook;

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::Message;
use super::message::Limits;
use command::Command;
use file::NotifyFile;
use webhook::Webhook;

/// Findings of one message of JSON.
const FINDINGS_MAX: usize = 100;

/// Bytes of one message: what receivers commonly take.
const BYTES_MAX: usize = 256 * 1024;

/// Why a message was not taken. No target is in the words: an address may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may be taken soon: not before so long, where the receiver says so.
    Passing { why: String, after: Option<Duration> },
    /// This message would not be taken a second later either.
    Lasting { why: String },
    /// No message would: the address or the right to it is gone.
    Closed { why: String },
}

impl Failure {
    pub fn passing(why: impl Into<String>) -> Self {
        Self::Passing { why: why.into(), after: None }
    }
}

/// Where findings are told.
#[derive(Debug)]
pub enum Target {
    /// An address that takes POST requests.
    Webhook(Webhook),
    /// A command that reads a message from its standard input.
    Command(Command),
    /// A file that grows by a line per finding.
    File(NotifyFile),
}

impl Target {
    /// What kind of channel it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
            Self::File(_) => "file",
        }
    }

    /// Its name in the lake: the kind, and a hash of what it leads to.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = match self {
            Self::Webhook(webhook) => xxh3_64(webhook.address().as_bytes()),
            Self::Command(command) => xxh3_64(command.line().as_bytes()),
            Self::File(file) => xxh3_64(file.path().as_os_str().as_encoded_bytes()),
        };
        format!("{}:{hash:016x}", self.kind())
    }

    pub(super) fn limits(&self) -> Limits {
        match self {
            Self::Webhook(webhook) => webhook.limits(),
            Self::Command(_) | Self::File(_) => Limits { findings: FINDINGS_MAX, bytes: BYTES_MAX },
        }
    }

    /// Tries once to tell a message.
    pub(super) async fn deliver(&self, message: &Message, lake: &str) -> Result<(), Failure> {
        let unwritable = |error: serde_json::Error| Failure::Lasting { why: error.to_string() };
        match self {
            Self::Webhook(webhook) => webhook.deliver(message, lake).await,
            Self::Command(command) => command.run(message.json(lake).map_err(unwritable)?).await,
            Self::File(file) => file.append(message.lines(lake).map_err(unwritable)?).await,
        }
    }
}
