//! The arguments of `watch`.

use std::path::PathBuf;

use clap::Args;
use keytrail::query::Severity;

use super::Which;

const WATCH_HELP: &str = "\
Each finding is told once on each channel: when it opens, when it gets worse, and when it
comes back, by a later event, after it had ended. What is accepted in keytrail.toml is not
told. What was told is in the lake, in the table notifications; what is still to be told is
worked out from it, so that nothing is lost when keytrail is killed or a receiver is away:
it is told at the next look, or after the next start.

Once means exactly once as long as the receiver answers and keytrail lives. A receiver that
takes a message and hangs before it says so, or a keytrail killed between the answer and its
own note of it, is told again. To drop repeats, compare the header Idempotency-Key (in the
JSON: idempotency_key), or for each finding its fingerprint, severity and opened_at, which
never change between repeats. Run one watch for a lake and a channel: two tell everything
twice.

A message is tried five times a round, with growing waits, and then again at every look.
Delivered is: for a webhook, an answer of 2xx (redirects are not followed); for a command,
exit code 0 within 60 seconds, run by `sh -c` with the message on its standard input; for a
file, lines that are on disk. A webhook's address is a secret: give it in KEYTRAIL_WEBHOOK,
where `ps` does not show it.

  keytrail watch s3://trail-bucket --notify-file findings.ndjson
  KEYTRAIL_WEBHOOK=https://hooks.slack.com/services/… \\
    keytrail watch s3://trail-bucket --since -30d --webhook-format slack --metrics 9464
  keytrail watch ./AWSLogs --once --command 'mail -s \"KMS findings\" security@example.com'

As a service, with KEYTRAIL_WEBHOOK=… in a file that only root can read:

  [Service]
  EnvironmentFile=/etc/keytrail/secret.env
  ExecStart=/usr/local/bin/keytrail --lake /var/lib/keytrail watch s3://trail-bucket --metrics 9464
  Restart=on-failure

/metrics is for Prometheus; /health answers 200, or 503 and what is wrong. keytrail.toml is
read at the start. Every detection adds files to the lake: `keytrail maintain` once a day
merges them.

Exit codes: 0 stopped on request, or --once with all notifications sent; 2 wrong usage or failure (also:
--once, and the lake could take no note of what was found); 3
--once, and something could not be read or told, or it was stopped.";

/// Keep up with new logs, look for findings again and again, and tell each new one: webhook, Slack, command, file
#[derive(Debug, Args)]
#[command(after_help = WATCH_HELP)]
pub(crate) struct Watch {
    /// What to read, as `ingest` does: a folder, a file, `s3://bucket[/prefix]` or `lookup://region[,region…]`
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    #[command(flatten)]
    pub which: Which,
    /// Seconds from one look for new objects to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
    /// How long from one detection to the next, such as 15m; at the looks in between nothing is detected
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    pub detect_each: String,
    /// Only this detector: no other is run or told; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Tell what is as bad as this, or worse
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = severity_parser())]
    pub severity: Severity,
    /// Tell a webhook, with a POST request
    #[arg(long, value_name = "URL", env = "KEYTRAIL_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<String>,
    /// What the webhook takes
    #[arg(long, value_name = "FORMAT", default_value = "json", value_parser = ["json", "slack"])]
    pub webhook_format: String,
    /// Tell a command, on its standard input
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// Tell a file, which grows by a line of JSON per finding
    #[arg(long, value_name = "FILE")]
    pub notify_file: Option<PathBuf>,
    /// How long a webhook has to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub notify_timeout: u64,
    /// How long the wait after a first failed attempt is, about; for tests
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, hide = true)]
    pub notify_wait: u64,
    /// Serve http://127.0.0.1:PORT/metrics and /health; 0 takes any free port, and tells which
    #[arg(long, value_name = "PORT", conflicts_with = "once")]
    pub metrics: Option<u16>,
    /// Read, detect and tell once, then end: for cron
    #[arg(long)]
    pub once: bool,
    /// Objects decoded at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Pay for requests to a bucket whose owner wants it so
    #[arg(long, help_heading = "AWS")]
    pub requester_pays: bool,
}

fn severity_parser() -> impl clap::builder::TypedValueParser<Value = Severity> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = PossibleValuesParser::new(Severity::ALL.map(Severity::name));
    names.try_map(|name| Severity::ALL.into_iter().find(|severity| severity.name() == name).ok_or("no severity"))
}
