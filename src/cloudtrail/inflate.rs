//! Compressed bytes to text, in bounded memory.
//!
//! Two ways lead to the same text. An object that is small, and surely a single gzip member, is inflated in one call
//! into a buffer that is used again, which is about twice as fast. Everything else is streamed: large objects, several
//! members, damaged ones (of which the readable part still counts), and plain text.

use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

/// The first bytes of a gzip member: magic and the only compression method there is (RFC 1952 §2.3.1).
const GZIP: [u8; 3] = [0x1F, 0x8B, 8];

/// The largest object, compressed, that is held in memory as a whole.
pub const WHOLE_COMPRESSED_MAX: u64 = 16 * 1024 * 1024;

/// The largest text that is inflated in one call, into a buffer that every worker has; nearly all of CloudTrail's own
/// files are smaller.
const WHOLE_TEXT_MAX: usize = 16 * 1024 * 1024;

/// Inflates objects in one call each, into one buffer.
pub struct Inflater {
    decompressor: Decompressor,
    text: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), text: Vec::new() }
    }
}

impl Inflater {
    /// The text of a whole object of one gzip member, or nothing when the object must be streamed.
    pub fn whole(&mut self, object: &[u8], text_max: u64) -> Option<&[u8]> {
        let (_, size) = object.split_last_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        if !object.starts_with(&GZIP) || size > WHOLE_TEXT_MAX || size as u64 > text_max {
            return None;
        }
        // The one-call interface does not say how much input it used. A second member must begin with these bytes.
        if memmem::find(&object[1..], &GZIP).is_some() {
            return None;
        }
        if self.text.len() < size {
            self.text.reserve_exact(size - self.text.len());
            self.text.resize(size, 0);
        }
        let text = &mut self.text[..size];
        let inflated = self.decompressor.gzip_decompress(object, text).ok()?;
        (inflated == size).then_some(&self.text[..size])
    }
}

/// What is wrong with a gzip stream; the inner error of what [`TextStream`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GzipDamage {
    /// What there is of it is sound, as far as one can tell.
    #[error("gzip ends too early")]
    Cut,
    /// Its coding or its checksum is wrong: no byte of the member can be trusted.
    #[error("corrupt gzip")]
    Corrupt,
    /// It ended well, and something else follows.
    #[error("unexpected data after the end of the gzip stream")]
    Trailing,
}

impl GzipDamage {
    /// The damage that an error of a [`TextStream`] speaks of, unless the bytes themselves could not be had.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Text that arrives piece by piece.
pub enum TextStream<R> {
    /// From one or several gzip members.
    Gzip(Box<Members<R>>),
    /// As it is.
    Plain(Object<R>),
}

/// An object, its first two bytes put back in front.
type Object<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> TextStream<R> {
    /// Looks at the first bytes to tell gzip from plain text.
    ///
    /// # Errors
    /// When the first bytes cannot be read.
    pub fn new(mut object: R) -> io::Result<Self> {
        let mut head = Vec::with_capacity(2);
        object.by_ref().take(2).read_to_end(&mut head)?;
        let gzip = head == GZIP[..2];
        let object = Cursor::new(head).chain(object);
        Ok(if gzip { Self::Gzip(Box::new(Members::new(object))) } else { Self::Plain(object) })
    }

    /// Whether the bytes began like gzip.
    pub fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }
}

impl<R: BufRead> Read for TextStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(members) => members.read(buffer),
            Self::Plain(text) => text.read(buffer),
        }
    }
}

/// The members of a gzip stream, one after the other.
pub struct Members<R> {
    /// Nothing once the last one ended.
    member: Option<GzDecoder<Object<R>>>,
    is_first: bool,
}

impl<R: BufRead> Members<R> {
    fn new(object: Object<R>) -> Self {
        Self { member: Some(GzDecoder::new(object)), is_first: true }
    }

