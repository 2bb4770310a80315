//! From the fuzzer's bytes to an object's text and the manner in which it is fed.

use crate::cloudtrail::split::RECORD_BYTES_MAX;

/// Manners from here on ask for repetition. They are few, because long texts are slow.
const LONG: u8 = 0xF0;

/// Where this byte stands, the one before it is meant [`REPEATED`] times.
const REPEAT: u8 = 0x1A;

/// A quarter of the longest record: the fuzzer's own inputs are small, and some bounds are far away.
const REPEATED: usize = RECORD_BYTES_MAX / 4;

/// Repetitions in one input that are honoured, enough to pass the longest record.
const REPEATS_MAX: usize = 5;

/// The text of an input, and the byte that says how to feed it. The last byte it is, so that a seed is a plain file:
/// the newline at its end.
pub fn split(bytes: &[u8]) -> Option<(Vec<u8>, u8)> {
    let (&manner, text) = bytes.split_last()?;
    let text = if manner < LONG { text.to_vec() } else { expanded(text) };
    Some((text, manner))
}

fn expanded(text: &[u8]) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(text.len());
    let mut repeats = 0;
    for &byte in text {
        match expanded.last() {
            Some(&before) if byte == REPEAT && repeats < REPEATS_MAX => {
                repeats += 1;
                expanded.resize(expanded.len() + REPEATED, before);
            }
            _ => expanded.push(byte),
        }
    }
    expanded
}

/// Lengths of pieces, without end: drawn from a seed, none above `longest` and none below 1.
pub fn pieces(seed: u8, longest: usize) -> impl Iterator<Item = usize> {
    let mut state = u64::from(seed) << 8 | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        1 + usize::try_from(state >> 33).unwrap_or_default() % longest
    })
}
