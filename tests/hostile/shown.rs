//! What strangers chose (user agents, session names), on its way to a terminal, a spreadsheet, a browser or a program.

use serde_json::{Value, json};

use crate::support::{Dir, decrypt, with};

/// Names that act on whoever shows them: a terminal, a spreadsheet, a page, a string of C, an eye.
const NAMES: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}all clear",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(1)",
    "<script>alert(1)</script>",
    "a\u{0}b",
    "\u{202e}gnp.exe\u{2066}",
    "| x | [y](javascript:z) |\r\nnext line",
];

/// A lake with a call for each name, as session name, and the name as user agent too.
fn lake() -> Dir {
    let dir = Dir::new();
    let records: Vec<Value> = (NAMES.iter().enumerate())
        .map(|(index, name)| {
            let mut record = with(decrypt(&format!("e{index}")), "userAgent", *name);
            record["eventTime"] = json!(format!("2026-01-05T12:00:{index:02}Z"));
            record["userIdentity"] = json!({
                "type": "AssumedRole", "principalId": format!("AROAEXAMPLE:{name}"), "accountId": "111122223333",
                "arn": format!("arn:aws:sts::111122223333:assumed-role/Ops/{name}"),
            });
            record
        })
        .collect();
    dir.log("a.json.gz", &records);
    dir.ingest("logs");
    dir
}

const STATEMENT: &str = "SELECT session_name, user_agent, event_id FROM events ORDER BY event_time";

/// Whether a text has nothing in it that acts: only line ends, and what is to be read.
fn is_plain(text: &str) -> bool {
    !text.contains(|c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2066}')
}

#[test]
fn names_that_act_are_harmless_wherever_they_are_shown() {
    let dir = lake();
    let shown = |format: &str| {
        let timeline = dir.keytrail(["timeline"]).format(format).ok();
        let agents = dir.keytrail(["sql", STATEMENT]).format(format).ok();
        assert_eq!((timeline.stderr(), agents.stderr()), (String::new(), String::new()));
        [timeline.stdout(), agents.stdout()]
    };
    for format in ["table", "csv", "markdown", "json", "ndjson"] {
        for text in shown(format) {
            assert!(is_plain(&text), "{format}: {text:?}");
            assert!(text.contains("all clear") && text.contains("gnp.exe"), "{format}: {text}");
        }
    }
    // One line of heading and one of rules, then a line for each call, whatever line ends its name has.
    for text in shown("table").iter().chain(&shown("markdown")) {
        assert_eq!(text.lines().count(), NAMES.len() + 2, "{text}");
    }
    for text in shown("markdown") {
        assert!(!text.contains("[y](") && !text.contains("| x |"), "{text}");
        assert!(text.contains("\\<script") && !text.replace("\\<", "").contains('<'), "{text}");
    }
}

#[test]
fn no_cell_of_a_spreadsheet_begins_a_formula() {
    let dir = lake();
    for arguments in [vec!["timeline"], vec!["sql", STATEMENT]] {
        let text = dir.keytrail(arguments).format("csv").ok().stdout();
        let mut cells = 0;
        for row in csv::Reader::from_reader(text.as_bytes()).records() {
            for cell in &row.unwrap() {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
                cells += 1;
            }
        }
        assert!(cells >= NAMES.len() * 3 && text.contains("'=cmd"), "{text}");
    }
}

#[test]
fn json_has_every_name_as_it_was_logged() {
    let dir = lake();
    let rows = dir.sql(STATEMENT);
    let timeline = dir.keytrail(["timeline"]).format("json").ok().json();
    assert_eq!(rows.len(), NAMES.len());
    for (index, name) in NAMES.iter().enumerate() {
        assert_eq!(rows[index]["session_name"], *name);
        assert_eq!(rows[index]["user_agent"], *name);
        assert_eq!(timeline[index]["session_name"], *name);
    }
}

/// The names of an object and what is wrong with it are told on standard error, where a terminal listens.
#[test]
fn the_name_of_a_bad_object_is_harmless_too() {
    let dir = Dir::new();
    dir.object("a\u{1b}[31m\u{202e}.json", "<script>");
    let ran = dir.keytrail(["ingest", "logs"]).code(3);
    assert!(is_plain(&ran.stdout()) && is_plain(&ran.stderr()), "{}", ran.stderr());
    assert!(ran.stderr().contains("neither gzip nor JSON"));
}

/// A stranger's text is a value, never a part of a statement.
#[test]
fn a_name_with_quotes_selects_only_itself() {
    let dir = Dir::new();
    let name = "x' OR '1'='1";
    let with_session = |id: &str, name: &str| {
        let arn = format!("arn:aws:sts::111122223333:assumed-role/Ops/{name}");
        with(decrypt(id), "userIdentity", json!({"type": "AssumedRole", "arn": arn}))
    };
    dir.log("a.json", &[with_session("quoted", name), with_session("plain", "plain")]);
    dir.ingest("logs");
    let rows = dir.keytrail(["timeline", "--session", name]).format("json").ok().json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["event_id"], "quoted");
}
