//! Evidence that is taken away never makes a key look unused, and a use that is added never makes it look unneeded.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{HOME, Logs, arn, entry, id, record};

const REGIONS: [&str; 2] = [HOME, "eu-central-1"];

/// Keys that are judged in each lake.
const KEYS: u32 = 16;

/// Lakes from which something was taken, and to which a use was added; each judges every key. `src/verdict/tests.rs` does the
/// same to the facts a thousand times; here it is seen that what is taken from the logs is missing from the facts.
const TAKEN: u32 = 8;
const ADDED: u32 = 2;

/// Fields of an inventory's entry that a permission stands for.
const FIELDS: [&str; 6] = ["Aliases", "Tags", "RotationEnabled", "Policy", "Grants", "LastUsage"];

#[derive(Debug, Clone)]
enum Taken {
    Object(usize, usize),
    Digest(usize, usize),
    Day(usize, bool),
    Inventory,
    Entry(usize),
    Permission(usize, usize),
}

fn taken() -> impl Strategy<Value = Taken> {
    prop_oneof![
        3 => (0..2_usize, 0..48_usize).prop_map(|(region, hour)| Taken::Object(region, hour)),
        3 => (0..2_usize, 0..48_usize).prop_map(|(region, hour)| Taken::Digest(region, hour)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(region, is_first)| Taken::Day(region, is_first)),
        1 => Just(Taken::Inventory),
        1 => (0..KEYS as usize).prop_map(Taken::Entry),
        3 => (0..KEYS as usize, 0..FIELDS.len()).prop_map(|(key, field)| Taken::Permission(key, field)),
    ]
}

fn hour(number: usize) -> String {
    format!("2026-05-{:02}T{:02}", 11 + number / 24, number % 24)
}

/// Key by number: in the home Region the even ones, a pair of siblings at the end.
fn key(number: u32) -> String {
    let is_sibling = number >= KEYS - 2;
    let id = if is_sibling { "mrk-00000000000000000000000000000077".to_owned() } else { id(number + 1) };
    arn(REGIONS[(number % 2) as usize], &id)
}

/// Keys of which all sorts of things are known.
fn base() -> Logs {
    let mut logs = Logs { regions: REGIONS.to_vec(), ..Logs::default() };
    let mut entries = Vec::new();
    let use_at = |number: u32, hour: usize| record(&key(number), &format!("{}:12:00Z", self::hour(hour)), json!({}));
    for number in 0..KEYS {
        let arn = key(number);
        let over = match number {
            // Of the first, nothing is to be said.
            0..=3 => json!({}),
            4 => {
                logs.records.push(use_at(number, 13));
                json!({})
            }
            5 => {
                logs.records.push(use_at(number, 40));
                json!({})
            }
            6 => {
                let over = json!({"errorCode": "DisabledException", "errorMessage": format!("{arn} is disabled.")});
                logs.records.push(record(&arn, "2026-05-12T03:12:00Z", over));
                json!({"KeyState": "Disabled", "Enabled": false})
            }
            7 => {
                let service = json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
                    "arn": "arn:aws:iam::111122223333:user/alice", "invokedBy": "rds.amazonaws.com"});
                let over = json!({"eventName": "DescribeKey", "requestParameters": {"keyId": "alias/seven"}, "userIdentity": service});
                logs.records.push(record(&arn, "2026-05-11T07:12:00Z", over));
                json!({"Aliases": ["alias/seven"]})
            }
            8 => {
                json!({"Grants": [{"GrantId": "g8", "GranteePrincipal": "arn:aws:iam::111122223333:role/x", "Operations": []}]})
            }
            9 => {
                let over = json!({"eventName": "CreateGrant", "readOnly": false,
                    "requestParameters": {"keyId": arn, "granteePrincipal": "arn:aws:iam::111122223333:role/y", "operations": []},
                    "responseElements": {"grantId": "99999999", "keyId": arn}});
                logs.records.push(record(&arn, "2026-05-12T23:40:00Z", over));
                json!({})
            }
            10 => {
                let last = json!({"Operation": "Decrypt", "Timestamp": "2026-05-12T20:00:00Z"});
                json!({"LastUsage": {"TrackingStartDate": "2026-04-23T00:00:00Z", "KeyLastUsage": last}})
            }
            11 => {
                let used = record(&arn, "2026-05-10T22:12:00Z", json!({}));
                let last = json!({"Operation": "Decrypt", "Timestamp": "2026-05-10T22:12:00Z", "CloudTrailEventId": used["eventID"]});
                logs.records.push(used);
                json!({"LastUsage": {"TrackingStartDate": "2026-04-23T00:00:00Z", "KeyLastUsage": last}})
            }
            12 => {
                let denied = json!({"errorCode": "AccessDenied", "errorMessage": "x"});
                logs.records.push(record(&arn, "2026-05-12T03:12:00Z", denied));
                json!({})
            }
            13 => {
                let dry = json!({"errorCode": "DryRunOperationException", "errorMessage": "x"});
                logs.records.push(record(&arn, "2026-05-12T03:12:00Z", dry));
                json!({})
            }
            _ => {
                let set = json!({"MultiRegionKeyType": if number % 2 == 0 { "PRIMARY" } else { "REPLICA" },
                    "PrimaryKey": {"Arn": key(KEYS - 2)}, "ReplicaKeys": [{"Arn": key(KEYS - 1)}]});
                json!({"MultiRegion": true, "MultiRegionConfiguration": set})
            }
        };
        entries.push(entry(&arn, over));
    }
    logs.inventory = Some(entries);
    logs
}

