//! The JSON writer: one CloudTrail record at a time, straight into a byte buffer.
//!
//! A record of 1.4 KB must cost far less than compressing it, so nothing is built in memory first: members go out in the
//! order in which they are called. The start of each top-level member is remembered, so that a record can be rewritten
//! with its members in another order. It refuses to validate: callers close what they open (tests parse every record).

use super::clock::{Seconds, push_iso, push_padded};
use super::dice::{Dice, Guid, push_hex};

/// A record, or a fragment of one, being written.
#[derive(Debug, Default)]
pub(super) struct Record {
    out: Vec<u8>,
    depth: u32,
    members: Vec<usize>,
    spare: Vec<u8>,
    /// Write everything outside ASCII as `\u` escapes, with surrogate pairs where needed.
    pub(super) ascii_only: bool,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { out: Vec::with_capacity(4096), ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets what was written, and how.
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.members.clear();
        self.depth = 0;
        self.ascii_only = false;
    }

    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// Opens an object: the record itself, or an element of a list.
    pub(super) fn open(&mut self) {
        self.separate();
        self.out.push(b'{');
        self.depth += 1;
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
        self.depth -= 1;
    }

    pub(super) fn name(&mut self, name: &str) {
        self.separate();
        if self.depth == 1 {
            self.members.push(self.out.len());
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn open_in(&mut self, name: &str) {
        self.name(name);
        self.open();
    }

    pub(super) fn open_list(&mut self, name: &str) {
        self.name(name);
        self.out.push(b'[');
        self.depth += 1;
    }

    pub(super) fn close_list(&mut self) {
        self.out.push(b']');
        self.depth -= 1;
    }

    /// A string element of a list.
    pub(super) fn item(&mut self, value: &str) {
        self.separate();
        self.string(value);
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// A member whose name comes from the caller, as the keys of an encryption context do.
    pub(super) fn pair(&mut self, name: &str, value: &str) {
        self.separate();
        self.string(name);
        self.out.push(b':');
        self.string(value);
    }

    /// A string member put together from pieces.
    pub(super) fn text_of(&mut self, name: &str, pieces: impl FnOnce(&mut Text<'_>)) {
        self.name(name);
        self.out.push(b'"');
        pieces(&mut Text(self));
        self.out.push(b'"');
    }

    /// A member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// Members that are JSON already, without braces around them.
    pub(super) fn raw_members(&mut self, json: &[u8]) {
        if !json.is_empty() {
            self.separate();
            self.out.extend_from_slice(json);
        }
    }

    pub(super) fn null(&mut self, name: &str) {
        self.raw(name, b"null");
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { b"true" } else { b"false" });
    }

    pub(super) fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        push_padded(&mut self.out, value, 1);
    }

    pub(super) fn instant(&mut self, name: &str, at: Seconds) {
        self.name(name);
        self.out.push(b'"');
        push_iso(&mut self.out, at);
        self.out.push(b'"');
    }

    pub(super) fn guid(&mut self, name: &str, guid: Guid) {
        self.name(name);
        self.out.push(b'"');
        guid.push_to(&mut self.out);
        self.out.push(b'"');
    }

    fn string(&mut self, value: &str) {
        self.out.push(b'"');
        self.escaped(value);
        self.out.push(b'"');
    }

    fn escaped(&mut self, value: &str) {
        let bytes = value.as_bytes();
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\' && (*byte < 0x80 || !self.ascii_only);
        if bytes.iter().all(plain) {
            self.out.extend_from_slice(bytes);
            return;
        }
        for character in value.chars() {
            self.escape(character);
        }
    }

    fn escape(&mut self, character: char) {
        match character {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            '/' if self.ascii_only => self.out.extend_from_slice(b"\\/"),
            c if u32::from(c) < 0x20 || (self.ascii_only && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.out.extend_from_slice(b"\\u");
                    push_hex(&mut self.out, u64::from(*unit), 4);
                }
            }
            c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// Rewrites a finished record with its top-level members in another order.
    pub(super) fn shuffle_members(&mut self, dice: &mut Dice) {
        let end = self.out.len() - 1;
        let ends = self.members.iter().skip(1).map(|next| next - 1).chain([end]);
        let mut spans: Vec<_> = self.members.iter().copied().zip(ends).collect();
        dice.shuffle(&mut spans);
        self.spare.clear();
        self.spare.push(b'{');
        for (at, (from, to)) in spans.into_iter().enumerate() {
            if at > 0 {
                self.spare.push(b',');
            }
            self.spare.extend_from_slice(&self.out[from..to]);
        }
        self.spare.push(b'}');
        std::mem::swap(&mut self.out, &mut self.spare);
        self.members.clear();
    }
}

/// The inside of a JSON string, written piece by piece.
pub(super) struct Text<'a>(&'a mut Record);

impl Text<'_> {
    pub(super) fn push(&mut self, piece: &str) -> &mut Self {
        self.0.escaped(piece);
        self
    }

    pub(super) fn guid(&mut self, guid: Guid) -> &mut Self {
        guid.push_to(&mut self.0.out);
        self
    }

    pub(super) fn hex(&mut self, number: u64, digits: u32) -> &mut Self {
        push_hex(&mut self.0.out, number, digits);
        self
    }

    pub(super) fn number(&mut self, number: i64, width: u32) -> &mut Self {
        push_padded(&mut self.0.out, number, width);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ascii_only: bool) -> Record {
        let mut record = Record::new();
        record.ascii_only = ascii_only;
        record.open();
        record.text("a", "q\"b\\\u{0}\u{1b}é😀/");
        record.open_list("list");
        record.item("x");
        record.open();
        record.flag("y", true);
        record.close();
        record.close_list();
        record.text_of("of", |t| {
            t.push("n-").number(7, 3).hex(0xab, 4);
        });
        record.close();
        record
    }

    #[test]
    fn what_is_written_parses_back_whatever_the_escaping_and_order() {
        for ascii_only in [false, true] {
            let mut record = written(ascii_only);
            let straight: serde_json::Value = serde_json::from_slice(record.bytes()).unwrap();
            assert_eq!(straight["a"], "q\"b\\\u{0}\u{1b}é😀/");
            assert_eq!(straight["of"], "n-00700ab");
            assert_eq!(record.bytes().is_ascii(), ascii_only);
            record.shuffle_members(&mut Dice::new(1));
            let shuffled: serde_json::Value = serde_json::from_slice(record.bytes()).unwrap();
            assert_eq!(straight, shuffled);
        }
    }
}
