//! What to do next: the commands that are printed are commands, under the grammar of AWS's own command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::scenarios::JUDGED;
use super::{HOME, Logs, arn, entry, id, record};
use crate::support::python::is_missing;

/// The `aws` command line, version 1 (that of `PyPI`): `KEYTRAIL_AWS` names it. Without one the test is skipped, unless
/// `KEYTRAIL_REQUIRE_PYTHON=1` makes that a failure.
fn aws() -> Option<PathBuf> {
    let named = std::env::var_os("KEYTRAIL_AWS").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/keytrail/aws/bin/aws"));
    let found = [named, home].into_iter().flatten().find(|path| path.exists());
    if found.is_none() {
        is_missing("aws command line (KEYTRAIL_AWS may name one)");
    }
    found
}

fn commands(verdict: &Value) -> impl Iterator<Item = String> + '_ {
    let steps = verdict["next_steps"].as_array().unwrap().iter();
    steps.filter_map(|step| step["command"].as_str().map(str::to_owned))
}

/// Verdicts on keys in every phase, needed and not.
fn verdicts() -> Vec<Value> {
    let mut verdicts: Vec<Value> = JUDGED.get().verdicts.clone();
    let (key, failed) = (arn(HOME, &id(50)), arn(HOME, &id(51)));
    let error =
        json!({"errorCode": "KMSInvalidStateException", "errorMessage": format!("{failed} is pending deletion.")});
    let state = json!({"KeyState": "PendingDeletion", "Enabled": false, "DeletionDate": "2026-05-20T00:00:00Z"});
    let logs = Logs {
        records: vec![record(&failed, "2026-05-12T10:00:00Z", error)],
        inventory: Some(vec![entry(&key, json!({})), entry(&failed, state)]),
        taken_at: "2026-05-11T00:00:00Z",
        ..Logs::default()
    };
    let case = logs.lake();
    verdicts.extend([case.check(&key, &[]), case.check(&failed, &[])]);
    let disabled = json!({"eventName": "DisableKey", "readOnly": false});
    let logs = Logs {
        records: vec![record(&key, "2026-05-11T01:00:00Z", disabled)],
        inventory: Some(vec![entry(&key, json!({"KeyState": "Disabled", "Enabled": false}))]),
        ..Logs::default()
    };
    verdicts.push(logs.lake().check(&key, &["--watch-days", "1"]));
    verdicts
}

#[test]
fn every_command_of_aws_is_one() {
    let Some(aws) = aws() else { return };
    let all: BTreeSet<String> = verdicts().iter().flat_map(|verdict| commands(verdict).collect::<Vec<_>>()).collect();
    let mut operations = BTreeSet::new();
    for command in all.iter().filter(|command| command.starts_with("aws ")) {
        // It is read and checked as it would be, and then finds nobody to send it to.
        let ran = Command::new(&aws)
            .args(command.split(' ').skip(1))
            .args(["--endpoint-url", "http://127.0.0.1:1", "--no-sign-request"])
            .env("AWS_MAX_ATTEMPTS", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(said.contains("Could not connect to the endpoint URL"), "{command}: {said}");
        operations.insert(command.split(' ').nth(2).unwrap().to_owned());
    }
    let wanted = ["cancel-key-deletion", "disable-key", "enable-key", "schedule-key-deletion"];
    assert!(wanted.iter().all(|operation| operations.contains(*operation)), "{operations:?} of {all:?}");
}

/// Those of keytrail are read by keytrail: here they fail for want of a lake, never as wrong usage.
#[test]
fn every_command_of_keytrail_is_one() {
    let dir = crate::support::Dir::new();
    let all: BTreeSet<String> = verdicts().iter().flat_map(|verdict| commands(verdict).collect::<Vec<_>>()).collect();
    let own: Vec<&String> = all.iter().filter(|command| command.starts_with("keytrail ")).collect();
    assert!(own.len() > 5, "{all:?}");
    // What goes to AWS would go there.
    for command in own.iter().filter(|command| !command.contains("--from aws") && !command.contains("lookup://")) {
        let ran = dir.keytrail(command.split(' ').skip(1)).code_among(&[0, 2, 3]);
        let said = ran.stderr();
        assert!(!said.contains("Usage:") && !said.contains("is not a time"), "{command}: {said}");
    }
}

#[test]
fn the_steps_follow_from_where_the_key_stands() {
    let verdicts = verdicts();
    let steps = |phase: &str, verdict: &str| -> String {
        let of = verdicts.iter().find(|one| one["phase"] == phase && one["verdict"] == verdict);
        of.unwrap_or_else(|| panic!("no {verdict} key is {phase}"))["next_steps"].to_string()
    };
    let enabled = steps("enabled", "no_use_found");
    assert!(enabled.contains("aws kms disable-key") && enabled.contains("watch it for 30 days"), "{enabled}");
    assert!(!enabled.contains("schedule-key-deletion"), "never before it was disabled: {enabled}");
    let disabled = steps("disabled", "in_use");
    assert!(disabled.contains("aws kms enable-key") && disabled.contains("user/alice"), "{disabled}");
    let quiet = verdicts.iter().filter(|one| one["phase"] == "disabled" && one["verdict"] == "no_use_found");
    let quiet: Vec<String> = quiet.map(|one| one["next_steps"].to_string()).collect();
    assert!(
        quiet.iter().any(|steps| steps.contains("1 of 30 days") && steps.contains("leave it disabled")),
        "{quiet:?}"
    );
    assert!(
        quiet.iter().any(|steps| steps.contains("1 of 1 day ") && steps.contains("schedule-key-deletion")),
        "{quiet:?}"
    );
    // Days count as far as they are looked back at, and from the last call that failed.
    assert!(!quiet.iter().any(|steps| steps.contains("200 of") || steps.contains("3 of")), "{quiet:?}");
    let pending = steps("pending_deletion", "no_use_found");
    assert!(
        pending.contains("2026-05-20") && pending.contains("in 7 days") && pending.contains("cancel-key-deletion"),
        "{pending}"
    );
    let needed = steps("pending_deletion", "in_use");
    assert!(needed.contains("cancel its deletion") && needed.contains("enable-key"), "{needed}");
    // But for a key that AWS manages, for which there is nothing to do.
    let unknown = verdicts.iter().filter(|one| one["phase"] == "enabled" && one["verdict"] == "unknown");
    let (none, some): (Vec<&Value>, Vec<&Value>) = unknown.partition(|one| one["next_steps"] == json!([]));
    assert_eq!(none.len(), 1, "{none:?}");
    assert!(some.iter().all(|one| one["next_steps"].to_string().contains("keytrail ")), "{some:?}");
}
