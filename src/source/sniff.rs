//! What a file of no known name begins with: whether it may hold records.
//!
//! ```text
//! first bytes ─► inflated, if gzip ─► `{ "` or `[ {` ─► it may
//! ```
//!
//! It looks at a few bytes only, and promises nothing of the rest: the decoder accounts for that.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

/// Bytes that are looked at, before and after inflating.
const BEGINNING_BYTES: u64 = 4096;

/// Whether a file begins like JSON records, plain or as gzip. One that cannot be read may: who reads it says why not.
pub(super) fn may_hold_records(path: &Path) -> bool {
    beginning(path).is_none_or(|text| is_json_of_objects(&text))
}

/// The first bytes, inflated if need be; nothing where there is no reading them.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    // A pipe would be waited for, and what is not a plain file is no log; nor is a link that leads nowhere.
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Some(Vec::new());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(BEGINNING_BYTES).read_to_end(&mut bytes)).ok()?;
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return Some(bytes);
    }
    Some(inflated(&bytes))
}

/// As much as the beginning of a gzip member inflates to.
fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read: io::Result<usize> = GzDecoder::new(bytes).take(BEGINNING_BYTES).read_to_end(&mut text);
    // That the beginning ends early is no wonder; what was inflated by then is in the text.
    let _ = read;
    text
}

/// Whether a text begins with an object that has members, or with an array of objects.
fn is_json_of_objects(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut bytes = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    matches!((bytes.next(), bytes.next()), (Some(b'{'), Some(b'"')) | (Some(b'['), Some(b'{')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_known_by_how_they_begin() {
        for text in ["{\"Records\":[", "\u{feff}\n [ {\"eventVersion\"", "{\n  \"a\""] {
            assert!(is_json_of_objects(text.as_bytes()), "{text}");
        }
        for text in ["", "{", "[![badge](x)]", "[package]", "{{ template }}", "# title", "PK\x03\x04", "\"a\"", "[1]"] {
            assert!(!is_json_of_objects(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn gzip_is_looked_into_however_early_the_beginning_ends() {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gzip.write_all(&[b"{\"Records\":[".as_slice(), &[b' '; 9000]].concat()).unwrap();
        let bytes = gzip.finish().unwrap();
        let cut = &bytes[..usize::try_from(BEGINNING_BYTES).unwrap()];
        assert!(is_json_of_objects(&inflated(cut)));
        assert!(!is_json_of_objects(&inflated(&bytes[..8])));
    }
}
