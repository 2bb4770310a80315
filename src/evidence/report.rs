//! What a verification found: counts, and each problem with the object that it is about.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::Serialize;

use super::Options;
use super::archive::Place;
use super::chain::Judged;
use super::logs::{MISSING, UNREADABLE, VALID};
use super::unnamed::{Meaning, Missing, Resolved, Stray, extra};
use super::verdict::State;
use crate::lake::evidence::{FileRow, MOVED};

/// Problems that are told one by one; all are counted, and the lake's tables have them all.
const PROBLEMS_MAX: usize = 10_000;

/// Logs of which it is remembered that they are missing or not named, to match the two.
const MATCHED_MAX: usize = 100_000;

/// A chain that ends so long before others may have lost its newest digest, the one that no other names.
const EARLY_HOURS: i64 = 1;

/// How long a digest may take to be delivered.
const DELIVERY_HOURS: i64 = 3;

/// The state of a log that no digest covers, where it is told of.
const UNCOVERED: &str = "uncovered";

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every digest and every log is as AWS delivered it, and none is missing.
    Valid,
    /// Nothing speaks against what is there, but not all of it is proven.
    Incomplete,
    /// Something was changed, removed, added or moved.
    Invalid,
}

/// Digests by what is known of them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are the states of `verdict::State`")]
pub struct Digests {
    pub valid: u64,
    pub invalid: u64,
    pub missing: u64,
    pub unsigned: u64,
    pub key_unknown: u64,
    pub unreadable: u64,
}

/// Logs that digests name, by what is known of them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Logs {
    /// As the digest says.
    pub valid: u64,
    /// Not as the digest says.
    pub invalid: u64,
    /// Not there.
    pub missing: u64,
    /// Their bytes could not be had.
    pub unreadable: u64,
}

/// Logs that no digest names.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Unnamed {
    /// The digests of their time are there, and do not name them.
    pub extra: u64,
    /// They belong elsewhere, where they are missing.
    pub moved: u64,
    /// No digest of their time is there.
    pub uncovered: u64,
    /// So recent that their digest may still come.
    pub pending: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `digest`, `log` or `chain`.
    pub about: &'static str,
    /// `invalid`, `missing`, `unsigned`, `gap`, `extra` and so on.
    pub state: &'static str,
    /// Address of the object.
    pub object: String,
    /// Its account.
    pub account_id: String,
    /// Its Region.
    pub region: String,
    /// The trail, where it is known.
    pub trail: Option<String>,
    /// Whether it is of the chain of files that came late.
    pub is_backfill: bool,
    /// What is wrong with it.
    pub reason: String,
}

/// The end of a verification; its JSON is part of the command line's contract.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Hourly digests.
    pub digests: Digests,
    /// Backfill digests.
    pub backfill_digests: Digests,
    /// Logs that hourly digests name.
    pub logs: Logs,
    /// Logs that backfill digests name.
    pub backfill_logs: Logs,
    /// Logs that no digest names.
    pub unnamed: Unnamed,
    /// Chains of digests: one per trail, account, Region and prefix, and one for each one's backfill.
    pub chains: u64,
    /// Times without a digest, and chains that end early.
    pub gaps: u64,
    /// Begin of the first window of deliveries that was looked at.
    pub from: Option<String>,
    /// End of the last one.
    pub to: Option<String>,
    /// Each problem, in the order of accounts, Regions and trails, the newest first.
    pub problems: Vec<Problem>,
    /// Problems beyond those: they are counted, and in the lake.
    pub problems_more: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The newest digest of a chain.
#[derive(Debug, Clone)]
struct End {
    at: DateTime<Utc>,
    problem: Problem,
}

/// What is found while a verification goes on.
#[derive(Debug, Default)]
pub(super) struct Findings {
    digests: [Digests; 2],
    logs: [Logs; 2],
    unnamed: Unnamed,
    chains: u64,
    gaps: u64,
    window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    problems: Vec<Problem>,
    problems_more: u64,
    ends: Vec<End>,
    is_chain_new: bool,
    missing: Vec<(String, Option<String>)>,
    strays: Vec<(Stray, Meaning)>,
}

impl Findings {
    pub fn begin_chain(&mut self) {
        self.chains += 1;
        self.is_chain_new = true;
    }

