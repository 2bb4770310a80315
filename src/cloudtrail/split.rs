//! Cuts the text of a log object into records without parsing them.
//!
//! ```text
//! window of bytes ──► Splitter::next ──► Record | Damaged | More | End
//! ```
//!
//! The scan walks from quote to quote with `memchr`, so it never mistakes a brace inside a string for structure, and it
//! looks only at the few bytes between strings. On the way it notes the record's own `eventSource` and `eventName`,
//! which is all that deciding "not ours" needs: nine records in ten are never parsed.
//!
//! Three forms are read: `{"Records":[…]}` with any other members in any order, a bare array, and values one after the
//! other (one record per line). What is not well-formed becomes a [`Step::Damaged`] stretch, and the scan goes on at the
//! next place where a whole record stands, so that one broken record does not take its neighbours with it.
//!
//! This file does no I/O, keeps no bytes, and does not check that a record is valid JSON: the decoder does.

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
    /// Nested deeper than [`DEPTH_MAX`].
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

/// A record's bytes and the two members that decide whether it is worth parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSlice<'b> {
    /// The whole object, from brace to brace.
    pub bytes: &'b [u8],
    /// `eventSource`.
    pub source: Member<'b>,
    /// `eventName`.
    pub name: Member<'b>,
}

/// What the scan came upon.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'b> {
    /// A record.
    Record(RecordSlice<'b>),
    /// A stretch that is no record; counted as one rejected record.
    Damaged {
        /// The bytes from where the record began to where it broke.
        bytes: &'b [u8],
        /// What is wrong with them.
        why: Damage,
    },
    /// The window ends before the next step: call again with more bytes after the ones not yet used.
    More,
    /// Nothing is left.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between top-level values.
    Top,
    /// Inside `Records`, or inside a bare array.
    Records { wrapped: bool },
    /// Inside the wrapping object but outside `Records`, `depth` levels deep.
    Wrapper { depth: usize },
}

/// The state of a scan over one object's text.
#[derive(Debug)]
pub struct Splitter {
    place: Place,
    /// After damage: look for the next whole record instead of trusting the structure.
    resync: bool,
    started: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { place: Place::Top, resync: false, started: false }
    }
}

enum Scan<'b> {
    Closed { len: usize, source: Member<'b>, name: Member<'b> },
    Records { after: usize },
    More,
    Damaged { at: usize, why: Damage },
}

impl Splitter {
    /// Takes the next step in `window`, the bytes not used so far; `last` says that no more will come.
    ///
    /// Returns how many bytes of the window are used up, and the step. A window longer than [`RECORD_BYTES_MAX`] always
    /// yields something other than `More` or uses bytes up, so a caller's buffer stays bounded.
    pub fn next<'b>(&mut self, window: &'b [u8], last: bool) -> (usize, Step<'b>) {
        let mut at = 0;
        if !self.started {
            if window.len() < 3 && !last {
                return (0, Step::More);
            }
            self.started = true;
            at = if window.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        }
        loop {
            let rest = &window[at..];
            let (used, step) = if self.resync {
                self.find_record(rest, last)
            } else {
                match self.place {
                    Place::Top => self.top(rest, last),
                    Place::Records { wrapped } => self.records(rest, last, wrapped),
                    Place::Wrapper { depth } => self.wrapper(rest, last, depth),
                }
            };
            at += used;
            if let Some(step) = step {
                return (at, step);
            }
        }
    }

    /// Whether the text so far is complete: no value has begun that has not ended.
    pub fn is_between_values(&self) -> bool {
        self.place == Place::Top && !self.resync
    }

    fn top<'b>(&mut self, window: &'b [u8], last: bool) -> (usize, Option<Step<'b>>) {
        let Some(at) = window.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return (window.len(), Some(if last { Step::End } else { Step::More }));
        };
        match window[at] {
            b'[' => {
                self.place = Place::Records { wrapped: false };
                (at + 1, None)
            }
            b'{' => self.object(window, at, last, true),
            _ => self.damaged(window, at, at + 1, Damage::Broken),
        }
    }

    fn records<'b>(&mut self, window: &'b [u8], last: bool, wrapped: bool) -> (usize, Option<Step<'b>>) {
        let Some(at) = window.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b',') else {
            return match last {
                false => (window.len(), Some(Step::More)),
                true => {
                    self.place = Place::Top;
                    (window.len(), Some(Step::Damaged { bytes: &[], why: Damage::Truncated }))
                }
            };
        };
        match window[at] {
            b']' => {
                self.place = if wrapped { Place::Wrapper { depth: 1 } } else { Place::Top };
                (at + 1, None)
            }
            b'{' => self.object(window, at, last, false),
            _ => self.damaged(window, at, at + 1, Damage::Broken),
        }
    }

    /// The object at `window[at]`: a record or, where `top` says that it may be one, the wrapper of `Records`.
    fn object<'b>(&mut self, window: &'b [u8], at: usize, last: bool, top: bool) -> (usize, Option<Step<'b>>) {
        let text = &window[at..];
        match scan_object(text, last, top) {
            Scan::Records { after } => {
                self.place = Place::Records { wrapped: true };
                (at + after, None)
            }
            Scan::Closed { len, source, name } => {
                (at + len, Some(Step::Record(RecordSlice { bytes: &text[..len], source, name })))
            }
            Scan::More => (at, Some(Step::More)),
            // A wrapper may hold more than a record may before its `Records`: walk it member by member.
            Scan::Damaged { why: Damage::TooLong, .. } if top => {
                self.place = Place::Wrapper { depth: 1 };
                (at + 1, None)
            }
            Scan::Damaged { at: broken, why } => self.damaged(window, at, at + broken, why),
        }
    }

    /// Reports `window[from..to]` and goes on behind its first byte, looking for a whole record.
    fn damaged<'b>(&mut self, window: &'b [u8], from: usize, to: usize, why: Damage) -> (usize, Option<Step<'b>>) {
        self.resync = true;
        let to = to.clamp(from + 1, window.len());
        (from + 1, Some(Step::Damaged { bytes: &window[from..to], why }))
    }

    /// Walks the wrapping object's members up to the next `Records` array or to its end.
    fn wrapper<'b>(&mut self, window: &'b [u8], last: bool, mut depth: usize) -> (usize, Option<Step<'b>>) {
        let mut at = 0;
        while at < window.len() {
            match window[at] {
                b'"' => {
                    let Some(end) = string_end(window, at + 1) else { break };
                    if depth == 1 && &window[at..end] == b"\"Records\"" {
                        match array_after_colon(&window[end..]) {
                            Some(Some(after)) => {
                                self.place = Place::Records { wrapped: true };
                                return (end + after, None);
                            }
                            None if !last => break,
                            _ => {}
                        }
                    }
                    at = end;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                self.place = Place::Top;
                return (at, None);
            }
        }
        self.place = Place::Wrapper { depth };
        if last {
            self.place = Place::Top;
            return (window.len(), Some(Step::Damaged { bytes: &[], why: Damage::Truncated }));
        }
        // A string longer than a record may be is not waited for: its rest is walked as if it were structure, which
        // at worst ends in damage that is reported.
        let used = if window.len() - at > RECORD_BYTES_MAX { window.len() } else { at };
        (used, Some(Step::More))
    }

    /// After damage: the next object that closes and names its source and operation is a record again.
    fn find_record<'b>(&mut self, window: &'b [u8], last: bool) -> (usize, Option<Step<'b>>) {
        for at in memchr_iter(b'{', window) {
            match scan_object(&window[at..], last, false) {
                Scan::Closed { len, source, name } if source != Member::Absent && name != Member::Absent => {
                    self.resync = false;
                    let bytes = &window[at..at + len];
                    return (at + len, Some(Step::Record(RecordSlice { bytes, source, name })));
                }
                Scan::More => return (at, Some(Step::More)),
                _ => {}
            }
        }
        (window.len(), Some(if last { Step::End } else { Step::More }))
    }
}

