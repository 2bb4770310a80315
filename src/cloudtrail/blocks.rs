//! Where an object ends, 64 bytes at a time: the quick scan for records of the usual form.
//!
//! A block becomes masks of one bit per byte (quotes, backslashes, brackets that open or close, the rest of the usual
//! punctuation), as simdjson does it. A prefix sum of the unescaped quotes is the mask of "inside a
//! string"; what remains are the brackets that matter, some twenty per kilobyte.
//!
//! This scan answers only when it is sure of where the record ends. The source and name it gives are the first that the
//! record says; that it says them once is for whoever drops a record by them to check. Whatever is unusual (unbalanced, deep, long, an escape that could spell a
//! member's name, members in another order) is `None`, and [`scan`](super::scan) looks at the record byte by byte.
//! `scan`'s tests hold the two against each other.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use wide::u8x16;

use super::scan::{Scan, is_json_between_strings};
use super::split::{DEPTH_MAX, Member, RECORD_BYTES_MAX};

const BLOCK: usize = 64;

/// Stretches of a record's own level that are remembered: one more than it has nested members.
const STRETCHES_MAX: usize = 24;

static SOURCE_MEMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventSource\":\""));

/// One bit per byte of a block.
struct Masks {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
    /// Anything else than these, a comma, a colon or a blank: between strings that is a number, a literal or a fault.
    rest: u64,
}

impl Masks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quote: 0, backslash: 0, open: 0, close: 0, rest: 0 };
        let (lanes, _) = block.as_chunks::<16>();
        for (at, lane) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*lane);
            let bits = |equal: u8x16| u64::from(equal.to_bitmask()) << (16 * at);
            let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            // Brackets and braces differ in one bit.
            let folded = bytes | u8x16::splat(0x20);
            let (open, close) = (folded.simd_eq(u8x16::splat(b'{')), folded.simd_eq(u8x16::splat(b'}')));
            let quote = is(b'"');
            masks.quote |= bits(quote);
            masks.backslash |= bits(is(b'\\'));
            masks.open |= bits(open);
            masks.close |= bits(close);
            masks.rest |= bits(!(quote | open | close | is(b',') | is(b':') | is(b' ')));
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

/// The stretches of the record's own level, outside its nested members.
struct Stretches {
    from: [usize; STRETCHES_MAX],
    to: [usize; STRETCHES_MAX],
    count: usize,
}

impl Stretches {
    fn hold(&self, at: usize) -> bool {
        (0..self.count).any(|stretch| self.from[stretch] <= at && at < self.to[stretch])
    }
}

/// Scans the object that begins at `text[0]`, or says nothing.
pub(super) fn scan(text: &[u8]) -> Option<Scan<'_>> {
    let mut stretches = Stretches { from: [0; STRETCHES_MAX], to: [0; STRETCHES_MAX], count: 0 };
    let (mut depth, mut objects) = (0_usize, 0_u128);
    let (mut carry, mut in_string, mut backslashes) = (0_u64, 0_u64, 0_u64);
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
        let mut brackets = (masks.open | masks.close) & !strings;
        let mut end = BLOCK;
        while brackets != 0 {
            let bit = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            let at = offset + bit;
            if masks.open >> bit & 1 == 1 {
                if depth == DEPTH_MAX {
                    return None;
                }
                if depth == 1 {
                    stretches.to[stretches.count] = at;
                    stretches.count += 1;
                }
                depth += 1;
                objects = objects << 1 | u128::from(text[at] == b'{');
            } else {
                if objects & 1 != u128::from(text[at] == b'}') {
                    return None;
                }
                objects >>= 1;
                depth -= 1;
                if depth == 0 {
                    stretches.to[stretches.count] = at;
                    stretches.count += 1;
                    end = bit + 1;
                    break;
                }
            }
            if depth == 1 {
                if stretches.count + 1 >= STRETCHES_MAX {
                    return None;
                }
                stretches.from[stretches.count] = at + 1;
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
            return closed(text, offset + end, &stretches, backslashes != 0);
        }
        offset += BLOCK;
    }
    None
}

fn closed<'b>(text: &'b [u8], len: usize, stretches: &Stretches, backslashes: bool) -> Option<Scan<'b>> {
    let record = text.get(..len).filter(|record| record.len() <= RECORD_BYTES_MAX)?;
    if backslashes && memmem::find(record, b"\\u").is_some() {
        return None;
    }
    let at = usual_place(record, stretches).or_else(|| SOURCE_MEMBER.find(record))?;
    let from = at + SOURCE_MEMBER.needle().len();
    // A quote behind a backslash is text that only looks like the member.
    if record[at - 1] == b'\\' || !stretches.hold(at) {
        return None;
    }
    let source = plain(&record[from..])?;
    let rest = &record[from + source.len() + 1..];
    let name = rest.strip_prefix(b",\"eventName\":\"").and_then(plain).map_or(Member::Unclear, Member::Plain);
    Some(Scan::Closed { len, source: Member::Plain(source), name })
}

/// Where `eventSource` stands in nearly every record: behind `userIdentity` and `eventTime`.
fn usual_place(record: &[u8], stretches: &Stretches) -> Option<usize> {
    const TIME: &[u8] = b",\"eventTime\":\"2023-07-10T12:07:55Z\",";
    let from = *stretches.from[..stretches.count].get(1)?;
    let behind = record.get(from..)?;
    let found = behind.starts_with(&TIME[..14]) && behind.get(TIME.len()..)?.starts_with(SOURCE_MEMBER.needle());
    // Nothing but the eight fields of a time may stand in between, or it could hold a quote.
    let time = found && behind[14..TIME.len() - 2].iter().all(|byte| byte.is_ascii_digit() || b"-:TZ".contains(byte));
    (time && behind[TIME.len() - 2..].starts_with(b"\",")).then_some(from + TIME.len())
}

/// The text up to the closing quote, if it has no escapes.
fn plain(text: &[u8]) -> Option<&[u8]> {
    let value = &text[..memchr::memchr(b'"', text)?];
    (!value.contains(&b'\\')).then_some(value)
}
