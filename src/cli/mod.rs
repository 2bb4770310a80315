//! The command line: names, flags, exit codes and the only module that prints.
//!
//! Standard output is data, in the format asked for; everything else goes to standard error. Each command is a file; what
//! they share is [`Printer`] for output and [`Context`] for the lake and the catalog.

mod args;
mod ask;
mod chain;
mod check_deletion;
mod coverage;
mod demo;
mod detect;
mod event;
mod expectations;
mod generate;
mod incident;
mod ingest;
mod ingested;
mod inventory;
mod learn;
mod maintain;
mod names;
mod printer;
mod report;
mod timeline;
mod untimely;
mod verify;
mod watch;
mod watched;

use std::io;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Error, Result};
use chrono::Utc;
use clap::Parser;
use keytrail::engine::{Engine, EngineError, Rows};
use keytrail::expectations::Expectations;
use keytrail::lake::Lake;
use keytrail::query::{Catalog, QueryError};
use keytrail::render::Form;
use keytrail::source;
use keytrail::source::aws::AwsOptions;
use keytrail::source::store::bucket_store;
use tokio::runtime::Runtime;

use args::{Arguments, Command};
use printer::Printer;

/// How a command ended, when it did not fail; the exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// Done, and the answer is bad news.
    BadNews,
    /// Done, but some input could not be used, or the run was stopped.
    Incomplete,
}

/// An error with a hint at what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

