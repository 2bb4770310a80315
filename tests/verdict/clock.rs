//! Logs that ended long ago: said first, with the question that they can answer; and commands that keep what was asked with.

use serde_json::json;

use super::{HOME, Logs, arn, entry, id, record};

fn reasons(verdict: &serde_json::Value) -> Vec<&str> {
    verdict["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

#[test]
fn logs_that_ended_long_ago_are_said_first_with_the_until_that_answers() {
    let (quiet, used) = (arn(HOME, &id(1)), arn(HOME, &id(2)));
    let logs = Logs {
        records: vec![record(&used, "2026-05-12T10:00:00Z", json!({}))],
        inventory: Some(vec![entry(&quiet, json!({})), entry(&used, json!({}))]),
        ..Logs::default()
    };
    let case = logs.lake();
    let ask = |key: &str| {
        // A look-back of a week that begins long after the last log.
        let arguments = ["check-deletion", key, "--lookback", "2d", "--watch-days", "7", "--until", "2026-07-01"];
        case.dir.keytrail(arguments).format("json").code_among(&[3]).json()
    };
    let verdict = ask(&quiet);
    assert_eq!((&verdict["verdict"], reasons(&verdict)[0]), (&json!("unknown"), "logs_ended"), "{verdict}");
    let first = &verdict["reasons"][0];
    assert!(first["message"].as_str().unwrap().contains("end at 2026-05-13T03:20:00Z, 48 days before"), "{first}");
    // The command asks the same lake the same question, of the time that there are logs of.
    let command = first["settle"]["command"].as_str().unwrap();
    assert_eq!(
        case.dir.mask(command),
        format!(
            "keytrail check-deletion {quiet} --until 2026-05-13T03:20:01Z --lookback 2d --watch-days 7 --lake [dir]/lake"
        )
    );
    let answered = case.dir.bare(command.split(' ').skip(1)).format("json").code_among(&[0]).json();
    assert_eq!(answered["verdict"], "no_use_found", "{}", answered["reasons"]);
    // What was used before the look-back is named all the same.
    let verdict = ask(&used);
    assert_eq!(verdict["last_use"]["at"], "2026-05-12T10:00:00Z");
    let said = verdict["warnings"].to_string();
    assert!(said.contains("used 1 time before the look-back, last at 2026-05-12T10:00:00Z by arn:aws:iam::"), "{said}");
    assert_eq!(reasons(&verdict)[0], "logs_ended", "{verdict}");
}

/// Each command that is printed for keytrail names the lake that was asked, and those that ask again everything else.
#[test]
fn commands_that_are_printed_keep_the_options_that_were_given() {
    let key = arn(HOME, &id(1));
    let case = Logs { inventory: None, ..Logs::default() }.lake();
    let arguments = ["check-deletion", &key, "--lookback", "2d", "--until", super::UNTIL, "--accept-observed"];
    let verdict = case.dir.keytrail(arguments).format("json").code_among(&[3]).json();
    let reasons = verdict["reasons"].as_array().unwrap().iter().map(|reason| &reason["settle"]["command"]);
    let steps = verdict["next_steps"].as_array().unwrap().iter().map(|step| &step["command"]);
    let commands = reasons.chain(steps).filter_map(|command| Some(case.dir.mask(command.as_str()?)));
    let commands: Vec<String> = commands.collect();
    assert!(!commands.is_empty(), "{verdict}");
    for command in commands.iter().filter(|command| command.starts_with("keytrail ")) {
        assert!(command.ends_with(" --lake [dir]/lake"), "{command}");
    }
    let again = format!(
        "keytrail check-deletion {key} --until {} --lookback 2d --accept-observed --lake [dir]/lake",
        super::UNTIL
    );
    assert!(commands.contains(&again), "{commands:?}");
}
