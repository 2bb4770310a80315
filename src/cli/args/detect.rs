//! The arguments of `detect` and `expectations`.

use clap::Args;

const DETECT_HELP: &str = "\
A finding is new when the run before did not have it, or not as bad, and ongoing when it did; what is
no longer found is resolved. What could not be judged, or lies before a shorter window, stays open;
what lies before a window that moved on has aged: nobody ended it, it is only not looked at any more.
Every run that is saved is the one before of the next. Findings are kept in the lake: `keytrail
query findings` lists those that are open. A detector whose needs are not met is not evaluated, and
says why: silence is never good news by itself. `keytrail explain ID` tells what a detector looks for
and what to do about it.

An account that no keytrail.toml declares counts as yours when its log is in the lake. What only rests
on that is not evaluated, and named: declare `accounts`.

Exit codes: 0 nothing at or above --fail-on, 1 something is, 2 wrong usage or failure (also: a query of
--queries is broken, or the lake could take no note of what was found and is shown), 3 --fail-on was
asked for and nothing could be judged: no detector was evaluated, the lake has no event of the window,
or the logs end more than a day ago and no --until says that this is meant.";

/// Look for what is new, strange or dangerous: keys endangered, unused, unexplained, unexpectedly used
#[derive(Debug, Args)]
#[command(after_help = DETECT_HELP)]
pub(crate) struct Detect {
    /// List the detectors
    #[arg(long)]
    pub list: bool,
    /// Only this detector; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Look at events since: RFC 3339, YYYY-MM-DD, or an age before --until such as -7d [default: -30d]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Look at events before [default: now, or the end of the logs where that is more than a day ago]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// End with exit code 1 when a finding is as bad as this, or worse
    #[arg(long, value_name = "SEVERITY", value_parser = ["info", "low", "medium", "high", "critical"])]
    pub fail_on: Option<String>,
    /// Only what the run before did not have
    #[arg(long)]
    pub new: bool,
    /// A detector's parameter, as ID.NAME=VALUE; may be repeated
    #[arg(long = "param", value_name = "ID.NAME=VALUE", value_parser = detector_parameter)]
    pub params: Vec<(String, String, String)>,
    /// Leave no trace in the lake: the next run will not know of this one
    #[arg(long)]
    pub no_save: bool,
}

fn detector_parameter(text: &str) -> Result<(String, String, String), String> {
    let parts = || {
        let (name, value) = text.split_once('=')?;
        let (detector, name) = name.split_once('.')?;
        Some((detector.to_owned(), name.to_owned(), value.to_owned()))
    };
    parts().ok_or_else(|| "write it as unused-key.days=180".to_owned())
}

const EXPECTATIONS_HELP: &str = "\
keytrail.toml, in full:

  accounts = [\"111122223333\"]                   # the organization's; any other account is foreign

  [[trusted]]                                    # a third party that may use keys from outside
  name = \"MongoDB Atlas\"
  accounts = [\"444455556666\"]
  principals = [\"arn:aws:iam::444455556666:role/*\"]    # optional
  keys = [\"alias/atlas\"]                         # optional

  [[key]]                                        # what is left out may be anything
  keys = [\"alias/payroll\", \"tag:team=pay\"]       # ARN, id, alias or tag; * and ? are patterns
  owner = \"pay office\"
  purpose = \"salaries\"
  decryptors = [\"arn:aws:iam::111122223333:role/hr-*\"]
  services = [\"secretsmanager.amazonaws.com\", \"direct\"]
  assets = [\"arn:aws:secretsmanager:*:secret:prod/hr*\"]
  rotation_days = 365

  [[accept]]                                     # a finding that is known and will be lived with
  detector = \"rotation-disabled\"
  key = \"arn:aws:kms:*:111122223333:key/*\"       # optional
  principal = \"arn:aws:iam::*:role/admin\"        # optional
  reason = \"rotated by hand, see runbook\"
  until = 2027-06-30                             # the last day

  [detectors.unused-key]                         # parameters, see `keytrail explain unused-key`
  days = 180

Exit codes: 0 done, 1 --check found something, 2 wrong usage or failure.";

/// What an organization expects of its keys: a first file from what was seen, and whether it is still true
#[derive(Debug, Args)]
#[command(after_help = EXPECTATIONS_HELP)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["learn", "check"]))]
pub(crate) struct ExpectationsCommand {
    /// Write a first file from what was seen, on standard output, for a person to prune
    ///
    /// Whoever has an open finding, or would have one if `detect` ran now, is in it as a comment that says so, and so is
    /// an account that deals with another's keys as an outsider would: nothing suspicious is expected by default.
    #[arg(long)]
    pub learn: bool,
    /// Tell what in the file no longer matches anything
    #[arg(long)]
    pub check: bool,
    /// What was seen since: RFC 3339, YYYY-MM-DD, or an age [default: 90 days before the end of the logs]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "check")]
    pub since: Option<String>,
}
