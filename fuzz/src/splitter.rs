//! The splitter: what it finds does not depend on how the bytes arrive, and it never asks for unbounded memory.

use crate::cloudtrail::split::{Damage, Member, RECORD_BYTES_MAX, Splitter, Step};
use crate::input;

/// One step, with bytes of its own.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A record: its bytes, source and name.
    Record(Vec<u8>, String, String),
    /// A stretch that is none.
    Damaged(Vec<u8>, Damage),
}

/// Feeds the input at once and in pieces, and compares.
///
/// # Panics
/// On a finding.
pub fn check(bytes: &[u8]) {
    let Some((text, manner)) = input::split(bytes) else { return };
    // A splitter that waits for the end of a record scans it again with each piece, so pieces grow with the text.
    let least = text.len() / if text.len() > RECORD_BYTES_MAX / 4 { 8 } else { 64 } + 1;
    let longest = least * [1, 2, 5, 16, 64, 200, 1000, 5000][usize::from(manner % 8)];
    let whole = steps(&text, std::iter::repeat(text.len().max(1)), text.len());
    let pieces = steps(&text, input::pieces(manner, longest).map(|piece| piece.max(least)), longest);
    if has_long_string(&text) {
        return;
    }
    assert_eq!(whole, pieces, "the steps depend on the pieces, of at most {longest} bytes");
}

/// Whether a string may be longer than a record. Outside `Records` the splitter does not wait for the end of one, and
/// what it finds behind it depends on the pieces.
fn has_long_string(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'"').any(|between| between.len() > RECORD_BYTES_MAX / 4)
}

/// Every record and damage of a text that arrives in pieces.
pub fn steps(text: &[u8], mut pieces: impl Iterator<Item = usize>, longest: usize) -> Vec<Found> {
    let mut splitter = Splitter::default();
    let mut window: Vec<u8> = Vec::new();
    let mut arrived = 0;
    let mut found = Vec::new();
    loop {
        let last = arrived == text.len();
        let (used, step) = splitter.next(&window, last);
        assert!(used <= window.len(), "more is used than there is");
        match step {
            Step::Record(record) => {
                assert!(record.bytes.len() <= RECORD_BYTES_MAX, "a record is too long");
                assert!(record.bytes.starts_with(b"{") && record.bytes.ends_with(b"}"), "a record is no object");
                assert!(used > 0, "a record uses nothing up");
                found.push(Found::Record(record.bytes.to_vec(), member(record.source), member(record.name)));
            }
            Step::Damaged { bytes, why } => {
                assert!(used > 0 || last, "damage uses nothing up");
                found.push(Found::Damaged(bytes.to_vec(), why));
            }
            Step::More => {
                assert!(!last, "more is asked for after the end");
                window.drain(..used);
                assert!(window.len() <= RECORD_BYTES_MAX, "the window grows without bound");
                let end = text.len().min(arrived + pieces.next().unwrap_or(1));
                window.extend_from_slice(&text[arrived..end]);
                assert!(window.len() <= RECORD_BYTES_MAX + longest);
                arrived = end;
                continue;
            }
            Step::End => {
                assert!(last, "the end is before the last byte");
                return found;
            }
        }
        window.drain(..used);
        assert!(found.len() <= text.len() + 2, "there are more steps than bytes");
    }
}

fn member(member: Member<'_>) -> String {
    match member {
        Member::Absent => "absent".to_owned(),
        Member::Unclear => "unclear".to_owned(),
        Member::Plain(text) => format!("plain {}", String::from_utf8_lossy(text)),
    }
}
