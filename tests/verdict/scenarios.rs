//! A table of what may be known of a key, and what must be said of it.

use serde_json::{Value, json};

use super::{ACCOUNT, Case, HOME, LOOKBACK, Logs, UNTIL, arn, codes, entry, id, record};
use crate::evidence::blindness::{control, selectors};
use crate::support::Shared;

/// What is known of one key, in logs that lack nothing.
struct Scenario {
    about: &'static str,
    /// What is in the logs.
    records: fn(&str) -> Vec<Value>,
    /// How its entry of the inventory differs; none where the inventory has no such key.
    entry: Option<fn(&str) -> Value>,
    verdict: &'static str,
    /// The codes of all reasons for the verdict.
    codes: &'static [&'static str],
    /// Something that a warning, or what no log shows, must speak of.
    told: &'static [&'static str],
}

const NOTHING: fn(&str) -> Vec<Value> = |_| Vec::new();
const PLAIN: Option<fn(&str) -> Value> = Some(|_| json!({}));

const SCENARIOS: [Scenario; 32] = [
    Scenario {
        about: "used yesterday",
        records: |key| vec![record(key, "2026-05-12T10:00:00Z", json!({}))],
        entry: PLAIN,
        verdict: "in_use",
        codes: &["used"],
        told: &[],
    },
    Scenario {
        about: "used 100 days ago, and 200: twice as long between two uses as is looked back",
        records: |key| {
            vec![record(key, "2025-10-24T10:00:00Z", json!({})), record(key, "2026-02-01T10:00:00Z", json!({}))]
        },
        entry: Some(|_| json!({"CreationDate": "2025-01-01T00:00:00Z"})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["100 days between two uses", "shorter than a quarter"],
    },
    Scenario {
        about: "never used",
        records: NOTHING,
        entry: PLAIN,
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["data keys", "EBS volumes"],
    },
    Scenario {
        about: "only described, by its id",
        records: |key| {
            vec![record(
                key,
                "2026-05-12T10:00:00Z",
                json!({"eventName": "DescribeKey", "requestParameters": {"keyId": key}}),
            )]
        },
        entry: PLAIN,
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "described by its alias, for someone, by a service: a configuration has that name",
        records: |key| {
            let by_alias = json!({"eventName": "DescribeKey", "requestParameters": {"keyId": "alias/called"}, "userIdentity": of_service()});
            vec![record(key, "2026-05-12T10:00:00Z", by_alias)]
        },
        entry: Some(|_| json!({"Aliases": ["alias/called"]})),
        verdict: "in_use",
        codes: &["alias"],
        told: &[],
    },
    Scenario {
        about: "only dry runs",
        records: |key| {
            let dry = json!({"errorCode": "DryRunOperationException", "errorMessage": "The request would have succeeded, but the DryRun option is set."});
            vec![record(key, "2026-05-12T10:00:00Z", dry)]
        },
        entry: PLAIN,
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "only denied",
        records: |key| {
            vec![record(
                key,
                "2026-05-12T10:00:00Z",
                json!({"errorCode": "AccessDenied", "errorMessage": "User: x is not authorized"}),
            )]
        },
        entry: PLAIN,
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["1 call failed for other reasons"],
    },
    Scenario {
        about: "failing since it was disabled",
        records: |key| {
            let disable = json!({"eventName": "DisableKey", "readOnly": false, "requestParameters": {"keyId": key}});
            let failed = json!({"errorCode": "DisabledException", "errorMessage": format!("{key} is disabled.")});
            vec![record(key, "2026-05-11T10:00:00Z", disable), record(key, "2026-05-12T10:00:00Z", failed)]
        },
        entry: Some(|_| json!({"KeyState": "Disabled", "Enabled": false})),
        verdict: "in_use",
        codes: &["failing"],
        told: &[],
    },
    Scenario {
        about: "disabled and quiet since",
        records: |key| {
            let disable = json!({"eventName": "DisableKey", "readOnly": false, "requestParameters": {"keyId": key}});
            vec![record(key, "2026-05-11T10:00:00Z", disable)]
        },
        entry: Some(|_| json!({"KeyState": "Disabled", "Enabled": false})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "pending deletion, and nobody misses it",
        records: NOTHING,
        entry: Some(
            |_| json!({"KeyState": "PendingDeletion", "Enabled": false, "DeletionDate": "2026-05-20T00:00:00Z"}),
        ),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "someone holds a grant, says the inventory",
        records: NOTHING,
        entry: Some(|_| {
            json!({"Grants": [{"GrantId": "g1", "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:role/volumes"),
                "CreationDate": "2025-05-01T00:00:00Z", "Operations": ["Decrypt"]}]})
        }),
        verdict: "in_use",
        codes: &["grant"],
        told: &[],
    },
    Scenario {
        about: "a grant was made after the inventory was taken",
        records: |key| {
            let grant = json!({"eventName": "CreateGrant", "readOnly": false,
                "requestParameters": {"keyId": key, "granteePrincipal": "arn:aws:iam::111122223333:role/volumes", "operations": ["Decrypt"]},
                "responseElements": {"grantId": "0123456789abcdef", "keyId": key}});
            vec![record(key, "2026-05-12T23:40:00Z", grant)]
        },
        entry: PLAIN,
        verdict: "in_use",
        codes: &["grant"],
        told: &[],
    },
    Scenario {
        about: "a grant was made and retired",
        records: |key| {
            let grant = json!({"eventName": "CreateGrant", "readOnly": false,
                "requestParameters": {"keyId": key, "granteePrincipal": "arn:aws:iam::111122223333:role/volumes", "operations": ["Decrypt"]},
                "responseElements": {"grantId": "abcdef0123456789", "keyId": key}});
            let retired = json!({"eventName": "RetireGrant", "readOnly": false, "requestParameters": null,
                "additionalEventData": {"grantId": "abcdef0123456789"}});
            vec![record(key, "2026-05-12T10:00:00Z", grant), record(key, "2026-05-12T11:00:00Z", retired)]
        },
        entry: PLAIN,
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "GetKeyLastUsage is ahead of the lake",
        records: NOTHING,
        entry: Some(|_| last_usage("2026-05-12T22:50:00Z")),
        verdict: "in_use",
        codes: &["last_usage"],
        told: &[],
    },
    Scenario {
        about: "GetKeyLastUsage tells of a use before the look-back, which is no obstacle and needs no log",
        records: NOTHING,
        entry: Some(|_| last_usage("2026-03-01T10:00:00Z")),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "GetKeyLastUsage is empty, and the key is older than what it tracks",
        records: NOTHING,
        entry: Some(|_| json!({"CreationDate": "2024-01-01T00:00:00Z"})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["since 2026-04-23T00:00:00Z only"],
    },
    Scenario {
        about: "AWS manages it",
        records: NOTHING,
        entry: Some(|_| json!({"KeyManager": "AWS", "Aliases": ["alias/aws/rds"]})),
        verdict: "unknown",
        codes: &["aws_managed"],
        told: &[],
    },
    Scenario {
        about: "imported key material",
        records: NOTHING,
        entry: Some(|_| json!({"Origin": "EXTERNAL", "ValidTo": "2027-01-01T00:00:00Z"})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["imported key material"],
    },
    Scenario {
        about: "only CloudTrail itself uses it",
        records: |key| {
            let of_trail = json!({"eventName": "GenerateDataKey", "userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"},
                "sourceIPAddress": "cloudtrail.amazonaws.com", "userAgent": "cloudtrail.amazonaws.com",
                "sharedEventID": "99999999-0000-4000-8000-000000000001"});
            vec![record(key, "2026-05-12T10:00:00Z", of_trail)]
        },
        entry: PLAIN,
        verdict: "in_use",
        codes: &["used"],
        told: &[],
    },
    Scenario {
        about: "a pair whose public half was handed out",
        records: |key| {
            vec![record(
                key,
                "2026-03-01T10:00:00Z",
                json!({"eventName": "GetPublicKey", "requestParameters": {"keyId": key}}),
            )]
        },
        entry: Some(|_| json!({"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_2048"})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &["1 GetPublicKey call"],
    },
    Scenario {
        about: "the inventory was not allowed to list its grants",
        records: NOTHING,
        entry: Some(|_| json!({"Grants": null})),
        verdict: "unknown",
        codes: &["inventory_unread"],
        told: &[],
    },
    Scenario {
        about: "the inventory does not have it",
        records: |key| {
            vec![record(
                key,
                "2026-05-12T10:00:00Z",
                json!({"eventName": "DescribeKey", "requestParameters": {"keyId": key}}),
            )]
        },
        entry: None,
        verdict: "unknown",
        codes: &["no_inventory"],
        told: &[],
    },
    Scenario {
        about: "the expectations file names it",
        records: NOTHING,
        entry: PLAIN,
        verdict: "in_use",
        codes: &["expectation"],
        told: &[],
    },
    Scenario {
        about: "a destination of ReEncrypt",
        records: |key| {
            let source = arn(HOME, &id(0));
            let both = json!({"eventName": "ReEncrypt", "requestParameters": {"destinationKeyId": key},
                "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": source},
                    {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}]});
            vec![record(key, "2026-05-12T10:00:00Z", both)]
        },
        entry: PLAIN,
        verdict: "in_use",
        codes: &["used"],
        told: &[],
    },
    Scenario {
        about: "described by its alias, by someone who looks at it",
        records: |key| {
            let by_hand = json!({"eventName": "DescribeKey", "requestParameters": {"keyId": "alias/looked-at"}});
            vec![record(key, "2026-05-12T10:00:00Z", by_hand)]
        },
        entry: Some(|_| json!({"Aliases": ["alias/looked-at"]})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "used by its alias, and the record names no key",
        records: |key| {
            let unnamed = json!({"eventName": "GenerateDataKey", "requestParameters": {"keyId": "alias/two", "keySpec": "AES_256"},
                "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": format!("arn:aws:kms:{HOME}:{ACCOUNT}:alias/two")}]});
            vec![record(key, "2026-05-12T10:00:00Z", unnamed)]
        },
        entry: Some(|_| json!({"Aliases": ["alias/two"]})),
        verdict: "in_use",
        codes: &["used"],
        told: &[],
    },
    Scenario {
        about: "a grant of the inventory was revoked since",
        records: |key| {
            let revoked = json!({"eventName": "RevokeGrant", "readOnly": false,
                "requestParameters": {"keyId": key, "grantId": "revoked-later"}});
            vec![record(key, "2026-05-12T23:45:00Z", revoked)]
        },
        entry: Some(|_| {
            json!({"Grants": [{"GrantId": "revoked-later", "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:role/volumes"),
                "CreationDate": "2025-05-01T00:00:00Z", "Operations": ["Decrypt"]}]})
        }),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "throttled: someone would have used it",
        records: |key| {
            vec![record(
                key,
                "2026-05-12T10:00:00Z",
                json!({"errorCode": "ThrottlingException", "errorMessage": "Rate exceeded"}),
            )]
        },
        entry: PLAIN,
        verdict: "unknown",
        codes: &["unserved"],
        told: &[],
    },
    Scenario {
        about: "the expectations file names it by a pattern",
        records: NOTHING,
        entry: Some(|_| json!({"Aliases": ["alias/dr-west"]})),
        verdict: "in_use",
        codes: &["expectation"],
        told: &[],
    },
    Scenario {
        about: "the inventory does not say in which state it is",
        records: NOTHING,
        entry: Some(|_| json!({"KeyState": null})),
        verdict: "unknown",
        codes: &["inventory_unread"],
        told: &[],
    },
    Scenario {
        about: "disabled long ago, and missed an hour before the look-back",
        records: |key| {
            let disable = json!({"eventName": "DisableKey", "readOnly": false, "requestParameters": {"keyId": key}});
            let failed = json!({"errorCode": "DisabledException", "errorMessage": format!("{key} is disabled.")});
            vec![record(key, "2025-11-01T10:00:00Z", disable), record(key, "2026-05-10T23:30:00Z", failed)]
        },
        entry: Some(|_| json!({"KeyState": "Disabled", "Enabled": false})),
        verdict: "no_use_found",
        codes: &["no_use_found"],
        told: &[],
    },
    Scenario {
        about: "a last use without its time",
        records: NOTHING,
        entry: Some(
            |_| json!({"LastUsage": {"TrackingStartDate": "2026-04-23T00:00:00Z", "KeyLastUsage": {"Operation": "Decrypt"}}}),
        ),
        verdict: "unknown",
        codes: &["inventory_unread"],
        told: &[],
    },
];