    fn damage(&self, error: io::Error) -> io::Error {
        let in_header = self.member.as_ref().is_some_and(|member| member.header().is_none());
        let damage = match error.kind() {
            // What follows a member and does not begin like one is none.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData
                if in_header && !self.is_first =>
            {
                GzipDamage::Trailing
            }
            ErrorKind::UnexpectedEof => GzipDamage::Cut,
            ErrorKind::InvalidInput | ErrorKind::InvalidData => GzipDamage::Corrupt,
            _ => return error,
        };
        io::Error::new(error.kind(), damage)
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = match member.read(buffer) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(self.damage(error)),
                read => read?,
            };
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            if !rest.fill_buf()?.is_empty() {
                self.member = Some(GzDecoder::new(rest));
                self.is_first = false;
            }
        }
        Ok(0)
    }
}

/// Whether an object's gzip coding or checksum is wrong, within the first `text_max` bytes of its text.
#[must_use]
pub fn is_corrupt(object: &[u8], text_max: u64) -> bool {
    let corrupt = |error: &io::Error| GzipDamage::of(error) == Some(GzipDamage::Corrupt);
    let text = TextStream::new(object).map(|text| text.take(text_max));
    text.and_then(|mut text| io::copy(&mut text, &mut io::sink())).is_err_and(|error| corrupt(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn streamed(object: &[u8]) -> String {
        let mut text = String::new();
        TextStream::new(object).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn one_member_is_inflated_at_once_and_everything_else_is_streamed() {
        let mut inflater = Inflater::default();
        let one = gzip("hello");
        assert_eq!(inflater.whole(&one, 100), Some(b"hello".as_slice()));
        // The same member twice ends in the very size and checksum that one ends in.
        let twice = [one.clone(), one.clone()].concat();
        assert_eq!(inflater.whole(&twice, 100), None);
        assert_eq!(streamed(&twice), "hellohello");
        assert_eq!(inflater.whole(&one, 4), None, "over the bound");
        assert_eq!(inflater.whole(&one[..one.len() - 9], 100), None, "cut short");
        assert_eq!(inflater.whole(b"{}", 100), None);
        assert_eq!(streamed(b"{}"), "{}");
        assert_eq!(streamed(b"7"), "7");
        // However few bytes a reader gives at a time, gzip is known for what it is.
        let mut text = String::new();
        let drops = io::BufReader::with_capacity(1, one.as_slice());
        TextStream::new(drops).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn each_kind_of_damage_is_told_from_the_others() {
        let one = gzip(&"hello ".repeat(100));
        let damage = |object: &[u8]| {
            let read = TextStream::new(object).unwrap().read_to_end(&mut Vec::new());
            read.err().and_then(|error| GzipDamage::of(&error))
        };
        let changed = |at: usize| {
            let mut object = one.clone();
            object[at] ^= 16;
            object
        };
        let with = |tail: &[u8]| [one.clone(), tail.to_vec()].concat();
        assert_eq!(damage(&one), None);
        assert_eq!(damage(&with(&one)), None);
        assert_eq!(damage(&one[..one.len() / 2]), Some(GzipDamage::Cut));
        assert_eq!(damage(&one[..one.len() - 3]), Some(GzipDamage::Cut));
        assert_eq!(damage(&with(&one[..20])), Some(GzipDamage::Cut));
        assert_eq!(damage(&changed(14)), Some(GzipDamage::Corrupt));
        assert_eq!(damage(&changed(one.len() - 5)), Some(GzipDamage::Corrupt), "the checksum");
        assert_eq!(damage(&with(&changed(14))), Some(GzipDamage::Corrupt));
        assert_eq!(damage(&with(b"garbage")), Some(GzipDamage::Trailing));
        assert_eq!(damage(&with(&one[..5])), Some(GzipDamage::Trailing));
        assert!(is_corrupt(&changed(14), 1000) && !is_corrupt(&one, 1000) && !is_corrupt(b"{}", 1000));
    }
}