fn without(logs: &Logs, taken: &Taken) -> Logs {
    let mut less = logs.clone();
    let place = |region: usize, at: usize| (REGIONS[region].to_owned(), hour(at));
    match *taken {
        Taken::Object(region, at) => drop(less.lost.insert(place(region, at))),
        Taken::Digest(region, at) => drop(less.lost_digests.insert(place(region, at))),
        Taken::Day(region, is_first) => {
            let hours = if is_first { 0..24 } else { 24..48 };
            less.lost.extend(hours.clone().map(|at| place(region, at)));
            less.lost_digests.extend(hours.map(|at| place(region, at)));
        }
        Taken::Inventory => less.inventory = None,
        Taken::Entry(key) => drop(less.inventory.as_mut().unwrap().remove(key)),
        Taken::Permission(key, field) => {
            let entry: &mut Value = &mut less.inventory.as_mut().unwrap()[key];
            entry.as_object_mut().unwrap().remove(FIELDS[field]);
        }
    }
    less
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    TestRunner::new(config)
}

fn verdicts(logs: &Logs) -> BTreeMap<String, String> {
    let all = logs.lake().all(&[]).into_iter();
    all.map(|(key, verdict)| (key, verdict["verdict"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_is_taken_away_never_speaks_for_deletion() {
    let logs = base();
    let before = verdicts(&logs);
    let count = |verdict: &str| before.values().filter(|one| *one == verdict).count();
    // Numbers 4 to 10 are needed, and so is the busy key of each Region.
    assert_eq!((count("in_use"), count("no_use_found")), (7 + 2, 9), "{before:?}");
    runner(TAKEN)
        .run(&taken(), |taken| {
            let after = verdicts(&without(&logs, &taken));
            for (key, before) in &before {
                // A key that nothing speaks of any more has no line, and is not ready for anything.
                let after = after.get(key).map_or("unknown", String::as_str);
                prop_assert!(
                    before == "no_use_found" || after != "no_use_found",
                    "{taken:?} makes {key} {after}, and it was {before}"
                );
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_use_that_is_added_is_always_in_use() {
    let logs = base();
    let before = verdicts(&logs);
    runner(ADDED)
        .run(&(0..KEYS, 0..48_usize), |(number, at)| {
            let mut more = logs.clone();
            let key = key(number);
            more.records.push(record(&key, &format!("{}:33:00Z", hour(at)), json!({})));
            let after = verdicts(&more);
            prop_assert_eq!(after[&key].as_str(), "in_use");
            for (other, before) in &before {
                prop_assert!(before != "in_use" || after[other] == "in_use", "{other} is {} no more", before);
            }
            Ok(())
        })
        .unwrap();
}
