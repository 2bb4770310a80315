//! What incident responders ask for: `timeline` and `chain`.

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
    /// Person behind a role: an id of IAM Identity Center, a source identity; `*` stands for any characters
    #[arg(long)]
    pub person: Option<String>,
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