/// A user for whom RDS makes a call.
fn of_service() -> Value {
    json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": ACCOUNT, "userName": "alice",
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/alice"), "invokedBy": "rds.amazonaws.com"})
}

fn last_usage(at: &str) -> Value {
    let last = json!({"Operation": "Decrypt", "Timestamp": at, "CloudTrailEventId": "not-in-the-lake"});
    json!({"LastUsage": {"TrackingStartDate": "2026-04-23T00:00:00Z", "KeyLastUsage": last}})
}

/// The key of a scenario.
fn key(number: usize) -> String {
    arn(HOME, &id(u32::try_from(number).unwrap() + 1))
}

fn logs() -> Logs {
    let keys = || SCENARIOS.iter().enumerate().map(|(number, scenario)| (key(number), scenario));
    let named = keys().find(|(_, scenario)| scenario.about.contains("expectations")).unwrap().0;
    Logs {
        records: keys().flat_map(|(key, scenario)| (scenario.records)(&key)).collect(),
        inventory: Some(keys().filter_map(|(key, scenario)| Some(entry(&key, scenario.entry?(&key)))).collect()),
        expectations: Some(format!(
            "[[key]]\nkeys = [\"{named}\"]\nowner = \"orders\"\n[[key]]\nkeys = [\"alias/dr-*\"]\npurpose = \"once a year\"\n"
        )),
        ..Logs::default()
    }
}

