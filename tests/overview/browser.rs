//! The page in a browser: it loads nothing, says nothing wrong, fits a phone, and opens by keyboard.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::forms::HOSTILE;
use crate::support::python::{is_missing, python};

/// Chromium, as Debian names it; `KEYTRAIL_CHROMIUM` may name another.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("KEYTRAIL_CHROMIUM").map(PathBuf::from);
    let found = [named, Some("/usr/bin/chromium".into())].into_iter().flatten().find(|path| path.exists());
    if found.is_none() {
        is_missing("Chromium (KEYTRAIL_CHROMIUM may name one)");
    }
    found
}

#[test]
fn the_page_is_read_in_a_browser() {
    let (Some(python), Some(chromium)) = (python("playwright.sync_api"), chromium()) else { return };
    let dir = HOSTILE.get();
    dir.keytrail(["report", "--no-save", "-o", "report.html"]).ok();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overview/browser.py");
    let ran = Command::new(python).arg(script).arg(chromium).arg(dir.join("report.html")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let seen: Value = serde_json::from_slice(&ran.stdout).unwrap();

    assert_eq!(seen["said"], json!([]), "console and errors");
    assert_eq!(seen["requests"], json!([]), "requests besides the page itself");
    assert_eq!(seen["owned"], json!(false), "a log's script ran");
    for view in seen["views"].as_array().unwrap() {
        assert!(view["scroll_width"].as_i64() <= view["width"].as_i64(), "scrolls sideways: {view}");
        assert!(view["ground"] != view["text"], "{view}");
    }
    let ground = |at: usize| &seen["views"][at]["ground"];
    assert_ne!(ground(0), ground(1), "light and dark");
    // By keyboard alone: the first finding opens, with its evidence and what to do next.
    let opened = seen["opened"].as_str().unwrap();
    assert!(opened.contains("keytrail event ") && opened.contains("What to do next"), "{opened}");
    assert_eq!(seen["without_script"]["controls"], json!(false), "controls that do nothing are not shown");
    assert!(seen["without_script"]["findings"].as_i64() > Some(10));
    let filtered = &seen["filtered"];
    assert!(
        filtered["shown"].as_i64() > Some(0)
            && filtered["shown"].as_i64() < seen["without_script"]["findings"].as_i64()
    );

    // The values in the charts are those of the lake.
    let days = dir.sql(
        "SELECT event_date AS day, coalesce(via, 'direct calls') AS service, count(*) AS decrypts FROM usage \
         WHERE usage_class = 'decrypt' AND outcome = 'ok' AND (key_role IS DISTINCT FROM 'destination') \
         GROUP BY 1, 2 ORDER BY decrypts DESC",
    );
    let all: i64 = days.iter().map(|row| row["decrypts"].as_i64().unwrap()).sum();
    let titles: Vec<&str> = seen["bars"].as_array().unwrap().iter().map(|title| title.as_str().unwrap()).collect();
    let value = |title: &str| {
        let count = title.rsplit(": ").next().unwrap().split(' ').next().unwrap();
        count.replace(',', "").parse::<i64>().unwrap()
    };
    assert_eq!(titles.iter().map(|title| value(title)).sum::<i64>(), all);
    let row = &days[0];
    let bar = format!("{}, {}: ", row["day"].as_str().unwrap(), row["service"].as_str().unwrap());
    let found = titles.iter().find(|title| title.starts_with(&bar)).unwrap_or_else(|| panic!("no bar {bar}"));
    assert_eq!(value(found), row["decrypts"].as_i64().unwrap());
    for chart in ["heat", "calendar", "sparks"] {
        assert!(seen[chart].as_i64() > Some(0), "{chart} is empty");
    }
}
