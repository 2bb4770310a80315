//! keytrail turns AWS CloudTrail logs into answers about KMS keys.
//!
//! The modules stand in the order in which a byte travels:
//!
//! ```text
//! source ─► cloudtrail ─► lake ─► query ─► engine ─► chain, naming, detect, incident, overview, verdict ─► render ─► watch ─► cli
//!                └── ingest joins source, cloudtrail and lake ──┘
//!                    evidence likewise; inventory feeds the lake from KMS and CloudTrail
//! ```

pub mod address;
pub mod chain;
pub mod cloudtrail;
pub mod detect;
pub mod engine;
pub mod evidence;
pub mod expectations;
pub mod incident;
pub mod ingest;
pub mod instant;
pub mod inventory;
pub mod lake;
pub mod naming;
pub mod overview;
pub mod query;
pub mod render;
pub mod shell;
pub mod source;
pub mod synthetic;
pub mod verdict;
pub mod watch;
