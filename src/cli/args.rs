//! The arguments, and the text of `--help`.

use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use keytrail::render::Form;

mod check_deletion;
mod detect;
mod incident;
mod repeated;
mod report;
mod watch;

pub(crate) use check_deletion::{CheckDeletion, LOOKBACK_DAYS_DEFAULT, WATCH_DAYS_DEFAULT};
pub(crate) use detect::{Detect, ExpectationsCommand};
pub(crate) use incident::{ChainCommand, Timeline};
use repeated::LAKE_DEFAULT;
pub(crate) use report::Report;
pub(crate) use watch::Watch;

const EXAMPLES: &str = "\
Examples:
  keytrail demo                                   a whole run on logs that it makes
  keytrail ingest ./AWSLogs                       read log files into ./keytrail-lake
  keytrail ingest s3://trail-bucket --since -90d  the same from where a trail delivers them
  keytrail who alias/payroll --by asset           who used this key, for what
  keytrail timeline --session alice --since -7d   what one session did
  keytrail query key-usage --param since=-30d     calls per key, operation and day
  keytrail sql 'SELECT count(*) FROM usage'       or any question in SQL

Exit codes: 0 done, 1 bad news, 2 wrong usage or failure, 3 done but some input could not be used.";

/// Turns AWS CloudTrail logs into answers about KMS keys: who decrypted what, when, and through which service.
#[derive(Debug, Parser)]
#[command(name = "keytrail", version, after_help = EXAMPLES, styles = Styles::plain(), max_term_width = 100)]
pub(crate) struct Arguments {
    /// The lake: a folder or `s3://bucket/prefix` of Delta tables, made by `ingest`
    #[arg(long, global = true, value_name = "LAKE", env = "KEYTRAIL_LAKE", default_value = LAKE_DEFAULT)]
    pub lake: String,
    /// How answers are written [default: table]
    ///
    /// `html`, `ocsf`, `asff` and `sarif` are for `report`.
    #[arg(long, global = true, value_name = "FORMAT", value_parser = form_parser())]
    pub format: Option<Form>,
    /// More queries: a folder with views/, questions/, detectors/ of .sql files; may be repeated
    #[arg(long, global = true, value_name = "FOLDER")]
    pub queries: Vec<PathBuf>,
    /// What is expected of keys, see `expectations` [default: ./keytrail.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "KEYTRAIL_EXPECTATIONS")]
    pub expectations: Option<PathBuf>,
    /// No progress bar
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Only data and errors
    ///
    /// No notes, no progress, and no account of what was done by `ingest`, `inventory`, `watch`, `maintain` and `generate`,
    /// unless it was asked for with `--format json`. What a command was asked for is data, and printed.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More about what is going on; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(flatten)]
    pub aws: Aws,
    #[command(subcommand)]
    pub command: Command,
}

