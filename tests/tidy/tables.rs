//! The README's tables are what the code says, and every query says what it is.
//!
//! ```text
//! KEYTRAIL_BLESS=1 cargo test tidy    writes the tables anew
//! ```

use std::fmt::Write as _;
use std::fs;

use keytrail::cloudtrail::columns::COLUMNS;
use keytrail::lake::columns::Column;
use keytrail::lake::findings::{DETECTION_COLUMNS, FINDING_COLUMNS, NOTIFICATION_COLUMNS};
use keytrail::lake::inventory::{INVENTORY_COLUMNS, KEY_COLUMNS, TRAIL_COLUMNS};
use keytrail::query::{Catalog, Kind, Query, Severity};

use super::{files, none, root, sources};

/// The environment variable that asks for the tables to be written.
const BLESS: &str = "KEYTRAIL_BLESS";

fn columns() -> String {
    table(["column", "meaning"], COLUMNS.iter().map(|column| [format!("`{}`", column.name), column.doc.to_owned()]))
}

fn described<R>(columns: &[Column<R>]) -> String {
    table(["column", "meaning"], columns.iter().map(|column| [format!("`{}`", column.name), column.doc.to_owned()]))
}

/// The queries that a user asks for by name. The views are what they are written in.
fn queries() -> String {
    let catalog = Catalog::shipped();
    table(
        ["query", "what it answers"],
        catalog.questions().map(|query| [format!("`{}`", query.name), query.title.clone()]),
    )
}

fn detectors() -> String {
    let catalog = Catalog::shipped();
    let severity = |query: &Query| query.severity.map_or("", Severity::name);
    let rows = catalog.detectors();
    table(
        ["detector", "what it finds"],
        rows.map(|query| [format!("`{}`", query.name), format!("{} ({})", query.title, severity(query))]),
    )
}

fn views() -> String {
    let catalog = Catalog::shipped();
    table(["view", "what it holds"], catalog.views().map(|view| [format!("`{}`", view.name), view.title.clone()]))
}

fn table(head: [&str; 2], rows: impl Iterator<Item = [String; 2]>) -> String {
    let mut table = format!("| {} | {} |\n|---|---|\n", head[0], head[1]);
    for [name, text] in rows {
        writeln!(table, "| {name} | {} |", text.replace('|', "\\|")).unwrap();
    }
    table
}

/// The text with the table between `<!-- name -->` and `<!-- /name -->` as it should be; nothing where the text does not
/// ask for that table.
fn with_table(text: &str, name: &str, table: &str) -> Result<Option<String>, String> {
    let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    match (text.find(&opening), text.find(&closing)) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) if from < to => {
            let from = from + opening.len();
            Ok(Some(format!("{}{table}{}", &text[..from], &text[to..])))
        }
        _ => Err(format!("README.md: the marks of `{name}` are not a pair")),
    }
}

fn undocumented(query: &Query) -> Option<String> {
    let is_said = !query.title.trim().is_empty() && query.docs.lines().any(|line| line.starts_with("## "));
    (!is_said).then(|| format!("{}: a query has a title, and docs in sections", query.name))
}

/// A detector has a case that fires and one that stays quiet.
fn untried(query: &Query, cases: &[String]) -> Option<String> {
    let has = |kind: &str| cases.iter().any(|case| case.contains(&format!("/{}/{kind}", query.name)));
    let is_tried = query.kind != Kind::Detector || has("fires") && has("quiet");
    (!is_tried).then(|| format!("{}: testdata/detectors/{0}/ needs fires*.json and quiet*.json", query.name))
}

#[test]
fn the_readme_has_the_tables_that_the_code_makes() {
    let path = root().join("README.md");
    let before = fs::read_to_string(&path).unwrap();
    let mut after = before.clone();
    let tables = [
        ("columns", columns()),
        ("key-columns", described(KEY_COLUMNS)),
        ("trail-columns", described(TRAIL_COLUMNS)),
        ("inventory-columns", described(INVENTORY_COLUMNS)),
        ("finding-columns", described(FINDING_COLUMNS)),
        ("detection-columns", described(DETECTION_COLUMNS)),
        ("notification-columns", described(NOTIFICATION_COLUMNS)),
        ("detectors", detectors()),
        ("queries", queries()),
        ("views", views()),
    ];
    for (name, table) in tables {
        if let Some(text) = with_table(&after, name, &table).unwrap() {
            after = text;
        }
    }
    if std::env::var_os(BLESS).is_some() && before != after {
        fs::write(&path, &after).unwrap();
    }
    let is_now = fs::read_to_string(&path).unwrap();
    assert!(is_now == after, "README.md has a table that is out of date; {BLESS}=1 cargo test tidy writes it");
}

