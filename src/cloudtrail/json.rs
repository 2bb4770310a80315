//! Walks JSON text member by member and builds nothing: strings are borrowed, and what nobody asks for is passed over.
//!
//! Every byte is checked all the same: a text is read to its end only if it is JSON throughout (RFC 8259), so a broken
//! record never passes for a whole one. The end of a string is found in masks of 64 bytes; what needs more than a look
//! (an escape, a number that is no plain integer) is left to `serde_json`.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use wide::u8x16;

use super::scan::DEPTH_MAX;

/// The text is not JSON, or nests deeper than [`DEPTH_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("broken JSON")]
pub struct Broken;

/// What reads itself from JSON, in place. A value that has another shape than the type's is passed over, and leaves the
/// type's default.
pub trait FromJson<'a>: Default {
    /// Reads the value that comes next.
    ///
    /// # Errors
    /// When the text is not JSON.
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken>;
}

/// Reads a whole text as one value.
///
/// # Errors
/// When the text is not JSON, or more than one value.
pub fn from_str<'a, T: FromJson<'a>>(text: &'a str) -> Result<T, Broken> {
    let mut value = T::default();
    let mut reader = Reader::new(text);
    value.read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Why a text is no JSON, in `serde_json`'s words, which tell the place.
#[must_use]
pub fn why_broken(text: &str) -> serde_json::Error {
    let error = serde_json::from_str::<serde_json::Value>(text).err();
    error.unwrap_or_else(|| serde::de::Error::custom(Broken))
}

const BLOCK: usize = 64;

/// A place in a JSON text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Which block of the text `stops` is of.
    block: usize,
    /// One bit per byte of the block: a quote, a backslash or a control character.
    stops: u64,
}

impl<'a> Reader<'a> {
    /// At the start of a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, block: usize::MAX, stops: 0 }
    }

    /// The first byte of the next value, behind white space.
    ///
    /// # Errors
    /// At the end of the text.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, Broken> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(Broken),
            }
        }
    }

    /// Takes the given byte, behind white space.
    #[inline]
    fn take(&mut self, wanted: u8) -> Result<(), Broken> {
        if self.peek()? != wanted {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    /// Where the text ends, nothing but white space may be left.
    ///
    /// # Errors
    /// When there is more.
    pub fn end(&mut self) -> Result<(), Broken> {
        self.peek().map_or(Ok(()), |_| Err(Broken))
    }

    /// Reads an object. `member` is called at each value, with the member's name, and takes that value.
    ///
    /// # Errors
    /// When the text is not JSON.
    #[inline]
    pub fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.items(b'{', b'}', |json| {
            json.peek()?;
            let name = json.string()?;
            json.take(b':')?;
            member(json, name)
        })
    }

    /// Reads an array. `element` is called at each value and takes it.
    ///
    /// # Errors
    /// When the text is not JSON.
    #[inline]
    pub fn elements(&mut self, element: impl FnMut(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        self.items(b'[', b']', element)
    }

    /// Reads what stands between two brackets, separated by commas.
    #[inline]
    fn items(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.take(open)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Broken);
        }
        if self.peek()? != close {
            item(self)?;
            while self.peek()? == b',' {
                self.at += 1;
                item(self)?;
            }
        }
        self.depth -= 1;
        self.take(close)
    }

    /// Passes over the next value.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn skip(&mut self) -> Result<(), Broken> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' => self.items(b'{', b'}', |json| {
                json.peek()?;
                json.skip_string()?;
                json.take(b':')?;
                json.skip()
            }),
            b'[' => self.elements(Self::skip),
            _ => self.scalar().map(|_| ()),
        }
    }

    /// Reads the next value with `read` and gives its JSON text.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn spelled(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Broken>) -> Result<&'a str, Broken> {
        self.peek()?;
        let from = self.at;
        read(self)?;
        self.text.get(from..self.at).ok_or(Broken)
    }

    /// Reads the string that begins here.
    ///
    /// # Errors
    /// When there is none, or it is broken.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, Broken> {
        let (text, escaped) = self.quoted()?;
        if escaped {
            return serde_json::from_str(text).map(Cow::Owned).map_err(|_| Broken);
        }
        text.get(1..text.len() - 1).map(Cow::Borrowed).ok_or(Broken)
    }

    /// Passes over a string. Half a character is let pass: only who reads the text can tell that it matters.
    #[inline]
    fn skip_string(&mut self) -> Result<(), Broken> {
        let (text, escaped) = self.quoted()?;
        if escaped {
            serde_json::from_str::<IgnoredAny>(text).map_err(|_| Broken)?;
        }
        Ok(())
    }

    /// The string that begins here with its quotes, and whether it has escapes.
    #[inline]
    fn quoted(&mut self) -> Result<(&'a str, bool), Broken> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        if bytes.get(from) != Some(&b'"') {
            return Err(Broken);
        }
        let mut escaped = false;
        let mut stop = self.stop(from + 1)?;
        while bytes[stop] == b'\\' {
            escaped = true;
            stop = self.stop(stop + 2)?;
        }
        if bytes[stop] != b'"' {
            return Err(Broken);
        }
        self.at = stop + 1;
        Ok((self.text.get(from..self.at).ok_or(Broken)?, escaped))
    }

    /// The first quote, backslash or control character at `from` or behind it.
    #[inline]
    fn stop(&mut self, from: usize) -> Result<usize, Broken> {
        let bytes = self.text.as_bytes();
        let mut block = from / BLOCK;
        let mut before = from % BLOCK;
        while block * BLOCK < bytes.len() {
            if block != self.block {
                self.stops = stops(&bytes[block * BLOCK..]);
                self.block = block;
            }
            let ahead = self.stops >> before;
            if ahead != 0 {
                return Ok(block * BLOCK + before + ahead.trailing_zeros() as usize);
            }
            block += 1;
            before = 0;
        }
        Err(Broken)
    }

    /// Reads a number, a boolean or null, as it is spelled.
    ///
    /// # Errors
    /// When there is none of them.
    pub fn scalar(&mut self) -> Result<&'a str, Broken> {
        self.peek()?;
        let rest = self.text.get(self.at..).ok_or(Broken)?;
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        let len = word.map_or_else(|| number(rest.as_bytes()), |word| Some(word.len())).ok_or(Broken)?;
        self.at += len;
        Ok(&rest[..len])
    }
}

