//! What reaches the terminal: rows on standard output, notes, errors and progress on standard error.
//!
//! Whoever reads standard output may have seen enough (`keytrail … | head`): then the run goes on to its end without a word, and
//! its exit code is what it would have been.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keytrail::engine::Rows;
use keytrail::render::{Form, Format, RowOptions, json_text, thousands, write_rows};
use serde::Serialize;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Hinted;
use super::args::Arguments;

/// How often a run tells how far it is, where nobody watches.
const TOLD_EACH: Duration = Duration::from_secs(30);

/// Whether standard output has lost its reader: there is one of it.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// What went wrong and did not stop the run, each told once.
static FAULTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Standard output, which notes that its reader is gone.
struct Out<'a>(StdoutLock<'a>);

impl Out<'_> {
    fn noted<T>(done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            IS_CLOSED.store(true, Ordering::Relaxed);
        }
        done
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::noted(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::noted(self.0.flush())
    }
}

/// Rows that a table on a terminal shows: more than anyone reads there.
const ROWS_SHOWN: usize = 200;

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
        self.coming(&rows.schema, rows.batches.iter().cloned().map(Ok)).map(drop)
    }

    /// The same for rows that are still on their way, as they come. Says how many there were, as long as somebody reads them.
    pub fn coming(self, schema: &Schema, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<usize> {
        let is_terminal = io::stdout().is_terminal();
        let width = is_terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let mut all = 0;
        let counted = batches.inspect(|batch| all += batch.as_ref().map_or(0, RecordBatch::num_rows));
        if is_terminal && self.format == Format::Table {
            let mut shown = Vec::new();
            let mut room = ROWS_SHOWN;
            for batch in counted {
                let batch = batch?;
                shown.push(Ok(batch.slice(0, batch.num_rows().min(room))));
                room -= batch.num_rows().min(room);
            }
            if all > ROWS_SHOWN {
                let all = thousands(u64::try_from(all).unwrap_or(u64::MAX));
                self.note(&format!("the first {ROWS_SHOWN} of {all} rows; --format csv or ndjson writes all of them"));
            }
            self.print(|out| write_rows(out, self.format, schema, shown, &RowOptions { width }))?;
        } else {
            self.print(|out| write_rows(out, self.format, schema, counted, &RowOptions { width }))?;
        }
        Ok(all)
    }

    /// Writes to standard output, as long as somebody reads it.
    #[allow(clippy::unused_self, reason = "a printer says it, whatever its settings")]
    fn print(self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        let mut out = io::BufWriter::new(Out(io::stdout().lock()));
        let written = write(&mut out).and_then(|()| Ok(out.flush()?));
        if self.is_closed() {
            // What is left in the buffer is for nobody.
            drop(out.into_parts());
            return Ok(());
        }
        written
    }

    /// Whether standard output has lost its reader, so that not all that was printed was read.
    #[allow(clippy::unused_self, reason = "a printer says it, whatever its settings")]
    pub fn is_closed(self) -> bool {
        IS_CLOSED.load(Ordering::Relaxed)
    }

    /// One value as JSON, for commands whose answer is not rows.
    pub fn json(self, value: &impl Serialize) -> Result<()> {
        self.line(&json_text(value, self.format != Format::Ndjson)?)
    }

    /// A line of text that is the answer.
    pub fn line(self, text: &str) -> Result<()> {
        self.print(|out| Ok(writeln!(out, "{text}")?))
    }

    /// A line that says what was done, where that is not what was asked for.
    pub fn account(self, text: &str) -> Result<()> {
        if self.quiet { Ok(()) } else { self.line(text) }
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

    /// Something wrong that did not stop the run, but has it end with exit code 2; told once.
    pub fn fault(self, text: &str) {
        let is_new = FAULTS.lock().is_ok_and(|mut faults| faults.insert(text.to_owned()));
        if is_new {
            self.say(&format!("error: {text}"));
        }
    }

    /// Whether there was a fault.
    #[allow(clippy::unused_self, reason = "a printer says it, whatever its settings")]
    pub fn has_faults(self) -> bool {
        FAULTS.lock().is_ok_and(|faults| !faults.is_empty())
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
        let _ = writeln!(io::stderr().lock(), "{}", keytrail::render::clean(text));
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
        writeln!(writer, "warning: {}", keytrail::render::clean(&text))
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