/// A lake of all of them, and what is said of each key: several tests look at it.
pub struct Judged {
    case: Case,
    pub verdicts: Vec<Value>,
}

pub static JUDGED: Shared<Judged> = Shared::new(|| {
    let case = logs().lake();
    let mut all = case.all(&[]);
    // AWS's own keys, and those that no inventory has, are asked for one by one.
    let verdict = |number| all.remove(&key(number)).unwrap_or_else(|| case.check(&key(number), &[]));
    let verdicts = (0..SCENARIOS.len()).map(verdict).collect();
    Judged { case, verdicts }
});

#[test]
fn what_is_known_of_a_key_decides_the_verdict() {
    let mut faults = Vec::new();
    for (scenario, verdict) in SCENARIOS.iter().zip(&JUDGED.get().verdicts) {
        let (found, wanted): (Vec<String>, Vec<&str>) = (codes(verdict).into_iter().collect(), scenario.codes.to_vec());
        let told = format!("{}{}", verdict["warnings"], verdict["cannot_see"]);
        let is_told = scenario.told.iter().all(|text| told.contains(text));
        if verdict["verdict"] != scenario.verdict || found != wanted || !is_told {
            faults.push(format!(
                "{}: {} because of {found:?}; {told}; {}",
                scenario.about, verdict["verdict"], verdict["reasons"]
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The JSON is a contract.
#[test]
fn a_verdict_as_json() {
    let judged = JUDGED.get();
    for (number, name) in [(7, "in_use"), (20, "unknown"), (1, "no_use_found")] {
        let mut verdict = judged.case.check(&key(number), &[]);
        verdict["lake_version"] = "[version]".into();
        insta::assert_snapshot!(name, judged.case.dir.mask(&serde_json::to_string_pretty(&verdict).unwrap()));
    }
}

/// What is asked of one key and of all must be one answer, but for what only one is told of.
#[test]
fn a_key_alone_is_judged_as_among_all() {
    let judged = JUDGED.get();
    for number in [0, 7, 23] {
        let mut alone = judged.case.check(&key(number), &[]);
        assert!(alone["assets"].is_object(), "{alone}");
        alone["assets"] = Value::Null;
        assert_eq!(alone, judged.verdicts[number], "{}", SCENARIOS[number].about);
    }
}

/// A key's names all lead to it, and the formats for people say what the JSON says.
#[test]
fn the_verdict_is_told_in_every_format() {
    let judged = JUDGED.get();
    let ask = |name: &str, format: &str| {
        let arguments = ["check-deletion", name, "--lookback", LOOKBACK, "--until", UNTIL, "--format", format];
        judged.case.dir.keytrail(arguments).code_among(&[0, 1, 3])
    };
    let table = ask("alias/called", "table").stdout();
    assert!(
        table.starts_with("IN USE") && table.contains("alias/called") && table.contains("2026-05-11  ##"),
        "{table}"
    );
    let csv = ask(&id(5), "csv").stdout();
    assert!(csv.starts_with("verdict,supports,code,") && csv.contains("in_use,in_use,alias,"), "{csv}");
    let unknown = judged.case.dir.keytrail(["check-deletion", "alias/cold"]).code(2);
    assert!(unknown.stderr().contains("alias/called"), "{}", unknown.stderr());
    let all = ["check-deletion", "--all", "--lookback", LOOKBACK, "--until", UNTIL, "--format", "csv"];
    let ran = judged.case.dir.keytrail(all).ok();
    let lines: Vec<String> = ran.stdout().lines().map(str::to_owned).collect();
    assert!(lines[1].starts_with("no_use_found,pending_deletion,"), "the readiest first: {}", lines[1]);
    assert!(lines[lines.len() - 1].starts_with("in_use,"), "{lines:?}");
    assert!(ran.stderr().contains("in use"), "{}", ran.stderr());
}

/// A lake, keys in it, and what is to be said of each: the verdict, and the codes of its reasons.
type Lake<'a> = (&'a str, Logs, Vec<(String, &'a str, &'a [&'a str])>);

/// What the logs lack decides too. Damage is in one Region and says nothing of another.
#[test]
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn what_the_logs_lack_decides_too() {
    let (whole, damaged, cut) = (HOME, "eu-central-1", "us-east-1");
    // An id is of one key, but for siblings.
    let idle = |region: &str| {
        let number = (90..).zip([whole, damaged, cut]).find(|(_, one)| *one == region).unwrap().0;
        arn(region, &id(number))
    };
    let set = |number: u32| format!("mrk-{number:032}");
    // A primary key in the home Region, and a replica elsewhere.
    let pair = |number: u32, elsewhere: &str| {
        let related = json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": arn(HOME, &set(number))},
            "ReplicaKeys": [{"Arn": arn(elsewhere, &set(number))}]});
        entry(&arn(HOME, &set(number)), json!({"MultiRegion": true, "MultiRegionConfiguration": related}))
    };
    let alone = |number: u32| {
        let related =
            json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": arn(HOME, &set(number))}, "ReplicaKeys": []});
        entry(&arn(HOME, &set(number)), json!({"MultiRegion": true, "MultiRegionConfiguration": related}))
    };
    let replica = |number: u32, region: &str| {
        let related = json!({"MultiRegionKeyType": "REPLICA", "PrimaryKey": {"Arn": arn(HOME, &set(number))},
            "ReplicaKeys": [{"Arn": arn(region, &set(number))}]});
        entry(&arn(region, &set(number)), json!({"MultiRegion": true, "MultiRegionConfiguration": related}))
    };
    let foreign = "arn:aws:kms:eu-west-1:444455556666:key/00000092-2222-4333-8444-555555555555".to_owned();
    let at = |region: &str| (region.to_owned(), "2026-05-12T10".to_owned());
    let excluded = |at: &str, excluded: Value| {
        let selector =
            json!({"readWriteType": "All", "includeManagementEvents": true, "excludeManagementEventSources": excluded});
        control("PutEventSelectors", at, selectors("management_events", &selector))
    };
    let only_idle = || Some(vec![entry(&idle(HOME), json!({}))]);
    let lakes: [Lake<'_>; 5] = [
        (
            "signed",
            Logs {
                regions: vec![whole, damaged, cut, "us-west-2", "eu-north-1"],
                records: vec![
                    record(&arn("us-west-2", &set(2)), "2026-05-12T10:00:00Z", json!({})),
                    // It is replicated after the inventory was taken.
                    record(
                        &arn(HOME, &set(5)),
                        "2026-05-12T23:40:00Z",
                        json!({"eventName": "ReplicateKey", "readOnly": false,
                            "requestParameters": {"keyId": arn(HOME, &set(5)), "replicaRegion": "sa-east-1"}}),
                    ),
                    record(&arn("eu-north-1", &id(0)), "2026-05-12T10:00:00Z", json!({"resources": null})),
                ],
                lost: [at(damaged)].into(),
                lost_digests: [at(cut)].into(),
                inventory: Some(vec![
                    entry(&idle(whole), json!({})),
                    entry(&idle(damaged), json!({})),
                    entry(&idle(cut), json!({})),
                    pair(1, "us-west-2"),
                    replica(1, "us-west-2"),
                    pair(2, "us-west-2"),
                    replica(2, "us-west-2"),
                    pair(3, "ap-south-1"),
                    replica(3, "ap-south-1"),
                    pair(4, "us-west-2"),
                    alone(5),
                    entry(&arn(HOME, &set(6)), json!({"MultiRegion": true})),
                    entry(&arn("eu-north-1", &id(93)), json!({})),
                ]),
                ..Logs::default()
            },
            vec![
                (idle(whole), "no_use_found", &["no_use_found"]),
                // A log that a digest names is gone, the only one of its hour; a digest is gone, and what it named is named
                // by none.
                (idle(damaged), "unknown", &["coverage_damaged", "coverage_unknown"]),
                (idle(cut), "unknown", &["coverage_damaged"]),
                (arn(HOME, &set(1)), "no_use_found", &["no_use_found"]),
                // It is used in the other Region.
                (arn(HOME, &set(2)), "in_use", &["used"]),
                // The other Region is not in the lake; the other key is in no inventory.
                (arn(HOME, &set(3)), "unknown", &["coverage_unknown"]),
                (arn(HOME, &set(4)), "unknown", &["no_inventory"]),
                (arn(HOME, &set(5)), "unknown", &["coverage_unknown", "no_inventory"]),
                (arn(HOME, &set(6)), "unknown", &["siblings_unknown"]),
                // Someone used a key there, and the record does not say which.
                (arn("eu-north-1", &id(93)), "unknown", &["unnamed_use"]),
                (foreign, "unknown", &["coverage_unknown", "no_inventory"]),
                (arn(HOME, &id(99)), "unknown", &["no_inventory"]),
            ],
        ),
        (
            "not signed",
            Logs {
                regions: vec![whole, damaged],
                lost: [at(damaged)].into(),
                is_signed: false,
                inventory: Some(vec![entry(&idle(whole), json!({})), entry(&idle(damaged), json!({}))]),
                ..Logs::default()
            },
            vec![
                (idle(whole), "unknown", &["coverage_unproven"]),
                (idle(damaged), "unknown", &["coverage_unknown", "coverage_unproven"]),
            ],
        ),
        (
            "KMS is excluded for an hour",
            Logs {
                records: vec![
                    excluded("2026-05-12T10:00:00Z", json!(["kms.amazonaws.com"])),
                    excluded("2026-05-12T11:00:00Z", json!([])),
                ],
                quiet: ["2026-05-12T10".to_owned()].into(),
                inventory: only_idle(),
                ..Logs::default()
            },
            vec![(idle(HOME), "unknown", &["coverage_blind", "coverage_unproven"])],
        ),
        ("no inventory", Logs { inventory: None, ..Logs::default() }, vec![(idle(HOME), "unknown", &["no_inventory"])]),
        (
            "an inventory of the day before yesterday",
            Logs { taken_at: "2026-05-11T00:00:00Z", inventory: only_idle(), ..Logs::default() },
            vec![(idle(HOME), "unknown", &["inventory_old"])],
        ),
    ];
    let mut faults = Vec::new();
    for (about, logs, keys) in lakes {
        let case = logs.lake();
        let mut all = case.all(&[]);
        for (key, verdict, wanted) in keys {
            let found = all.remove(&key).unwrap_or_else(|| case.check(&key, &[]));
            let codes: Vec<String> = codes(&found).into_iter().collect();
            if found["verdict"] != verdict || codes != wanted {
                faults.push(format!("{about}, {key}: {} because of {codes:?}: {}", found["verdict"], found["reasons"]));
            }
        }
        // Who says so lets AWS's own record of the last use vouch, but for what is known to be missing.
        if about == "not signed" {
            let all = case.all(&["--accept-observed"]);
            assert_eq!(all[&idle(whole)]["verdict"], "no_use_found", "{}", all[&idle(whole)]["reasons"]);
            assert_eq!(all[&idle(damaged)]["verdict"], "unknown");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
