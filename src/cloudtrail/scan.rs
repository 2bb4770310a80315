//! Where an object ends, and what its `eventSource` and `eventName` are: the exact scan, byte by byte between strings.
//!
//! The scan walks from quote to quote with `memchr`, so it never mistakes a brace inside a string for structure, and it
//! looks only at the few bytes between strings. It is the one that tells what is wrong with a record. Records of the
//! usual form are handled by [`blocks`](super::blocks), which says nothing unless it is sure.

use memchr::memchr_iter;

/// The longest record that is read: CloudTrail caps an event at 256 KB (facts §1.1).
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// The deepest nesting that is read, the record itself included; `serde_json` reads as deep.
pub const DEPTH_MAX: usize = 127;

/// Why a stretch of bytes is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The bytes end inside a record.
    #[error("the object ends inside a record")]
    Truncated,
    /// Brackets or quotes do not match, or something stands between strings that JSON does not have.
    #[error("broken JSON")]
    Broken,
    /// Longer than [`RECORD_BYTES_MAX`].
    #[error("record longer than 256 KiB")]
    TooLong,
    /// Nested deeper than 127 levels.
    #[error("record nested deeper than 127 levels")]
    TooDeep,
}

/// A top-level string member of a record, as far as the scan can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Member<'b> {
    /// The record has no such member.
    #[default]
    Absent,
    /// Its value, a string without escapes.
    Plain(&'b [u8]),
    /// Escaped, repeated or not a string: only parsing tells.
    Unclear,
}

/// What scanning an object came to.
#[derive(Debug)]
pub(super) enum Scan<'b> {
    /// It ends after `len` bytes.
    Closed {
        /// Bytes, braces included.
        len: usize,
        /// `eventSource`.
        source: Member<'b>,
        /// `eventName`.
        name: Member<'b>,
    },
    /// It is no record but the wrapper of some: its `Records` array begins after so many bytes.
    Records {
        /// Bytes up to and including the bracket.
        after: usize,
    },
    /// The text ends too early to tell.
    More,
    /// It is broken, `at` bytes from its start.
    Damaged {
        /// Bytes up to what is wrong.
        at: usize,
        /// What is wrong.
        why: Damage,
    },
}

/// Whether the quote at `at` follows an odd run of backslashes that begins at or after `start`.
fn is_escaped(text: &[u8], start: usize, at: usize) -> bool {
    if at == start || text[at - 1] != b'\\' {
        return false;
    }
    text[start..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// End of the string whose first byte after the quote is `window[start]`: the index behind its closing quote.
pub(super) fn string_end(window: &[u8], start: usize) -> Option<usize> {
    memchr_iter(b'"', &window[start..]).map(|at| start + at).find(|&at| !is_escaped(window, start, at)).map(|at| at + 1)
}

/// What follows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// An array, which begins behind so many bytes.
    Array(usize),
    /// Something else.
    Other,
    /// The text ends too early to tell.
    Unknown,
}

/// Looks at the text behind a key.
pub(super) fn value_after_key(text: &[u8]) -> Value {
    let mut wanted = b':';
    for (at, &byte) in text.iter().enumerate() {
        if byte.is_ascii_whitespace() {
            continue;
        }
        if byte != wanted {
            return Value::Other;
        }
        if wanted == b'[' {
            return Value::Array(at + 1);
        }
        wanted = b'[';
    }
    Value::Unknown
}

/// What a byte between strings means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bad,
    Pass,
    Colon,
    Comma,
    Open,
    Close,
    Quote,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Bad; 256];
    let pass = b" \t\r\n0123456789+-.eEtrufalsn";
    let mut at = 0;
    while at < pass.len() {
        classes[pass[at] as usize] = Class::Pass;
        at += 1;
    }
    classes[b'"' as usize] = Class::Quote;
    classes[b':' as usize] = Class::Colon;
    classes[b',' as usize] = Class::Comma;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes
};

/// What a byte means between strings.
pub(super) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether a byte may stand between strings.
pub(super) fn is_json_between_strings(byte: u8) -> bool {
    class(byte) != Class::Bad
}

/// Which member of the record the scan is in, when it stands on the record's own level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Nothing,
    Source,
    Name,
}

/// Progress through one object.
struct ObjectScan<'b> {
    text: &'b [u8],
    depth: usize,
    /// One bit per level: set for an object, clear for an array.
    objects: u128,
    /// The next string is a value, because a colon came after the last one.
    value: bool,
    awaited: Awaited,
    source: Member<'b>,
    name: Member<'b>,
}

