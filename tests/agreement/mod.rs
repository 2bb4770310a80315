//! The decoder that earns its living, compared with the one that goes by the letter.
//!
//! ```text
//! document ─┬─ ObjectDecoder ─► batches ─► fates ─┐
//!           └─ each record ─► reference ──────────┴─► the same, record by record and column by column
//! ```
//!
//! Over real records, over the generator's, and over records out of thin air.

mod fates;

use std::fmt::Write as _;
use std::path::Path;

use keytrail::synthetic::{Plan, generate};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use crate::golden::{corpus, samples};
use crate::reference::{self, Verdict};
use crate::strategies;
use crate::support::rows::PLACE;
use fates::{Way, fates, records_of, text_of};

/// Cases of the property over records, and a third of them over documents. Making up a record takes longer than decoding
/// it twice, and all of it takes long without optimisation. `PROPTEST_CASES` asks for more.
const CASES: u32 = 1200;

/// The cases of a run are always the same ones, so that nobody's change fails for another's luck; `PROPTEST_RNG_SEED` is
/// for looking further.
fn cases(count: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let rng_seed = if config.rng_seed == RngSeed::Random { RngSeed::Fixed(7) } else { config.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { count };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..config }
}

/// How a verdict differs from the reference's, column by column; empty when it does not.
fn difference(record: &str, is: &Verdict, should_be: &Verdict) -> String {
    let (Verdict::Kept(is), Verdict::Kept(should_be)) = (is, should_be) else {
        let name = |verdict: &Verdict| match verdict {
            Verdict::Kept(_) => "kept",
            Verdict::Other => "other",
            Verdict::Rejected => "rejected",
        };
        return if is == should_be { String::new() } else { format!("{} and not {}", name(is), name(should_be)) };
    };
    let mut told = String::new();
    for (column, should_be) in should_be.iter().filter(|(column, _)| !PLACE.contains(&column.as_str())) {
        let is = is.get(column).unwrap_or(&Value::Null);
        if !same(is, should_be) {
            writeln!(told, "{column}: {is} and not {should_be}").unwrap();
        }
    }
    if told.is_empty() { told } else { told + record }
}

/// Whether two values of a column are the same. A value of an encryption context that is no text is its compact JSON, of
/// which the order of members is not settled.
fn same(is: &Value, should_be: &Value) -> bool {
    match (is, should_be) {
        (Value::Object(is), Value::Object(should_be)) if is.len() == should_be.len() => {
            is.iter().zip(should_be).all(|((key, is), (other, should_be))| key == other && same(is, should_be))
        }
        (Value::String(is), Value::String(should_be)) if is.starts_with(['{', '[']) => {
            is == should_be || serde_json::from_str::<Value>(is).ok() == serde_json::from_str::<Value>(should_be).ok()
        }
        _ => is == should_be,
    }
}

/// Decodes a document both ways and tells the first difference.
fn compare(document: &[u8], records: &[String], way: Way) -> Result<(), String> {
    let fates = fates(document, way);
    if fates.len() != records.len() {
        return Err(format!("{} records and not {}", fates.len(), records.len()));
    }
    for (record, fate) in records.iter().zip(&fates) {
        let difference = difference(record, fate, &reference::decode(record));
        if !difference.is_empty() {
            return Err(difference);
        }
    }
    Ok(())
}

fn agree_on(path: &Path) {
    let (object, records) = (std::fs::read(path).unwrap(), corpus::records(path));
    for way in [Way::Whole, Way::Stream] {
        compare(&object, &records, way).unwrap_or_else(|difference| panic!("{}: {difference}", path.display()));
    }
}

#[test]
fn both_decoders_agree_on_a_real_trail() {
    let Some(folder) = corpus::find("invictus") else { return };
    for object in corpus::objects(&folder) {
        agree_on(&object);
    }
}

#[test]
fn both_decoders_agree_on_the_samples_of_each_operation() {
    let Some(file) = corpus::find(samples::FILE) else { return };
    agree_on(&file);
}

/// Ten thousand records, with every odd shape and every hostile string that the generator knows.
#[test]
fn both_decoders_agree_on_generated_logs() {
    let plan = Plan { events: 10_000, seed: 11, kms_share: 0.7, ..Plan::default() };
    assert!(plan.odd_shapes && plan.hostile);
    let mut met = 0;
    let truth = generate(&plan, &mut |object| {
        let records = records_of(&text_of(&object.gzip));
        assert_eq!(records.len(), object.records as usize, "{}", object.path);
        met += records.len();
        let way = if met % 2 == 0 { Way::Whole } else { Way::Stream };
        compare(&object.gzip, &records, way).unwrap_or_else(|difference| panic!("{}: {difference}", object.path));
        Ok(())
    })
    .unwrap();
    assert_eq!(met as u64, truth.records);
}

/// A stream is read in windows; where they cut must not matter. The document is several windows long.
#[test]
fn a_document_longer_than_a_window_decodes_as_if_it_were_not() {
    let mut records = Vec::new();
    let plan = Plan { events: 3_000, seed: 5, kms_share: 0.8, ..Plan::default() };
    generate(&plan, &mut |object| {
        records.extend(records_of(&text_of(&object.gzip)));
        Ok(())
    })
    .unwrap();
    let document = format!("{{\"Records\":[{}]}}", records.join(","));
    assert!(document.len() > 3 * 1024 * 1024);
    let (whole, stream) = (fates(document.as_bytes(), Way::Whole), fates(document.as_bytes(), Way::Stream));
    assert_eq!(whole.len(), records.len());
    assert!(whole == stream);
}

proptest! {
    #![proptest_config(cases(CASES))]

    /// A record that is too deep is damage, behind which the scan looks for the next whole record, and may take a part of
    /// this one for it; so what counts is that this one is rejected, and that the one behind it is found.
    #[test]
    fn both_decoders_agree_on_any_record(record in strategies::record()) {
        let last = r#"{"eventID":"last","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventTime":"2026-01-05T12:00:00Z"}"#;
        let fates = fates(format!("[{record},{last}]").as_bytes(), Way::Whole);
        let difference = difference(&record, &fates[0], &reference::decode(&record));
        prop_assert!(difference.is_empty(), "{difference}");
        prop_assert!(fates[1..].contains(&reference::decode(last)));
        prop_assert!(fates.len() == 2 || fates[0] == Verdict::Rejected);
    }

}

proptest! {
    #![proptest_config(cases(CASES / 3))]

    #[test]
    fn both_decoders_agree_on_any_document((document, records) in strategies::document_of_records()) {
        prop_assume!(records.iter().all(|record| !fates::is_damage(record)));
        for way in [Way::Whole, Way::Stream] {
            if let Err(difference) = compare(&document, &records, way) {
                prop_assert!(false, "{difference}");
            }
        }
    }
}
