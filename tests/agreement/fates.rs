//! What the fast decoder makes of a document, in the reference's own terms; and how to get at a document's records
//! without either of them.

use std::io::Read;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use flate2::read::MultiGzDecoder;
use keytrail::cloudtrail::object::{Input, ObjectDecoder};
use serde_json::value::RawValue;

use crate::reference::Verdict;
use crate::support::rows::{PLACE, of_batch};

/// How an object's bytes come to the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Whole,
    Stream,
}

/// The verdict on each record of a document, in order.
pub fn fates(document: &[u8], way: Way) -> Vec<Verdict> {
    let mut decoder = ObjectDecoder::default();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut stream = document;
    let input = if way == Way::Whole { Input::Whole(document) } else { Input::Stream(&mut stream) };
    let account = decoder.decode::<ArrowError>(input, "file:///object", 1 << 30, &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    let account = account.unwrap();
    batches.extend(decoder.finish().unwrap());
    let mut fates = vec![Verdict::Other; usize::try_from(account.read).unwrap()];
    for index in account.rejects.iter().filter_map(|reject| reject.record_index) {
        fates[usize::try_from(index).unwrap()] = Verdict::Rejected;
    }
    for mut row in batches.iter().flat_map(of_batch) {
        let index = row["record_index"].as_u64().unwrap();
        row.retain(|column, _| !PLACE.contains(&column.as_str()));
        fates[usize::try_from(index).unwrap()] = Verdict::Kept(row);
    }
    let count = |wanted: fn(&Verdict) -> bool| fates.iter().filter(|fate| wanted(fate)).count() as u64;
    assert_eq!(
        (count(|fate| matches!(fate, Verdict::Kept(_))), count(|fate| *fate == Verdict::Other)),
        (account.kept, account.other),
        "no row stands for two records"
    );
    fates
}

/// Whether the scan itself gives a record up, so that it cannot say where it ends.
pub fn is_damage(record: &str) -> bool {
    crate::reference::depth_of(record) > 127 || record.len() > 256 * 1024
}

/// An object's text, compressed or not.
pub fn text_of(object: &[u8]) -> String {
    let mut text = String::new();
    if object.starts_with(&[0x1F, 0x8B]) {
        MultiGzDecoder::new(object).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(object).unwrap());
    }
    text.trim_start_matches('\u{feff}').trim().to_owned()
}

/// The records of a text in any of the three forms.
pub fn records_of(text: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Wrapped<'a> {
        #[serde(rename = "Records", borrow)]
        records: Vec<&'a RawValue>,
    }
    let raw = |list: Vec<&RawValue>| list.into_iter().map(|record| record.get().to_owned()).collect();
    if let Ok(wrapped) = serde_json::from_str::<Wrapped<'_>>(text) {
        return raw(wrapped.records);
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(list) => raw(list),
        Err(_) => text.lines().map(str::to_owned).collect(),
    }
}
