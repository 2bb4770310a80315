//! Hashes of what is inside an object, and hexadecimal digits.
//!
//! A digest vouches for the *uncompressed* bytes of a log (facts §7.4), all of those that a reader would see: bytes behind
//! the end of the gzip stream, and a second stream there, are not passed over.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::bufread::GzDecoder;

use crate::cloudtrail::inflate::{GzipDamage, TextStream};

/// How much is inflated at a time.
const PIECE: usize = 64 * 1024;

/// What is inside an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// SHA-256 of the inflated bytes, in lower-case hexadecimal digits.
    Hash(String),
    /// It cannot be inflated.
    Damaged(GzipDamage),
    /// It is larger, inflated, than the bound.
    TooLarge,
}

/// The hash of what is inside an object, gzip or plain, at most `max` bytes of it.
#[must_use]
pub fn inside(object: &[u8], max: u64) -> Inside {
    match TextStream::new(object).map(|text| text.take(max + 1)) {
        Ok(mut text) => hashed(&mut text, max),
        // Reading from memory has no other way to fail.
        Err(_) => Inside::Damaged(GzipDamage::Cut),
    }
}

fn hashed(text: &mut impl Read, max: u64) -> Inside {
    let (mut context, mut piece, mut total) = (Context::new(&SHA256), vec![0; PIECE], 0);
    loop {
        match text.read(&mut piece) {
            Ok(0) => return Inside::Hash(hex(context.finish().as_ref())),
            Ok(read) => {
                total += read as u64;
                context.update(&piece[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Inside::Damaged(GzipDamage::of(&error).unwrap_or(GzipDamage::Corrupt)),
        }
        if total > max {
            return Inside::TooLarge;
        }
    }
}

/// The hash of the first gzip stream of an object alone: with it, what was appended is told from what was changed.
#[must_use]
pub fn first_member(object: &[u8], max: u64) -> Option<String> {
    match hashed(&mut GzDecoder::new(object).take(max + 1), max) {
        Inside::Hash(hash) => Some(hash),
        _ => None,
    }
}

/// Inflated bytes of a small object, such as a digest.
///
/// # Errors
/// When it cannot be inflated or is larger than `max`.
pub fn inflated(object: &[u8], max: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    TextStream::new(object)?.take(max + 1).read_to_end(&mut text)?;
    if text.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any digest"));
    }
    Ok(text)
}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes that hexadecimal digits of either case stand for.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn gzip(text: &str, level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_counts_is_what_is_inside() {
        assert_eq!(sha256(b"abc"), ABC);
        for object in [gzip("abc", 1), gzip("abc", 9), [gzip("a", 1), gzip("bc", 1)].concat(), b"abc".to_vec()] {
            assert_eq!(inside(&object, 3), Inside::Hash(ABC.to_owned()));
        }
        assert_eq!(inside(&gzip("abc", 1), 2), Inside::TooLarge);
    }

    #[test]
    fn what_follows_a_stream_is_not_passed_over() {
        let appended = [gzip("abc", 1), gzip("more", 1)].concat();
        assert_ne!(inside(&appended, 100), Inside::Hash(ABC.to_owned()));
        assert_eq!(first_member(&appended, 100).as_deref(), Some(ABC));
        assert_eq!(inside(&[&gzip("abc", 1)[..], b"more"].concat(), 100), Inside::Damaged(GzipDamage::Trailing));
        assert_eq!(inside(&gzip("abc", 1)[..12], 100), Inside::Damaged(GzipDamage::Cut));
        assert!(inflated(&gzip("abcd", 1), 3).is_err() && inflated(&gzip("abc", 1), 3).unwrap() == b"abc");
    }

    #[test]
    fn digits_and_bytes_are_one_and_the_same() {
        assert_eq!(from_hex("00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(hex(&[0, 255, 161]), "00ffa1");
        for no_bytes in ["0", "0g", "é0", "0x10"] {
            assert_eq!(from_hex(no_bytes), None, "{no_bytes}");
        }
    }
}
