//! `keytrail inventory`: the keys and trails that exist, into the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use keytrail::inventory::aws::Progress;
use keytrail::inventory::{Inventory, InventoryError, Key, Problem, Trail, Unknown, Why, aws, file, snapshot};
use keytrail::lake::snapshots::record;
use keytrail::render::Format;
use keytrail::source::aws::config;
use serde::Serialize;

use super::args;
use super::printer::Bar;
use super::{Context, Hinted, Outcome, sign_in_again};
use keytrail::render::thousands;

/// Entries and Regions that could not be read, of which the closing lines name so many; JSON names all.
const NAMED_MAX: usize = 20;

/// What a run did; its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
struct Account {
    taken_at: String,
    source: &'static str,
    keys: usize,
    regions: Vec<String>,
    /// Aliases that name a key; null when no Region told them.
    aliases: Option<usize>,
    /// Null when nothing told them.
    trails: Option<usize>,
    /// What could not be read of keys and trails, most often first.
    unknown: Vec<Gap>,
    /// Regions and entries that could not be read at all.
    problems: Vec<Problem>,
}

/// A part that is not known of some keys or trails, for one reason.
#[derive(Debug, Serialize)]
struct Gap {
    field: &'static str,
    /// The permission that the call takes.
    action: &'static str,
    /// `denied`, `unsupported`, `failed` or `not given`.
    why: &'static str,
    code: String,
    /// How many keys or trails.
    count: usize,
    /// What AWS said of the first of them.
    message: String,
    #[serde(skip)]
    is_to_mend: bool,
}

pub(super) fn run(context: &Context, arguments: &args::Inventory) -> Result<Outcome> {
    let Some(from) = arguments.from.as_deref().filter(|_| !arguments.template) else {
        context.printer.line(file::TEMPLATE.trim_end())?;
        return Ok(Outcome::Done);
    };
    // One instant for the whole run; the column keeps microseconds.
    let mut taken_at = Utc::now();
    let inventory = if from == "aws" {
        from_aws(context, arguments)?
    } else {
        if !arguments.region.is_empty() {
            return Err(Hinted::new("--region goes with --from aws", "a file is read as it is").into());
        }
        let inventory = file::read(Path::new(from))?;
        // What a file says was true when it was written, and is not made true again by reading it. Of several files, the
        // oldest dates them all; what was passed over dates nothing.
        for file in &inventory.files {
            let path = if Path::new(from).is_dir() { Path::new(from).join(file) } else { Path::new(from).to_owned() };
            if let Ok(written) = std::fs::metadata(path).and_then(|file| file.modified()) {
                taken_at = taken_at.min(written.into());
            }
        }
        inventory
    };
    let snapshot = snapshot(&inventory, taken_at.timestamp_micros());
    context.runtime.block_on(record(&context.lake, &snapshot))?;
    let account = account(&inventory, taken_at);
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(&account)?,
        _ => context.printer.account(&closing_line(&account))?,
    }
    tell(context, &account);
    if let Some(first) = inventory.passed_over.first() {
        let count = inventory.passed_over.len();
        let what = plural(count, "file that is not JSON was", "files that are not JSON were");
        context.printer.note(&format!("note: {what} passed over: {first}{}", if count > 1 { ", …" } else { "" }));
    }
    let is_whole = account.problems.is_empty() && !account.unknown.iter().any(|gap| gap.is_to_mend);
    Ok(if is_whole { Outcome::Done } else { Outcome::Incomplete })
}

fn from_aws(context: &Context, arguments: &args::Inventory) -> Result<Inventory> {
    let progress = Arc::new(Progress::default());
    let bar = context.printer.bar("{bar:24} {msg}");
    let watch = context.runtime.spawn(watch(Arc::clone(&progress), bar.clone()));
    let read = context.runtime.block_on(async {
        let config = config(&context.aws).await;
        aws::read(&config, &arguments.region, &progress).await
    });
    watch.abort();
    bar.finish();
    let ended = read.as_ref().err().and_then(|error| sign_in_again(&error.to_string()));
    let hint = match &read {
        Err(_) if ended.is_some() => ended.unwrap_or_default(),
        Err(InventoryError::NoRegion) => "name one or more with --region, or set AWS_REGION or a profile's region",
        Err(_) => {
            "credentials are found as the aws command line finds them (`aws sts get-caller-identity` shows whose); listing \
             takes the permission kms:ListKeys"
        }
        Ok(_) => "",
    };
    read.map_err(|error| Hinted::new(error.to_string(), hint).into())
}

