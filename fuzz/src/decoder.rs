//! The decoder: one account of an object however it is read, and rows that the reference agrees with.

use std::io::{BufReader, Write};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::cloudtrail::decode::{Decoded, decode};
use crate::cloudtrail::object::{Account, Input, ObjectDecoder};
use crate::input;
use crate::reference::{self, Verdict};
use crate::rows;
use crate::splitter::{self, Found};

/// Reads the input as an object, whole and streamed, and its records by the reference too.
///
/// # Panics
/// On a finding.
pub fn check(bytes: &[u8]) {
    let Some((text, manner)) = input::split(bytes) else { return };
    let object = packed(&text, manner);
    if manner % 8 == 4 && ends_like_whole(&object, text.len() / 2) {
        return;
    }
    let text_max = if (0x80..0xC0).contains(&manner) { 64 } else { 1 << 30 };
    let (whole, whole_rows) = read(Input::Whole(&object), text_max);
    let capacity = 1 + usize::from(manner) * 3;
    let (stream, stream_rows) = read(Input::Stream(&mut BufReader::with_capacity(capacity, &*object)), text_max);
    assert_eq!(told(&whole), told(&stream), "the account depends on how the object is read");
    assert_eq!(whole_rows, stream_rows, "the rows depend on how the object is read");
    let steps = splitter::steps(&text, std::iter::repeat(text.len().max(1)), text.len());
    for step in &steps {
        if let Found::Record(record, ..) = step {
            compare(record);
        }
    }
}

/// The object of a text: as it is, or as gzip in one member, in two, cut short or followed by something.
fn packed(text: &[u8], manner: u8) -> Vec<u8> {
    let half = text.len() / 2;
    match manner % 8 {
        0 => gzip(text),
        1 => [gzip(&text[..half]), gzip(&text[half..])].concat(),
        3 => {
            let mut object = gzip(text);
            object.truncate(object.len() * usize::from(manner) / 256);
            object
        }
        4 => [gzip(&text[..half]), text[half..].to_vec()].concat(),
        _ => text.to_vec(),
    }
}

/// Whether bytes behind a gzip member end in the very length of its text. Inflating in one call then sees no more than
/// that member, which is all there is to read, but not that something stands behind it.
fn ends_like_whole(object: &[u8], inflated: usize) -> bool {
    object.starts_with(&[0x1F, 0x8B]) && object.ends_with(&u32::try_from(inflated).unwrap_or_default().to_le_bytes())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes all that is written");
    encoder.finish().expect("memory takes all that is written")
}

fn read(input: Input<'_>, text_max: u64) -> (Account, Vec<RecordBatch>) {
    let mut decoder = ObjectDecoder::default();
    let mut rows = Vec::new();
    let mut full = |batch| {
        rows.push(batch);
        Ok::<(), ArrowError>(())
    };
    let account = decoder.decode(input, "file:///o", text_max, &mut full).expect("taking a batch never fails");
    rows.extend(decoder.finish().expect("columns are of one length"));
    assert_eq!(account.read, account.kept + account.other + account.rejected, "a record is not accounted for");
    assert_eq!(account.kept, rows.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), "a row is missing");
    assert!(account.bytes_decompressed <= text_max, "more was inflated than is allowed");
    (account, rows)
}

/// What an account says.
fn told(account: &Account) -> impl PartialEq + std::fmt::Debug {
    let rejects: Vec<_> = account.rejects.iter().map(|reject| (reject.record_index, &reject.reason)).collect();
    (
        [account.read, account.kept, account.other, account.rejected],
        (account.first_event_time, account.last_event_time),
        account.problem.clone(),
        format!("{rejects:?}"),
    )
}

/// Holds one record against the reference.
fn compare(record: &[u8]) {
    let Ok(text) = std::str::from_utf8(record) else { return };
    if is_unsettled(text) {
        return;
    }
    let expected = reference::decode(text);
    match (decode(text), expected) {
        (Ok(Decoded::Kept(event)), Verdict::Kept(expected)) => {
            for (column, value) in rows::row(&event) {
                assert_eq!(Some(&value), expected.get(&column), "{column} of {text}");
            }
        }
        (Ok(Decoded::Other), Verdict::Other) | (Err(_), Verdict::Rejected) => {}
        (decoded, expected) => {
            let decoded = decoded.map(|decoded| matches!(decoded, Decoded::Kept(_)));
            panic!("kept: {decoded:?}, but by the reference {expected:?}: {text}")
        }
    }
}

/// Whether what the record means is not settled, so that the two may differ: surrogates that may lack their partner,
/// leap seconds, ARNs that are none, and contexts with a value of several members, whose order the reference sorts.
fn is_unsettled(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("\\ud")
        || lower.contains(":60")
        || serde_json::from_str(text).is_ok_and(|value| has_odd_arn(&value) || has_nested_context(&value))
}

/// Whether a value of an encryption context is no string: KMS takes none.
fn has_nested_context(value: &Value) -> bool {
    let contexts = ["encryptionContext", "sourceEncryptionContext", "destinationEncryptionContext"];
    let values =
        contexts.iter().filter_map(|name| value["requestParameters"][name].as_object()).flat_map(|it| it.values());
    values.into_iter().any(|value| value.is_object() || value.is_array())
}

/// What a resource begins with that says what it is.
const MARKS: [&str; 6] = [":assumed-role/", ":federated-user/", ":root", ":key/", ":role/", ":user/"];

/// Whether a string somewhere within is to be taken for an ARN, but does not have all its parts.
fn has_odd_arn(value: &Value) -> bool {
    match value {
        Value::String(text) => (text.contains("arn") || MARKS.iter().any(|mark| text.contains(mark))) && !is_arn(text),
        Value::Array(items) => items.iter().any(has_odd_arn),
        Value::Object(members) => members.values().any(has_odd_arn),
        _ => false,
    }
}

fn is_arn(text: &str) -> bool {
    let ["arn", partition, service, region, account, resource] = text.splitn(6, ':').collect::<Vec<_>>()[..] else {
        return false;
    };
    // What a resource of these names means is said of one service's alone.
    let owner = match resource.split(['/', ':']).next() {
        Some("assumed-role" | "federated-user") => "sts",
        Some("role" | "user" | "root") => "iam",
        Some("key" | "alias") => "kms",
        _ => service,
    };
    let is_word = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let named = ![partition, service, resource].contains(&"") && [partition, service, region].into_iter().all(is_word);
    let owned = account.is_empty() || account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let once = !MARKS.iter().any(|mark| resource.contains(mark));
    named && owned && once && service == owner && resource.split(['/', ':']).all(|part| !part.is_empty())
}
