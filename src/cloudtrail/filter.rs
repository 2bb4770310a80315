//! What is surely of no interest, told from the bytes of a record before it is parsed: most records are.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::operation;
use super::split::{Member, RecordSlice};

static SOURCE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventSource\""));
static NAME_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventName\""));

/// Whether source and name alone show that a record is of no interest, so that it need not be parsed. A record that says
/// either of them twice is parsed, because the last one counts; an empty source or name is as good as none, which is
/// worth a reject.
pub(super) fn is_surely_other(record: &RecordSlice<'_>) -> bool {
    // The quick scan gives the one behind `userIdentity`. One before it does not count, one behind it would.
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
        && !name.is_empty()
        && std::str::from_utf8(name).is_ok_and(|name| !operation::is_kept(text, name))
        && once(&SOURCE_KEY, source)
        && once(&NAME_KEY, name)
}

#[cfg(test)]
mod tests {
    use super::super::split::{Splitter, Step};
    use super::*;

    fn is_dropped(members: &str) -> bool {
        let text = format!(r#"{{"userIdentity":{{"type":"Root"}},"eventTime":"2023-07-10T12:07:55Z",{members}}}"#);
        let (_, Step::Record(record)) = Splitter::default().next(text.as_bytes(), true) else { panic!("{text}") };
        is_surely_other(&record)
    }

    #[test]
    fn only_what_cannot_be_wanted_is_dropped() {
        for members in [
            r#""eventSource":"ec2.amazonaws.com","eventName":"RunInstances""#,
            r#""eventSource":"iam.amazonaws.com""#,
            r#""eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","x":{"y":"z"}"#,
        ] {
            assert!(is_dropped(members), "{members}");
        }
        for members in [
            r#""eventSource":"kms.amazonaws.com","eventName":"Decrypt""#,
            r#""eventSource":"sts.amazonaws.com","eventName":"AssumeRole""#,
            r#""eventSource":"ec2.amazonaws.com","eventName":"x","eventSource":"kms.amazonaws.com""#,
            r#""eventSource":"sts.amazonaws.com","eventName":"x","eventName":"AssumeRole""#,
            r#""eventSource":"ec2.amazonaws.com","eventName":"x","event\u0053ource":"kms.amazonaws.com""#,
            r#""eventSource":"","eventName":"x""#,
            r#""eventSource":"sts.amazonaws.com","eventName":"""#,
            r#""eventSource":7,"eventName":"x""#,
            r#""eventName":"x""#,
        ] {
            assert!(!is_dropped(members), "{members}");
        }
    }
}
