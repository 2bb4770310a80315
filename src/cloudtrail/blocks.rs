//! Where an object ends, 64 bytes at a time: the quick scan for records of the usual form.
//!
//! A block becomes masks of one bit per byte (quotes, backslashes, brackets that open or close, the rest of the usual
//! punctuation), as simdjson does it. A prefix sum of the unescaped quotes is the mask of "inside a
//! string"; what remains are the brackets that matter, some twenty per kilobyte.
//!
//! This scan answers only when it is sure of where the record ends and when the record's members stand in CloudTrail's own
//! order. The source and name it gives are the first that the record says; that it says them once is for whoever drops a
//! record by them to check. Whatever is unusual (unbalanced, deep, long, an escape that could spell a member's name,
//! members in another order) is `None`, and [`scan`](super::scan) looks at the record byte by byte. The tests hold the two
//! against each other.

use memchr::memmem;
use wide::u8x16;

use super::scan::{DEPTH_MAX, Member, RECORD_BYTES_MAX, Scan, is_json_between_strings};

const BLOCK: usize = 64;

/// One bit per byte of a block.
struct Masks {
    quote: u64,
    backslash: u64,
    /// Brackets and braces that open or close.
    bracket: u64,
    /// Anything else than these, a comma, a colon or a blank: between strings that is a number, a literal or a fault.
    rest: u64,
}

impl Masks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quote: 0, backslash: 0, bracket: 0, rest: 0 };
        let (lanes, _) = block.as_chunks::<16>();
        for (at, lane) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*lane);
            let bits = |equal: u8x16| u64::from(equal.to_bitmask()) << (16 * at);
            let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            // Brackets and braces differ in one bit.
            let folded = bytes | u8x16::splat(0x20);
            let bracket = folded.simd_eq(u8x16::splat(b'{')) | folded.simd_eq(u8x16::splat(b'}'));
            let quote = is(b'"');
            masks.quote |= bits(quote);
            masks.backslash |= bits(is(b'\\'));
            masks.bracket |= bits(bracket);
            masks.rest |= bits(!(quote | bracket | is(b',') | is(b':') | is(b' ')));
        }
        masks
    }
}

/// Which bytes are escaped by a backslash before them; `carry` says whether the block's first byte is.
fn escaped(backslash: u64, carry: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslash = backslash & !*carry;
    let follows = backslash << 1 | *carry;
    let odd_starts = backslash & !EVEN & !follows;
    let (on_even, overflow) = odd_starts.overflowing_add(backslash);
    *carry = u64::from(overflow);
    (EVEN ^ (on_even << 1)) & follows
}

/// Bit n is the parity of bits 0 to n.
fn prefix_parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Scans the object that begins at `text[0]`, or says nothing.
pub(super) fn scan(text: &[u8]) -> Option<Scan<'_>> {
    let (mut depth, mut objects) = (0_usize, 0_u128);
    let (mut carry, mut in_string, mut backslashes) = (0_u64, 0_u64, 0_u64);
    // Where the first nested member ends: `userIdentity`.
    let mut identity_end = 0;
    let mut offset = 0;
    while offset < text.len() && offset <= RECORD_BYTES_MAX {
        let masks = if let Some(block) = text[offset..].first_chunk::<BLOCK>() {
            Masks::of(block)
        } else {
            let mut block = [b' '; BLOCK];
            block[..text.len() - offset].copy_from_slice(&text[offset..]);
            Masks::of(&block)
        };
        backslashes |= masks.backslash;
        let escaped = if masks.backslash | carry == 0 { 0 } else { escaped(masks.backslash, &mut carry) };
        let strings = prefix_parity(masks.quote & !escaped) ^ in_string;
        in_string = if strings >> 63 == 1 { u64::MAX } else { 0 };
        let mut brackets = masks.bracket & !strings;
        let mut end = BLOCK;
        while brackets != 0 {
            let bit = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            let bracket = text[offset + bit];
            let of_object = u128::from(bracket & 0x20 != 0);
            // An opening one has this bit clear: 5B and 7B against 5D and 7D.
            if bracket & 4 == 0 {
                if depth == DEPTH_MAX {
                    return None;
                }
                depth += 1;
                objects = objects << 1 | of_object;
            } else {
                if objects & 1 != of_object {
                    return None;
                }
                objects >>= 1;
                depth -= 1;
                if depth == 0 {
                    end = bit + 1;
                    break;
                }
                if depth == 1 && identity_end == 0 {
                    identity_end = offset + bit + 1;
                }
            }
        }
        let within = if end == BLOCK { u64::MAX } else { (1 << end) - 1 };
        let mut rest = masks.rest & !strings & within;
        while rest != 0 {
            if !is_json_between_strings(text[offset + rest.trailing_zeros() as usize]) {
                return None;
            }
            rest &= rest - 1;
        }
        if depth == 0 {
            return closed(text, offset + end, identity_end, backslashes != 0);
        }
        offset += BLOCK;
    }
    None
}

