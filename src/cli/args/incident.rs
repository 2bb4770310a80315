//! What incident responders ask for: `timeline`, `chain`, `report`.

use std::path::PathBuf;

use clap::Args;

use super::Window;

const TIMELINE_HELP: &str = "\
Examples:
  keytrail timeline --key alias/payroll --since -2d      what happened to a key
  keytrail timeline --session alice --chain              what a session did, and who was behind it
  keytrail timeline --around 8c5a… --window 10m          what else happened around an event

KMS events, and those of STS, CloudTrail, S3, RDS, EBS and Secrets Manager that give them meaning, as they were logged: a
cross-account call is in the logs of both accounts. `keytrail explain timeline` says what the columns are.";

/// Which key, who, and from where: everything that is given must fit.
#[derive(Debug, Args)]
pub(crate) struct Involved {
    /// Key ARN, key id or alias name
    #[arg(long)]
    pub key: Option<String>,
    /// Principal; `*` stands for any characters
    #[arg(long)]
    pub principal: Option<String>,
    /// Session name or STS ARN
    #[arg(long)]
    pub session: Option<String>,
    /// Source address
    #[arg(long, value_name = "ADDRESS")]
    pub source_ip: Option<String>,
}

/// What happened, event by event
#[derive(Debug, Args)]
#[command(after_help = TIMELINE_HELP)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub involved: Involved,
    /// Access key id, such as ASIA…
    #[arg(long, value_name = "ID")]
    pub access_key: Option<String>,
    /// Asset; `*` stands for any characters
    #[arg(long)]
    pub asset: Option<String>,
    /// Only what happened around this event
    #[arg(long, value_name = "EVENT_ID", conflicts_with_all = ["since", "until"])]
    pub around: Option<String>,
    /// So long before and after it, with --around
    #[arg(long, value_name = "LENGTH", default_value = "30m", requires = "around")]
    pub window: String,
    /// Add to each row who is at the origin of its session: `origin`, `origin_end` (what `chain` ends with) and `hops`
    #[arg(long)]
    pub chain: bool,
    /// At most so many of the earliest events
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub time: Window,
}

/// From a call back to who was first: each session to the STS event that opened it, and to its caller
///
/// A role's calls do not tell who assumed it; the STS event that gave out its credentials does. Each link says how it is
/// known: by the access key; by the session's id and the second at which it began, when a service forwarded the session and
/// signed with a key of its own; or, where the record tells only an id, by the last session of that id. A role of another
/// account is followed through that account's log, if the lake has it. Where the trail ends before anyone is known, it says
/// why, and what may tell more; where events of several callers fit alike, it names them all and none of them.
///
/// Exit codes: 0 it leads to a user, root, a service or a sign-in elsewhere, 2 wrong usage or failure, 3 it ends before.
#[derive(Debug, Args)]
pub(crate) struct ChainCommand {
    /// An event id or an access key id, as `timeline` tells them
    #[arg(value_name = "ID")]
    pub id: String,
}

const REPORT_HELP: &str = "\
Examples:
  keytrail report --incident --principal '*/bert-jan' -o incident.md
  keytrail report --incident --key alias/payroll --since 2026-01-18 --until 2026-01-19
  keytrail report --incident --source-ip 203.0.113.7 --format json

Everything that is given must fit. What AWS services called for someone shows no address of theirs:
--source-ip finds direct calls only. The log objects that hold the records are read again for their hashes, which takes as
long as reading them does; --no-hashes leaves them out.

Exit codes: 0 done, 2 wrong usage or failure, 3 a log object is gone, cannot be read, or is not what was
ingested and verified; the document says which.";

/// What happened, in one document: who was behind it, which keys and assets, and what vouches for the logs
///
/// Gathers the calls of a principal, session or address, or on a key: a summary; every identity with the chain that leads
/// back from it, as `chain` tells it; keys; assets, with what the proof of each name is worth; sessions that were opened; the
/// timeline; the coverage of the period; and the evidence, which is the log object of each record with its hash and the
/// state of the digest that names it. In Markdown, or with --format json.
#[derive(Debug, Args)]
#[command(after_help = REPORT_HELP)]
#[command(group = clap::ArgGroup::new("scope").required(true).multiple(true).args(["key", "principal", "session", "source_ip"]))]
pub(crate) struct Report {
    /// Report on an incident
    #[arg(long, required = true)]
    pub incident: bool,
    #[command(flatten)]
    pub involved: Involved,
    #[command(flatten)]
    pub time: Window,
    /// At most so many rows of each list; the document says how many it leaves out
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Do not read log objects again for their hashes
    #[arg(long)]
    pub no_hashes: bool,
    /// Write it to this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
