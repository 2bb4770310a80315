//! Cases for whole objects: forms, bounds and everything that may be wrong with one.

use std::io::Write;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::Int32Type;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn record(id: u32) -> String {
    format!(
        r#"{{"eventID":"{id}","eventTime":"2023-07-10T12:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt"}}"#
    )
}

fn other() -> &'static str {
    r#"{"eventID":"o","eventTime":"2023-07-10T12:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances"}"#
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn account_of(input: Input<'_>, text_max: u64) -> (Account, usize) {
    let mut decoder = ObjectDecoder::default();
    let mut rows = 0;
    let account = decoder
        .decode::<ArrowError>(input, "file:///o", text_max, &mut |batch| {
            rows += batch.num_rows();
            Ok(())
        })
        .unwrap();
    rows += decoder.finish().unwrap().map_or(0, |batch| batch.num_rows());
    assert_eq!(rows as u64, account.kept);
    (account, rows)
}

/// The id and operation of each row as well.
fn rows_of(input: Input<'_>, text_max: u64) -> (Account, Vec<(String, String)>) {
    let mut decoder = ObjectDecoder::default();
    let account = decoder.decode::<ArrowError>(input, "file:///o", text_max, &mut |_| Ok(())).unwrap();
    let Some(batch) = decoder.finish().unwrap() else { return (account, Vec::new()) };
    let ids = batch.column_by_name("event_id").unwrap().as_string::<i32>();
    let names = batch.column_by_name("event_name").unwrap().as_dictionary::<Int32Type>();
    let names = names.downcast_dict::<StringArray>().unwrap();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (account, ids.iter().zip(names).map(|(id, name)| (text(id), text(name))).collect())
}

/// The account of an object, which must not depend on how its bytes come.
fn account(object: &[u8], text_max: u64) -> Account {
    let (whole, _) = account_of(Input::Whole(object), text_max);
    let (streamed, _) = account_of(Input::Stream(&mut { object }), text_max);
    assert_eq!(
        (whole.read, whole.kept, whole.other, whole.rejected, &whole.problem),
        (streamed.read, streamed.kept, streamed.other, streamed.rejected, &streamed.problem)
    );
    whole
}

const MAX: u64 = 1 << 30;

#[test]
fn every_record_is_kept_other_or_rejected() {
    let text =
        format!(r#"{{"Records":[{},{},{{"eventSource":"kms.amazonaws.com"}},{}]}}"#, record(1), other(), record(2));
    for object in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        let account = account(&object, MAX);
        assert_eq!((account.read, account.kept, account.other, account.rejected), (4, 2, 1, 1));
        assert_eq!(account.rejects[0].record_index, Some(2));
        assert_eq!(account.rejects[0].reason, "no eventName");
    }
}

#[test]
fn several_members_are_one_object() {
    let text = format!("[{},{}]", record(1), record(2));
    let (head, tail) = text.as_bytes().split_at(100);
    assert_eq!(account(&[gzip(head), gzip(tail)].concat(), MAX).kept, 2);
}

#[test]
fn the_readable_part_of_a_damaged_object_counts_and_the_damage_is_named() {
    let many: Vec<String> = (0..2000).map(record).collect();
    let text = format!(r#"{{"Records":[{}]}}"#, many.join(","));
    let object = gzip(text.as_bytes());
    let cut = account(&object[..object.len() / 2], MAX);
    assert!(cut.kept > 100 && cut.rejected == 1, "{}", cut.kept);
    assert_eq!(cut.problem.as_deref(), Some("gzip ends too early"));
    let trailing = account(&[object.clone(), b"garbage".to_vec()].concat(), MAX);
    assert_eq!((trailing.kept, trailing.rejected), (2000, 0));
    assert_eq!(trailing.problem.as_deref(), Some("unexpected data after the end of the gzip stream"));
    let bomb = account(&gzip(&vec![b' '; 4 << 20]), 1 << 20);
    assert!(bomb.problem.unwrap().contains("--max-object-bytes"));
    for (object, problem) in [
        (Vec::new(), "empty object"),
        (gzip(b""), "empty object"),
        (b"hello".to_vec(), "neither gzip nor JSON"),
        (gzip(b"hello"), "not JSON"),
        (vec![0x1F, 0x8B, 0xFF, 0xFF, 0xFF], "gzip"),
    ] {
        let account = account_of(Input::Whole(&object), MAX).0;
        assert!(account.problem.as_deref().is_some_and(|found| found.contains(problem)), "{:?}", account.problem);
        assert_eq!(account.kept, 0);
    }
}

/// Every bit of an object may flip; what is kept is what was written, or nothing.
#[test]
fn a_corrupt_object_never_becomes_events() {
    let text = format!("[{},{}]", record(1), record(2).replace("Decrypt", "Encrypt"));
    let object = gzip(text.as_bytes());
    for at in 10..object.len() {
        for bit in 0..8 {
            let mut object = object.clone();
            object[at] ^= 1 << bit;
            let (account, rows) = rows_of(Input::Whole(&object), MAX);
            // The bits between the last block and the checksum mean nothing.
            assert!(account.problem.is_some() || rows.len() == 2, "byte {at}, bit {bit}");
            let names = rows.iter().map(|(id, name)| (id.as_str(), name.as_str()));
            assert!(
                names.clone().all(|row| [("1", "Decrypt"), ("2", "Encrypt")].contains(&row)),
                "{at}, {bit}: {rows:?}"
            );
        }
    }
}

#[test]
fn invalid_utf8_is_rejected_and_its_neighbours_are_kept() {
    let mut text = format!("[{},", record(1)).into_bytes();
    text.extend_from_slice(b"{\"eventSource\":\"kms.amazonaws.com\",\"eventName\":\"De\xFFcrypt\"}");
    text.extend_from_slice(format!(",{}]", record(2)).as_bytes());
    let account = account(&text, MAX);
    assert_eq!((account.kept, account.rejected), (2, 1));
    assert_eq!(account.rejects[0].reason, "invalid UTF-8");
}

#[test]
fn half_a_character_does_not_hide_a_call() {
    let agent = r#""eventID":"1","userAgent":"a\ud83d\\\ud83d\ude00\uDE00","#;
    let text = format!("[{}]", record(1).replace(r#""eventID":"1","#, agent));
    assert_eq!(account(text.as_bytes(), MAX).kept, 1);
    assert_eq!(without_lone_surrogates(r"\\ud83d \ud83d\ude00 \n\"), r"\\ud83d \ud83d\ude00 \n\");
    assert_eq!(without_lone_surrogates(r"\ud83dx\ude00é\é"), r"\uFFFDx\uFFFDé\é");
}

#[test]
fn a_rejected_record_is_kept_aside_without_its_session_token() {
    let text = r#"[{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole","x":{"sessionToken":"s3cret"}}]"#;
    let account = account(text.as_bytes(), MAX);
    let raw = String::from_utf8(account.rejects[0].raw.clone().unwrap()).unwrap();
    assert!(raw.contains("REDACTED") && !raw.contains("s3cret"), "{raw}");
}
