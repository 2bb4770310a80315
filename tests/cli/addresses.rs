//! A name is taken literally, whatever is in it: two names are two lakes, and a source is the folder that was named.

use std::fs;

use chrono::Duration;
use keytrail::address;
use keytrail::cloudtrail::columns::{Event, EventBuilder};
use keytrail::engine::Engine;
use keytrail::expectations::Expectations;
use keytrail::lake::Lake;
use keytrail::lake::events::EventsWriter;
use keytrail::lake::maintain::maintain;
use keytrail::query::Catalog;
use keytrail::source::{self, SourceOptions};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::evidence::Signed;
use crate::support::{Dir, decrypt};

/// Names each of which some reader of URLs or shells takes for something else; many are one another's encodings.
pub const HOSTILE: [&str; 31] = [
    "tenant#1",
    "tenant#2",
    "tenant",
    "team a",
    "team%20a",
    "team%2520a",
    "team+a",
    "feature%2Fx",
    "feature%252Fx",
    "a?b",
    "a?c",
    "a&b=c",
    "back\\slash",
    "back%5Cslash",
    "a..b",
    "...",
    "~",
    "'quoted'",
    "\"quoted\"",
    "c:",
    "c|",
    "*",
    "trailing ",
    "trailing",
    "%",
    "%25",
    "{}[]^`<>",
    "ärger",
    "a\u{308}rger",
    "日本",
    "a;b,c@d!e$f",
];

/// Parts of names that no name should be cut or changed at.
fn hostile() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "#",
        "?",
        "%",
        "%2F",
        "%20",
        "%23",
        " ",
        "+",
        "&",
        "=",
        "\\",
        "\n",
        "\t",
        "\r",
        "..",
        ".",
        "~",
        "'",
        "\"",
        ":",
        "*",
        "|",
        "<",
        "[",
        "é",
        "日",
        "a",
        "b",
        "1",
        "%25",
        "events",
        "_delta_log",
        "file:",
    ]);
    let name = prop::collection::vec(parts, 1..5).prop_map(|parts| parts.concat());
    name.prop_filter("these are no names", |name| !matches!(name.as_str(), "." | ".."))
}

/// Writes one event twice over, as two files, and merges them. The lake then says that it has this event, once.
pub fn fill(runtime: &Runtime, lake: &Lake, id: &str) {
    for half in 0..2 {
        let mut builder = EventBuilder::default();
        for number in [half, half + 1] {
            let event = Event {
                event_id: Some(format!("{id}-{number}").into()),
                event_name: Some("Decrypt".into()),
                event_time: Some(1_767_614_400_000_000),
                event_date: Some(20_458),
                account_id: Some("111122223333".into()),
                region: Some("eu-west-1".into()),
                ..Event::default()
            };
            builder.append(&event).unwrap();
        }
        runtime.block_on(async {
            EventsWriter::open(lake).await.unwrap().append(&builder.finish().unwrap()).await.unwrap();
        });
    }
    let done = runtime.block_on(maintain(lake, Duration::zero()));
    assert!(done.failed.is_empty(), "{done:?}");
    assert_eq!((done.files_merged, done.files_written), (2, 1), "{}", lake.address());
    assert!(done.files_deleted >= 2, "{done:?} of {}", lake.address());
}

/// The ids of the events that a lake answers with.
pub fn asked(runtime: &Runtime, lake: &Lake) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Row {
        event_id: String,
    }
    let (catalog, expectations) = (Catalog::default(), Expectations::default());
    let engine = runtime.block_on(Engine::open(lake, &catalog, &expectations)).unwrap();
    let rows = runtime.block_on(engine.sql("SELECT event_id FROM events ORDER BY event_id", Vec::new())).unwrap();
    rows.read::<Row>().unwrap().into_iter().map(|row| row.event_id).collect()
}

/// Fills a lake per name, and asks each for its own events.
pub fn every_name_is_a_lake(names: &[&str], at: impl Fn(&str) -> Lake) {
    let runtime = Runtime::new().unwrap();
    for (number, name) in names.iter().enumerate() {
        fill(&runtime, &at(name), &number.to_string());
    }
    for (number, name) in names.iter().enumerate() {
        let events: Vec<String> = (0..3).map(|event| format!("{number}-{event}")).collect();
        assert_eq!(asked(&runtime, &at(name)), events, "{name:?}");
    }
}