/// Scans the object that begins at `text[0]`, a brace. `last` says that nothing follows the text; `find_records` that the
/// object may be a wrapper.
pub(super) fn scan(text: &[u8], last: bool, find_records: bool) -> Scan<'_> {
    let bounded = &text[..text.len().min(RECORD_BYTES_MAX + 1)];
    let mut scan = ObjectScan {
        text: bounded,
        depth: 0,
        objects: 0,
        value: false,
        awaited: Awaited::Nothing,
        source: Member::Absent,
        name: Member::Absent,
    };
    let mut at = 0;
    loop {
        let from = match scan.gap(at) {
            Ok(Gap::Closed(len)) if len > RECORD_BYTES_MAX => return Scan::Damaged { at: len, why: Damage::TooLong },
            Ok(Gap::Closed(len)) => return Scan::Closed { len, source: scan.source, name: scan.name },
            Ok(Gap::String(from)) => from,
            Ok(Gap::Unfinished) => break,
            Err((at, why)) => return Scan::Damaged { at, why },
        };
        let Some(close) = string_end(bounded, from).map(|end| end - 1) else { break };
        if scan.depth == 1 {
            let records = scan.member(from, close);
            if records && find_records {
                match value_after_key(&bounded[close + 1..]) {
                    Value::Array(after) => return Scan::Records { after: close + 1 + after },
                    Value::Other => {}
                    Value::Unknown => break,
                }
            }
        }
        at = close + 1;
    }
    if bounded.len() > RECORD_BYTES_MAX {
        Scan::Damaged { at: bounded.len(), why: Damage::TooLong }
    } else if last {
        Scan::Damaged { at: bounded.len(), why: Damage::Truncated }
    } else {
        Scan::More
    }
}

/// What ends the bytes between two strings.
enum Gap {
    /// The object closes, after so many bytes.
    Closed(usize),
    /// A string, whose first byte behind the quote this is.
    String(usize),
    /// Nothing: the text is at its end.
    Unfinished,
}

impl<'b> ObjectScan<'b> {
    /// Walks the bytes between two strings.
    fn gap(&mut self, from: usize) -> Result<Gap, (usize, Damage)> {
        for at in from..self.text.len() {
            let byte = self.text[at];
            match class(byte) {
                Class::Pass => {}
                Class::Colon => self.value = true,
                Class::Comma => {
                    self.value = false;
                    if self.depth == 1 {
                        self.leave_member();
                    }
                }
                Class::Open => {
                    if self.depth == DEPTH_MAX {
                        return Err((at, Damage::TooDeep));
                    }
                    self.objects = self.objects << 1 | u128::from(byte == b'{');
                    self.depth += 1;
                    self.value = false;
                }
                Class::Close => {
                    if self.objects & 1 != u128::from(byte == b'}') {
                        return Err((at, Damage::Broken));
                    }
                    self.objects >>= 1;
                    self.depth -= 1;
                    self.value = false;
                    if self.depth == 0 {
                        self.leave_member();
                        return Ok(Gap::Closed(at + 1));
                    }
                }
                Class::Quote => return Ok(Gap::String(at + 1)),
                Class::Bad => return Err((at, Damage::Broken)),
            }
        }
        Ok(Gap::Unfinished)
    }

    /// A member ended without the string that was awaited: its value is something else.
    fn leave_member(&mut self) {
        self.set(Member::Unclear);
    }

    fn set(&mut self, value: Member<'b>) {
        let member = match self.awaited {
            Awaited::Nothing => return,
            Awaited::Source => &mut self.source,
            Awaited::Name => &mut self.name,
        };
        // A repeated member is left to the parser, which takes the last one.
        *member = if *member == Member::Absent { value } else { Member::Unclear };
        self.awaited = Awaited::Nothing;
    }

    /// A string on the record's own level, from `from` up to its closing quote; whether it is the key `Records`.
    fn member(&mut self, from: usize, to: usize) -> bool {
        let text = &self.text[from..to];
        if self.value {
            if self.awaited != Awaited::Nothing {
                self.set(if text.contains(&b'\\') { Member::Unclear } else { Member::Plain(text) });
            }
            return false;
        }
        match text {
            b"eventSource" => self.awaited = Awaited::Source,
            b"eventName" => self.awaited = Awaited::Name,
            b"Records" => return true,
            // A key with such escapes could spell either name.
            _ if memchr::memmem::find(text, b"\\u").is_some() => {
                self.source = Member::Unclear;
                self.name = Member::Unclear;
            }
            _ => {}
        }
        false
    }
}
