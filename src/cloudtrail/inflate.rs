//! Compressed bytes to text, in bounded memory.
//!
//! Two ways lead to the same text. An object that is small, and surely a single gzip member, is inflated in one call
//! into a buffer that is used again, which is about twice as fast. Everything else is streamed: large objects, several
//! members, damaged ones (of which the readable part still counts), and plain text.

use std::io::{self, BufRead, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

/// The first bytes of a gzip member: magic and the only compression method there is (RFC 1952 §2.3.1).
const GZIP: [u8; 3] = [0x1F, 0x8B, 8];

/// The largest object, compressed, that is held in memory as a whole.
pub const WHOLE_COMPRESSED_MAX: u64 = 16 * 1024 * 1024;

/// The largest text that is inflated in one call; CloudTrail's own files end at 50 MB, and nearly all are far smaller.
const WHOLE_TEXT_MAX: usize = 32 * 1024 * 1024;

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
            self.text.resize(size, 0);
        }
        let text = &mut self.text[..size];
        let inflated = self.decompressor.gzip_decompress(object, text).ok()?;
        (inflated == size).then_some(&self.text[..size])
    }
}

/// Text that arrives piece by piece.
pub enum TextStream<R> {
    /// From one or several gzip members.
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    /// As it is.
    Plain(Whole<R>),
}

/// An object, its first two bytes put back in front.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

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
        Ok(if gzip { Self::Gzip(Box::new(MultiGzDecoder::new(object))) } else { Self::Plain(object) })
    }

    /// Whether the bytes began like gzip.
    pub fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }
}

impl<R: BufRead> Read for TextStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Plain(text) => text.read(buffer),
        }
    }
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
}
