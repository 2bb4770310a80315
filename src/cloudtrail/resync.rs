//! After damage: where the next whole record stands.
//!
//! One walk over the text keeps the objects and arrays that are open, and takes the first object to close that has an
//! `eventSource` and an `eventName` of its own. Damage may have turned strings and structure into each other; so where
//! something stands between strings that JSON does not have, what was open is forgotten and the walk goes on *within*
//! the last string, as structure. Every byte is looked at three times at most, whatever the text.

use std::collections::VecDeque;
use std::ops::Range;

use super::scan::{Class, DEPTH_MAX, RECORD_BYTES_MAX, class, string_end};

/// What the search came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record.
    Record(Range<usize>),
    /// None yet; one may have begun at this place.
    More(usize),
}

/// An object or array that is open.
struct Level {
    start: usize,
    is_object: bool,
    source: bool,
    name: bool,
}

/// Searches a text. `last` says that nothing follows it.
pub(super) fn find(text: &[u8], last: bool) -> Found {
    let mut search = Search { text, at: 0, levels: VecDeque::new(), string: None, key_next: false };
    while search.at < text.len() {
        if let Some(found) = search.step(last) {
            return found;
        }
    }
    Found::More(if last { text.len() } else { search.keep() })
}

struct Search<'t> {
    text: &'t [u8],
    at: usize,
    /// What is open and may still be a record, the outermost first.
    levels: VecDeque<Level>,
    /// The opening quote of the last string, until the walk has gone back into it.
    string: Option<usize>,
    /// In an object, where a name comes next.
    key_next: bool,
}

impl Search<'_> {
    fn step(&mut self, last: bool) -> Option<Found> {
        let byte = self.text[self.at];
        match class(byte) {
            Class::Quote => return self.string(last),
            Class::Open => {
                self.levels.push_back(Level { start: self.at, is_object: byte == b'{', source: false, name: false });
                if self.levels.len() > DEPTH_MAX {
                    self.levels.pop_front();
                }
                self.key_next = byte == b'{';
            }
            Class::Close => match self.levels.pop_back() {
                Some(level) if level.is_object != (byte == b'}') => {
                    self.forget();
                    return None;
                }
                Some(level) if level.source && level.name && self.at - level.start < RECORD_BYTES_MAX => {
                    return Some(Found::Record(level.start..self.at + 1));
                }
                // What began before the damage ends behind it.
                Some(_) | None => self.key_next = false,
            },
            Class::Comma => self.key_next = self.levels.back().is_some_and(|level| level.is_object),
            Class::Colon => self.key_next = false,
            Class::Pass => {}
            Class::Bad => {
                self.forget();
                return None;
            }
        }
        self.at += 1;
        None
    }

    fn string(&mut self, last: bool) -> Option<Found> {
        let from = self.at + 1;
        let bounded = &self.text[..self.text.len().min(from + RECORD_BYTES_MAX)];
        match string_end(bounded, from) {
            Some(end) => {
                if let (true, Some(level)) = (self.key_next, self.levels.back_mut()) {
                    let name = &self.text[from..end - 1];
                    level.source |= name == b"eventSource";
                    level.name |= name == b"eventName";
                }
                self.string = Some(self.at);
                self.at = end;
            }
            None if !last && bounded.len() < from + RECORD_BYTES_MAX => return Some(Found::More(self.keep())),
            // No string of a record: what follows the quote is looked at as structure.
            None => {
                self.string = None;
                self.forget();
            }
        }
        None
    }

    /// Nothing that is open can be a record.
    fn forget(&mut self) {
        self.levels.clear();
        self.key_next = false;
        self.at = 1 + self.string.take().filter(|quote| self.at - quote <= RECORD_BYTES_MAX).unwrap_or(self.at);
    }

    /// The first byte that is needed to go on when there is more text: what began so long before its end that it is too
    /// long already is not.
    fn keep(&self) -> usize {
        let is_near = |start: &usize| self.text.len() - start <= RECORD_BYTES_MAX;
        let level = self.levels.iter().map(|level| level.start).find(is_near);
        let string = self.string.filter(is_near);
        self.at.min(level.unwrap_or(self.at)).min(string.unwrap_or(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"eventID":"}","eventSource":"kms.amazonaws.com","x":{"y":[1,{}]},"eventName":"Decrypt"}"#;

    fn found(before: &str) -> Option<String> {
        let text = format!("{before}{RECORD},{RECORD}]");
        match find(text.as_bytes(), true) {
            Found::Record(record) => {
                assert_eq!(record.start, before.len(), "{before:.300}");
                Some(text[record].to_owned())
            }
            Found::More(_) => None,
        }
    }

    #[test]
    fn the_next_record_is_found_whatever_stands_before_it() {
        let deep = "[".repeat(1000);
        let braces = "{".repeat(1000);
        let long = "x".repeat(300_000);
        for before in [
            "",
            r#""a":1},"#,
            r"cut in a string},",
            r#"cut in a string"},"#,
            r#"oops":"12},"#,
            r#"{"eventSource":"a","x":["eventName"}},"#,
            r#"{"eventSource":"a","eventName":"b","#,
            r#"{"x":"eventSource","y":"eventName"},"#,
            r#"{"x":{"eventSource":1},"eventName":2},"#,
            r#"\","#,
            &deep,
            &braces,
            &format!("\"{long}"),
            &format!("\"{long}\","),
            &format!("{{\"a\":\"{long}\","),
        ] {
            assert_eq!(found(before).as_deref(), Some(RECORD), "{before:.300}");
        }
    }

    #[test]
    fn what_is_kept_is_all_that_is_needed() {
        let text = format!(r#"oops "{RECORD}"#);
        for cut in 0..text.len() {
            let Found::More(keep) = find(&text.as_bytes()[..cut], false) else { panic!("{cut}") };
            let Found::Record(record) = find(&text.as_bytes()[keep..], true) else { panic!("{cut}") };
            assert_eq!(&text[keep..][record], RECORD, "{cut}");
        }
    }
}