impl Hinted {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// What every command works with.
pub(crate) struct Context {
    pub lake: Lake,
    pub lake_uri: String,
    /// The options of every command that were given, for commands that are printed.
    pub repeated: String,
    pub aws: AwsOptions,
    pub catalog: Catalog,
    pub expectations: Expectations,
    /// The form that was asked for by name.
    pub form: Option<Form>,
    pub printer: Printer,
    pub runtime: Runtime,
    /// Whether events of impossible times were told of already.
    pub untimely_told: AtomicBool,
}

impl Context {
    /// Opens the lake for questions, and tells of what no answer can be about.
    pub fn engine(&self) -> Result<Engine> {
        match self.runtime.block_on(Engine::open(&self.lake, &self.catalog, &self.expectations)) {
            Ok(engine) => {
                engine.broken().iter().for_each(|fault| self.printer.fault(fault));
                untimely::tell(self, &engine)?;
                Ok(engine)
            }
            Err(EngineError::NoLake(_)) => Err(self.no_lake()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a shipped query.
    pub fn ask(&self, engine: &Engine, name: &str, given: &[(&str, &str)]) -> Result<Rows> {
        let query = self.catalog.get(name)?;
        let given: Vec<(String, String)> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let values = query.bind(&given, Utc::now())?;
        Ok(self.runtime.block_on(engine.run(query, values))?)
    }

    /// That there is nothing to ask.
    pub fn no_lake(&self) -> Error {
        let message = format!("there is no lake at {}", self.lake_uri);
        let hint = "make one with `keytrail ingest SOURCE`, or name another with --lake or KEYTRAIL_LAKE";
        Hinted::new(message, hint).into()
    }
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(&arguments);
    trace(arguments.verbose);
    match run(arguments, printer) {
        Ok(_) if printer.has_faults() => ExitCode::from(2),
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::BadNews) => ExitCode::from(1),
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(2)
        }
    }
}

/// An error about a folder of queries, with what to rename.
fn renamed(error: QueryError) -> Error {
    match &error {
        QueryError::Renamed { folder, .. } => {
            Hinted::new(error.to_string(), format!("rename the folder to `{folder}`")).into()
        }
        _ => error.into(),
    }
}

fn run(arguments: Arguments, printer: Printer) -> Result<Outcome> {
    let mut catalog = Catalog::shipped();
    for folder in &arguments.queries {
        catalog = catalog.with_folder(folder).map_err(renamed)?;
    }
    // The others are of use without them.
    catalog.broken().iter().for_each(|broken| printer.fault(&broken.why));
    let runtime = Runtime::new()?;
    let lake = runtime.block_on(lake(&arguments.lake, &arguments.aws.options()))?;
    // A fault in the file must not keep anyone from what does not ask for it, least of all from mending it.
    let expectations = match &arguments.command {
        Command::Expectations(options) if options.learn => Expectations::default(),
        Command::Detect(_)
        | Command::Report(_)
        | Command::CheckDeletion(_)
        | Command::Expectations(_)
        | Command::Query(_)
        | Command::Sql(_)
        | Command::Watch(_) => expectations::given(arguments.expectations.as_deref(), &catalog)?,
        _ => Expectations::default(),
    };
    let (aws, form) = (arguments.aws.options(), arguments.format);
    if let (Some(form), false) = (form, matches!(arguments.command, Command::Report(_)))
        && !matches!(form, Form::Rows(_))
    {
        let message = format!("{} is a form of `keytrail report` only", form.name());
        return Err(Hinted::new(message, "--format table, json, ndjson, csv or markdown").into());
    }
    let repeated = arguments.repeated();
    let context = Context {
        lake,
        lake_uri: arguments.lake,
        repeated,
        aws,
        catalog,
        expectations,
        form,
        printer,
        runtime,
        untimely_told: AtomicBool::default(),
    };
    match arguments.command {
        Command::Ingest(options) => ingest::run(&context, &options),
        Command::Inventory(options) => inventory::run(&context, &options),
        Command::Who(options) => ask::who(&context, &options),
        Command::Timeline(options) => timeline::run(&context, &options),
        Command::Chain(options) => chain::run(&context, &options),
        Command::Report(options) if options.incident => incident::run(&context, &options),
        Command::Report(options) => report::run(&context, &options),
        Command::Event(options) => event::run(&context, &options),
        Command::Query(options) => ask::query(&context, &options),
        Command::Sql(options) => ask::sql(&context, &options),
        Command::Queries => ask::queries(&context),
        Command::Explain(options) => ask::explain(&context, &options),
        Command::Generate(options) => generate::run(&context, &options),
        Command::Demo(options) => demo::run(context, &options),
        Command::Detect(options) => detect::run(&context, &options),
        Command::CheckDeletion(options) => check_deletion::run(&context, &options),
        Command::Expectations(options) => expectations::run(&context, &options),
        Command::Verify(options) => verify::run(&context, &options),
        Command::Watch(options) => watch::run(&context, &options),
        Command::Coverage(options) => coverage::run(&context, &options),
        Command::Maintain(options) => maintain::run(&context, &options),
    }
}

/// The lake at an address.
async fn lake(uri: &str, aws: &AwsOptions) -> Result<Lake> {
    let Some(address) = uri.strip_prefix("s3://") else { return Ok(Lake::at(uri)?) };
    let bucket = address.split('/').next().unwrap_or(address);
    if bucket.is_empty() {
        return Err(Hinted::new(format!("lake {uri}: no bucket is named"), "write s3://bucket/prefix").into());
    }
    let store = bucket_store(bucket, &source::aws::config(aws).await).await;
    let store = store.map_err(|error| {
        let why = format!("lake {uri}: {error}");
        let hint = way_to(uri, &why).unwrap_or_default();
        Hinted::new(why, hint)
    })?;
    Ok(Lake::on(uri, store)?)
}

/// What to do about a session that has ended, where that is why AWS cannot be reached.
fn sign_in_again(why: &str) -> Option<&'static str> {
    // In the words of the SDK's provider, or in those of the file that it did not find.
    if why.contains("Login token") || why.contains("login/cache") {
        return Some(
            "the session that `aws login` has begun is over, or was never begun: run `aws login`, with --profile NAME \
             where AWS_PROFILE names a profile",
        );
    }
    why.contains("SSO token").then_some(
        "the session that `aws sso login` has begun is over, or was never begun: run `aws sso login`, with --profile NAME \
         where AWS_PROFILE names a profile",
    )
}

/// What to look at when an address at AWS cannot be reached.
fn way_to(address: &str, why: &str) -> Option<&'static str> {
    let scheme = address.split_once("://")?.0;
    if let Some(hint) = sign_in_again(why) {
        return Some(hint);
    }
    match scheme {
        "s3" => Some(
            "credentials and the Region are found as the aws command line finds them (`aws sts get-caller-identity` \
             shows whose); reading takes s3:ListBucket and s3:GetObject",
        ),
        "lookup" => Some(
            "credentials are found as the aws command line finds them (`aws sts get-caller-identity` shows whose); \
             asking takes cloudtrail:LookupEvents, and Regions are written as in lookup://eu-west-1,us-east-1",
        ),
        _ => None,
    }
}

fn trace(verbose: u8) {
    let level = match verbose {
        0 => "keytrail=warn",
        1 => "keytrail=debug,deltalake_core=info",
        _ => "debug",
    };
    let log = tracing_subscriber::fmt().with_env_filter(level).with_writer(io::stderr).with_ansi(false);
    if verbose == 0 { log.event_format(printer::Warnings).init() } else { log.init() }
}
