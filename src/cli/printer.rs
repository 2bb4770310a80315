//! What reaches the terminal: rows on standard output, notes, errors and progress on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keytrail::engine::Rows;
use keytrail::report::{Format, RowOptions, write_rows};
use serde::Serialize;

use super::Hinted;
use super::args::Arguments;

/// Decides how and whether things are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
    progress: bool,
}

impl Printer {
    pub fn new(arguments: &Arguments) -> Self {
        let watched = io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            format: arguments.format,
            quiet: arguments.quiet,
            progress: watched && !arguments.no_progress && !arguments.quiet,
        }
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
        let mut out = io::stdout().lock();
        if self.format == Format::Ndjson {
            serde_json::to_writer(&mut out, value)?;
        } else {
            serde_json::to_writer_pretty(&mut out, value)?;
        }
        writeln!(out)?;
        Ok(())
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

    /// A progress bar over bytes, or nothing that is seen.
    pub fn bar(self, template: &str) -> ProgressBar {
        let target = if self.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
