//! Hours in which a trail did not record the use of KMS keys, by CloudTrail's own control events (facts §8.3).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Dir, decrypt, with};

const ACCOUNT: &str = "111122223333";

pub fn at(mut record: Value, time: &str) -> Value {
    record["eventTime"] = time.into();
    record["eventID"] = format!("{}-{time}", record["eventName"].as_str().unwrap()).into();
    record
}

/// A call to CloudTrail.
pub fn control(name: &str, time: &str, parameters: Value) -> Value {
    let mut record = decrypt("");
    record["eventSource"] = "cloudtrail.amazonaws.com".into();
    record["eventName"] = name.into();
    record["readOnly"] = false.into();
    record["requestParameters"] = parameters;
    record["resources"] = Value::Null;
    at(record, time)
}

pub fn named(trail: &str) -> Value {
    json!({ "name": trail })
}

pub fn selectors(trail: &str, selector: &Value) -> Value {
    json!({ "trailName": trail, "eventSelectors": [selector] })
}

/// A Decrypt an hour, from midnight to midnight, but for these hours.
fn day_but(silent: std::ops::Range<u32>) -> Vec<Value> {
    (0..24)
        .filter(|hour| !silent.contains(hour))
        .map(|hour| at(decrypt(""), &format!("2026-01-05T{hour:02}:20:00Z")))
        .collect()
}

/// State by hour of the day, for an account and Region.
pub fn states(dir: &Dir, account: &str, region: &str) -> BTreeMap<u32, String> {
    let rows = dir.sql(&format!(
        "SELECT CAST(date_part('hour', hour) AS INT) AS hour, state FROM coverage
         WHERE account_id = '{account}' AND region = '{region}' AND day = DATE '2026-01-05'"
    ));
    let state = |row: &Value| row["state"].as_str().unwrap().to_owned();
    rows.iter().map(|row| (u32::try_from(row["hour"].as_u64().unwrap()).unwrap(), state(row))).collect()
}

fn lake(records: &[Value]) -> Dir {
    let dir = Dir::new();
    dir.log("a.json.gz", records);
    dir.ingest("logs");
    dir
}

/// The hours of the home Region that are blind.
fn blind(records: &[Value]) -> Vec<u32> {
    blind_hours(&states(&lake(records), ACCOUNT, "eu-west-1"))
}

pub fn blind_hours(states: &BTreeMap<u32, String>) -> Vec<u32> {
    states.iter().filter(|(_, state)| *state == "blind").map(|(hour, _)| *hour).collect()
}

#[test]
fn hours_between_stop_and_start_are_blind_and_those_around_are_not() {
    let mut records = day_but(10..13);
    records.push(control("StopLogging", "2026-01-05T10:05:00Z", named("main")));
    let arn = format!("arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/main");
    records.push(control("StartLogging", "2026-01-05T12:40:00Z", named(&arn)));
    let dir = lake(&records);
    let states = states(&dir, ACCOUNT, "eu-west-1");
    assert_eq!(blind_hours(&states), [10, 11, 12], "in any part of the hour: {states:?}");
    assert_eq!((states[&9].as_str(), states[&13].as_str()), ("observed", "observed"));
    let rows = dir.keytrail(["coverage"]).format("json").ok().json();
    assert_eq!((&rows[0]["blind"], &rows[0]["observed"]), (&3.into(), &21.into()), "{rows}");
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(reason.contains("main") && reason.contains("StopLogging"), "{reason}");
}

#[test]
fn selectors_without_reads_of_kms_are_blind_until_they_are_changed() {
    let blinding = [
        json!({"readWriteType": "All", "includeManagementEvents": true,
               "excludeManagementEventSources": ["kms.amazonaws.com"]}),
        json!({"readWriteType": "WriteOnly", "includeManagementEvents": true}),
        json!({"readWriteType": "All", "includeManagementEvents": false}),
    ];
    let all = json!({"readWriteType": "All", "includeManagementEvents": true, "excludeManagementEventSources": []});
    for selector in blinding {
        let mut records = day_but(10..13);
        records.push(control("PutEventSelectors", "2026-01-05T10:00:00Z", selectors("main", &selector)));
        records.push(control("PutEventSelectors", "2026-01-05T13:00:00Z", selectors("main", &all)));
        assert_eq!(blind(&records), [10, 11, 12], "{selector}");
    }
}

