//! Cuts the text of a log object into records without parsing them.
//!
//! ```text
//! window of bytes ──► Splitter::next ──► Record | Damaged | More | End
//! ```
//!
//! A record ends where the scan (`scan.rs`) says. On the way the scan notes the record's own `eventSource` and
//! `eventName`, which is all that deciding "not ours" needs: most records are never parsed.
//!
//! Three forms are read: `{"Records":[…]}` with any other members in any order, a bare array, and values one after the
//! other (one record per line). What is not well-formed becomes a [`Step::Damaged`] stretch, and the scan goes on at the
//! next place where a whole record stands, so that one broken record does not take its neighbours with it.
//!
//! This file does no I/O, keeps no bytes, and does not check that a record is valid JSON: the decoder does.

use super::blocks;
use super::resync::{self, Found};
use super::scan::{self, Scan, Value, string_end, value_after_key};
pub use super::scan::{Damage, Member, RECORD_BYTES_MAX};

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
    /// Inside the wrapping object but outside `Records`, `depth` levels deep; `found` once it had `Records`.
    Wrapper { depth: usize, found: bool },
}

/// The state of a scan over one object's text.
#[derive(Debug)]
pub struct Splitter {
    place: Place,
    /// After damage: look for the next whole record instead of trusting the structure.
    resync: bool,
    /// Inside a string of the wrapper that is too long to wait for its end.
    in_long_string: bool,
    started: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { place: Place::Top, resync: false, in_long_string: false, started: false }
    }
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
                    Place::Wrapper { depth, found } => self.wrapper(rest, last, depth, found),
                }
            };
            at += used;
            if let Some(step) = step {
                return (at, step);
            }
        }
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
            return if last {
                self.place = Place::Top;
                (window.len(), Some(Step::Damaged { bytes: &[], why: Damage::Truncated }))
            } else {
                (window.len(), Some(Step::More))
            };
        };
        match window[at] {
            b']' => {
                self.place = if wrapped { Place::Wrapper { depth: 1, found: true } } else { Place::Top };
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
                self.place = Place::Wrapper { depth: 1, found: false };
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
    fn wrapper<'b>(
        &mut self,
        window: &'b [u8],
        last: bool,
        mut depth: usize,
        found: bool,
    ) -> (usize, Option<Step<'b>>) {
        let mut at = 0;
        if self.in_long_string {
            match string_end(window, 0) {
                Some(end) => at = end,
                None if !last => return (without_half_escape(window), Some(Step::More)),
                None => at = window.len(),
            }
            self.in_long_string = false;
        }
        while at < window.len() {
            match window[at] {
                b'"' => {
                    let Some(end) = string_end(window, at + 1) else { break };
                    if depth == 1 && &window[at..end] == b"\"Records\"" {
                        match value_after_key(&window[end..]) {
                            Value::Array(after) => {
                                self.place = Place::Records { wrapped: true };
                                return (end + after, None);
                            }
                            Value::Unknown if !last => break,
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
                // Too long for a record, and no wrapper either; what of it is in the window is an accident.
                let step = Step::Damaged { bytes: &[], why: Damage::TooLong };
                return (at, (!found).then_some(step));
            }
        }
        self.place = Place::Wrapper { depth, found };
        if last {
            self.place = Place::Top;
            return (window.len(), Some(Step::Damaged { bytes: &[], why: Damage::Truncated }));
        }
        // A string longer than a record may be is not waited for but walked through.
        let mut used = at;
        if window.len() - at > RECORD_BYTES_MAX {
            self.in_long_string = true;
            used = without_half_escape(window);
        }
        (used, Some(Step::More))
    }

    /// After damage: goes on where a whole record stands.
    fn find_record<'b>(&mut self, window: &'b [u8], last: bool) -> (usize, Option<Step<'b>>) {
        match resync::find(window, last) {
            Found::Record(place) => {
                let bytes = &window[place.clone()];
                if let Scan::Closed { source, name, .. } = scan_object(bytes, true, false) {
                    self.resync = false;
                    return (place.end, Some(Step::Record(RecordSlice { bytes, source, name })));
                }
                (place.end, None)
            }
            Found::More(keep) => (keep, Some(if last { Step::End } else { Step::More })),
        }
    }
}

/// Scans the object that begins at `text[0]`, quickly where it has the usual form. A wrapper of `Records` closes like a
/// record, and only the exact scan stops at its array.
fn scan_object(text: &[u8], last: bool, find_records: bool) -> Scan<'_> {
    let quick = if find_records { None } else { blocks::scan(text) };
    quick.unwrap_or_else(|| scan::scan(text, last, find_records))
}

/// The length of a text inside a string, without a backslash at its end that may escape what follows.
fn without_half_escape(text: &[u8]) -> usize {
    let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
    text.len() - backslashes % 2
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
