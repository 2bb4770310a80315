//! Dependencies point one way (design §2).

use super::source::Source;

/// Each module, and the modules that it may use. A new module gets a line here, which is a decision.
const MAY_USE: &[(&str, &[&str])] = &[
    ("address", &[]),
    ("instant", &[]),
    ("shell", &[]),
    ("synthetic", &[]),
    ("source", &["address", "shell"]),
    ("cloudtrail", &[]),
    ("lake", &["address", "cloudtrail"]),
    ("ingest", &["source", "cloudtrail", "lake"]),
    ("evidence", &["address", "source", "cloudtrail", "lake"]),
    ("inventory", &["source", "cloudtrail", "lake"]),
    ("query", &["instant"]),
    ("expectations", &[]),
    ("engine", &["cloudtrail", "expectations", "instant", "lake", "query"]),
    ("chain", &["engine", "instant", "query"]),
    ("naming", &["cloudtrail", "engine", "query"]),
    ("detect", &["engine", "expectations", "instant", "lake", "query"]),
    ("verdict", &["engine", "instant", "inventory", "query"]),
    ("incident", &["chain", "engine", "instant", "query"]),
    ("overview", &["detect", "engine", "incident", "instant", "query"]),
    ("render", &["chain", "cloudtrail", "detect", "incident", "instant", "overview", "query", "verdict"]),
    ("watch", &["detect", "engine", "instant", "lake", "query", "render"]),
    (
        "cli",
        &[
            "chain",
            "cloudtrail",
            "detect",
            "engine",
            "evidence",
            "expectations",
            "incident",
            "ingest",
            "instant",
            "inventory",
            "lake",
            "naming",
            "overview",
            "query",
            "render",
            "shell",
            "source",
            "synthetic",
            "verdict",
            "watch",
        ],
    ),
    // The binary's root and the library's table of contents.
    ("main", &["cli"]),
    ("lib", &[]),
];

/// What a module refuses to do, by the names that it would need for it.
const REFUSES: &[(&str, &[&str])] = &[
    (
        "cloudtrail",
        &["async fn", "tokio", "std::fs", "fs::", "std::net", "object_store", "datafusion", "deltalake_core"],
    ),
    ("source", &["arrow", "parquet", "datafusion", "deltalake_core", "serde_json"]),
    ("synthetic", &["tokio", "datafusion", "deltalake_core", "SystemTime", "Instant::now", "Utc::now", "rand::rng"]),
    ("lake", &["datafusion"]),
    ("ingest", &["datafusion", "deltalake_core", "indicatif"]),
    ("evidence", &["datafusion", "deltalake_core", "Utc::now", "SystemTime"]),
    ("inventory", &["datafusion", "deltalake_core", "indicatif", "Utc::now", "SystemTime"]),
    ("query", &["deltalake_core", "object_store", "SessionContext", "Utc::now", "SystemTime"]),
    ("engine", &["deltalake_core", "Utc::now", "SystemTime"]),
    ("expectations", &["datafusion", "deltalake_core", "tokio", "Utc::now", "SystemTime"]),
    ("chain", &["datafusion", "deltalake_core", "tokio", "SessionContext", "Utc::now", "SystemTime"]),
    ("detect", &["deltalake_core", "SessionContext", "Utc::now", "SystemTime"]),
    ("incident", &["datafusion", "deltalake_core", "tokio", "SessionContext", "Utc::now", "SystemTime"]),
    ("overview", &["datafusion", "deltalake_core", "tokio", "SessionContext", "Utc::now", "SystemTime"]),
    ("naming", &["deltalake_core", "tokio", "SessionContext", "Utc::now", "SystemTime"]),
    ("verdict", &["datafusion", "deltalake_core", "tokio", "SessionContext", "Utc::now", "SystemTime"]),
    ("watch", &["datafusion", "SessionContext", "deltalake_core", "Utc::now", "SystemTime"]),
    ("render", &["datafusion", "SessionContext", "deltalake_core", "tokio", "Utc::now", "SystemTime"]),
];

/// What only the command line uses.
const OF_THE_COMMAND_LINE: [&str; 6] = ["anyhow", "clap", "indicatif", "comfy_table", "terminal_size", "process::exit"];

/// Where `render` draws its table.
const DRAWS_TABLES: &str = "src/render/table.rs";

/// The module that a file belongs to.
fn module(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split(['/', '.']).next().unwrap_or(inside)
}

fn complaints(source: &Source) -> Vec<String> {
    let module = module(&source.path);
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: say in tests/tidy/imports.rs what `{module}` may use", source.path)];
    };
    let mut complaints = Vec::new();
    for (other, _) in MAY_USE.iter().filter(|(other, _)| *other != module && !may_use.contains(other)) {
        for line in uses(source, other) {
            complaints.push(format!("{}:{line}: `{module}` must not use `{other}`", source.path));
        }
    }
    let refused = REFUSES.iter().find(|(name, _)| *name == module).map_or(&[] as &[&str], |(_, words)| words);
    let of_the_command_line = OF_THE_COMMAND_LINE
        .into_iter()
        .filter(|word| !["cli", "main"].contains(&module) && (*word != "comfy_table" || source.path != DRAWS_TABLES));
    for word in refused.iter().copied().chain(of_the_command_line) {
        for (line, _) in source.lines_with(word) {
            complaints.push(format!("{}:{line}: `{module}` does without `{word}`", source.path));
        }
    }
    complaints
}

/// The lines that name a module of ours: `crate::lake::…`, `keytrail::lake::…`, or within braces behind either.
fn uses(source: &Source, module: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for root in ["crate::", "keytrail::"] {
        for (at, _) in source.code.match_indices(root) {
            let behind = &source.code[at + root.len()..];
            let names = match behind.strip_prefix('{') {
                Some(list) => outermost(list),
                None => vec![first_name(behind)],
            };
            if names.contains(&module) {
                lines.push(source.code[..at].lines().count());
            }
        }
    }
    lines
}

/// The names on the outer level of a list in braces, of which the opening one is gone.
fn outermost(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                names.push(first_name(list[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> &str {
    path.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or_default()
}

#[test]
fn modules_use_what_is_upstream_of_them() {
    super::none(&super::sources(&["src"]).iter().flat_map(complaints).collect::<Vec<_>>());
}

#[test]
fn an_import_against_the_arrows_is_complained_of() {
    for (path, text) in [
        ("src/lake/mod.rs", "use crate::engine::Engine;"),
        ("src/render/mod.rs", "use crate::{instant::{self, x}, engine};"),
        ("src/cloudtrail/mod.rs", "pub async fn read() {}"),
        ("src/cloudtrail/mod.rs", "use std::fs;"),
        ("src/render/mod.rs", "use datafusion::prelude::*;"),
        ("src/render/mod.rs", "use comfy_table::Table;"),
        ("src/query/mod.rs", "fn now() { Utc::now() }"),
        ("src/main.rs", "use keytrail::lake::Lake;"),
        ("src/newcomer.rs", ""),
    ] {
        assert_eq!(complaints(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("src/engine/mod.rs", "use crate::{lake, query::Query};\nuse crate::lake::Lake;"),
        ("src/lake/mod.rs", "// use crate::engine\nconst A: &str = \"crate::engine\";\nfn f(engine: u8) {}"),
        ("src/lake/mod.rs", "#[cfg(test)]\nmod tests { use crate::ingest::ingest; }"),
        ("src/cli/ask.rs", "use keytrail::engine::Engine; use anyhow::Result;"),
    ] {
        assert_eq!(complaints(&Source::new(path, text)), [""; 0], "{path}: {text}");
    }
}