#[test]
fn a_deleted_trail_is_blind_to_the_last_hour_that_the_lake_knows() {
    let mut records = day_but(20..23);
    records.push(control("DeleteTrail", "2026-01-05T20:00:00Z", named("main")));
    // Something else recorded a call at 23:20: that hour is observed.
    assert_eq!(blind(&records), [20, 21, 22]);
}

#[test]
fn what_failed_changed_nothing() {
    let mut records = day_but(10..13);
    let denied = control("StopLogging", "2026-01-05T10:00:00Z", named("main"));
    records.push(with(denied, "errorCode", "AccessDenied"));
    assert_eq!(blind(&records), [0; 0]);
}

/// Control events are logged in the home Region and rule all Regions.
#[test]
fn a_trail_of_all_regions_is_blind_in_all_of_them() {
    let stopped = |answer: Value| {
        let mut records = day_but(10..13);
        records.push(with(at(decrypt(""), "2026-01-05T09:00:00Z"), "awsRegion", "us-east-1"));
        let update = control("UpdateTrail", "2026-01-05T08:00:00Z", named("main"));
        records.push(with(update, "responseElements", answer));
        records.push(control("StopLogging", "2026-01-05T10:00:00Z", named("main")));
        records.push(control("StartLogging", "2026-01-05T13:00:00Z", named("main")));
        blind_hours(&states(&lake(&records), ACCOUNT, "us-east-1"))
    };
    assert_eq!(stopped(json!({"name": "main", "isMultiRegionTrail": true})), [10, 11, 12]);
    assert_eq!(stopped(Value::Null), [10, 11, 12], "where nothing tells, it is taken for one of all Regions");
    assert_eq!(stopped(json!({"name": "main", "isMultiRegionTrail": false})), [0; 0]);
}

#[test]
fn a_trail_that_is_cut_down_to_one_region_is_blind_in_the_others() {
    let mut records = day_but(10..24);
    records.push(with(at(decrypt(""), "2026-01-05T09:00:00Z"), "awsRegion", "us-east-1"));
    for (time, is_multi) in
        [("2026-01-05T08:00:00Z", true), ("2026-01-05T10:00:00Z", false), ("2026-01-05T13:00:00Z", true)]
    {
        let update = control("UpdateTrail", time, named("main"));
        records.push(with(update, "responseElements", json!({"name": "main", "isMultiRegionTrail": is_multi})));
    }
    let dir = lake(&records);
    assert_eq!(blind_hours(&states(&dir, ACCOUNT, "us-east-1")), [10, 11, 12]);
    assert_eq!(blind_hours(&states(&dir, ACCOUNT, "eu-west-1")), [0; 0], "at home it goes on");
}

#[test]
fn an_organization_s_trail_rules_its_members() {
    let member = |answer: Value| {
        let mut records = day_but(10..13);
        records.push(with(at(decrypt(""), "2026-01-05T09:00:00Z"), "recipientAccountId", "444455556666"));
        let create = control("CreateTrail", "2026-01-05T08:00:00Z", named("main"));
        records.push(with(create, "responseElements", answer));
        records.push(control("StopLogging", "2026-01-05T10:00:00Z", named("main")));
        records.push(control("StartLogging", "2026-01-05T13:00:00Z", named("main")));
        blind_hours(&states(&lake(&records), "444455556666", "eu-west-1"))
    };
    assert_eq!(member(json!({"name": "main", "isOrganizationTrail": true})), [10, 11, 12]);
    assert_eq!(member(json!({"name": "main", "isOrganizationTrail": false})), [0; 0]);
}

#[test]
fn another_trail_that_is_known_to_log_lifts_blindness() {
    let mut records = day_but(10..13);
    records.push(control("CreateTrail", "2026-01-05T08:00:00Z", named("second")));
    records.push(control("StartLogging", "2026-01-05T08:00:02Z", named("second")));
    records.push(control("StopLogging", "2026-01-05T10:00:00Z", named("main")));
    records.push(control("StartLogging", "2026-01-05T13:00:00Z", named("main")));
    assert_eq!(blind(&records), [0; 0]);
    // Until that one is stopped too.
    records.push(control("StopLogging", "2026-01-05T11:30:00Z", named("second")));
    assert_eq!(blind(&records), [11, 12]);
}

