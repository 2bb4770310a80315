//! Characters that act instead of being read, made visible.
//!
//! Escaped as `\n`, `\r`, `\t` or `\u{…}`: the control characters C0, DEL and C1, among them the ESC and CSI of every
//! terminal sequence; the bidirectional marks, embeddings, overrides and isolates; U+2028 and U+2029, which end a line
//! in some readers; and what has no width at all (U+200B, U+2060 to U+2064, U+FEFF, U+FFF9 to U+FFFB, the tags of plane
//! 14). Zero-width joiners stay: scripts and emoji need them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is one of the module's list.
pub(super) fn acts(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The text with every character that acts shown as an escape.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            character if acts(character) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            character => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_what_is_read_stays() {
        for (text, shown) in [
            ("aws-cli/2.0 (Ünïcode; 日本) 👩‍🚒", "aws-cli/2.0 (Ünïcode; 日本) 👩‍🚒"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("exe\u{202e}gpj.\u{2066}x\u{2069}\u{200f}", "exe\\u{202e}gpj.\\u{2066}x\\u{2069}\\u{200f}"),
            ("role\u{200b}/admin\u{feff}\u{e0041}", "role\\u{200b}/admin\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }
}
