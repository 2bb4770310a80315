//! Log objects: records put together, compressed and named as CloudTrail delivers them (facts §1.1).
//!
//! One object is in memory at a time, uncompressed; its size is what the plan's `events_per_object` makes it. It refuses to
//! choose what goes in.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::clock::{Calendar, Seconds};
use super::dice::Dice;
use super::world::World;

/// The level at which libdeflate is as dense as `gzip -6` (measured on mixed records: 165 bytes each against 164), in two
/// thirds of the time. Compression is most of the cost of generating.
const COMPRESSION_LEVEL: i32 = 5;
/// A multi-member object starts a new gzip member after so many records.
const RECORDS_PER_MEMBER: u32 = 7;

/// How an object holds its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"Records":[…]}`, minified: what CloudTrail writes.
    Usual,
    /// Indented by some tool.
    Pretty,
    /// One record per line.
    Lines,
    /// A list without the object around it.
    BareList,
    /// A byte order mark in front.
    ByteOrderMark,
    /// Several gzip members, one after the other.
    Members,
}

const ODD_SHAPES: [Shape; 5] = [Shape::Pretty, Shape::Members, Shape::Lines, Shape::ByteOrderMark, Shape::BareList];

impl Shape {
    /// The shape of the `number`th object: all the odd ones early, then one in about 40.
    pub(super) fn of(number: u64, odd_wanted: bool) -> Self {
        let every = if number < 20 { 4 } else { 40 };
        if !odd_wanted || number % every != 1 {
            return Self::Usual;
        }
        let turn = usize::try_from(number / every).unwrap_or(0);
        ODD_SHAPES[turn % ODD_SHAPES.len()]
    }
}

/// Records being put together.
#[derive(Debug)]
pub(super) struct ObjectBody {
    shape: Shape,
    text: Vec<u8>,
    records: u32,
    member_ends: Vec<usize>,
}

impl ObjectBody {
    /// An empty body that reuses the buffer of an earlier one.
    pub(super) fn new(shape: Shape, mut text: Vec<u8>) -> Self {
        text.clear();
        let opening: &[u8] = match shape {
            Shape::Usual | Shape::Members => b"{\"Records\":[",
            Shape::Pretty => b"{\r\n  \"Records\" : [\r\n",
            Shape::Lines => b"",
            Shape::BareList => b" [",
            Shape::ByteOrderMark => b"\xEF\xBB\xBF{\"Records\":[",
        };
        text.extend_from_slice(opening);
        Self { shape, text, records: 0, member_ends: Vec::new() }
    }

    pub(super) fn records(&self) -> u32 {
        self.records
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        if self.records > 0 && self.shape != Shape::Lines {
            self.text.push(b',');
        }
        if self.shape == Shape::Pretty {
            indent(record, &mut self.text);
        } else {
            self.text.extend_from_slice(record);
        }
        if self.shape == Shape::Lines {
            self.text.push(b'\n');
        }
        self.records += 1;
        if self.shape == Shape::Members && self.records.is_multiple_of(RECORDS_PER_MEMBER) {
            self.member_ends.push(self.text.len());
        }
    }

    /// The gzipped object, and the buffer to be used again.
    pub(super) fn finish(mut self, packer: &mut Packer) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let closing: &[u8] = match self.shape {
            Shape::Lines => b"",
            Shape::BareList => b"]",
            Shape::Pretty => b"\r\n]\r\n}\r\n",
            _ => b"]}",
        };
        self.text.extend_from_slice(closing);
        let mut gzip = Vec::new();
        let mut from = 0;
        for end in self.member_ends.iter().copied().chain([self.text.len()]) {
            packer.append(&self.text[from..end], &mut gzip)?;
            from = end;
        }
        Ok((gzip, self.text))
    }
}

/// The compressor and its room to work in.
pub(super) struct Packer {
    compressor: Compressor,
    room: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Self {
        let level = CompressionLvl::new(COMPRESSION_LEVEL).unwrap_or_default();
        Self { compressor: Compressor::new(level), room: Vec::new() }
    }

    /// Appends one gzip member.
    pub(super) fn append(&mut self, text: &[u8], gzip: &mut Vec<u8>) -> io::Result<()> {
        let bound = self.compressor.gzip_compress_bound(text.len());
        if self.room.len() < bound {
            self.room.resize(bound, 0);
        }
        let written = self.compressor.gzip_compress(text, &mut self.room).map_err(io::Error::other)?;
        gzip.extend_from_slice(&self.room[..written]);
        Ok(())
    }
}

/// Writes a record with line breaks and spaces between its tokens, never inside its strings.
fn indent(record: &[u8], out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for &byte in record {
        out.push(byte);
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b',' | b'{' | b'[' => out.extend_from_slice(b"\r\n\t"),
            b':' => out.push(b' '),
            _ => {}
        }
    }
}

/// Which trail delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trail {
    /// The account's own.
    Own,
    /// The organization's, into the same bucket under another prefix.
    Organization,
}

/// Where CloudTrail puts an object that it delivers at this instant.
pub(super) fn path(world: &World, trail: Trail, lane: usize, delivered: Seconds, dice: &mut Dice) -> String {
    let (account, region, c) = (world.account(lane), world.region(lane), Calendar::of(delivered));
    let prefix = match trail {
        Trail::Own => "AWSLogs".to_owned(),
        Trail::Organization => format!("org-trail/AWSLogs/{}", world.organization),
    };
    let (day, time) = (format!("{:04}{:02}{:02}", c.year, c.month, c.day), format!("{:02}{:02}", c.hour, c.minute));
    format!(
        "{prefix}/{account}/CloudTrail/{region}/{:04}/{:02}/{:02}/{account}_CloudTrail_{region}_{day}T{time}Z_{}.json.gz",
        c.year,
        c.month,
        c.day,
        dice.letters(16)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn inflated(shape: Shape) -> Vec<u8> {
        let mut body = ObjectBody::new(shape, Vec::new());
        for number in 0..20 {
            body.push(format!(r#"{{"n":{number},"s":"a, {{ \" \\ : ["}}"#).as_bytes());
        }
        let (gzip, _) = body.finish(&mut Packer::new()).unwrap();
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn every_shape_holds_the_same_records() {
        let usual: serde_json::Value = serde_json::from_slice(&inflated(Shape::Usual)).unwrap();
        for shape in [Shape::Pretty, Shape::Members] {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&inflated(shape)).unwrap(), usual, "{shape:?}");
        }
        let list: serde_json::Value = serde_json::from_slice(&inflated(Shape::BareList)).unwrap();
        assert_eq!(list, usual["Records"]);
        assert_eq!(&inflated(Shape::ByteOrderMark)[..4], b"\xEF\xBB\xBF{");
        assert_eq!(inflated(Shape::Lines).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 20);
    }
}
