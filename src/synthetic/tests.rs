//! The generator against itself: what was written is read back as plain JSON and counted anew.
//!
//! It refuses to look inside the generator: only objects and the answer sheet count.

mod recount;

use std::collections::{BTreeSet, HashMap};
use std::fs;

use serde_json::Value;

use super::*;
use recount::{OPERATIONS, key_arn, records, recount, text};

struct Run {
    objects: Vec<LogObject>,
    truth: Truth,
}

fn run(plan: &Plan) -> Run {
    let mut objects = Vec::new();
    let truth = generate(plan, &mut |object| {
        objects.push(object);
        Ok(())
    })
    .unwrap();
    Run { objects, truth }
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    let plan = Plan { events: 3_000, ..Plan::default() };
    let (first, second) = (run(&plan), run(&plan));
    assert_eq!(first.objects, second.objects);
    assert_eq!(first.truth, second.truth);
    assert_ne!(first.objects, run(&Plan { seed: 8, ..plan }).objects);
}

/// Digests come on top: nothing else changes, and their bytes depend on the plan alone as well.
#[test]
fn digests_change_no_log_and_are_the_same_each_time() {
    let plan = Plan { events: 3_000, ..Plan::default() };
    let signed = Plan { digests: true, ..plan.clone() };
    let (without, with, again) = (run(&plan), run(&signed), run(&signed));
    assert_eq!((&with.objects, &with.truth), (&again.objects, &without.truth));
    let (digests, logs): (Vec<_>, Vec<_>) =
        with.objects.into_iter().partition(|object| object.path.contains("/CloudTrail-Digest/"));
    assert_eq!(logs, without.objects);
    // Every hour of three days, for two trails of three accounts in two Regions and of the outsiders' account.
    assert!(digests.len() >= 72 * 2 * 7, "{} digests", digests.len());
    assert!(digests.iter().any(|digest| digest.path.ends_with("_backfill.json.gz")));
    assert!(digests.iter().all(|digest| digest.metadata[0].0 == "signature" && digest.records == 0));
}

#[test]
fn the_truth_is_what_was_written() {
    let plans = [
        Plan::default(),
        Plan { events: 3_000, duplicate_share: 0.4, ..Plan::default() },
        Plan { events: 3_000, accounts: 1, regions: 1, keys: 1, principals: 1, kms_share: 1.0, ..Plan::default() },
        Plan { events: 500, days: 30, incidents: false, hostile: false, odd_shapes: false, ..Plan::default() },
    ];
    for plan in plans {
        let Run { objects, truth } = run(&plan);
        let again = recount(&objects);
        let expected = Truth { incidents: vec![], accounts: vec![], ..truth.clone() };
        for (ours, theirs) in expected.calls.iter().zip(&again.calls) {
            assert_eq!(ours, theirs, "{plan:?}");
        }
        assert_eq!(expected, again, "{plan:?}");
        assert_eq!(truth.records, truth.kept + truth.other + truth.duplicates);
    }
}

#[test]
fn as_many_unique_events_as_asked_for() {
    let truth = run(&Plan { duplicate_share: 0.0, ..Plan::default() }).truth;
    assert_eq!(truth.kept + truth.other, 20_000);
    assert_eq!(truth.duplicates, 0);
    let doubled = run(&Plan { duplicate_share: 1.0, events: 3_000, ..Plan::default() }).truth;
    assert_eq!(doubled.records, 6_000);
    assert_eq!(doubled.duplicates, doubled.kept);
}

#[test]
fn nothing_to_do_is_done() {
    let truth = run(&Plan { events: 0, incidents: false, ..Plan::default() }).truth;
    assert!(truth.records <= 10, "{truth:?}");
}

