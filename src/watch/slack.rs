//! A message as Slack's incoming webhooks show it: a headline, and a section per finding.
//!
//! What a finding says comes from logs, and logs are written by strangers. `&`, `<` and `>` are escaped, of which alone
//! mentions and links are made; every text is `verbatim`, so that Slack makes no mention of a bare `@channel` and no link
//! of an address either; control characters are shown as escapes. A text that is too long is cut, and says so by `…`.

use serde::Serialize;

use super::{Message, Pending};
use crate::instant;
use crate::query::Severity;
use crate::render::{clean, json_text};

/// Findings of a message. Slack takes 50 blocks.
pub(super) const FINDINGS_MAX: usize = 20;

/// UTF-16 units of a finding's message. Slack takes 3,000 characters in a section; twenty such sections nobody would read.
const SAID_MAX: usize = 300;

/// UTF-16 units of each further name in a section.
const NAME_MAX: usize = 64;

/// UTF-16 units of the headline, of which Slack takes 150.
const HEADLINE_MAX: usize = 140;

#[derive(Serialize)]
struct Body {
    /// What a phone shows where there is no room for blocks.
    text: String,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block {
    Header { text: Text },
    Section { text: Text },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Text {
    PlainText { text: String, emoji: bool },
    Mrkdwn { text: String, verbatim: bool },
}

/// The JSON of a message for Slack, `lake` being the name of the lake.
///
/// # Errors
/// Never, as far as is known: texts are always JSON.
pub fn slack_text(message: &Message, lake: &str) -> serde_json::Result<String> {
    let headline = headline(message, lake);
    let header = Text::PlainText { text: cut(&clean(&headline), HEADLINE_MAX, false), emoji: false };
    let mut blocks = vec![Block::Header { text: header }];
    blocks.extend(
        message.findings.iter().map(|one| Block::Section { text: Text::Mrkdwn { text: section(one), verbatim: true } }),
    );
    json_text(&Body { text: cut(&clean(&headline), HEADLINE_MAX, true), blocks }, false)
}

/// How many findings there are, by severity, the worst first.
fn headline(message: &Message, lake: &str) -> String {
    let count = |severity: Severity| message.findings.iter().filter(|one| one.finding.severity == severity).count();
    let counts: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (severity, count(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {}", severity.name()))
        .collect();
    let noun = if message.findings.len() == 1 { "finding" } else { "findings" };
    format!("keytrail: {} {noun} in {lake}", counts.join(", "))
}

fn section(pending: &Pending) -> String {
    let finding = &pending.finding;
    let mut lines = vec![
        format!("*{}* {}", finding.severity.name().to_uppercase(), said(&finding.detector, NAME_MAX)),
        said(&finding.message, SAID_MAX),
    ];
    let place: Vec<String> =
        [&finding.account_id, &finding.region].into_iter().flatten().map(|name| said(name, NAME_MAX)).collect();
    let mut about = if place.is_empty() { Vec::new() } else { vec![place.join(" ")] };
    about.extend(finding.last_seen.map(|at| format!("last seen {}", instant::plain(at))));
    about.push(if finding.events == 1 { "1 event".to_owned() } else { format!("{} events", finding.events) });
    about.extend(finding.evidence.first().map(|id| format!("event {}", said(id, NAME_MAX))));
    lines.push(about.join(", "));
    lines.push(format!("fingerprint {}", finding.fingerprint));
    lines.join("\n")
}

/// A text of a stranger, for mrkdwn: on one line, escaped, and no longer than this.
fn said(text: &str, units: usize) -> String {
    // A line break would let a text go on as if it were ours.
    cut(&clean(text).replace('\n', "\\n"), units, true)
}

/// Cuts a text to so many UTF-16 units, never within a character's escape.
fn cut(text: &str, units: usize, is_escaped: bool) -> String {
    let mut shown = String::new();
    let mut length = 0;
    // What fits with the mark of a cut behind it, in case that the rest does not.
    let mut whole = 0;
    for character in text.chars() {
        let mut own = [0; 4];
        let part = match character {
            '&' if is_escaped => "&amp;",
            '<' if is_escaped => "&lt;",
            '>' if is_escaped => "&gt;",
            character => character.encode_utf8(&mut own),
        };
        length += part.encode_utf16().count();
        if length > units {
            shown.truncate(whole);
            shown.push('…');
            return shown;
        }
        shown.push_str(part);
        if length < units {
            whole = shown.len();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("abc", 3, true), "abc");
        assert_eq!(cut("abcd", 3, true), "ab…");
        assert_eq!(cut("a<b", 6, true), "a&lt;b");
        assert_eq!(cut("a<bc", 6, true), "a&lt;…");
        assert_eq!(cut("a<bc", 5, true), "a…");
        assert_eq!(cut("<<", 2, false), "<<");
        assert_eq!(cut("👩👩👩", 5, true), "👩👩…");
        assert_eq!(said("a\n<!channel>\u{1b}", 100), "a\\n&lt;!channel&gt;\\u{1b}");
    }
}
