//! Every form is what it says it is, whatever strangers have chosen for names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use keytrail::synthetic::{Plan, write_folder};
use serde_json::{Value, json};

use super::{cancelled, key, keys, report, scheduled, user, with_doomed};
use crate::support::python::python;
use crate::support::{Dir, Shared, decrypt, with};

/// Names that act on whoever shows them.
const NAMES: [&str; 9] = [
    "<script>owned=1</script>",
    "\"><img src=x onerror=owned=1>",
    "javascript:alert(1)",
    "\u{1b}[2J\u{1b}]0;owned\u{7}all clear",
    "=cmd|' /C calc'!A0",
    "[click](https://evil.example/) {0}",
    "\u{202e}gnp.exe\u{2066}",
    "| x | y |\r\nnext line",
    "</title></style><h1>owned</h1>",
];

/// A lake of generated logs, in which strangers chose harmful names, with findings whose principals have these names.
pub(super) static HOSTILE: Shared<Dir> = Shared::new(|| {
    let dir = Dir::new();
    let plan = Plan { events: 4_000, ..Plan::default() };
    write_folder(&plan, &dir.join("logs"), &mut |_| ()).unwrap();
    let long = "x".repeat(10_000);
    let names = NAMES.iter().copied().chain([long.as_str()]);
    let records: Vec<Value> = names
        .zip('a'..='z')
        .map(|(name, letter)| {
            let record = scheduled(&format!("e-{letter}"), "2026-01-06T12:00:00Z", &user(name), &key(letter));
            with(record, "userAgent", name)
        })
        .collect();
    dir.log("AWSLogs/names.json.gz", &records);
    // A Decrypt whose key is no ARN, and a context that the caller made up.
    let mut odd = decrypt("odd");
    odd["eventTime"] = json!("2026-01-06T12:30:00Z");
    odd["resources"][0]["ARN"] = json!("javascript:alert(1)//arn:aws:kms:eu-west-1:111122223333:key/x");
    odd["requestParameters"]["encryptionContext"] = json!({"<b>": "<script>owned=1</script>"});
    dir.log("AWSLogs/odd.json.gz", &[odd]);
    dir.keytrail(["ingest", "logs"]).code_among(&[0, 3]);
    dir
});

/// What each form of a report is called as a file.
const FILES: [(&str, &str); 8] = [
    ("table", "report.txt"),
    ("markdown", "report.md"),
    ("csv", "report.csv"),
    ("json", "report.json"),
    ("html", "report.html"),
    ("ocsf", "report.ocsf.json"),
    ("asff", "report.asff.json"),
    ("sarif", "report.sarif"),
];

/// One report in every form.
pub(super) fn written(dir: &Dir) -> BTreeMap<&'static str, String> {
    let own: &[&str] = if dir.join("queries").exists() { &["--queries", "queries"] } else { &[] };
    let files = FILES.iter().flat_map(|(_, file)| ["-o", file]);
    dir.keytrail(["report", "--no-save"]).args(own).args(files).ok();
    FILES.map(|(form, file)| (form, fs::read_to_string(dir.join(file)).unwrap())).into()
}

/// Whether a text has nothing in it that acts.
fn is_plain(text: &str) -> bool {
    !text.contains(|c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2066}')
}

