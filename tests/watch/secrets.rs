//! A webhook's address lets anyone post to it, and stands nowhere.

use std::fs;
use std::path::Path;

use super::receiver::{Answer, Receiver};
use super::{rooted, watch};

const TOKEN: &str = "s3cr3t-token";

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn a_webhook_address_is_neither_told_nor_kept_nor_handed_on() {
    let dir = rooted(1);
    let script = [Answer::Status(500), Answer::Close, Answer::Hang, Answer::Status(404)];
    let receiver = Receiver::start(script);
    let run = |url: String, code: i32| {
        let arguments = ["--once", "-v", "--notify-timeout", "1", "--command", "env > env.txt; exit 1"];
        watch(&dir, &arguments).env([("KEYTRAIL_WEBHOOK", url)]).code(code).seen()
    };
    let failed = run(receiver.url(), 3);
    assert_eq!(receiver.received().len(), 4);
    let unreachable = run(format!("http://127.0.0.1:9/{TOKEN}"), 3);
    let wrong = run(format!("http://[{TOKEN}"), 2);
    let nowhere = run(format!("http://user:{TOKEN}@name.invalid/{TOKEN}?{TOKEN}"), 3);
    let told = run(receiver.url(), 3);
    assert_eq!(receiver.taken().len(), 1);
    let environment = fs::read_to_string(dir.join("env.txt")).unwrap();
    assert!(environment.contains("PATH="));
    let help = dir.keytrail(["watch", "--help"]).env([("KEYTRAIL_WEBHOOK", receiver.url())]).ok().seen();
    assert!(help.contains("KEYTRAIL_WEBHOOK"));
    for text in [&failed, &unreachable, &wrong, &nowhere, &told, &environment, &help] {
        assert!(!text.contains(TOKEN), "{text}");
    }
    let notifications = dir.sql("SELECT * FROM notifications");
    assert_eq!(notifications.len(), 1);
    assert!(notifications[0]["channel"].as_str().unwrap().starts_with("webhook:"));
    assert!(!format!("{notifications:?}").contains(TOKEN));
    let mut kept = Vec::new();
    files(&dir.lake(), &mut kept);
    for file in kept {
        assert!(!file.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    }
}
