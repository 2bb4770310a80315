//! What is surely of no interest, told from the bytes of a record before it is parsed: most records are.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::operation;
use super::split::{Member, RecordSlice};

static SOURCE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventSource\""));
static NAME_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventName\""));

/// Whether source and name alone show that a record is of no interest, so that it need not be parsed. A record that says
/// either of them twice is parsed, because the last one counts; an empty source is as good as none, which is worth a
/// reject.
pub(super) fn is_surely_other(record: &RecordSlice<'_>) -> bool {
    // The scan gives the first of each, so a second one stands behind it.
    let once = |key: &Finder<'_>, first: &[u8]| {
        let behind = first.as_ptr().addr() - record.bytes.as_ptr().addr();
        record.bytes.get(behind..).is_some_and(|rest| key.find(rest).is_none())
    };
    let Member::Plain(source) = record.source else { return false };
    if !operation::is_wanted_source(source) {
        return !source.is_empty() && once(&SOURCE_KEY, source);
    }
    let (Member::Plain(name), Ok(text)) = (record.name, std::str::from_utf8(source)) else { return false };
    text != operation::KMS
        && std::str::from_utf8(name).is_ok_and(|name| !operation::is_kept(text, name))
        && once(&SOURCE_KEY, source)
        && once(&NAME_KEY, name)
}
