//! `keytrail expectations --learn`: a first file from what was seen.
//!
//! What was seen is not what is right. Whoever has an open finding, as the latest runs left it or as detectors find it now, is
//! in the file as a comment that says so, and nothing that only they did is expected. A person decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use chrono::{DateTime, Duration, Utc};
use keytrail::detect::{Finding, Options, Status, Window, open_findings};
use keytrail::engine::Engine;
use keytrail::expectations::is_principal;
use keytrail::query::Severity;
use keytrail::render::clean;
use serde::Deserialize;

use super::detect::{WINDOW_DAYS, found, window};
use super::{Context, Outcome};

/// How far back is looked, unless told otherwise.
const LEARN_DAYS: i64 = 90;

/// Dealings of an account that its line names.
const LINKS_MAX: usize = 3;

/// A row of `learned-accounts`.
#[derive(Deserialize)]
struct Account {
    account_id: String,
    links: Option<String>,
}

/// A row of `learned-keys`.
#[derive(Deserialize)]
struct Use {
    key_arn: String,
    alias: Option<String>,
    decryptor: String,
    service: String,
}

pub(super) fn learn(context: &Context, engine: &Engine, since: Option<&str>) -> Result<Outcome> {
    let now = Utc::now();
    let (window, _) = window(context, engine, (since, None), LEARN_DAYS, now)?;
    let (from, until) = (window.since.to_rfc3339(), window.until.to_rfc3339());
    let given = [("since", from.as_str()), ("until", until.as_str())];
    let accounts: Vec<Account> = context.ask(engine, "learned-accounts", &given)?.read()?;
    let uses: Vec<Use> = context.ask(engine, "learned-keys", &given)?.read()?;
    let suspects = Suspects::of(&open(context, engine, window)?);
    let mut out = format!(
        "# Learned from what was seen since {}. What was seen is not what is right: go through it, strike what should\n\
         # not be, and put patterns (* and ?) where names differ. Who has an open finding is in a comment: take the `#`\n\
         # away from what is as it should be. `keytrail expectations --help` shows every field.\n\n",
        window.since.date_naive()
    );
    write_accounts(&mut out, &accounts, &suspects);
    write_keys(&mut out, &uses, &suspects);
    context.printer.line(out.trim_end())?;
    if uses.is_empty() {
        context.printer.note("note: no successful decrypts with your own keys in that time (AWS managed keys are left out: you cannot change their policies); an earlier --since looks further back");
    }
    Ok(Outcome::Done)
}

/// The findings that are open: those that the latest runs left, and those of a run that leaves no trace, over what is learned
/// from and over the days that `detect` looks at. What is accepted is as it should be.
fn open(context: &Context, engine: &Engine, learned: Window) -> Result<Vec<Finding>> {
    let now = Utc::now();
    let before = context.runtime.block_on(open_findings(engine, &context.catalog, now))?;
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    let usual = Window { since: learned.until - Duration::days(WINDOW_DAYS), until: learned.until };
    // Where the logs begin within the usual days, a longer look shows all that the usual one does.
    let is_all = learned.since <= usual.since && first_event(context, engine)?.is_none_or(|first| first >= usual.since);
    let windows = if learned == usual || is_all { vec![learned] } else { vec![learned, usual] };
    for window in windows {
        let options = Options { window, unseen_from: None, only: Vec::new(), params: BTreeMap::new(), now };
        let run = found(context, engine, &options)?;
        findings.extend(run.findings.into_iter().map(|finding| (finding.fingerprint.clone(), finding)));
    }
    for open in before {
        if open.finding.status == Status::Accepted {
            findings.remove(&open.finding.fingerprint);
        } else {
            findings.entry(open.finding.fingerprint.clone()).or_insert(open.finding);
        }
    }
    Ok(findings.into_values().collect())
}

/// When the lake's first event was.
fn first_event(context: &Context, engine: &Engine) -> Result<Option<DateTime<Utc>>> {
    #[derive(Deserialize)]
    struct Span {
        first_event_time: Option<DateTime<Utc>>,
    }
    let spans: Vec<Span> = context.ask(engine, "span", &[])?.read()?;
    Ok(spans.into_iter().find_map(|span| span.first_event_time))
}

/// The findings of one principal or account: how many, and the worst.
struct Found {
    count: usize,
    worst: (Severity, String),
}

impl Found {
    fn add(of: &mut BTreeMap<String, Self>, name: &str, finding: &Finding) {
        let this = (finding.severity, finding.detector.clone());
        let known = of.entry(name.to_owned()).or_insert_with(|| Self { count: 0, worst: this.clone() });
        known.count += 1;
        known.worst = known.worst.clone().max(this);
    }

    fn told(&self) -> String {
        let Self { count, worst: (severity, detector) } = self;
        match count {
            1 => format!("has an open finding: {detector} ({})", severity.name()),
            _ => format!("has {count} open findings, the worst {detector} ({})", severity.name()),
        }
    }
}

/// Who has an open finding.
#[derive(Default)]
struct Suspects {
    principals: BTreeMap<String, Found>,
    /// Accounts that dealt with another account's keys, or whose keys another account's principals used.
    outsiders: BTreeMap<String, Found>,
    /// Accounts in which someone must act.
    affected: BTreeMap<String, Found>,
}