#[test]
fn every_kind_of_identity_and_every_context_appears() {
    let Run { objects, .. } = run(&Plan::default());
    let (mut types, mut contexts, mut operations) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for record in objects.iter().flat_map(records) {
        types.insert(text(&record, "/userIdentity/type").unwrap_or("missing").to_owned());
        if let Some(context) = record.pointer("/requestParameters/encryptionContext").and_then(Value::as_object) {
            contexts.extend(context.keys().cloned());
        }
        operations.insert(text(&record, "/eventName").unwrap().to_owned());
    }
    let expected = "AWSAccount AWSService AssumedRole Directory FederatedUser IAMUser IdentityCenterUser Role Root SAMLUser \
                    Unknown WebIdentityUser missing";
    assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>().join(" "), expected);
    for name in [
        "PARAMETER_ARN",
        "SecretARN",
        "SecretVersionId",
        "aws:acm:arn",
        "aws:appconfig:deployment:arn",
        "aws:appfabric:appbundle:arn",
        "aws:backup:backup-vault",
        "aws:bedrock:arn",
        "aws:cassandra:tableName",
        "aws:cloudtrail:arn",
        "aws:dsql:ClusterId",
        "aws:dynamodb:tableName",
        "aws:ebs:id",
        "aws:ecr:arn",
        "aws:elasticfilesystem:filesystem:id",
        "aws:elasticloadbalancing:arn",
        "aws:es:arn",
        "aws:events:event-bus:arn",
        "kms:EncryptionContext:aws:events:event-bus:arn",
        "aws:kinesis:arn",
        "aws:lambda:EventSourceArn",
        "aws:lambda:FunctionArn",
        "aws:logs:arn",
        "aws:rds:db-id",
        "aws:rds:dbc-id",
        "aws:redshift:arn",
        "aws:s3:arn",
        "aws:ses:message-id",
        "aws:sns:topicArn",
        "aws:sqs:arn",
        "aws:states:activityArn",
        "aws:states:stateMachineArn",
        "aws:voiceid:domain:arn",
        "aws:workmail:arn",
        "aws:workspaces:sid-directoryid",
        "aws:x-amz-cek-alg",
        "aws-crypto-public-key",
        "glue_catalog_id",
    ] {
        assert!(contexts.contains(name), "no context with {name}");
    }
    for name in OPERATIONS.iter().chain(&["DescribeKey", "CreateGrant", "AssumeRole", "CreateAlias", "RetireGrant"]) {
        assert!(operations.contains(*name), "no {name}");
    }
}

#[test]
fn objects_are_named_as_cloudtrail_names_them_and_vary_in_size() {
    let Run { objects, .. } = run(&Plan { events: 60_000, ..Plan::default() });
    let paths: BTreeSet<&str> = objects.iter().map(|object| object.path.as_str()).collect();
    assert_eq!(paths.len(), objects.len(), "no two objects have the same name");
    for path in &paths {
        let parts: Vec<&str> = path.split('/').collect();
        let at = parts.iter().position(|part| *part == "CloudTrail").unwrap();
        let (account, region) = (parts[at - 1], parts[at + 1]);
        assert!(account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()), "{path}");
        let day = parts[at + 2..at + 5].concat();
        assert!(parts[at + 5].starts_with(&format!("{account}_CloudTrail_{region}_{day}T")), "{path}");
        assert!(path.ends_with("Z_") || parts[at + 5].split('Z').nth(1).is_some(), "{path}");
        assert!(path.starts_with("AWSLogs/") || path.starts_with("org-trail/AWSLogs/o-"), "{path}");
    }
    assert!(paths.iter().any(|path| path.starts_with("org-trail/")));
    let sizes: Vec<u32> = objects.iter().map(|object| object.records).collect();
    assert!(sizes.iter().any(|size| *size > 3_000) && sizes.iter().filter(|size| **size < 50).count() > 5, "{sizes:?}");
}

