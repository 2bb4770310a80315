//! Tells open findings to whoever is to know of them: over a webhook, to a command, into a file.
//!
//! ```text
//! lake: findings, notifications ─► what is pending ─► messages ─► attempts ─► channel
//!                    ▲                                                          │ took it
//!                    └───────────────────────── a row per finding ◄─────────────┘
//! tally ◄── what passes, detections and rounds came to ──► /metrics, /health
//! ```
//!
//! What is still to be told is worked out from the lake at each round and never remembered, so that a run that is killed
//! loses nothing. A finding is told once, unless a run ends between a channel's taking a message and the lake's taking
//! note of it, or a channel takes a message and does not say so: then it is told again, under the same key where the
//! message is still the same. This module detects nothing, prints nothing and keeps no target of a channel in the lake or
//! in a message, since the address of a webhook is a secret.

mod channel;
mod message;
mod pending;
mod retry;
mod round;
mod serve;
mod slack;
mod tally;

use crate::engine::EngineError;
use crate::lake::LakeError;
use crate::query::QueryError;

pub use channel::Target;
pub use channel::command::Command;
pub use channel::file::NotifyFile;
pub use channel::webhook::{Webhook, WebhookFormat};
pub use message::Message;
pub use pending::{Pending, newest_delivery, pending};
pub use retry::Patience;
pub use round::{Channel, Outbox, Round};
pub use serve::serve;
pub use slack::slack_text;
pub use tally::{Stage, Tally};

/// What can keep a channel from being told.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The question of what is pending is wrong.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The lake cannot be written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A webhook that cannot be used. The message never has its address.
    #[error("the webhook cannot be used: {why}")]
    Webhook {
        /// Why not.
        why: String,
    },
}
