//! One record of an object, byte for byte as it is written there.
//!
//! The lake keeps of a record what answers questions; who needs the rest, reads it again. Records are counted as ingest
//! counts them, so that `record_index` finds the same one.

use std::io::Read;

use super::inflate::TextStream;
use super::split::{Splitter, Step};

/// An object's text, up to `text_max` bytes of it; what is damaged ends it.
#[must_use]
pub fn text(object: &[u8], text_max: u64) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(stream) = TextStream::new(object) {
        // What was inflated before the damage is there.
        let _ = stream.take(text_max).read_to_end(&mut text);
    }
    text
}

/// The record at a place among a text's records; nothing when there are fewer, or it is damaged.
#[must_use]
pub fn record(text: &[u8], index: u64) -> Option<&[u8]> {
    let (mut splitter, mut at, mut passed) = (Splitter::default(), 0, 0);
    loop {
        let (used, step) = splitter.next(&text[at..], true);
        let found = match step {
            Step::Record(record) => Some(record.bytes),
            Step::Damaged { .. } => None,
            Step::More | Step::End => return None,
        };
        if passed == index {
            return found;
        }
        (at, passed) = (at + used, passed + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_by_its_place() {
        let object = br#"{"Records":[{"eventSource":"a"}, {"eventSource" : "b"},{"eventSource":"c","x":}]}"#;
        let whole = text(object, 1000);
        assert_eq!(whole, object);
        assert_eq!(record(&whole, 0), Some(&br#"{"eventSource":"a"}"#[..]));
        assert_eq!(record(&whole, 1), Some(&br#"{"eventSource" : "b"}"#[..]));
        assert_eq!(record(&whole, 3), None);
        assert_eq!(text(object, 10), object[..10]);
    }
}
