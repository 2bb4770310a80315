//! Commands that keytrail prints for a person to run.

use std::borrow::Cow;

/// A text as one word of a shell's command.
#[must_use]
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for plain in ["a/b-c_d.e", "arn:aws:kms:eu-west-1:111122223333:key/x", "s3://b/p", "50%", "a@b=c,d+e"] {
            assert_eq!(word(plain), plain);
        }
        for (text, quoted) in [("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$(x)", "'$(x)'"), ("~", "'~'")] {
            assert_eq!(word(text), quoted);
        }
    }
}