#[test]
fn incidents_are_where_the_truth_says() {
    let Run { objects, truth } = run(&Plan::default());
    let all: HashMap<String, Value> =
        objects.iter().flat_map(records).map(|r| (text(&r, "/eventID").unwrap().to_owned(), r)).collect();
    let mut names: Vec<&str> = truth.incidents.iter().map(|incident| incident.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["key-scheduled-for-deletion", "outsider-decrypt", "secret-harvest"]);
    for incident in &truth.incidents {
        assert_eq!(incident.event_ids.len(), 10);
        let first = &all[&incident.event_ids[0]];
        assert_eq!(text(first, "/eventTime"), Some(incident.first_seen.as_str()));
        assert!(incident.event_ids.iter().all(|id| key_arn(&all[id]).as_deref() == Some(&incident.key_arn)));
    }
    let harvest = truth.incidents.iter().find(|incident| incident.name == "secret-harvest").unwrap();
    assert_eq!(harvest.events, 60);
    assert_session_has_a_beginning(&all, &all[&harvest.event_ids[0]]);
    let names_it = |r: &Value| text(r, "/requestParameters/aliasName") == Some("alias/payroll");
    assert!(all.values().any(|r| names_it(r) && key_arn(r).as_deref() == Some(&harvest.key_arn)));
    let by_alias = |r: &Value| text(r, "/requestParameters/keyId") == Some("alias/payroll");
    assert!(all.values().any(|r| by_alias(r) && key_arn(r).as_deref() == Some(&harvest.key_arn)));
}

/// Two links back: the role that decrypts, the role before it, the user.
fn assert_session_has_a_beginning(all: &HashMap<String, Value>, call: &Value) {
    let mut step = call;
    for _ in 0..2 {
        let access_key = text(step, "/userIdentity/accessKeyId").unwrap();
        let begins = |r: &&Value| {
            text(r, "/responseElements/credentials/accessKeyId") == Some(access_key)
                && text(r, "/userIdentity/type") != Some("AWSAccount")
        };
        let beginning = all.values().find(begins).unwrap();
        assert_eq!(text(beginning, "/responseElements/assumedRoleUser/arn"), text(step, "/userIdentity/arn"));
        let started = "/userIdentity/sessionContext/attributes/creationDate";
        assert_eq!(text(beginning, "/eventTime"), text(step, started));
        assert!(text(beginning, "/responseElements/credentials/sessionToken").is_some());
        step = beginning;
    }
    assert_eq!(text(step, "/userIdentity/type"), Some("IAMUser"));
}

#[test]
fn records_are_as_big_as_real_ones_and_compress_like_them() {
    let plan = Plan { kms_share: 1.0, odd_shapes: false, hostile: false, events: 30_000, ..Plan::default() };
    let Run { objects, truth } = run(&plan);
    let gzip: usize = objects.iter().map(|object| object.gzip.len()).sum();
    let each = gzip as u64 / truth.records;
    assert!((120..=230).contains(&each), "{each} bytes each");
}

#[test]
fn a_folder_holds_the_objects_and_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    let plan = Plan { events: 1_000, ..Plan::default() };
    let truth = write_folder(&plan, folder.path(), &mut |records| last = records).unwrap();
    assert_eq!(last, truth.records);
    let read: Truth = serde_json::from_slice(&fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    assert_eq!(read, truth);
    assert!(folder.path().join("AWSLogs").is_dir());
}

#[test]
fn strangers_are_hostile_and_deliveries_late_when_wanted() {
    let found = |plan: &Plan| {
        let (mut hostile, mut late_by_a_day, mut old) = (false, false, false);
        for object in run(plan).objects {
            let day = object.path.split('/').rev().take(4).skip(1).collect::<Vec<_>>();
            let day = format!("{}-{}-{}", day[2], day[1], day[0]);
            for record in records(&object) {
                hostile |= text(&record, "/userAgent").is_some_and(|agent| agent.contains(['\u{0}', '\u{1b}', '<']));
                late_by_a_day |=
                    record.pointer("/addendum/reason").is_some() && record["eventTime"].as_str() < Some(&day);
                old |= text(&record, "/eventVersion") == Some("1.02");
            }
        }
        (hostile, late_by_a_day, old)
    };
    assert_eq!(found(&Plan::default()), (true, true, true));
    assert_eq!(found(&Plan { hostile: false, odd_shapes: false, ..Plan::default() }), (false, true, false));
}