async fn watch(progress: Arc<Progress>, bar: Bar) {
    loop {
        let (listed, read) = (progress.keys_listed.load(Ordering::Relaxed), progress.keys_read.load(Ordering::Relaxed));
        let words = match listed {
            0 => "asking which keys there are".to_owned(),
            _ => format!("{} of {} keys", thousands(read), thousands(listed)),
        };
        bar.show(read, listed, words);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn account(inventory: &Inventory, taken_at: DateTime<Utc>) -> Account {
    let told: Vec<&Vec<String>> = inventory.keys.iter().filter_map(|key| key.aliases.known()).collect();
    let listed: BTreeSet<String> = inventory
        .regions
        .iter()
        .filter(|listing| inventory.source == "file" || listing.keys.known().is_some())
        .map(|listing| listing.region.clone())
        .collect();
    let is_told_trails =
        !inventory.trails.is_empty() || inventory.regions.iter().any(|listing| listing.trails.known().is_some());
    let is_silent = told.is_empty() && !inventory.keys.is_empty();
    Account {
        taken_at: taken_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        source: inventory.source,
        keys: inventory.keys.len(),
        regions: listed.into_iter().collect(),
        aliases: (!is_silent).then(|| told.into_iter().map(Vec::len).sum()),
        trails: is_told_trails.then_some(inventory.trails.len()),
        unknown: gaps(inventory),
        problems: inventory.problems.clone(),
    }
}

fn gaps(inventory: &Inventory) -> Vec<Gap> {
    let of_keys = inventory.keys.iter().flat_map(Key::unknowns);
    let mut gaps: BTreeMap<(Why, &str, &str), Gap> = BTreeMap::new();
    for (field, Unknown { action, why, code, message }) in
        of_keys.chain(inventory.trails.iter().flat_map(Trail::unknowns))
    {
        let first = || Gap {
            field,
            action,
            why: match why {
                Why::Denied => "denied",
                Why::Unsupported => "unsupported",
                Why::Failed => "failed",
                Why::NotGiven => "not given",
            },
            code: code.clone(),
            count: 0,
            message: message.clone(),
            is_to_mend: why.is_a_gap(),
        };
        gaps.entry((*why, action, code)).or_insert_with(first).count += 1;
    }
    let mut gaps: Vec<Gap> = gaps.into_values().collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.count));
    gaps
}

fn closing_line(account: &Account) -> String {
    let aliases = account.aliases.map_or("aliases unknown".to_owned(), |count| plural(count, "alias", "aliases"));
    let trails = account.trails.map_or("trails unknown".to_owned(), |count| plural(count, "trail", "trails"));
    format!(
        "{} in {}, {aliases}, {trails}; taken at {}",
        plural(account.keys, "key", "keys"),
        plural(account.regions.len(), "Region", "Regions"),
        account.taken_at
    )
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count as u64), if count == 1 { one } else { many })
}

/// What is unknown, on standard error: a gap is a warning, what there was not to be read a note.
fn tell(context: &Context, account: &Account) {
    for problem in account.problems.iter().take(NAMED_MAX) {
        context.printer.warn(&format!("{}: {}", problem.place, problem.why));
    }
    if account.problems.len() > NAMED_MAX {
        context.printer.warn(&format!("and {} more; --format json names them all", account.problems.len() - NAMED_MAX));
    }
    for gap in &account.unknown {
        let what = if gap.action.starts_with("kms:") { ("key", "keys") } else { ("trail", "trails") };
        let line =
            format!("{} unknown for {}: {}: {}", gap.field, plural(gap.count, what.0, what.1), gap.action, gap.code);
        if gap.is_to_mend {
            context.printer.warn(&line);
        } else {
            context.printer.note(&format!("note: {line}"));
        }
    }
    let mut denied: Vec<&str> =
        account.unknown.iter().filter(|gap| gap.why == "denied").map(|gap| gap.action).collect();
    denied.sort_unstable();
    denied.dedup();
    if !denied.is_empty() {
        context
            .printer
            .note(&format!("hint: an IAM policy or the keys' own policies must allow {}", denied.join(", ")));
    }
}
