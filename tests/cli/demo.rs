//! The first command of the README: what it prints, and that it does nothing twice.

use crate::support::Dir;

#[test]
fn the_demo_names_the_planted_keys_decryptor_as_the_readme_shows_it() {
    let dir = Dir::new();
    let demo = || dir.bare(["demo"]).format("ndjson").ok();
    let first = demo();
    let row = &first.ndjson()[0];
    assert_eq!((&row["operation"], &row["calls"]), (&"Decrypt".into(), &60.into()));
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for (name, value) in row.as_object().unwrap() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert!(readme.contains(&format!("{name:<17}{value}\n")), "the README shows another {name} than {value}");
    }
    // What it says of the run, but for the time that it took.
    let told = first.stderr();
    let account = told.lines().find(|line| line.contains("objects read")).unwrap();
    assert!(readme.contains(&account[..account.rfind(", ").unwrap()]), "{account}");
    let second = demo();
    assert!(second.stderr().contains("0 objects read, 89 unchanged"), "{}", second.stderr());
    assert_eq!(second.ndjson(), first.ndjson());
}