/// The text of a boolean or a number, as [`Reader::scalar`] gives it: a number is spelled as its value is, unless no
/// double holds it; null has none.
#[must_use]
pub fn scalar_text(spelled: &str) -> Option<Cow<'_, str>> {
    // So many digits are a 64-bit integer for certain, and spelled as it would be printed.
    let plain = spelled.len() <= 18 && spelled.bytes().all(|byte| byte.is_ascii_digit());
    match spelled {
        "null" => None,
        "true" | "false" => Some(Cow::Borrowed(spelled)),
        _ if plain => Some(Cow::Borrowed(spelled)),
        _ => Some(match serde_json::from_str::<serde_json::Number>(spelled) {
            Ok(number) => Cow::Owned(number.to_string()),
            Err(_) => Cow::Borrowed(spelled),
        }),
    }
}

/// The bits of a block.
#[inline]
fn stops(text: &[u8]) -> u64 {
    let of = |block: &[u8; BLOCK]| {
        let (lanes, _) = block.as_chunks::<16>();
        lanes.iter().enumerate().fold(0, |bits, (at, lane)| {
            let bytes = u8x16::new(*lane);
            let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
            bits | u64::from((is(b'"') | is(b'\\') | control).to_bitmask()) << (16 * at)
        })
    };
    if let Some(block) = text.first_chunk() {
        return of(block);
    }
    let mut block = [b' '; BLOCK];
    block[..text.len()].copy_from_slice(text);
    of(&block)
}

/// The length of the number that a text begins with.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match digits(at) {
        0 => return None,
        // A leading zero stands alone.
        _ if text[at] == b'0' => 1,
        whole => whole,
    };
    if text.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|digits| *digits > 0)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|digits| *digits > 0)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Anything;

    impl<'a> FromJson<'a> for Anything {
        fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
            json.skip()
        }
    }

    /// Reads every value for what it is.
    #[derive(Default)]
    struct Everything;

    impl<'a> FromJson<'a> for Everything {
        fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
            match json.peek()? {
                b'{' => json.members(|json, _| Everything.read(json)),
                b'[' => json.elements(|json| Everything.read(json)),
                b'"' => json.string().map(|_| ()),
                _ => json.scalar().map(|_| ()),
            }
        }
    }

    /// Every text within one byte of these, and every beginning of them: `serde_json` says the same of each.
    #[test]
    fn what_is_json_is_what_serde_json_says() {
        let pad = "x".repeat(70);
        let texts = [
            r#"{"a":[1,-2.5e+3,true,null,{}],"b":{"c":"d\"\\\u00e9"},"":[]}"#.to_owned(),
            format!(" {{ \"{pad}\" :\t[ 0 ,\r\n false ] , \"ä\":\"{pad}\\n\" }} "),
            r#"["\ud800","\ud83d\ude00",0,-0,10,1E5,0.0e-1]"#.to_owned(),
        ];
        let swaps = b"\"\\{}[],:0-+.eE1 \ntfnu\x01\x7f";
        let same = |text: &[u8]| {
            let Ok(text) = std::str::from_utf8(text) else { return };
            let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
            assert_eq!(from_str::<Anything>(text).is_ok(), theirs, "{text}");
            // Read and not passed over, half a character is none.
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(from_str::<Everything>(text).is_ok(), theirs, "{text}");
        };
        for text in &texts {
            for at in 0..=text.len() {
                same(&text.as_bytes()[..at]);
                for &byte in swaps {
                    let mut changed = text.clone().into_bytes();
                    changed.insert(at, byte);
                    same(&changed);
                    if at < text.len() {
                        changed.remove(at + 1);
                        same(&changed);
                        changed.remove(at);
                        same(&changed);
                    }
                }
            }
        }
    }

    #[test]
    fn nesting_is_read_as_deep_as_records_may_nest() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_str::<Anything>(&nested(DEPTH_MAX)).is_ok());
        assert!(from_str::<Anything>(&nested(DEPTH_MAX + 1)).is_err());
    }
}