fn form_parser() -> impl clap::builder::TypedValueParser<Value = Form> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = Form::ALL.map(Form::name);
    PossibleValuesParser::new(names)
        .map(|name| Form::ALL.into_iter().find(|form| form.name() == name).unwrap_or_default())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read CloudTrail log files into the lake, each event once
    Ingest(Ingest),
    /// Record which keys and trails exist, from AWS or from a file
    Inventory(Inventory),
    /// Who used a key: principals, operations, services, how often and when
    Who(Who),
    Timeline(Timeline),
    Chain(ChainCommand),
    Report(Report),
    Detect(Detect),
    Watch(Watch),
    CheckDeletion(CheckDeletion),
    Expectations(ExpectationsCommand),
    Verify(Verify),
    Coverage(Coverage),
    /// The raw record of an event, read again from its source, and what vouches for it
    Event(Event),
    /// Run a query by its name (`queries` lists them)
    Query(NamedQuery),
    /// Ask in SQL: tables such as events, objects and keys; views such as usage, calls and coverage
    Sql(Sql),
    /// List the queries, with their parameters
    Queries,
    /// The documentation of a query
    Explain(Explain),
    /// Make synthetic CloudTrail logs, and the truth about them
    Generate(Generate),
    /// A whole run on synthetic logs: make them, read them, ask who used the planted key
    Demo(Demo),
    /// Merge small files, delete unused ones
    Maintain(Maintain),
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Ingest {
    /// A folder, a file, `s3://bucket[/prefix]` or `lookup://region[,region…]`
    ///
    /// In a folder, .json, .json.gz, .gz, .jsonl and .ndjson are read, and whatever else begins like them. In a bucket, every
    /// `AWSLogs/[o-…/]ACCOUNT/CloudTrail/REGION/` below the prefix is, day by day, and `CloudTrail-NetworkActivity/` beside
    /// it. `lookup://` is CloudTrail's own event history: 90 days, without any trail.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    #[command(flatten)]
    pub which: Which,
    /// Objects decoded at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Bytes that one object may inflate to; what lies beyond is not read, and said so
    #[arg(long, value_name = "BYTES", default_value_t = keytrail::ingest::OBJECT_BYTES_MAX)]
    pub max_object_bytes: u64,
    /// List a day of a bucket again for so many days after its end; then it is settled
    #[arg(long, value_name = "DAYS", default_value_t = keytrail::ingest::RELIST_DAYS)]
    pub relist_days: u32,
    /// List every day of a bucket, also those that are settled
    #[arg(long)]
    pub full: bool,
    /// Afterwards verify the digests, and every log that they name, as `verify` does; the logs are read again for it
    #[arg(long, conflicts_with = "follow")]
    pub verify: bool,
    /// Public keys for --verify, see `verify`; may be repeated
    #[arg(long, value_name = "FILE", requires = "verify", conflicts_with = "follow")]
    pub public_keys: Vec<PathBuf>,
    /// Keep up with new objects until stopped (Ctrl-C, SIGTERM)
    #[arg(long)]
    pub follow: bool,
    /// Seconds from one look for new objects to the next, with --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
    /// Pay for requests to a bucket whose owner wants it so
    #[arg(long, help_heading = "AWS")]
    pub requester_pays: bool,
}

/// What of a source a command is about.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only events since this time (for `verify`: deliveries since): RFC 3339, YYYY-MM-DD, or an age such as -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only events before this time (for `verify`: deliveries before); `ingest` looks one day further for events delivered late
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Only this account; may be repeated
    #[arg(long, value_name = "ID")]
    pub account: Vec<String>,
    /// Only this Region; may be repeated
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
}

/// The way to AWS, beyond what its own environment variables and profiles say.
#[derive(Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct Aws {
    /// Assume this role before anything is asked of AWS
    #[arg(long, global = true, value_name = "ARN")]
    pub assume_role: Option<String>,
    /// The external id that the role's trust policy asks for
    #[arg(long, global = true, value_name = "ID", requires = "assume_role")]
    pub external_id: Option<String>,
}

const INVENTORY_HELP: &str = "\
Every run adds a snapshot to the tables keys and trails. The view key_inventory has the latest of
each key; `keytrail query keys-as-of --param at=-30d` shows an earlier one. What could not be read
is unknown, never empty: its columns are null, and unknown_fields says why.

From AWS it takes kms:ListKeys, DescribeKey, ListAliases, ListResourceTags, GetKeyRotationStatus,
GetKeyPolicy, ListGrants and GetKeyLastUsage, and cloudtrail:DescribeTrails, GetTrailStatus and
GetEventSelectors. Credentials, profiles, SSO and endpoints are found as the aws command line finds
them. For Regions beyond the configured one, name each: --region eu-west-1,us-east-1

Exit codes: 0 done, 2 wrong usage or failure, 3 done but something could not be read.";

#[derive(Debug, Args)]
#[command(after_help = INVENTORY_HELP)]
pub(crate) struct Inventory {
    /// `aws`, or what the aws command line printed: a JSON file, or a folder of them
    ///
    /// A file is in keytrail's own form (--template shows it), or the output of `aws kms` list-keys, describe-key, list-aliases,
    /// list-grants, list-resource-tags, get-key-policy, get-key-rotation-status or get-key-last-usage, or of `aws
    /// cloudtrail` describe-trails, get-trail-status or get-event-selectors. An output that does not say which key or
    /// trail it is about has the key's id or the trail's name in the name of its file or folder.
    #[arg(long, value_name = "aws|FILE|FOLDER", required_unless_present = "template")]
    pub from: Option<String>,
    /// Print a filled-in inventory file to use as a template
    #[arg(long, conflicts_with_all = ["from", "region"])]
    pub template: bool,
    /// A Region to list; may be repeated [default: the configured one]
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    pub region: Vec<String>,
}

