//! What a query file may say, and what a user may ask of it.

use datafusion::scalar::ScalarValue;

use super::lake::now;
use crate::query::{Catalog, Kind, Need, Query, Severity};

const WHOLE: &str = r#"-- ---
-- title    = "A title"
-- severity = "high"                # a TOML comment
-- attack   = ["T1485", "T1078.004"]
-- needs    = ["inventory"]
-- message  = "{principal} did it"
-- params.zone  = { type = "text", required = true, doc = "where" }
-- params.since = { type = "timestamp", default = "-30d", doc = "when" }
-- params.most  = { type = "integer", default = 5, doc = "how many" }
-- params.ratio = { type = "number", doc = "how much" }
-- params.loud  = { type = "boolean", doc = "how" }
-- ---
-- ## What it does
-- One line.
--
-- Another.

-- ## Why it matters
-- Because.

-- A note on the statement.
TABLE t WHERE z = $zone AND t > $since AND n < $most AND r > $ratio AND l = $loud;
"#;

fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_file_has_a_header_documentation_and_a_statement() {
    let query = Query::parse("a-name", Kind::Detector, WHOLE).unwrap();
    assert_eq!((query.title.as_str(), query.severity), ("A title", Some(Severity::High)));
    assert_eq!((query.attack.len(), query.needs), (2, vec![Need::Inventory]));
    assert_eq!(query.docs, "## What it does\nOne line.\n\nAnother.\n\n## Why it matters\nBecause.");
    assert!(query.sql.starts_with("\n-- A note") && query.sql.ends_with("l = $loud"), "{}", query.sql);
    let names: Vec<&str> = query.params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(names, ["zone", "since", "most", "ratio", "loud"], "in the order of the header");
    assert_eq!(query.params[2].default.as_deref(), Some("5"));
    let windows = Query::parse("a-name", Kind::Detector, &WHOLE.replace('\n', "\r\n")).unwrap();
    assert_eq!(windows.params, query.params);
}

