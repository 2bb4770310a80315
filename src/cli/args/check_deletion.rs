//! The arguments of `check-deletion`.

use clap::Args;

/// Days of a look-back that are not asked for otherwise.
pub(crate) const LOOKBACK_DAYS_DEFAULT: i64 = 90;

/// Days for which a disabled key is watched, likewise.
pub(crate) const WATCH_DAYS_DEFAULT: i64 = 30;

const CHECK_DELETION_HELP: &str = "\
The verdict is in_use, unknown or no_use_found, and never \"safe\".

  in_use        someone used the key, or a sibling of its multi-Region set, in the look-back; calls fail
                because it cannot be used; GetKeyLastUsage tells of a use; someone holds a grant on it; a
                trail encrypts its logs with it; it was called by an alias; or keytrail.toml names it
  unknown       anything that is needed to say otherwise is missing: an hour of the look-back, in the
                key's Region or a sibling's, that no unbroken digests vouch for (`keytrail coverage`), an
                inventory that is older than a day or could not read something, a use whose record names
                only an alias that may have named another key then. Where the logs ended long ago, that is
                said first, with the --until that answers. Each reason comes with the command that settles it
  no_use_found  none of these. What no log shows is listed: cached data keys, attached volumes, backups

Logs may end six hours before --until. For keys that are not to be deleted but to be sorted, --all gives a
line for each customer-managed key, the readiest first (with --format json, a verdict for each). Commands
for AWS are printed and never run.

  keytrail ingest s3://trail-bucket --since -91d --verify
  keytrail inventory --from aws --region eu-west-1
  keytrail check-deletion alias/old-backups

Exit codes: 0 no use found, 1 in use, 2 wrong usage or failure, 3 unknown. With --all: 0 done.";

/// May this key be deleted? Who uses it, and whether the logs can vouch that nobody does
#[derive(Debug, Args)]
#[command(after_help = CHECK_DELETION_HELP)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["key", "all"]))]
pub(crate) struct CheckDeletion {
    /// Key ARN, key id or alias name
    pub key: Option<String>,
    /// A line for each customer-managed key of the organization, the readiest for deletion first
    #[arg(long)]
    pub all: bool,
    /// How far back use counts, such as 90d, 26w or 8760h
    #[arg(long, value_name = "AGE", default_value_t = format!("{LOOKBACK_DAYS_DEFAULT}d"))]
    pub lookback: String,
    /// The instant that the verdict is about: RFC 3339, YYYY-MM-DD, or an age [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// How many quiet days a disabled key is to have before its deletion is scheduled
    #[arg(long, value_name = "DAYS", default_value_t = WATCH_DAYS_DEFAULT, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub watch_days: i64,
    /// Let KMS's own record of each key's last use vouch for hours that no digests prove
    ///
    /// An hour that is only observed then counts, where the inventory's last use of each key of the set lies before the
    /// look-back and its use was tracked by then. Calls that failed, and changes of the trail, may be missing unnoticed.
    #[arg(long)]
    pub accept_observed: bool,
}
