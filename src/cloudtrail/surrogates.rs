//! Half characters: escapes that spell one half of a surrogate pair.

use std::borrow::Cow;

/// The text with every `\uD800`–`\uDFFF` escape that has no partner replaced by `\uFFFD`.
///
/// AWS cuts a user agent at 1 KB, which may split a pair; a caller must not be able to hide a call from us by sending
/// half a character.
pub(super) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut repaired: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(escape) = text[at..].find('\\').map(|offset| at + offset) {
        let unit = |at: usize| {
            let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16).ok()
        };
        at = match unit(escape) {
            Some(0xD800..=0xDBFF) if matches!(unit(escape + 6), Some(0xDC00..=0xDFFF)) => escape + 12,
            Some(0xD800..=0xDFFF) => {
                let out = repaired.get_or_insert_default();
                out.push_str(&text[copied..escape]);
                out.push_str("\\uFFFD");
                copied = escape + 6;
                copied
            }
            // An escape is a backslash and at least one ASCII character; broken text may end here.
            _ => (escape + 2..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len()),
        };
        if at >= text.len() {
            break;
        }
    }
    match repaired {
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}