#[test]
fn a_table_is_put_between_its_marks_and_nowhere_else() {
    let text = "a\n<!-- columns -->\nold\n<!-- /columns -->\nb\n";
    let expected = "a\n<!-- columns -->\n| x |\n<!-- /columns -->\nb\n";
    assert_eq!(with_table(text, "columns", "| x |\n"), Ok(Some(expected.to_owned())));
    assert_eq!(with_table(expected, "columns", "| x |\n"), Ok(Some(expected.to_owned())));
    assert_eq!(with_table(text, "queries", ""), Ok(None));
    assert!(with_table("<!-- /columns -->\n<!-- columns -->\n", "columns", "").is_err());
    assert!(with_table("<!-- columns -->\n", "columns", "").is_err());
    assert_eq!(table(["a", "b"], [["c".into(), "d|e".into()]].into_iter()), "| a | b |\n|---|---|\n| c | d\\|e |\n");
}

#[test]
fn every_column_says_what_it_means() {
    let silent: Vec<String> =
        COLUMNS.iter().filter(|column| column.doc.is_empty()).map(|c| c.name.to_owned()).collect();
    none(&silent);
}

#[test]
fn every_query_says_what_it_answers() {
    let catalog = Catalog::shipped();
    let asked = catalog.questions().chain(catalog.internal());
    let all: Vec<&Query> = catalog.views().chain(asked).chain(catalog.detectors()).collect();
    assert_eq!(all.len(), files(&["queries"], "sql").len(), "a query is in a folder that nobody reads");
    let cases: Vec<String> = files(&["testdata"], "json").into_iter().map(|(path, _)| path).collect();
    none(&all.iter().filter_map(|query| undocumented(query).or_else(|| untried(query, &cases))).collect::<Vec<_>>());
}

/// An internal query that no code names: a question, or one that is not asked any more.
fn unasked(query: &Query, spoken: &[&str]) -> Option<String> {
    let name = format!("\"{}\"", query.name);
    let is_asked = spoken.iter().any(|text| text.contains(&name));
    (!is_asked).then(|| format!("queries/internal/{}.sql: no file in src/ asks it", query.name))
}

#[test]
fn an_internal_query_is_one_that_the_code_asks() {
    let sources = sources(&["src"]);
    let spoken: Vec<&str> = sources.iter().map(|source| source.spoken.as_str()).collect();
    none(&Catalog::shipped().internal().filter_map(|query| unasked(query, &spoken)).collect::<Vec<_>>());
    let lonely = Query::parse("lonely", Kind::Internal, "-- ---\n-- title = \"Lonely\"\n-- ---\nTABLE keys").unwrap();
    assert!(unasked(&lonely, &["ask(lonely)"]).is_some());
    assert!(unasked(&lonely, &["ask(\"lonely\")"]).is_none());
}

#[test]
fn a_query_without_docs_and_a_detector_without_cases_are_complained_of() {
    let bare = Query::parse("bare", Kind::Question, "-- ---\n-- title = \"Bare\"\n-- ---\nTABLE keys").unwrap();
    assert!(undocumented(&bare).is_some());
    let said = "-- ---\n-- title = \"Said\"\n-- ---\n-- ## What it answers\n-- Keys.\nTABLE keys";
    let mut said = Query::parse("said", Kind::Question, said).unwrap();
    assert_eq!((undocumented(&said), untried(&said, &[])), (None, None));
    said.kind = Kind::Detector;
    let case = |name: &str| format!("testdata/detectors/said/{name}.json");
    assert!(untried(&said, &[case("fires-once")]).is_some());
    assert_eq!(untried(&said, &[case("fires-once"), case("quiet")]), None);
}