impl Suspects {
    fn of(findings: &[Finding]) -> Self {
        let mut suspects = Self::default();
        for finding in findings {
            if let Some(principal) = &finding.principal {
                Found::add(&mut suspects.principals, principal, finding);
            }
            let parties = [finding.principal.as_deref(), finding.key_arn.as_deref()];
            let home = finding.account_id.as_deref();
            for account in parties.into_iter().flatten().filter_map(account_of).filter(|one| Some(*one) != home) {
                Found::add(&mut suspects.outsiders, account, finding);
            }
            if let Some(account) = home {
                Found::add(&mut suspects.affected, account, finding);
            }
        }
        suspects
    }
}

/// The account of a principal or a key, as its name tells it.
fn account_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix("idc:").unwrap_or(name);
    let account = match name.strip_prefix("acct:") {
        Some(rest) => rest.split('/').next(),
        None => name.split(':').nth(4),
    };
    account.filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn write_accounts(out: &mut String, accounts: &[Account], suspects: &Suspects) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# Whose log is in the lake. Strike what is not yours.\naccounts = [");
    for Account { account_id, links } in accounts {
        let finding = suspects.outsiders.get(account_id).map(Found::told);
        let links: Vec<&str> = links.iter().flat_map(|links| links.lines()).collect();
        let more = if links.len() > LINKS_MAX { "; and more" } else { "" };
        let linked = || format!("is it yours? {}{more}", links[..links.len().min(LINKS_MAX)].join("; "));
        let doubt = finding.or_else(|| (!links.is_empty()).then(linked));
        // A finding within an account does not make it another's.
        let mark = || suspects.affected.get(account_id).map(Found::told);
        entry(out, account_id, doubt.as_deref(), mark().as_deref());
    }
    let _ = writeln!(out, "]");
}

fn write_keys(out: &mut String, uses: &[Use], suspects: &Suspects) {
    for uses in uses.chunk_by(|one, other| one.key_arn == other.key_arn) {
        let Some(Use { key_arn, alias, .. }) = uses.first() else { continue };
        out.push('\n');
        if let Some(alias) = alias {
            let _ = writeln!(out, "# {}", clean(alias).replace('\n', " "));
        }
        let _ = writeln!(out, "[[key]]\nkeys = [{}]\ndecryptors = [", quoted(key_arn));
        let decryptors: BTreeSet<&str> = uses.iter().map(|one| one.decryptor.as_str()).collect();
        for decryptor in decryptors {
            // What a file cannot name, or would take for a pattern, is for a person to put into words.
            let nameless = (!is_principal(decryptor)).then(|| "no file can name it: give a pattern".to_owned());
            let why = suspects.principals.get(decryptor).map(Found::told).or(nameless);
            entry(out, decryptor, why.as_deref(), None);
        }
        let _ = writeln!(out, "]\nservices = [");
        let services: BTreeSet<&str> = uses.iter().map(|one| one.service.as_str()).collect();
        for service in services {
            let is_by = |one: &&Use| one.service == service && !suspects.principals.contains_key(&one.decryptor);
            let why = if uses.iter().any(|one| is_by(&one)) { None } else { Some("only by who has an open finding") };
            entry(out, service, why, None);
        }
        let _ = writeln!(out, "]");
    }
}

/// A line of a list: in a comment where there is a reason not to expect it, and with what else there is to know.
fn entry(out: &mut String, value: &str, why_not: Option<&str>, mark: Option<&str>) {
    let begin = if why_not.is_some() { "# " } else { "" };
    let end = why_not.or(mark).map_or_else(String::new, |text| format!(" # {}", clean(text).replace('\n', " ")));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "    {begin}{},{end}", quoted(value));
}

/// A text in TOML's quotes, always in one line; whatever is not plain becomes an escape.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        // Writing to a String cannot fail.
        let _ = match letter {
            '"' | '\\' => write!(quoted, "\\{letter}"),
            ' '..='~' => write!(quoted, "{letter}"),
            _ => write!(quoted, "\\U{:08X}", u32::from(letter)),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_line_and_reads_back_as_it_was() {
        for text in ["plain", "a\"b\\c", "two\nlines", "ü\u{202e}\u{e0001}\u{7f}"] {
            let quoted = quoted(text);
            assert!(!quoted.contains('\n') && quoted.is_ascii(), "{quoted}");
            let read: toml::Table = toml::from_str(&format!("x = {quoted}")).unwrap();
            assert_eq!(read["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn an_account_is_told_by_every_kind_of_name() {
        for (name, account) in [
            ("arn:aws:iam::111122223333:role/x", Some("111122223333")),
            ("arn:aws:kms:eu-west-1:444455556666:key/k", Some("444455556666")),
            ("acct:444455556666/AROAEXAMPLE", Some("444455556666")),
            ("service:s3.amazonaws.com", None),
            ("AIDAEXAMPLE", None),
        ] {
            assert_eq!(account_of(name), account, "{name}");
        }
    }
}
