//! What reaches the terminal: rows on standard output, notes, errors and progress on standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keytrail::engine::Rows;
use keytrail::report::{Form, Format, RowOptions, json_text, write_rows};
use serde::Serialize;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Hinted;
use super::args::Arguments;

/// How often a run tells how far it is, where nobody watches.
const TOLD_EACH: Duration = Duration::from_secs(30);

/// Decides how and whether things are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
    progress: Progress,
}

impl Printer {
    pub fn new(arguments: &Arguments) -> Self {
        let is_watched = io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let progress = match is_watched {
            _ if arguments.no_progress || arguments.quiet => Progress::Silent,
            true => Progress::Drawn,
            false => Progress::Told,
        };
        let format = match arguments.format {
            Some(Form::Rows(format)) => format,
            _ => Format::default(),
        };
        Self { format, quiet: arguments.quiet, progress }
    }

    pub fn format(self) -> Format {
        self.format
    }

    /// Rows in the format asked for; a table fits the terminal.
    pub fn rows(self, rows: &Rows) -> Result<()> {
        let out = io::stdout();
        let width = out.is_terminal().then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let mut out = io::BufWriter::new(out.lock());
        write_rows(&mut out, self.format, &rows.schema, &rows.batches, &RowOptions { width })?;
        out.flush()?;
        Ok(())
    }

    /// One value as JSON, for commands whose answer is not rows.
    pub fn json(self, value: &impl Serialize) -> Result<()> {
        self.line(&json_text(value, self.format != Format::Ndjson)?)
    }

    /// A line of text that is the answer.
    #[allow(clippy::unused_self, reason = "a printer says it, whatever its settings")]
    pub fn line(self, text: &str) -> Result<()> {
        writeln!(io::stdout().lock(), "{text}")?;
        Ok(())
    }

    /// Something worth knowing that is not the answer.
    pub fn note(self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Something wrong that did not stop the run.
    pub fn warn(self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    /// Why the run failed.
    pub fn error(self, error: &Error) {
        self.say(&format!("error: {error}"));
        let mut told = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            // Many errors repeat their cause in their own words.
            if !told.contains(&cause) {
                self.say(&format!("  caused by: {cause}"));
                told = cause;
            }
        }
        if let Some(hinted) = error.downcast_ref::<Hinted>() {
            self.say(&format!("hint: {}", hinted.hint));
        }
    }

    #[allow(clippy::unused_self, reason = "a printer says it, whatever its settings")]
    fn say(self, text: &str) {
        // Nothing is left to tell it to when standard error is closed. What a log says may be in the text.
        let _ = writeln!(io::stderr().lock(), "{}", keytrail::report::clean(text));
    }

    /// A progress bar; where nobody watches a terminal, a line now and then.
    pub fn bar(self, template: &str) -> Bar {
        let target =
            if self.progress == Progress::Drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar { drawn: bar, printer: self, told: Arc::new(Mutex::new(Instant::now())) }
    }
}

/// What the library warns of while it works, in the words of [`Printer::warn`].
pub(super) struct Warnings;

impl<S, N> FormatEvent<S, N> for Warnings
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        writeln!(writer, "warning: {}", keytrail::report::clean(&text))
    }
}

/// How a long run shows how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// On a terminal.
    Drawn,
    /// As lines of a log.
    Told,
    /// Not at all.
    Silent,
}

/// How far a run is, for whoever waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    drawn: ProgressBar,
    printer: Printer,
    told: Arc<Mutex<Instant>>,
}

impl Bar {
    /// Shows that `done` of `all` are done, in these words.
    pub fn show(&self, done: u64, all: u64, words: String) {
        if self.printer.progress == Progress::Told
            && let Ok(mut told) = self.told.lock()
            && told.elapsed() >= TOLD_EACH
        {
            *told = Instant::now();
            self.printer.note(&words);
        }
        self.drawn.set_length(all);
        self.drawn.set_position(done);
        self.drawn.set_message(words);
    }

    /// Takes it off the screen.
    pub fn finish(&self) {
        self.drawn.finish_and_clear();
    }
}
