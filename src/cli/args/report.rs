//! The arguments of `report`.

use std::path::PathBuf;

use clap::Args;

use super::Window;
use super::incident::Involved;

const REPORT_HELP: &str = "\
Examples:
  keytrail report                                   on the terminal: what needs a person, first
  keytrail report -o report.html                    one file to open, print or send
  keytrail report -o report.html -o keys.sarif      the same for people and for code scanning
  keytrail report -o keys.ocsf.json                 for a data lake; .asff.json for Security Hub
  keytrail report --since -7d --format markdown     of a week, leaving no trace
  keytrail report --incident --principal '*/bert-jan' -o incident.md

Each report of a series begins where the one before ended, and ends where the logs end; one that was not
written to its end does not count. Detectors and figures look back over 30 days all the same, so that what
comes late is told by the next report. With --since or --until it is a report by itself: it leaves no trace
in the lake, and the same lake and window give the same bytes.

Of an incident everything that is given must fit. What AWS services called for someone shows no address of
theirs: --source-ip finds direct calls only. The log objects that hold the records are read again for their
hashes, which takes as long as reading them does; --no-hashes leaves them out.

A bare name such as bert-jan stands for the one principal of that name; where there are several, they are
listed. An incident of which the lake has no event is an error, and nothing is written.

Exit codes: 0 done, 1 a new finding is as bad as --fail-on, 2 wrong usage or failure (also: the report is
made, and the lake could take no note of it), 3 --fail-on was asked
for and nothing could be judged, or the logs end more than a day ago; with --incident, a log object is gone,
cannot be read, or is not what was ingested and verified; the document says which.";

/// How the keys stand: what is new, what is at risk, who decrypts with what; or one incident, with --incident
///
/// What changed since the report before: new, ongoing and resolved findings, each with its evidence and what to do next; keys at
/// risk; decrypts by day and service; who decrypts with what; keys that are unused or unexplained, and what they cost; assets
/// under keys that AWS manages; for which days the logs can vouch; what could not be judged and why; and what the report rests on.
///
/// With --incident it gathers the calls of a principal, session or address, or on a key: a summary; every identity with the chain
/// that leads back from it, as `chain` tells it; keys; assets, with what the proof of each name is worth; sessions that were
/// opened; the timeline; the coverage of the period; and the evidence, which is the log object of each record with its hash and
/// the state of the digest that names it. In Markdown, or with --format json.
#[derive(Debug, Args)]
#[command(after_help = REPORT_HELP)]
#[command(group = clap::ArgGroup::new("scope").multiple(true).args(["key", "principal", "session", "source_ip"]).requires("incident"))]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Report {
    #[command(flatten)]
    pub time: Window,
    /// Write it to this file; may be repeated for several forms of one report [default: standard output]
    ///
    /// The name tells the form: .html, .md, .json, .csv, .txt, .sarif, .ocsf.json, .asff.json.
    #[arg(long, short, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Which series goes on: a daily and a weekly report each have their own
    #[arg(long, value_name = "NAME", default_value = "default", conflicts_with = "incident")]
    pub series: String,
    /// Only findings that are new
    #[arg(long, conflicts_with = "incident")]
    pub new: bool,
    /// End with exit code 1 when a new finding is as bad as this, or worse
    #[arg(long, value_name = "SEVERITY", conflicts_with = "incident", value_parser = ["info", "low", "medium", "high", "critical"])]
    pub fail_on: Option<String>,
    /// Leave no trace in the lake: the next report will begin where this one did
    #[arg(long, conflicts_with = "incident")]
    pub no_save: bool,
    /// Report on an incident
    #[arg(long, requires = "scope", help_heading = "Incident")]
    pub incident: bool,
    #[command(flatten, next_help_heading = "Incident")]
    pub involved: Involved,
    /// At most so many rows of each list; the document says how many it leaves out
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "incident", help_heading = "Incident", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Do not read log objects again for their hashes
    #[arg(long, requires = "incident", help_heading = "Incident")]
    pub no_hashes: bool,
}