/// End of the string whose first byte after the quote is `window[start]`: the index behind its closing quote.
fn string_end(window: &[u8], start: usize) -> Option<usize> {
    memchr_iter(b'"', &window[start..]).map(|at| start + at).find(|&at| !is_escaped(window, start, at)).map(|at| at + 1)
}

/// Whether the quote at `at` follows an odd run of backslashes that begins at or after `start`.
fn is_escaped(text: &[u8], start: usize, at: usize) -> bool {
    if at == start || text[at - 1] != b'\\' {
        return false;
    }
    text[start..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// For the text behind a key: `Some(Some(n))` when `: [` follows and `n` bytes lead behind the bracket, `Some(None)`
/// when something else follows, `None` when the text ends too early to tell.
fn array_after_colon(text: &[u8]) -> Option<Option<usize>> {
    let mut wanted = b':';
    for (at, &byte) in text.iter().enumerate() {
        if byte.is_ascii_whitespace() {
            continue;
        }
        if byte != wanted {
            return Some(None);
        }
        if wanted == b'[' {
            return Some(Some(at + 1));
        }
        wanted = b'[';
    }
    None
}

/// What a byte between strings means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Bad,
    Pass,
    Colon,
    Comma,
    Open,
    Close,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Bad; 256];
    let pass = b" \t\r\n0123456789+-.eEtrufalsn";
    let mut at = 0;
    while at < pass.len() {
        classes[pass[at] as usize] = Class::Pass;
        at += 1;
    }
    classes[b':' as usize] = Class::Colon;
    classes[b',' as usize] = Class::Comma;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes
};

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

/// Scans the object that begins at `text[0]`, a brace.
fn scan_object(text: &[u8], last: bool, find_records: bool) -> Scan<'_> {
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
    let mut quotes = memchr_iter(b'"', bounded);
    let mut at = 0;
    loop {
        let open = quotes.next();
        match scan.gap(at, open.unwrap_or(bounded.len())) {
            Ok(Some(len)) if len > RECORD_BYTES_MAX => return Scan::Damaged { at: len, why: Damage::TooLong },
            Ok(Some(len)) => return Scan::Closed { len, source: scan.source, name: scan.name },
            Ok(None) => {}
            Err((at, why)) => return Scan::Damaged { at, why },
        }
        let Some(open) = open else { break };
        let Some(close) = quotes.find(|&close| !is_escaped(bounded, open + 1, close)) else { break };
        if scan.depth == 1 {
            let records = scan.member(open + 1, close);
            if records && find_records {
                match array_after_colon(&bounded[close + 1..]) {
                    Some(Some(after)) => return Scan::Records { after: close + 1 + after },
                    Some(None) => {}
                    None => break,
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

impl<'b> ObjectScan<'b> {
    /// Walks the bytes between two strings; `Some(len)` when the object closes there.
    fn gap(&mut self, from: usize, to: usize) -> Result<Option<usize>, (usize, Damage)> {
        for at in from..to {
            let byte = self.text[at];
            match CLASSES[byte as usize] {
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
                        return Ok(Some(at + 1));
                    }
                }
                Class::Bad => return Err((at, Damage::Broken)),
            }
        }
        Ok(None)
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
            // An escaped key could spell either name.
            _ if text.contains(&b'\\') => {
                self.source = Member::Unclear;
                self.name = Member::Unclear;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