#[test]
fn a_run_has_one_value_for_each_parameter() {
    let query = Query::parse("a-name", Kind::Detector, WHOLE).unwrap();
    let utc = |micros| ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()));
    let values = query.bind(&given(&[("zone", "'; --"), ("ratio", "0.5")]), now()).unwrap();
    let expected = [
        ("zone", ScalarValue::from("'; --")),
        ("since", utc(Some((now().timestamp() - 30 * 86_400) * 1_000_000))),
        ("most", ScalarValue::from(5_i64)),
        ("ratio", ScalarValue::from(0.5)),
        ("loud", ScalarValue::Boolean(None)),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let query = Query::parse("a-name", Kind::Detector, WHOLE).unwrap();
    for (pairs, message) in [
        (&[][..], "`a-name` needs the parameter `zone`: where"),
        (&[("zon", "x")], "`a-name` has no parameter `zon`; did you mean `zone`?"),
        (&[("zone", "x"), ("zone", "y")], "`a-name`: parameter `zone` is given twice"),
        (&[("zone", "x"), ("most", "many")], "`a-name`: parameter `most` takes a whole number: \"many\" is none"),
        (&[("zone", "x"), ("ratio", "NaN")], "`a-name`: parameter `ratio` takes a number: \"NaN\" is none"),
        (&[("zone", "x"), ("loud", "yes")], "`a-name`: parameter `loud` takes true or false: \"yes\" is none"),
        (
            &[("zone", "x"), ("since", "\u{1b}[2J")],
            "`a-name`: parameter `since` takes a time: \"\\u{1b}[2J\" is not a time; write RFC 3339 \
             (2026-01-31T08:00:00Z), a UTC day (2026-01-31), now, or an age such as -30d, -6h or -15m",
        ),
    ] {
        assert_eq!(query.bind(&given(pairs), now()).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let file = |header: &str, sql: &str| format!("-- ---\n-- title = \"T\"\n{header}-- ---\n{sql}");
    let questions = [
        ("TABLE t".to_owned(), "1: the file must begin with a header, between two lines `-- ---`"),
        ("\n-- ---\n-- title = \"T\"\nTABLE t".to_owned(), "2: the header has no closing `-- ---`"),
        ("-- ---\ntitle = \"T\"\n-- ---\nTABLE t".to_owned(), "2: a header's lines begin with `--`"),
        ("-- ---\n-- title = \"\"\n-- ---\nTABLE t".to_owned(), "2: `title` is one line of text"),
        (
            file("-- titel = 1\n", "TABLE t"),
            "3: unknown field `titel`, expected one of `title`, `severity`, `attack`, `needs`, `evidence`, `message`, `params`",
        ),
        (
            file("-- needs = [\"luck\"]\n", "TABLE t"),
            "3: unknown variant `luck`, expected one of `inventory`, `baseline`, `coverage`, `expectations`, `digests`",
        ),
        (
            file("-- severity = \"low\"\n", "TABLE t"),
            "2: only a detector has `severity`, `attack`, `evidence` and `message`",
        ),
        (file("-- needs = [\n", "TABLE t"), "3: unclosed array, expected `]`"),
        (file("-- params.a = { type = \"text\" }\n", "TABLE t WHERE a = $a"), "3: missing field `doc`"),
        (
            file("-- params.a = { type = \"text\", doc = \"\", deflt = 1 }\n", "TABLE t WHERE a = $a"),
            "3: unknown field `deflt`, expected one of `type`, `default`, `required`, `doc`",
        ),
        (
            file("-- params.a = { type = \"integer\", doc = \"\", default = \"x\" }\n", "TABLE t WHERE a = $a"),
            "3: the default of `a` must be a whole number: \"x\" is none",
        ),
        (
            file(
                "-- params.a = { type = \"text\", doc = \"\", default = \"x\", required = true }\n",
                "TABLE t WHERE a = $a",
            ),
            "3: `a` is required, so its default is never used",
        ),
        (
            file("-- params.A = { type = \"text\", doc = \"\" }\n", "TABLE t WHERE a = $A"),
            "5: `$A` is no parameter; write `$name`",
        ),
        (
            file("\n-- params.a = { type = \"text\", doc = \"\" }\n", "TABLE t WHERE a = '$a'"),
            "3: a header's lines begin with `--`",
        ),
        (
            file("--\n-- params.a = { type = \"text\", doc = \"\" }\n", "TABLE t WHERE a = '$a'"),
            "4: the parameter `a` is declared and not used",
        ),
        (
            file("", "\n\nTABLE t\nWHERE a = $a"),
            "7: `$a` is used and not declared; add `-- params.a = { … }` to the header",
        ),
        (
            file("", "-- ## Docs\n\nTABLE t\nWHERE a > now()"),
            "7: `now` reads the clock; declare a timestamp parameter instead",
        ),
        (file("", "-- ## Docs\n"), "5: the file has no statement"),
    ];
    for (text, message) in questions {
        let error = Query::parse("x", Kind::Question, &text).unwrap_err().to_string();
        assert_eq!(error, format!("questions/x.sql:{message}"), "{text}");
    }
    for (name, kind, header, message) in [
        ("x", Kind::Detector, "", "detectors/x.sql:2: a detector has a `severity` and a `message`"),
        (
            "x",
            Kind::Detector,
            "-- severity = \"low\"\n-- message = \"\"\n-- attack = [\"1485\"]\n",
            "detectors/x.sql:2: \"1485\" is no ATT&CK technique, such as T1485 or T1078.004",
        ),
        ("x", Kind::View, "-- params.a = { type = \"text\", doc = \"\" }\n", "views/x.sql:2: a view has no parameters"),
        (
            "x-y",
            Kind::View,
            "",
            "views/x-y.sql:1: a file in views/ is named with lower-case letters, digits and `_`, beginning with a letter",
        ),
        (
            "X",
            Kind::Question,
            "",
            "questions/X.sql:1: a file in questions/ is named with lower-case letters, digits and `-`, beginning with a letter",
        ),
    ] {
        assert_eq!(Query::parse(name, kind, &file(header, "TABLE t")).unwrap_err().to_string(), message);
    }
}

#[test]
fn views_come_after_those_they_read() {
    let shipped = Catalog::shipped();
    let names: Vec<&str> = shipped.views().map(|view| view.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|view| *view == name).unwrap();
    assert!(at("timely_events") < at("calls") && at("calls") < at("usage"), "{names:?}");
}

#[test]
fn every_shipped_query_is_documented_and_so_is_every_parameter() {
    let shipped = Catalog::shipped();
    let all = shipped.views().chain(shipped.questions()).chain(shipped.internal()).chain(shipped.detectors());
    for query in all {
        assert!(query.docs.starts_with("## "), "{}", query.name);
        assert!(query.params.iter().all(|param| !param.doc.is_empty()), "{}", query.name);
    }
}

#[test]
fn a_name_that_is_not_there_brings_up_those_like_it() {
    let shipped = Catalog::shipped();
    assert_eq!(shipped.get("usage").unwrap().kind, Kind::View);
    let error = shipped.get("who-by-aset").unwrap_err().to_string();
    assert_eq!(error, "no query is named `who-by-aset`; did you mean `who-by-asset` or `who-by-person` or `who`?");
    assert_eq!(shipped.get("xyzzy").unwrap_err().to_string(), "no query is named `xyzzy`");
}

#[test]
fn a_users_folder_adds_to_the_shipped_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let load = || Catalog::shipped().with_folder(dir.path());
    assert!(load().unwrap_err().to_string().starts_with("cannot read queries from "));
    put("mine.sql", "-- ---\n-- title = \"Mine\"\n-- ---\nTABLE late_usage");
    put("views/late_usage.sql", "-- ---\n-- title = \"Late\"\n-- ---\nTABLE my_usage");
    put("views/my_usage.sql", "-- ---\n-- title = \"Used\"\n-- ---\nTABLE usage");
    put("notes.txt", "not a query");
    let catalog = load().unwrap();
    assert_eq!(catalog.get("mine").unwrap().kind, Kind::Question);
    let names: Vec<&str> = catalog.views().map(|view| view.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|view| *view == name).unwrap();
    assert!(at("usage") < at("my_usage") && at("my_usage") < at("late_usage"), "{names:?}");

    put("internal/parts.sql", "-- ---\n-- title = \"Parts\"\n-- ---\nTABLE usage");
    assert!(load().unwrap().internal().any(|query| query.name == "parts"));
    put("reports/old.sql", "-- ---\n-- title = \"Old\"\n-- ---\nTABLE usage");
    let old = dir.path().join("reports");
    assert_eq!(load().unwrap_err().to_string(), format!("queries in {} are not read any more", old.display()));
    // A folder of that name which has no queries is nobody's mistake.
    std::fs::rename(old.join("old.sql"), old.join("old.html")).unwrap();
    assert!(load().is_ok());

    put("who.sql", "-- ---\n-- title = \"Mine\"\n-- ---\nTABLE t");
    let broken = || -> Vec<String> {
        let folder = format!("{}/", dir.path().display());
        load().unwrap().broken().iter().map(|broken| broken.why.replace(&folder, "")).collect()
    };
    assert_eq!(broken(), ["who.sql:1: the name `who` is taken already; choose another file name"]);
    std::fs::remove_file(dir.path().join("who.sql")).unwrap();
    put("views/my_usage.sql", "-- ---\n-- title = \"Used\"\n-- ---\nTABLE late_usage");
    let circle = "these views read each other in a circle: late_usage, my_usage";
    assert_eq!(broken(), [format!("views/late_usage.sql:4: {circle}"), format!("views/my_usage.sql:4: {circle}")]);
    let catalog = load().unwrap();
    assert!(catalog.get("mine").is_ok() && catalog.views().any(|view| view.name == "usage"));
}

#[test]
fn a_file_that_is_broken_keeps_no_other_from_being_used() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("detectors")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("mine.sql", "-- ---\n-- title = \"Mine\"\n-- ---\nTABLE usage");
    put(
        "detectors/torn.sql",
        "-- ---\n-- title = \"Torn\"\n-- severity = \"low\"\n-- mesage = \"x\"\n-- ---\nTABLE usage",
    );
    std::fs::write(dir.path().join("detectors/bytes.sql"), b"\xff\xfe").unwrap();
    let catalog = Catalog::shipped().with_folder(dir.path()).unwrap();
    assert!(catalog.get("mine").is_ok());
    let [bytes, torn] = catalog.broken() else { panic!("{:?}", catalog.broken()) };
    assert_eq!((torn.kind, torn.name.as_str()), (Kind::Detector, "torn"));
    let told = format!("{}:4: unknown field `mesage`", dir.path().join("detectors/torn.sql").display());
    assert!(torn.why.starts_with(&told), "{}", torn.why);
    assert!(bytes.why.contains("bytes.sql:1: it cannot be read: "), "{}", bytes.why);
    assert_eq!(catalog.get("torn").unwrap_err().to_string(), torn.why);
    assert!(catalog.has_detector("torn") && !catalog.detectors().any(|detector| detector.name == "torn"));
}