/// What a `who` row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A principal, operation and service
    Principal,
    /// The same, per asset
    Asset,
    /// The same, per person behind a role: by IAM Identity Center, source identity or its session
    Person,
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Key ARN, key id or alias name
    pub key: String,
    /// What a row stands for
    #[arg(long, value_enum, default_value_t = By::Principal)]
    pub by: By,
    /// Only this principal; `*` stands for any characters
    #[arg(long)]
    pub principal: Option<String>,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
pub(crate) struct Window {
    /// Only calls since: RFC 3339, YYYY-MM-DD, or an age such as -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only calls before
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}

/// Verify digests: that no log file was changed, removed or added since CloudTrail delivered it
///
/// Checks the signature, place and predecessor of every digest, the hash of every log that one names, and that no other
/// log lies there. What it finds is kept in the lake, if there is one, in the tables `digests` and `digest_files`; `coverage`
/// rests on them. Signatures live in the metadata of S3's objects, which a copy to disk loses: each digest but the
/// newest is then checked with the signature that its successor names, and the newest with
/// `<DIGEST>.metadata.json` beside it, the answer of `aws s3api head-object`.
///
/// Exit codes: 0 all is valid, 1 something is invalid, missing, extra or moved, 2 wrong usage or failure, 3 not all could
/// be judged (a digest without signature, an unknown key, times without a digest).
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The bucket, as `s3://bucket[/prefix]`, or a folder that holds digests and logs as they lie in it, or any part of it
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Public keys: what `aws cloudtrail list-public-keys` prints, one file per Region; may be repeated [default: asked of
    /// CloudTrail, for each Region]
    #[arg(long, value_name = "FILE")]
    pub public_keys: Vec<PathBuf>,
    #[command(flatten)]
    pub which: Which,
}

/// For which hours of each day the lake can vouch, and why not for the others
///
/// One row per account, Region and day, with its hours by state. proven: unbroken valid digests name all log files of the
/// hour and of the two after it, and all are in the lake; what is not there was not logged. observed: there are events
/// or files of the hour, and no proof that there were no others. blind: a control event or a setting of a trail shows that the
/// use of KMS keys was not recorded in some part of it. unknown: nothing is known of it. `keytrail verify` makes proof out of
/// digests; `reason` says what is missing.
#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Only this Region
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
pub(crate) struct Event {
    /// The event's id, as `timeline` tells it
    #[arg(value_name = "ID")]
    pub id: String,
}

#[derive(Debug, Args)]
pub(crate) struct NamedQuery {
    /// Its name
    pub name: String,
    /// A parameter; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// One SELECT statement
    pub statement: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Name of a query
    pub name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Folder to write to; it must be empty or not exist
    pub folder: PathBuf,
    /// Events to make
    #[arg(long, default_value_t = 20_000)]
    pub events: u64,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Days that the events spread over
    #[arg(long, default_value_t = 3)]
    pub days: u32,
    /// Share of KMS events, from 0 to 1
    #[arg(long, default_value_t = 0.4)]
    pub kms_share: f64,
    /// Accounts of the organization
    #[arg(long, default_value_t = 3)]
    pub accounts: u32,
    /// Regions in use
    #[arg(long, default_value_t = 2)]
    pub regions: u32,
    /// Events in an object, on average
    #[arg(long, default_value_t = 600)]
    pub events_per_object: u32,
    /// Also write digests for `verify`, with the public key to check them in public-keys.json. The organization's trail, beside
    /// the accounts' own, delivers only a part of the events, as if it left some out; its digests are of what it delivers
    #[arg(long)]
    pub digests: bool,
    /// Leave the incidents out: a month in which nothing happened, to see what a detector says of that
    #[arg(long)]
    pub no_incidents: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where its logs and its lake go
    #[arg(long, value_name = "FOLDER", default_value = "./keytrail-demo")]
    pub folder: PathBuf,
    /// Events to make
    #[arg(long, default_value_t = 20_000)]
    pub events: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Maintain {
    /// Keep unused files and old log entries for so many days: runs in progress and readers of older versions may need them
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: u32,
}
