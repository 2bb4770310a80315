//! The integration tests, one binary.
//!
//! ```text
//! golden (real records, rows by hand) ──┐
//!                                       ├──► reference (slow, by the letter) ◄── agreement ──► the decoder
//! strategies (records out of thin air) ─┘
//!
//! support (the command, on a folder of its own) ──► exactly_once · evidence · from_s3 · inventory · interrupted ·
//!                                                   hostile · answers · cli · detect · verdict · incident · overview · watch ·
//!                                                   other_engine
//! ```
//!
//! What decodes records for a living is compared with [`reference::decode`], over both kinds of records; what a user runs
//! is run as a user runs it.

mod agreement;
mod answers;
mod cli;
mod detect;
mod evidence;
mod exactly_once;
mod from_s3;
mod golden;
mod hostile;
mod incident;
mod interrupted;
mod inventory;
mod other_engine;
mod overview;
mod reference;
mod strategies;
mod support;
mod tidy;
mod verdict;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use golden::samples::{self, Expected};
use golden::{cases, corpus};
use keytrail::cloudtrail::columns::COLUMNS;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reference::Verdict;
use serde_json::{Map, Value};
use support::rows::PLACE;

fn shown(row: &Map<String, Value>, index: usize, expected: &Expected) {
    let text = |column: &str| row[column].as_str();
    let seen = [
        ("event_name", text("event_name"), Some(expected.event_name)),
        ("usage_class", text("usage_class"), Some(expected.usage_class)),
        ("outcome", text("outcome"), Some(expected.outcome)),
        ("key_arn", text("key_arn"), expected.key_arn),
        ("dest_key_arn", text("dest_key_arn"), expected.dest_key_arn),
        ("key_alias", text("key_alias"), expected.key_alias),
        ("principal", text("principal"), expected.principal),
        ("principal_type", text("principal_type"), Some(expected.principal_type)),
        ("via", text("via"), expected.via),
        ("asset", text("asset"), expected.asset),
        ("asset_type", text("asset_type"), expected.asset_type),
    ];
    for (column, is, should_be) in seen {
        assert_eq!(is, should_be, "{column} of sample {index}");
    }
}

#[test]
fn the_reference_agrees_with_the_cases_by_hand() {
    for case in cases::all() {
        let Verdict::Kept(row) = reference::decode(&case.record) else { panic!("{} is not kept", case.name) };
        for (column, expected) in &case.columns {
            assert_eq!(&row[*column], expected, "{column} of: {}", case.name);
        }
    }
}

#[test]
fn the_reference_agrees_with_the_golden_rows() {
    let Some(file) = corpus::find(samples::FILE) else { return };
    let records = corpus::records(&file);
    assert_eq!(records.len(), samples::RECORDS);
    assert_eq!(samples::ROWS.len() + samples::OTHER.len(), samples::RECORDS);
    for index in samples::OTHER {
        assert_eq!(reference::decode(&records[index]), Verdict::Other, "sample {index}");
    }
    for expected in samples::ROWS {
        let Verdict::Kept(row) = reference::decode(&records[expected.index]) else {
            panic!("sample {} is not kept", expected.index)
        };
        shown(&row, expected.index, expected);
    }
}

/// What `corpus/README.md` says of these logs, and what a count by other means adds to it.
#[test]
fn the_reference_counts_what_is_in_a_real_trail() {
    let Some(folder) = corpus::find("invictus") else { return };
    let objects = corpus::objects(&folder);
    let verdicts: Vec<Verdict> =
        objects.iter().flat_map(|object| corpus::records(object)).map(|record| reference::decode(&record)).collect();
    assert_eq!((objects.len(), verdicts.len()), (55, 2900));
    assert!(!verdicts.contains(&Verdict::Rejected));
    let kept: Vec<&Map<String, Value>> =
        verdicts.iter().filter_map(|verdict| if let Verdict::Kept(row) = verdict { Some(row) } else { None }).collect();
    let (context, kms): (Vec<_>, Vec<_>) = kept.into_iter().partition(|row| row["usage_class"] == "context");

    assert_eq!((kms.len(), context.len()), (240, 91));
    assert_eq!(count(&kms, "event_name"), counts(&[("Decrypt", 178), ("Encrypt", 42), ("GenerateDataKey", 20)]));
    assert_eq!(count(&kms, "invoked_by"), counts(&[("AWS Internal", 164), ("secretsmanager.amazonaws.com", 76)]));
    assert_eq!(count(&kms, "via"), counts(&[("secretsmanager.amazonaws.com", 76), ("ssm.amazonaws.com", 164)]));
    assert_eq!(count(&kms, "asset_type"), counts(&[("secret", 76), ("ssm-parameter", 164)]));
    assert_eq!(count(&kms, "asset_trust"), counts(&[("service", 240)]));
    assert_eq!(count(&kms, "key_alias"), counts(&[("alias/aws/secretsmanager", 20), ("alias/aws/ssm", 42), ("", 178)]));
    assert_eq!(count(&kms, "principal_type"), counts(&[("IAMUser", 240)]));
    assert_eq!((count(&kms, "principal").len(), count(&kms, "key_arn").len()), (1, 2));
    assert_eq!(count(&kms, "outcome"), counts(&[("ok", 240)]));
    let sources = [
        ("cloudtrail.amazonaws.com", 15),
        ("rds.amazonaws.com", 2),
        ("s3.amazonaws.com", 5),
        ("secretsmanager.amazonaws.com", 20),
        ("sts.amazonaws.com", 49),
    ];
    assert_eq!(count(&context, "event_source"), counts(&sources));
    assert_eq!(count(&context, "outcome"), counts(&[("denied", 13), ("error", 7), ("ok", 71)]));
}

/// How often each text occurs in a column; null counts as empty.
fn count(rows: &[&Map<String, Value>], column: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row[column].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect()
}

proptest! {
    #[test]
    fn the_reference_fills_every_column_and_no_other(record in strategies::record()) {
        if let Verdict::Kept(row) = reference::decode(&record) {
            let columns = COLUMNS.iter().map(|column| column.name).filter(|name| !PLACE.contains(name));
            let filled: BTreeSet<&str> = row.keys().map(String::as_str).collect();
            prop_assert_eq!(filled, columns.collect::<BTreeSet<_>>());
        }
    }
}

/// A property over records says little if the records are all alike.
#[test]
fn generated_records_are_of_every_kind() {
    const RECORDS: usize = 1500;
    let mut runner = TestRunner::deterministic();
    let strategy = strategies::record();
    let (mut other, mut rejected, mut rows) = (0, 0, Vec::new());
    for _ in 0..RECORDS {
        match reference::decode(&strategy.new_tree(&mut runner).unwrap().current()) {
            Verdict::Other => other += 1,
            Verdict::Rejected => rejected += 1,
            Verdict::Kept(row) => rows.push(row),
        }
    }
    assert!(other > 75 && rejected > 75 && rows.len() > 1000, "{other} other, {rejected} rejected, of {RECORDS}");
    let rows: Vec<&Map<String, Value>> = rows.iter().collect();
    for column in COLUMNS.iter().filter(|column| !PLACE.contains(&column.name)) {
        assert!(rows.iter().any(|row| !row[column.name].is_null()), "{} is never there", column.name);
    }
    for (column, at_least) in
        [("usage_class", 13), ("outcome", 6), ("principal_type", 13), ("asset_type", 35), ("asset_trust", 4)]
    {
        let kinds = count(&rows, column);
        assert!(kinds.len() >= at_least, "{column} has but {} kinds: {kinds:?}", kinds.len());
    }
}
