//! What must not stand in a file, and what must.

use std::process::Command;

use super::source::{Source, numbered};
use super::{files, none, root, sources};

fn opening(source: &Source) -> Option<String> {
    let opens = source.text.starts_with("//!") || source.text.starts_with("#!");
    (!opens).then(|| format!("{}:1: say at the head, with //!, what the file is for", source.path))
}

/// SQL that is run. What the command line tells its user to type is none.
fn sql(source: &Source) -> Vec<String> {
    let is_told = |line: &str| source.path.starts_with("src/cli/") && line.contains("keytrail sql ");
    let lines = numbered(&source.spoken).filter(|(_, line)| line.contains("SELECT ") && !is_told(line));
    lines.map(|(line, _)| format!("{}:{line}: SQL belongs into a file under queries/", source.path)).collect()
}

fn printing(source: &Source) -> Vec<String> {
    if source.path == "src/main.rs" || source.path.starts_with("src/cli/") {
        return Vec::new();
    }
    let words = ["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"];
    let lines = words.iter().flat_map(|word| source.lines_with(word).map(move |(line, _)| (word, line)));
    lines.map(|(word, line)| format!("{}:{line}: only src/cli prints, not `{word}`", source.path)).collect()
}

/// A panic has a reason, in a comment on its line or above its statement.
fn unwrapping(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err("] {
        for (line, _) in source.lines_with(word).filter(|(line, _)| !is_explained(source, *line)) {
            complaints.push(format!("{}:{line}: say in a comment why `{word}` holds, or return an error", source.path));
        }
    }
    complaints
}

/// Whether a comment stands on this line, or on one above it that belongs to the same statement.
fn is_explained(source: &Source, line: usize) -> bool {
    let lines: Vec<(&str, &str)> = source.text.lines().zip(source.code.lines()).collect();
    for (above, &(text, code)) in lines[..line].iter().rev().enumerate() {
        let ends = code.trim_end().ends_with([';', '{', '}', ',']);
        if above > 0 && ends {
            return false;
        }
        // What is in the text and not in the code, and is no string, is a comment.
        let spoken = source.spoken.lines().nth(line - 1 - above).unwrap_or_default();
        if text.contains("//") && !spoken.contains("//") {
            return true;
        }
    }
    false
}

/// Paths of the machine on which somebody works.
fn paths(name: &str, text: &str) -> Vec<String> {
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tm", "p/wt"), concat!("/ho", "me/")];
    let lines = numbered(text).filter(|(_, line)| machine.iter().any(|path| line.contains(path)));
    lines.map(|(line, _)| format!("{name}:{line}: a path of somebody's machine")).collect()
}

/// What git keeps; without a repository, as in a package, everything that is not made by a build.
fn tracked() -> Vec<(String, String)> {
    let listed = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output();
    let names = match listed {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        _ => return ["rs", "sql", "md", "toml"].iter().flat_map(|extension| files(&["."], extension)).collect(),
    };
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?));
    names.split_terminator('\0').filter_map(read).collect()
}

#[test]
fn each_file_opens_with_what_it_is_for() {
    let sources = sources(&["src", "tests", "benches", "fuzz", "build.rs"]);
    none(&sources.iter().filter_map(opening).collect::<Vec<_>>());
    assert!(opening(&Source::new("src/a.rs", "use b;\n")).is_some());
    assert!(opening(&Source::new("src/a.rs", "//! About a.\nuse b;\n")).is_none());
}

#[test]
fn sql_is_not_written_in_rust() {
    none(&sources(&["src", "build.rs"]).iter().flat_map(sql).collect::<Vec<_>>());
    let bad = "fn f() { run(\"SELECT 1\") }\n/// SELECT 1\n// SELECT 1\n#[cfg(test)]\nmod tests { const A: &str = \"SELECT 1\"; }";
    assert_eq!(sql(&Source::new("src/a.rs", bad)).len(), 1);
    assert_eq!(sql(&Source::new("src/cli/a.rs", bad)).len(), 1);
    assert_eq!(sql(&Source::new("src/cli/a.rs", "const A: &str = \"keytrail sql 'SELECT 1'\";")), [""; 0]);
}

#[test]
fn only_the_command_line_prints() {
    none(&sources(&["src"]).iter().flat_map(printing).collect::<Vec<_>>());
    let bad = "fn f() { println!(\"a\"); eprintln!(\"a\"); writeln!(io::stderr(), \"a\"); }";
    assert_eq!(printing(&Source::new("src/lake/mod.rs", bad)).len(), 3);
    assert_eq!(printing(&Source::new("src/cli/mod.rs", bad)), [""; 0]);
    assert_eq!(printing(&Source::new("src/lake/mod.rs", "// println!(\nfn f() { pprint!() }")), [""; 0]);
}

#[test]
fn a_panic_gives_its_reason() {
    none(&sources(&["src"]).iter().flat_map(unwrapping).collect::<Vec<_>>());
    let complaints = |text: &str| unwrapping(&Source::new("src/a.rs", text)).len();
    assert_eq!(complaints("fn f() {\n    // A reason.\n    a();\n    b().unwrap();\n}"), 1);
    assert_eq!(complaints("fn f() {\n    let b = \"//\".parse().expect(\"it is\");\n}"), 1);
    assert_eq!(complaints("fn f() {\n    // A reason.\n    let b = a\n        .b()\n        .unwrap();\n}"), 0);
    assert_eq!(complaints("fn f() {\n    a.unwrap(); // A reason.\n}"), 0);
    assert_eq!(complaints("/// a.unwrap()\nfn f() {}\n#[cfg(test)]\nmod tests { fn t() { a.unwrap() } }"), 0);
}

#[test]
fn no_path_of_a_machine_is_kept() {
    let tracked = tracked();
    assert!(tracked.iter().any(|(name, _)| name.ends_with("Cargo.toml")));
    none(&tracked.iter().flat_map(|(name, text)| paths(name, text)).collect::<Vec<_>>());
    assert_eq!(paths("a", concat!("cd /wo", "rk/main\ncd $HOME\n/ro", "ot/.cargo")).len(), 2);
}