    /// A file among the digests that is none by its name.
    pub fn no_digest(&mut self, uri: &str, place: &Place) {
        self.digests[0].invalid += 1;
        self.tell(Problem {
            about: "digest",
            state: State::Invalid.name(),
            object: uri.to_owned(),
            account_id: place.account_id.clone(),
            region: place.region.clone(),
            trail: None,
            is_backfill: false,
            reason: "invalid format: no digest has a name like this".to_owned(),
        });
    }

    /// A page of digests, and the logs that they name in the same order.
    pub fn add(&mut self, page: &[&Judged], files: &[FileRow]) {
        let mut files = files.iter().peekable();
        for judged in page {
            self.digest(judged);
            let mut hashes = judged.logs.iter();
            while let Some(row) = files.next_if(|row| row.digest_uri.as_deref() == Some(&judged.row.uri)) {
                self.log(judged, row, hashes.next().map(|log| log.hash_value.to_ascii_lowercase()));
            }
        }
    }

    fn digest(&mut self, judged: &Judged) {
        let counts = &mut self.digests[usize::from(judged.row.is_backfill)];
        *match judged.state {
            State::Valid => &mut counts.valid,
            State::Invalid => &mut counts.invalid,
            State::Missing => &mut counts.missing,
            State::Unsigned => &mut counts.unsigned,
            State::KeyUnknown => &mut counts.key_unknown,
            State::Unreadable => &mut counts.unreadable,
        } += 1;
        let (from, to) = judged.window;
        self.window = Some(self.window.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
        // A chain whose newest digest is named goes on elsewhere, or beyond what was asked for.
        if std::mem::take(&mut self.is_chain_new) && !judged.row.is_backfill && !judged.is_named {
            let ended = problem(judged, "chain", "ends_early", String::new());
            self.ends.push(End { at: to, problem: ended });
        }
        if let Some(reason) = &judged.row.reason {
            self.tell(problem(judged, "digest", judged.row.state, reason.clone()));
        }
        if let Some(since) = judged.row.gap_from.and_then(DateTime::from_timestamp_micros) {
            self.gaps += 1;
            let told = format!(
                "No log files were delivered by CloudTrail between {} and {}, or the digests of that time are gone",
                rfc3339(since),
                rfc3339(from)
            );
            self.tell(problem(judged, "chain", "gap", told));
        }
    }

    fn log(&mut self, judged: &Judged, row: &FileRow, hash: Option<String>) {
        let counts = &mut self.logs[usize::from(judged.row.is_backfill)];
        *match row.state {
            VALID => &mut counts.valid,
            MISSING => &mut counts.missing,
            UNREADABLE => &mut counts.unreadable,
            _ => &mut counts.invalid,
        } += 1;
        if row.state == MISSING && self.missing.len() < MATCHED_MAX {
            self.missing.push((row.uri.clone(), hash));
        }
        if let Some(reason) = &row.reason {
            let told = Problem { object: row.uri.clone(), ..problem(judged, "log", row.state, reason.clone()) };
            self.tell(told);
        }
    }

    /// A log that no digest names. It waits to be matched with the missing ones at the end; when too many wait, it is
    /// judged at once, and the row of an extra one is returned.
    pub fn unnamed(&mut self, stray: Stray, meaning: Meaning) -> Option<FileRow> {
        if self.strays.len() < MATCHED_MAX {
            self.strays.push((stray, meaning));
            return None;
        }
        if meaning != Meaning::Extra {
            self.not_extra(&stray.row, meaning);
            return None;
        }
        let row = extra(stray);
        self.found_unnamed(&row);
        Some(row)
    }

    /// A log that no digest names, and that may be none the worse for it; told of where that is a problem of its own.
    fn not_extra(&mut self, row: &FileRow, meaning: Meaning) {
        match meaning {
            Meaning::Pending => self.unnamed.pending += 1,
            _ => self.unnamed.uncovered += 1,
        }
        if let Meaning::Uncovered(Some(problem)) = meaning {
            self.tell(about_log(row, UNCOVERED, problem.to_owned()));
        }
    }

    /// The missing logs' addresses by file name and by hash.
    pub fn missing_logs(&self) -> Missing {
        let file = |uri: &str| uri.rsplit('/').next().unwrap_or_default().to_owned();
        let by_file = self.missing.iter().map(|(uri, _)| (file(uri), uri.clone())).collect();
        let by_hash = self.missing.iter().filter_map(|(uri, hash)| Some((hash.clone()?, uri.clone()))).collect();
        (by_file, by_hash)
    }

    pub fn take_strays(&mut self) -> Vec<(Stray, Meaning)> {
        std::mem::take(&mut self.strays)
    }

    /// What became of the logs that waited.
    pub fn resolved(&mut self, resolved: &Resolved) {
        resolved.rows.iter().for_each(|row| self.found_unnamed(row));
        // What is not proven must not crowd out what is wrong.
        resolved.others.iter().for_each(|(row, meaning)| self.not_extra(row, *meaning));
    }

    /// An extra or moved log.
    fn found_unnamed(&mut self, row: &FileRow) {
        if row.state == MOVED {
            self.unnamed.moved += 1;
        } else {
            self.unnamed.extra += 1;
        }
        let reason = row.reason.clone().unwrap_or_default();
        self.tell(about_log(row, row.state, reason));
    }

    /// Finds the chains that end before others do: nothing names the newest digest of a chain, so that its loss shows in
    /// nothing else.
    pub fn ends(&mut self, options: &Options) {
        let asked = options.prune.until.map(|until| until.min(options.now - Duration::hours(DELIVERY_HOURS)));
        let Some(latest) = self.ends.iter().map(|end| end.at).chain(asked).max() else { return };
        for End { at, mut problem } in std::mem::take(&mut self.ends) {
            let is_early = at + Duration::hours(EARLY_HOURS) <= latest;
            if is_early && at + Duration::hours(DELIVERY_HOURS) < options.now {
                self.gaps += 1;
                problem.reason = format!(
                    "the chain ends here, at {}, and digests were to be expected until {}: the trail was stopped or \
                     deleted, or later digests are gone",
                    rfc3339(at),
                    rfc3339(latest)
                );
                self.tell(problem);
            }
        }
    }

    fn tell(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_more += 1;
        }
    }

