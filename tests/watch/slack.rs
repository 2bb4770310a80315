//! What Slack is sent, when logs are written by somebody who would like to speak through it.

use chrono::{DateTime, Utc};
use keytrail::detect::{Finding, Status};
use keytrail::query::Severity;
use keytrail::watch::{Message, Pending, slack_text};
use serde_json::Value;

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A finding that says this, of a principal that is called so.
pub fn pending(severity: Severity, message: &str, name: &str) -> Pending {
    let mut finding = Finding {
        detector: "root-uses-key".to_owned(),
        severity,
        status: Status::New,
        message: message.to_owned(),
        key_arn: Some(name.to_owned()),
        principal: Some(name.to_owned()),
        account_id: Some(name.to_owned()),
        region: Some("eu-west-1".to_owned()),
        asset: None,
        first_seen: Some(at("2026-01-05T12:00:00Z")),
        last_seen: Some(at("2026-01-05T13:00:00Z")),
        events: 2,
        evidence: vec![name.to_owned()],
        detail: Some(name.to_owned()),
        reason: None,
        fingerprint: String::new(),
    };
    finding.fingerprint = finding.fingerprint();
    Pending { finding, opened_at: at("2026-01-06T00:00:00Z"), run_at: at("2026-01-06T00:00:00Z") }
}

fn slack(findings: Vec<Pending>) -> Value {
    serde_json::from_str(&slack_text(&Message::new(findings), "lake").unwrap()).unwrap()
}

/// Every text in a value, with where it stands.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| texts(one, found)),
        Value::Object(members) => members.values().for_each(|one| texts(one, found)),
        _ => {}
    }
}

#[test]
fn hostile_names_are_shown_and_do_nothing() {
    let sent = slack(vec![
        pending(
            Severity::Critical,
            "<!channel> <@U0123> <https://evil.example|your bank> & @here #general",
            "<script>",
        ),
        pending(Severity::High, "*one*\n\n*CRITICAL* other-detector\nfake\u{1b}[2J\u{202e}\u{0}", "a&amp;b"),
        pending(Severity::Medium, "&lt;!channel&gt;", ""),
    ]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&sent).unwrap());
    let mut found = Vec::new();
    texts(&sent, &mut found);
    for text in found {
        let harmless = text.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "");
        assert!(!harmless.contains(['<', '>', '&']), "{text}");
        assert!(!text.contains(|character: char| character.is_control() && character != '\n'), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{2028}']), "{text:?}");
    }
    for block in sent["blocks"].as_array().unwrap().iter().filter(|block| block["type"] == "section") {
        assert_eq!((&block["text"]["type"], &block["text"]["verbatim"]), (&"mrkdwn".into(), &true.into()));
        // A stranger's line breaks are none: the lines are ours.
        assert_eq!(block["text"]["text"].as_str().unwrap().lines().count(), 4);
    }
}

#[test]
fn a_message_stays_within_what_slack_takes_however_long_the_names_are() {
    for text in ["a", "<", "&", "👩", "\u{0}", "\n"] {
        let long = text.repeat(10 * 1024);
        let sent = slack(vec![pending(Severity::High, &long, &long); 20]);
        let blocks = sent["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert_eq!(blocks.len(), 21);
        let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
        assert!(units(&blocks[0]["text"]["text"]) <= 150);
        for block in &blocks[1..] {
            assert!((1..=3000).contains(&units(&block["text"]["text"])), "{block}");
            // Cut behind a character, never within its escape.
            assert!(!block["text"]["text"].as_str().unwrap().contains("&l…"));
        }
        assert!(units(&sent["text"]) <= 3000);
    }
}