fn closed(text: &[u8], len: usize, identity_end: usize, backslashes: bool) -> Option<Scan<'_>> {
    let record = text.get(..len).filter(|record| record.len() <= RECORD_BYTES_MAX)?;
    if backslashes && memmem::find(record, b"\\u").is_some() {
        return None;
    }
    let behind_time = behind_time(record.get(identity_end..).filter(|_| identity_end > 0)?)?;
    let behind = behind_time.strip_prefix(b"\"eventSource\":\"")?;
    let source = plain(behind)?;
    let rest = &behind[source.len() + 1..];
    let name = rest.strip_prefix(b",\"eventName\":\"").and_then(plain)?;
    Some(Scan::Closed { len, source: Member::Plain(source), name: Member::Plain(name) })
}

/// What stands behind `eventTime`, where that follows `userIdentity` as CloudTrail writes it.
fn behind_time(behind: &[u8]) -> Option<&[u8]> {
    let (time, behind) = behind.strip_prefix(b",\"eventTime\":\"")?.split_at_checked("2023-07-10T12:07:55Z".len())?;
    // Nothing but the eight fields of a time may stand in it, or it could hold a quote.
    let is_time = time.iter().all(|byte| byte.is_ascii_digit() || b"-:TZ".contains(byte));
    if is_time { behind.strip_prefix(b"\",") } else { None }
}

/// The text up to the closing quote, if it has no escapes.
fn plain(text: &[u8]) -> Option<&[u8]> {
    let value = &text[..memchr::memchr(b'"', text)?];
    (!value.contains(&b'\\')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::scan as quick;
    use super::*;

    const RECORD: &str = r#"{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"a"},"eventTime":"2023-07-10T12:07:55Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","x":[1,{"y":"}\"]"},-1.5E3,true,null],"z":"\\"}"#;

    #[allow(clippy::needless_pass_by_value, reason = "made to be called on what was just scanned")]
    fn closed(scan: Scan<'_>) -> Option<(usize, Member<'_>, Member<'_>)> {
        match scan {
            Scan::Closed { len, source, name } => Some((len, source, name)),
            _ => None,
        }
    }

    #[test]
    fn the_block_scan_reads_the_usual_form() {
        let fast = quick(RECORD.as_bytes()).and_then(closed).unwrap();
        assert_eq!(fast, closed(scan::scan(RECORD.as_bytes(), true, false)).unwrap());
        assert_eq!(fast.2, Member::Plain(b"RunInstances"));
    }

    /// Every way of changing one byte, at every place in a block: the block scan may say less, and nothing else.
    #[test]
    fn the_block_scan_says_nothing_that_the_exact_scan_does_not() {
        for pad in (0..64).step_by(7) {
            let record = RECORD.replacen("Root", &"R".repeat(pad), 1);
            for at in 1..record.len() {
                for byte in [b'"', b'\\', b'{', b'}', b'[', b']', b'Q', b'u'] {
                    let mut text = record.clone().into_bytes();
                    text[at] = byte;
                    let Some((len, source, name)) = quick(&text).and_then(closed) else { continue };
                    let exact = closed(scan::scan(&text, true, false)).unwrap_or_else(|| panic!("{text:?}"));
                    let shown = String::from_utf8_lossy(&text);
                    assert_eq!(len, exact.0, "{shown}");
                    // What closes and is no JSON is found out by parsing, whatever its members seem to be.
                    if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() {
                        assert!(source == exact.1 || exact.1 == Member::Unclear, "{shown}");
                        assert!(name == exact.2 || exact.2 == Member::Unclear, "{shown}");
                    }
                }
            }
        }
    }
}