#[test]
fn every_hostile_folder_is_a_lake_of_its_own() {
    let dir = Dir::new();
    every_name_is_a_lake(&HOSTILE, |name| Lake::at(dir.join(name).to_str().unwrap()).unwrap());
    let mut folders: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort_unstable();
    let mut names = HOSTILE.map(str::to_owned);
    names.sort_unstable();
    assert_eq!(folders, names, "each lake is in the folder that was named");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn two_names_are_two_lakes(one in hostile(), two in hostile(), is_url in any::<bool>()) {
        prop_assume!(one != two);
        let dir = Dir::new();
        every_name_is_a_lake(&[&one, &two], |name| {
            let path = dir.join(name).join("lake");
            let uri = if is_url { address::file(&path).unwrap() } else { path.to_str().unwrap().to_owned() };
            Lake::at(&uri).unwrap()
        });
    }
}

#[test]
fn a_source_is_the_folder_that_was_named_and_its_records_are_found_again() {
    let dir = Dir::new();
    let names: Vec<&str> = HOSTILE.iter().chain(&["new\nline", "tab\t", "a%2Fb#?"]).copied().collect();
    let mut sources = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let log = dir.log(&format!("{name}/{name}.json"), &[decrypt(&format!("event-{number:02}"))]);
        let folder = log.parent().unwrap();
        let as_given = folder.to_str().unwrap().to_owned();
        sources.push(if number % 2 == 0 { as_given } else { address::file(folder).unwrap() });
    }
    let account = dir.keytrail(["ingest"]).args(&sources).format("json").ok().json();
    assert_eq!((account["objects"]["ingested"].as_u64(), names.len()), (Some(34), 34), "{account}");
    let runtime = Runtime::new().unwrap();
    for (number, row) in dir.sql("SELECT event_id, source_object FROM events ORDER BY event_id").iter().enumerate() {
        let (name, uri) = (names[number], row["source_object"].as_str().unwrap());
        let path = dir.join("logs").join(name).join(format!("{name}.json"));
        assert_eq!(address::path(uri).unwrap(), path.canonicalize().unwrap(), "{name:?}");
        let again = runtime.block_on(source::read(uri, &SourceOptions::default())).unwrap().unwrap();
        assert_eq!(again.bytes, fs::read(path).unwrap(), "{name:?}");
    }
    dir.keytrail(["event", "event-33"]).ok();
}

#[test]
fn an_archive_is_verified_wherever_it_lies() {
    let signed = Signed::new();
    let dir = Dir::new();
    let archive = dir.join("team #1/100%25 %2F\n");
    fs::create_dir_all(&archive).unwrap();
    for entry in fs::read_dir(signed.path()).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), archive.join(entry.file_name())).unwrap();
    }
    let keys = archive.join("public-keys.json");
    for source in [archive.to_str().unwrap().to_owned(), address::file(&archive).unwrap()] {
        let report = dir.bare(["verify", &source, "--public-keys", keys.to_str().unwrap()]).format("json");
        let report = report.ok().json();
        assert_eq!(report["outcome"], "valid", "{report}");
    }
}

#[test]
fn what_could_be_meant_as_another_lake_is_refused_before_anything_is_written() {
    let dir = Dir::new();
    dir.log("a.json", &[decrypt("e")]);
    let file = |name: &str| format!("file://{}/{name}", dir.path().display());
    for (lake, why) in [
        (file("tenant#1"), "write # as %23 in a file:// address"),
        (file("tenant?1"), "write ? as %3F in a file:// address"),
        (file("100%"), "write a percent sign as %25"),
        (file("a%2Fb"), "stands for no character of a name"),
        ("file://tenant/lake".to_owned(), "\"tenant\" stands where a host would"),
        ("s3:///lake".to_owned(), "no bucket is named"),
    ] {
        let ran = dir.bare(["--lake", &lake, "ingest", "logs"]).code(2);
        assert!(ran.stderr().contains(why), "{lake}: {}", ran.stderr());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "there are the logs, and nothing else");
}
