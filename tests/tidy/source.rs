//! Rust text with its comments, its strings and its tests told apart. No parser: it knows where each of them ends.

/// A source file. All three texts have the lines of the file, and blanks where something is left out.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    /// As it stands there.
    pub text: String,
    /// Without comments, the contents of strings, and tests.
    pub code: String,
    /// Without comments and tests.
    pub spoken: String,
    /// Lines that are not of a test.
    pub lines: usize,
}

/// What a byte is part of.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Text,
    Comment,
}

impl Source {
    pub fn new(path: impl Into<String>, text: &str) -> Self {
        let path = path.into();
        let parts = parts(text.as_bytes());
        let keep = |kept: &[Part]| blank(text, |at| !kept.contains(&parts[at]));
        let (mut code, mut spoken) = (keep(&[Part::Code]), keep(&[Part::Code, Part::Text]));
        let mut lines = text.lines().count();
        if is_test_file(&path) {
            (code, spoken, lines) = (blank(text, |_| true), blank(text, |_| true), 0);
        }
        while let Some((from, to)) = test_item(&code) {
            lines -= text[from..to].lines().count();
            code = blank(&code, |at| (from..to).contains(&at));
            spoken = blank(&spoken, |at| (from..to).contains(&at));
        }
        Source { path, text: text.to_owned(), code, spoken, lines }
    }

    /// Number and text of each line on which a word stands in the code.
    pub fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        numbered(&self.code).filter(move |(_, line)| has_word(line, word))
    }
}

/// Lines, numbered from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

/// Whether a word stands in a line, and not as the end of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(is_name) || !word.starts_with(is_name))
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

/// The text with spaces in place of some bytes; lines stay.
fn blank(text: &str, is_left_out: impl Fn(usize) -> bool) -> String {
    let blanked = text.bytes().enumerate().map(|(at, byte)| if byte != b'\n' && is_left_out(at) { b' ' } else { byte });
    String::from_utf8_lossy(&blanked.collect::<Vec<u8>>()).into_owned()
}

/// From where to where the first item under `#[cfg(test)]` goes: to its semicolon, or to the brace that closes it.
fn test_item(code: &str) -> Option<(usize, usize)> {
    let from = code.find("#[cfg(test)]")?;
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some((from, at + 1)),
            b'}' => depth -= 1,
            b';' if depth == 0 => return Some((from, at + 1)),
            _ => {}
        }
    }
    Some((from, code.len()))
}

fn parts(text: &[u8]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(text.len());
    while parts.len() < text.len() {
        let at = parts.len();
        let rest = &text[at..];
        let (part, len) = match rest[0] {
            b'/' if rest.starts_with(b"//") => (Part::Comment, until(rest, b"\n")),
            b'/' if rest.starts_with(b"/*") => (Part::Comment, block_comment(rest)),
            b'"' => (Part::Text, string(rest)),
            b'r' if !at.checked_sub(1).is_some_and(|before| is_name(text[before]) && text[before] != b'b') => raw(rest),
            b'\'' => (Part::Code, character(rest)),
            _ => (Part::Code, 1),
        };
        parts.resize(at + len.clamp(1, rest.len()), part);
    }
    parts
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Length up to the end of a mark, or of the text.
fn until(text: &[u8], mark: &[u8]) -> usize {
    text.windows(mark.len()).position(|window| window == mark).map_or(text.len(), |at| at + mark.len())
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// A raw string, or a name that only begins like one.
fn raw(text: &[u8]) -> (Part, usize) {
    let hashes = text[1..].iter().take_while(|byte| **byte == b'#').count();
    if text.get(1 + hashes) != Some(&b'"') {
        return (Part::Code, 1);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = hashes + 2;
    (Part::Text, opening + until(&text[opening..], end.as_bytes()))
}

/// A character, or the quote of a lifetime.
fn character(text: &[u8]) -> usize {
    match text {
        [_, b'\\', _, ..] => 3 + until(&text[3..], b"'"),
        [_, _, b'\'', ..] => 3,
        [_, first, ..] if !first.is_ascii() => until(&text[1..], b"'") + 1,
        _ => 1,
    }
}

#[test]
fn comments_strings_and_tests_are_told_from_code() {
    let text = r##"
//! words
fn a<'a>() -> &'a str { /* one /* two */ */ b('"', b'\'', '\u{1F}', 'é'); "str\"ing" } // more
const R: &[u8] = br#"raw "text" here"#;
#[cfg(test)]
mod tests { fn t() { unwrap() } }
#[cfg(test)] #[path = "x.rs"]
mod more;
fn end() {}
"##;
    let source = Source::new("src/a.rs", text);
    for (is_there, words) in [
        (true, ["fn a<'a>() -> &'a str {", "const R: &[u8] = b", "fn end() {}"]),
        (false, ["words", "one", "two"]),
        (false, ["ing", "more", "unwrap"]),
        (false, ["raw", "text", "mod"]),
    ] {
        for word in words {
            assert_eq!(source.code.contains(word), is_there, "{word} in {}", source.code);
        }
    }
    assert!(source.spoken.contains("str\\\"ing") && source.spoken.contains("raw \"text\""), "{}", source.spoken);
    assert!(!source.spoken.contains("words") && !source.spoken.contains("x.rs"), "{}", source.spoken);
    assert_eq!(source.code.lines().count(), text.lines().count());
    assert_eq!(source.lines, text.lines().count() - 4);
    assert!(Source::new("src/query/tests/plans.rs", "fn a() {}").code.trim().is_empty());
    assert_eq!(source.lines_with("end").count() + source.lines_with("nd").count(), 1);
}