    pub fn report(self, seconds: f64) -> Report {
        let [digests, backfill_digests] = self.digests;
        let [logs, backfill_logs] = self.logs;
        let (from, to) = self.window.map(|(from, to)| (rfc3339(from), rfc3339(to))).unzip();
        let mut report = Report {
            outcome: Outcome::Valid,
            digests,
            backfill_digests,
            logs,
            backfill_logs,
            unnamed: self.unnamed,
            chains: self.chains,
            gaps: self.gaps,
            from,
            to,
            problems: self.problems,
            problems_more: self.problems_more,
            seconds,
        };
        report.outcome = report.judge();
        report
    }
}

impl Report {
    fn judge(&self) -> Outcome {
        let digests = [&self.digests, &self.backfill_digests];
        let logs = [&self.logs, &self.backfill_logs];
        let wrong = digests.iter().map(|digests| digests.invalid + digests.missing).sum::<u64>()
            + logs.iter().map(|logs| logs.invalid + logs.missing).sum::<u64>()
            + self.unnamed.extra
            + self.unnamed.moved;
        let open =
            digests.iter().map(|digests| digests.unsigned + digests.key_unknown + digests.unreadable).sum::<u64>()
                + logs.iter().map(|logs| logs.unreadable).sum::<u64>()
                + self.unnamed.uncovered
                + self.gaps;
        match (wrong, open) {
            (1.., _) => Outcome::Invalid,
            // Where there is no digest, nothing is proven.
            (0, 0) if self.digests.valid > 0 => Outcome::Valid,
            _ => Outcome::Incomplete,
        }
    }
}

/// What is told of a log that no digest names.
fn about_log(row: &FileRow, state: &'static str, reason: String) -> Problem {
    Problem {
        about: "log",
        state,
        object: row.uri.clone(),
        account_id: row.account_id.clone(),
        region: row.region.clone(),
        trail: None,
        is_backfill: false,
        reason,
    }
}

fn problem(judged: &Judged, about: &'static str, state: &'static str, reason: String) -> Problem {
    Problem {
        about,
        state,
        object: judged.row.uri.clone(),
        account_id: judged.row.account_id.clone(),
        region: judged.row.region.clone(),
        trail: Some(judged.row.trail.clone()),
        is_backfill: judged.row.is_backfill,
        reason,
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