/// A trail that is made in a moment does not blind the hour before it was started.
#[test]
fn a_new_trail_blinds_nothing() {
    let mut records = day_but(10..13);
    records.push(control("CreateTrail", "2026-01-05T10:00:00Z", named("new")));
    records.push(control("StartLogging", "2026-01-05T10:00:05Z", named("new")));
    assert_eq!(blind(&records), [0; 0]);
}

/// Calls that are in the lake were recorded by something, whatever one trail did.
#[test]
fn hours_with_calls_that_something_recorded_are_observed() {
    let mut records = day_but(11..13);
    records.push(control("StopLogging", "2026-01-05T09:30:00Z", named("main")));
    records.push(control("StartLogging", "2026-01-05T13:00:00Z", named("main")));
    assert_eq!(blind(&records), [9, 11, 12], "10 has a call, and 9 was stopped in its middle");
}

#[test]
fn what_is_recorded_when_every_known_trail_has_stopped_comes_from_another() {
    // A trail that somebody made for eight minutes, next to one that the lake does not know.
    let mut records = vec![
        control("CreateTrail", "2026-01-05T12:00:05Z", named("short")),
        control("StartLogging", "2026-01-05T12:00:06Z", named("short")),
        control(
            "PutEventSelectors",
            "2026-01-05T12:00:08Z",
            selectors("short", &json!({ "readWriteType": "WriteOnly" })),
        ),
        control("DeleteTrail", "2026-01-05T12:08:04Z", named("short")),
    ];
    let call = |time: &str| {
        let mut record = at(decrypt(""), time);
        record["eventSource"] = "sts.amazonaws.com".into();
        record["eventName"] = "AssumeRole".into();
        record
    };
    // What is on its way when a trail is stopped is still delivered.
    records.push(call("2026-01-05T12:20:00Z"));
    assert_eq!(blind(&records), [12]);
    records.extend([call("2026-01-05T12:23:05Z"), call("2026-01-05T13:01:00Z")]);
    assert_eq!(blind(&records), [0; 0]);
    // An event that a running trail may have recorded tells of no other.
    records.push(control("CreateTrail", "2026-01-05T12:30:00Z", named("next")));
    records.push(control("StartLogging", "2026-01-05T12:30:05Z", named("next")));
    assert_eq!(blind(&records), [12]);
}

/// An inventory of one trail, of which CloudTrail said this.
fn inventory(dir: &Dir, trail: &Value) {
    let mut all = json!({
        "TrailARN": format!("arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/main"),
        "Name": "main",
        "HomeRegion": "eu-west-1",
        "IsMultiRegionTrail": true,
        "IsOrganizationTrail": false,
    });
    for (name, value) in trail.as_object().unwrap() {
        all[name] = value.clone();
    }
    std::fs::write(dir.join("trails.json"), json!({ "Keys": [], "Trails": [all] }).to_string()).unwrap();
    dir.keytrail(["inventory", "--from", "trails.json"]).ok();
}

#[test]
fn a_trail_that_an_inventory_finds_stopped_is_blind_since_it_was_stopped() {
    let dir = lake(&day_but(10..24));
    inventory(&dir, &json!({"IsLogging": false, "StopLoggingTime": "2026-01-05T10:30:00Z"}));
    let states = states(&dir, ACCOUNT, "eu-west-1");
    assert_eq!(blind_hours(&states), (10..24).collect::<Vec<u32>>());
    assert_eq!(states[&9], "observed");
}

#[test]
fn selectors_that_an_inventory_finds_are_blind_from_then_on() {
    let dir = lake(&day_but(10..10));
    let excluded = json!([{"ReadWriteType": "All", "IncludeManagementEvents": true,
        "ExcludeManagementEventSources": ["kms.amazonaws.com"]}]);
    inventory(&dir, &json!({"IsLogging": true, "EventSelectors": excluded}));
    // Of what was before, the inventory says nothing.
    assert_eq!(blind_hours(&states(&dir, ACCOUNT, "eu-west-1")), [0; 0]);
    let rows = dir.sql("SELECT state, reason FROM coverage WHERE hour > '2026-01-06' AND state = 'blind'");
    assert_eq!(rows.len(), 1, "the hour of the inventory");
    assert!(rows[0]["reason"].as_str().unwrap().contains("inventory of 20"), "{rows:?}");
}
