//! The files of a module do not use each other in circles: each can be read on top of those that it uses.
//!
//! What a module's `mod.rs` uses is not looked at: it holds what its files have in common, and ties them together. Which of the
//! crate's modules may use which is said in `imports.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// Names from the crate's root on, such as `lake::spec`.
type Module = Vec<String>;

/// What uses what in one folder, each with the first line that does.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

fn module(path: &str) -> Module {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    inside.strip_suffix("/mod").unwrap_or(inside).split('/').map(str::to_owned).collect()
}

/// Every path that begins with `super` or `crate`, with its line.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for root in ["super::", "crate::"] {
        for (at, _) in code.match_indices(root) {
            if !code[..at].ends_with(|before: char| is_name(before) || before == ':') {
                let mut opened = Vec::new();
                open(&code[at..], Vec::new(), &mut opened);
                let line = code[..at].matches('\n').count() + 1;
                found.extend(opened.into_iter().map(|path| (line, path)));
            }
        }
    }
    found
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Opens the braces of a path, and gives back what follows it.
fn open<'t>(text: &'t str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let mut rest = text.trim_start();
    if let Some(list) = rest.strip_prefix('{') {
        rest = list;
        loop {
            rest = open(rest, path.clone(), found);
            // What stands behind `as` is no part of a path.
            let Some(end) = rest.find([',', '}']) else { return "" };
            let is_last = rest[end..].starts_with('}');
            rest = &rest[end + 1..];
            if is_last {
                return rest;
            }
        }
    }
    let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    if length > 0 {
        path.push(rest[..length].to_owned());
        rest = &rest[length..];
        if let Some(more) = rest.trim_start().strip_prefix("::") {
            return open(more, path, found);
        }
    }
    found.push(path);
    rest
}

/// A path from the root on; `super` is what the file's module is in.
fn absolute(path: &[String], file: &Module) -> Module {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let base = if supers == 0 { 0 } else { file.len().saturating_sub(supers) };
    let behind = if supers == 0 { 1 } else { supers };
    file[..base].iter().chain(&path[behind..]).cloned().collect()
}

/// Who uses whom, by folder.
fn uses(sources: &[Source]) -> BTreeMap<String, Uses> {
    let modules: BTreeSet<Module> = sources.iter().map(|source| module(&source.path)).collect();
    let mut folders: BTreeMap<String, Uses> = BTreeMap::new();
    for source in sources {
        let file = module(&source.path);
        for (line, path) in paths(&source.code) {
            let used = absolute(&path, &file);
            let common = file.iter().zip(&used).take_while(|(one, other)| one == other).count();
            // In the root `imports.rs` says who may use whom; a module and what is in it are no siblings.
            let is_sibling = common > 0 && common < file.len() && common < used.len();
            if !is_sibling || !modules.iter().any(|known| known.starts_with(&used[..=common])) {
                continue;
            }
            let folder = format!("src/{}", file[..common].join("/"));
            let place = format!("{}:{line}", source.path);
            let siblings = folders.entry(folder).or_default().entry(file[common].clone()).or_default();
            siblings.entry(used[common].clone()).or_insert(place);
        }
    }
    folders
}

/// The shortest way from a file back to itself, as places.
fn circle(uses: &Uses, from: &str) -> Option<Vec<(String, String)>> {
    let mut ways: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let at = way.last().map_or(from, |(name, _)| name.as_str());
            for (next, place) in uses.get(at).into_iter().flatten() {
                let way = [way.as_slice(), &[(next.clone(), place.clone())]].concat();
                if next == from {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

fn complaints(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (folder, uses) in uses(sources) {
        let mut told: BTreeSet<String> = BTreeSet::new();
        for from in uses.keys() {
            let Some(way) = circle(&uses, from).filter(|_| !told.contains(from)) else { continue };
            told.extend(way.iter().map(|(name, _)| name.clone()));
            let names: Vec<&str> = way.iter().map(|(name, _)| name.as_str()).collect();
            let places: Vec<&str> = way.iter().map(|(_, place)| place.as_str()).collect();
            complaints.push(format!(
                "{folder}: {from} uses {}, a circle ({}): move what they have in common into a file of its own",
                names.join(", which uses "),
                places.join(", ")
            ));
        }
    }
    complaints
}

#[test]
fn the_files_of_a_module_do_not_use_each_other_in_circles() {
    super::none(&complaints(&super::sources(&["src"])));
}

#[test]
fn a_circle_is_complained_of() {
    let complaints = |files: &[(&str, &str)]| {
        complaints(&files.iter().map(|(path, text)| Source::new(*path, text)).collect::<Vec<_>>())
    };
    let (one, other) = (("src/m/one.rs", "use super::other::f;"), ("src/m/other.rs", "use super::{X, one};"));
    assert_eq!(
        complaints(&[one, other]),
        [
            "src/m: one uses other, which uses one, a circle (src/m/one.rs:1, src/m/other.rs:1): move what they have in common into \
          a file of its own"
        ]
    );
    for back in [
        "use std::fmt;\nfn f() { super::one::f() }",
        "use crate::m::one;",
        "use crate::m::{x::Y as Z, one::{self, f}};",
        "use crate::{a, m::one::*};",
    ] {
        assert_eq!(complaints(&[one, ("src/m/other.rs", back)]).len(), 1, "{back}");
    }
    let third = ("src/m/third/deep.rs", "use super::super::one;");
    assert_eq!(complaints(&[one, ("src/m/other.rs", "use super::third::g;"), third]).len(), 1);
    for (path, text) in [
        ("src/m/other.rs", "use super::f;\nuse crate::n::one;"),
        ("src/m/other.rs", "// use super::one;\nconst A: &str = \"super::one::f\";"),
        ("src/m/other.rs", "#[cfg(test)]\nmod tests { use super::super::one; }"),
        ("src/m/tests.rs", "use super::one;"),
        ("src/m/mod.rs", "use super::m::one;\nuse crate::m::other;"),
        ("src/n/other.rs", "use crate::m::one;"),
        ("src/m/one/deep.rs", "use super::f;\nuse super::super::one::g;"),
    ] {
        assert_eq!(complaints(&[one, (path, text)]), [""; 0], "{path}: {text}");
    }
}