#[test]
fn what_a_log_says_stays_text_in_every_form() {
    let dir = HOSTILE.get();
    let texts = written(&dir);
    let json: Value = serde_json::from_str(&texts["json"]).unwrap();
    let findings = keys(&json, "new", super::SCHEDULED).len();
    assert!(findings > NAMES.len(), "{findings}");
    for (form, text) in &texts {
        assert!(is_plain(text), "{form}");
        // The terminal tells ten findings at length.
        assert!(*form == "table" || text.contains("all clear"), "{form} has lost a name");
    }
    let html = &texts["html"];
    for tag in ["<script>owned", "<img src=x", "<h1>owned", "</title></style><h1>"] {
        assert!(!html.contains(tag), "{tag}");
    }
    let linked = html.split("href=\"").skip(1).filter(|link| !link.starts_with('#') && !link.starts_with("data:,\""));
    assert_eq!(linked.count(), 0, "a link that leads out of the page");
    for line in texts["table"].lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
    let markdown = &texts["markdown"];
    assert!(!markdown.contains("[click](") && !markdown.contains("| x | y |"), "{markdown}");
    assert!(!markdown.replace("\\<", "").contains("<script"), "{markdown}");
    for row in csv::Reader::from_reader(texts["csv"].as_bytes()).records() {
        assert!(row.unwrap().iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])));
    }
    let sarif: Value = serde_json::from_str(&texts["sarif"]).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let clicked =
        results.iter().filter_map(|result| result["message"]["text"].as_str()).find(|text| text.contains("click"));
    assert!(clicked.unwrap().contains(r"\[click\](https://evil.example/) {{0}}"), "{clicked:?}");
}

/// Holds a document to the published definition of its form.
fn validated(python: &Path, form: &str, file: &Path, schema: Option<&Path>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overview/validate.py");
    let ran = Command::new(python).arg(script).arg(form).arg(file).args(schema).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{form}: {said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

const VALIDATORS: &str = "botocore, jsonschema, ocsf_json_schema, rfc3339_validator, rfc3986_validator";

#[test]
fn documents_for_other_tools_are_valid() {
    let Some(python) = python(VALIDATORS) else { return };
    let dir = HOSTILE.get();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/report.schema.json");
    // Among the findings are such that were resolved, are accepted or could not be judged again.
    let lake = Dir::new();
    let copied = Command::new("cp").arg("-r").arg(dir.lake()).arg(lake.lake()).status().unwrap();
    assert!(copied.success());
    with_doomed(&lake);
    report(&lake, &[]);
    let cancelled = cancelled("cancelled", "2026-01-07T21:30:00Z", &key('b'));
    lake.log("later.json.gz", &[cancelled, scheduled("e-y", "2026-01-07T21:40:00Z", &user("zoe"), &key('e'))]);
    lake.ingest("logs");
    let accepted = "[[accept]]\ndetector = \"coverage-gap\"\nreason = \"a test's\"\nuntil = 2030-01-01\n";
    fs::write(lake.join("keytrail.toml"), accepted).unwrap();
    let texts = written(&lake);
    let all: Value = serde_json::from_str(&texts["json"]).unwrap();
    for list in ["new", "ongoing", "resolved", "accepted"] {
        assert_ne!(all["findings"][list], json!([]), "{list}");
    }
    let count =
        |lists: &[&str]| lists.iter().map(|list| all["findings"][*list].as_array().unwrap().len()).sum::<usize>();
    let open = ["new", "ongoing", "unjudged"];
    let every = ["new", "ongoing", "unjudged", "resolved", "aged", "accepted"];
    for (form, lists) in [("ocsf", &every[..]), ("sarif", &open), ("asff", &every)] {
        let (_, name) = FILES.iter().find(|(name, _)| *name == form).unwrap();
        let file = lake.join(name);
        let said = validated(&python, form, &file, None);
        if form == "asff" {
            // What it takes an account and a Region to tell is left out, and said so.
            let told = texts[form].matches("\"GeneratorId\"").count();
            assert!(told > NAMES.len() && told <= count(lists), "{told}");
        } else {
            assert_eq!(said.trim(), format!("valid: {} findings", count(lists)), "{form}");
        }
    }
    let file = lake.join("report.json");
    validated(&python, "json-schema", &file, Some(&schema));
    // The schema takes nothing that it does not name.
    let mut odd = all;
    odd["findings"]["odd"] = json!([]);
    fs::write(&file, odd.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overview/validate.py");
    let ran = Command::new(&python).arg(script).arg("json-schema").arg(&file).arg(&schema).output().unwrap();
    assert!(!ran.status.success(), "the schema takes anything");
}
