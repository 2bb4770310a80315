//! Profiles, and the incident in one document.

use std::collections::BTreeMap;
use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{ALICE, CALLERS, OWNERS, READER, Story, assume, through_s3};
use crate::evidence::chains::hex;
use crate::golden::corpus;
use crate::support::{Dir, decrypt, with};

/// A name that would be markup, a link and the end of a table's row, if a document let it.
const HOSTILE: &str = "<img src=x onerror=alert(1)>|[x](javascript:alert(1))\u{1b}[31m`";

#[test]
fn a_profile_counts_every_trait_of_a_principal_and_of_a_key() {
    let dir = Dir::new();
    // 2026-05-11 is a Monday.
    let at = |id: &str, time: &str| with(decrypt(id), "eventTime", time);
    let mut denied = at("d", "2026-05-11T14:00:00Z");
    denied["errorCode"] = "AccessDenied".into();
    denied["sourceIPAddress"] = "198.51.100.9".into();
    let mut other = through_s3("o", "ASIAREADER");
    other["eventTime"] = "2026-05-13T03:00:00Z".into();
    dir.log("log.json.gz", &[at("a", "2026-05-11T09:00:00Z"), at("b", "2026-05-11T09:30:00Z"), denied, other]);
    dir.ingest("logs");
    let rows =
        |query: &str, param: &str| dir.keytrail(["query", query, "--param", param]).format("ndjson").ok().ndjson();
    let of = |rows: &[Value], name: &str, value: &str| -> Value {
        let found = rows.iter().find(|row| row["trait"] == name && row["value"] == value);
        found.unwrap_or_else(|| panic!("{name} {value}: {rows:?}")).clone()
    };
    let user = rows("principal-profile", "principal=*user/alice");
    let all = of(&user, "all", "");
    assert_eq!((&all["calls"], &all["failures"], &all["denied"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!(
        (&all["first_seen"], &all["last_seen"]),
        (&json!("2026-05-11T09:00:00Z"), &json!("2026-05-11T14:00:00Z"))
    );
    assert_eq!(of(&user, "address", "198.51.100.9")["calls"], 1);
    assert_eq!(of(&user, "error", "AccessDenied")["calls"], 1);
    let monday = of(&user, "weekday", "Mon");
    let mut hours = vec![0; 24];
    (hours[9], hours[14]) = (2, 1);
    assert_eq!(monday["by_hour"], json!(hours));
    assert_eq!(user.iter().filter(|row| row["trait"] == "weekday").count(), 1);
    let key = rows("key-profile", &format!("key_arn={}", crate::support::KEY));
    assert_eq!(of(&key, "all", "")["calls"], 4);
    assert_eq!(of(&key, "principal", READER)["calls"], 1);
    assert_eq!(of(&key, "service", "s3.amazonaws.com")["calls"], 1);
    assert_eq!(of(&key, "asset", "arn:aws:s3:::payroll/may.csv")["calls"], 1);
}

#[test]
fn an_incident_is_told_in_one_document() {
    let dir = Story::new().ingest();
    let report = |format: &str| {
        let arguments = ["report", "--incident", "--session", "nightly"];
        dir.keytrail(arguments).format(format).ok().stdout()
    };
    // The tag of a file is of the moment at which the test wrote it, and so is when it was read.
    assert_snapshot!("incident_markdown", dir.mask(&report("markdown")));
    let told: Value = serde_json::from_str(&report("json")).unwrap();
    let [identity] = &told["identities"]["rows"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&identity["principal"], &identity["end"]["principal"]), (&json!(READER), &json!(ALICE)));
    let [asset] = &told["assets"]["rows"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&asset["asset"], &asset["decrypts"]), (&json!("arn:aws:s3:::payroll/may.csv"), &json!(1)));
    // Evidence: the hash is that of the text that the log holds.
    let object = told["evidence"]["objects"].as_array().unwrap();
    let owners = object.iter().find(|object| object["source_object"].as_str().unwrap().ends_with("owners.json.gz"));
    let text: String = corpus_text(&dir.join("logs/owners.json.gz"));
    assert_eq!(owners.unwrap()["sha256"], json!(hex(digest(&SHA256, text.as_bytes()).as_ref())));
}

fn corpus_text(path: &std::path::Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    text
}

#[test]
fn evidence_that_is_gone_or_was_written_anew_is_told() {
    let dir = Story::new().ingest();
    let report = ["report", "--incident", "--principal", "*/Reader"];
    let trouble = |code: i32| -> Vec<String> {
        let told = dir.keytrail(report).format("json").code(code).json();
        let objects = told["evidence"]["objects"].as_array().unwrap().iter();
        objects.filter_map(|object| Some(object["trouble"].as_str()?.to_owned())).collect()
    };
    assert_eq!(trouble(0), Vec::<String>::new());
    dir.log("owners.json.gz", &[decrypt("another")]);
    assert_eq!(trouble(3), ["it was written anew since it was ingested"]);
    fs::remove_file(dir.join("logs/owners.json.gz")).unwrap();
    assert_eq!(trouble(3), ["it is no longer there"]);
    dir.keytrail(report).arg("--no-hashes").ok();
}

#[test]
fn what_strangers_wrote_stays_text_in_the_document() {
    let dir = Dir::new();
    let mut record = through_s3("hostile", "ASIAREADER");
    record["requestParameters"]["encryptionContext"]["aws:s3:arn"] = format!("arn:aws:s3:::{HOSTILE}").into();
    record["userIdentity"]["arn"] = format!("arn:aws:sts::111122223333:assumed-role/Reader/{HOSTILE}").into();
    record["userIdentity"]["principalId"] = format!("AROAREADER:{HOSTILE}").into();
    record["sourceIPAddress"] = HOSTILE.into();
    dir.log("log.json.gz", &[record]);
    dir.ingest("logs");
    let text = dir.keytrail(["report", "--incident", "--principal", "*/Reader"]).ok().stdout();
    assert!(text.contains("onerror"), "{text}");
    for dangerous in ["\u{1b}", "<img", "](java", ">|["] {
        // With a backslash before it, it is letters.
        assert!(!text.replace(&format!("\\{dangerous}"), "").contains(dangerous), "{dangerous:?} in\n{text}");
    }
}

#[test]
fn a_report_is_about_something_and_in_a_format_that_it_has() {
    let dir = Story::new().ingest();
    dir.keytrail(["report", "--incident"]).code(2);
    dir.keytrail(["report", "--principal", "*"]).code(2);
    let stderr = dir.keytrail(["report", "--incident", "--principal", "*"]).format("csv").code(2).stderr();
    assert!(stderr.contains("markdown"), "{stderr}");
    let file = dir.join("incident.md");
    dir.keytrail(["report", "--incident", "--session", "nightly", "-o"]).arg(&file).ok();
    assert!(fs::read_to_string(file).unwrap().starts_with("# KMS incident: session nightly\n"));
}

#[test]
fn what_a_file_is_called_and_what_is_in_it_are_one() {
    let dir = Story::new().ingest();
    let report = |file: &str, more: &[&str], code: i32| {
        dir.keytrail(["report", "--incident", "--session", "nightly", "-o", file]).args(more).code(code)
    };
    for (file, more) in [
        ("incident.html", &[][..]),
        ("incident.csv", &[]),
        ("incident.sarif", &[]),
        ("incident.doc", &[]),
        ("incident.json", &["--format", "markdown"]),
        ("incident.html", &["--format", "markdown"]),
        ("incident.md", &["--format", "json"]),
    ] {
        let told = report(file, more, 2).stderr();
        assert!(told.contains("error: ") && told.contains("hint: "), "{file}: {told}");
        assert!(!dir.join(file).exists(), "{file}");
    }
    report("incident.json", &[], 0);
    let told: Value = serde_json::from_str(&fs::read_to_string(dir.join("incident.json")).unwrap()).unwrap();
    assert_eq!(told["scope"]["session"], "nightly");
    report("incident.txt", &["--format", "markdown"], 0);
    assert!(report("-", &["--format", "json"], 0).json()["scope"].is_object() && !dir.join("-").exists());
}

#[test]
fn an_incident_about_nobody_is_an_error_and_writes_no_file() {
    let dir = Story::new().ingest();
    let nobody = |arguments: &[&str]| {
        let ran = dir.keytrail(["report", "--incident", "-o", "incident.md"]).args(arguments).code(2);
        assert!(ran.stdout().is_empty() && !dir.join("incident.md").exists(), "{}", ran.seen());
        ran.stderr()
    };
    let told = nobody(&["--principal", "nobody"]);
    assert!(told.contains("error: no event in this lake matches principal nobody\n"), "{told}");
    assert!(told.contains("no proof where logs are missing") && told.contains("keytrail coverage"), "{told}");
    let told = nobody(&["--session", "nightly", "--since", "2020-01-01", "--until", "2020-01-02"]);
    assert!(told.contains("no event in this lake matches session nightly in that time"), "{told}");
    // The name of one kind may be known as another's.
    let told = nobody(&["--session", "Reader"]);
    assert!(told.contains("hint: there is --principal arn:aws:iam::111122223333:role/Reader"), "{told}");
    let told = nobody(&["--principal", "nightly"]);
    assert!(told.contains("hint: there is --session nightly"), "{told}");
}

#[test]
fn a_bare_name_is_the_one_principal_of_that_name_or_is_answered_with_all() {
    let dir = Dir::new();
    let of = |id: &str, arn: &str| {
        let mut record = decrypt(id);
        record["userIdentity"]["arn"] = arn.into();
        record
    };
    let (user, other) = ("arn:aws:iam::111122223333:user/bert-jan", "arn:aws:iam::444455556666:user/ops/bert-jan");
    dir.log("a.json.gz", &[of("a", user), of("x", "arn:aws:iam::111122223333:user/not-bert-jan")]);
    dir.ingest("logs");
    let incident = ["report", "--incident", "--principal", "bert-jan"];
    let ran = dir.keytrail(incident).format("json").ok();
    assert_eq!((&ran.json()["scope"]["principal"], &ran.json()["counts"]["calls"]), (&json!(user), &json!(1)));
    assert!(ran.stderr().contains(&format!("note: bert-jan is taken for {user}")), "{}", ran.seen());
    let timeline = ["timeline", "--principal", "bert-jan"];
    assert_eq!(dir.keytrail(timeline).format("json").ok().json().as_array().unwrap().len(), 1);
    let who = ["who", crate::support::KEY, "--principal", "bert-jan"];
    assert_eq!(dir.keytrail(who).format("json").ok().json()[0]["principal"], user);

    dir.log("b.json.gz", &[of("b", other)]);
    dir.ingest("logs");
    for asked in [&incident[..], &timeline, &who] {
        let ran = dir.keytrail(asked).code(2);
        let told = format!("bert-jan may be any of {user}, {other}");
        assert!(ran.stderr().contains(&told) && ran.stderr().contains("'*/bert-jan'"), "{}", ran.seen());
    }
    let both = dir.keytrail(["timeline", "--principal", "*/bert-jan"]).format("json").ok().json();
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[test]
fn a_list_that_is_cut_says_how_much_it_leaves_out() {
    let dir = Dir::new();
    let calls: Vec<Value> = (0..5)
        .map(|number| {
            let mut record = through_s3(&format!("call-{number}"), "ASIAREADER");
            record["requestParameters"]["encryptionContext"]["aws:s3:arn"] = format!("arn:aws:s3:::b/{number}").into();
            record
        })
        .collect();
    dir.log("log.json.gz", &calls);
    dir.ingest("logs");
    let report = ["report", "--incident", "--principal", "*/Reader", "--limit", "2"];
    let told = dir.keytrail(report).format("json").ok().json();
    let lengths = |list: &Value| (list["total"].as_i64().unwrap(), list["rows"].as_array().unwrap().len());
    assert_eq!(lengths(&told["assets"]), (5, 2));
    assert_eq!((&told["timeline"]["is_whole"], &told["counts"]["calls"]), (&json!(false), &json!(5)));
    let text = dir.keytrail(report).ok().stdout();
    assert!(text.contains("3 more are not shown") && text.contains("These are the earliest"), "{text}");
}

/// What was decrypted of each asset, by the raw logs: calls, first and last.
type Decrypted = BTreeMap<String, (i64, String, String)>;

fn by_the_raw_logs(folder: &std::path::Path) -> Decrypted {
    let mut decrypted = Decrypted::new();
    for object in corpus::objects(folder) {
        for record in corpus::records(&object) {
            let record: Value = serde_json::from_str(&record).unwrap();
            let is_his = record["userIdentity"]["arn"].as_str().is_some_and(|arn| arn.ends_with("user/bert-jan"));
            if record["eventName"] != "Decrypt" || !is_his || !record["errorCode"].is_null() {
                continue;
            }
            let context = &record["requestParameters"]["encryptionContext"];
            let asset = context["SecretARN"].as_str().or(context["PARAMETER_ARN"].as_str()).unwrap().to_owned();
            let time = record["eventTime"].as_str().unwrap().to_owned();
            let entry = decrypted.entry(asset).or_insert_with(|| (0, time.clone(), time.clone()));
            entry.0 += 1;
            entry.1 = entry.1.clone().min(time.clone());
            entry.2 = entry.2.clone().max(time);
        }
    }
    decrypted
}

#[test]
fn the_real_incident_tells_which_secrets_and_parameters_were_decrypted_and_when() {
    let Some(folder) = corpus::find("invictus") else { return };
    let dir = Dir::new();
    dir.keytrail(["ingest".as_ref(), folder.as_os_str()]).ok();
    let report = ["report", "--incident", "--principal", "*user/bert-jan"];
    let told = dir.keytrail(report).format("json").ok().json();
    let mut decrypted = Decrypted::new();
    for row in told["assets"]["rows"].as_array().unwrap() {
        let text = |member: &str| row[member].as_str().unwrap().to_owned();
        if row["event_name"] == "Decrypt" {
            let counted = (row["decrypts"].as_i64().unwrap(), text("first_seen"), text("last_seen"));
            assert!(decrypted.insert(text("asset"), counted).is_none(), "{row}");
        }
    }
    let expected = by_the_raw_logs(&folder);
    assert_eq!(decrypted, expected);
    assert_eq!(told["counts"]["decrypts"], expected.values().map(|(calls, ..)| calls).sum::<i64>());
    assert_eq!(told["assets"]["total"], told["assets"]["rows"].as_array().unwrap().len());
    let [identity] = &told["identities"]["rows"].as_array().unwrap()[..] else { panic!("{}", told["identities"]) };
    assert_eq!(identity["end"]["code"], "user");
    // The key to disable is the one with which he assumed roles.
    let records = corpus::objects(&folder).into_iter().flat_map(|object| corpus::records(&object));
    let records = records.map(|record| serde_json::from_str::<Value>(&record).unwrap());
    let is_start =
        |record: &Value| record["eventName"] == "AssumeRole" && record["userIdentity"]["userName"] == "bert-jan";
    let starts: Vec<Value> = records.filter(is_start).collect();
    let refused = starts.iter().filter(|start| !start["errorCode"].is_null()).count();
    let text = dir.keytrail(report).arg("--no-hashes").ok().stdout();
    assert!(text.contains(starts[0]["userIdentity"]["accessKeyId"].as_str().unwrap()), "{text}");
    assert!(text.contains(&format!("{refused} attempts to assume a role failed")), "{text}");
    // Every event of the timeline has its object among the evidence.
    let objects = told["evidence"]["objects"].as_array().unwrap();
    let known: Vec<&Value> = objects.iter().map(|object| &object["source_object"]).collect();
    assert!(told["timeline"]["rows"].as_array().unwrap().iter().all(|row| known.contains(&&row["source_object"])));
    assert!(objects.iter().all(|object| object["sha256"].as_str().is_some_and(|hash| hash.len() == 64)));
}

#[test]
fn calls_of_two_people_in_sessions_of_one_name_are_not_one_persons() {
    // Alice and Bob open a session of the same name in the same second.
    let dir = Dir::new();
    let (role, at) = ((READER, "AROAREADER", "ci"), "2026-05-12T09:00:00Z");
    let mut bob = super::alice();
    (bob["arn"], bob["principalId"], bob["accessKeyId"]) =
        (ALICE.replace("alice", "bob").into(), "AIDABOB".into(), "AKIABOB".into());
    let direct = |id: &str, key: &str| {
        let mut record = with(decrypt(id), "eventTime", "2026-05-12T09:20:00Z");
        record["userIdentity"] = super::session(READER, "AROAREADER", "ci", key, at);
        record
    };
    let starts = [("a", &super::alice(), "ASIA1"), ("b", &bob, "ASIA2")];
    let mut records: Vec<Value> =
        starts.map(|(event, caller, key)| assume(event, at, caller, role, key, CALLERS)).to_vec();
    records.extend([direct("d1", "ASIA1"), direct("d2", "ASIA1"), direct("d3", "ASIA2")]);
    // Through S3, under a key of S3's own: whose it was, nothing tells.
    let mut forwarded = through_s3("d4", "ASIAFORWARDED");
    forwarded["userIdentity"] = super::session(READER, "AROAREADER", "ci", "ASIAFORWARDED", at);
    forwarded["userIdentity"]["invokedBy"] = "AWS Internal".into();
    records.push(forwarded);
    // An hour later Bob and Carol do the same: that is another doubt, with other names.
    let mut carol = super::alice();
    (carol["arn"], carol["principalId"]) = (ALICE.replace("alice", "carol").into(), "AIDACAROL".into());
    let later = "2026-05-12T10:00:00Z";
    for (event, caller, key) in [("b2", &bob, "ASIA3"), ("c", &carol, "ASIA4")] {
        records.push(assume(event, later, caller, role, key, CALLERS));
    }
    let mut forwarded = with(through_s3("d5", "ASIAOTHER"), "eventTime", "2026-05-12T10:20:00Z");
    forwarded["userIdentity"] = super::session(READER, "AROAREADER", "ci", "ASIAOTHER", later);
    forwarded["userIdentity"]["invokedBy"] = "AWS Internal".into();
    records.push(forwarded);
    dir.log("log.json.gz", &records);
    dir.ingest("logs");
    let told = dir.keytrail(["report", "--incident", "--session", "ci"]).format("json").ok().json();
    let actors = told["identities"]["rows"].as_array().unwrap().iter();
    let actors: Vec<(&Value, &Value)> = actors.map(|actor| (&actor["end"]["principal"], &actor["calls"])).collect();
    let (alice, bob, reader) = (json!(ALICE), json!(ALICE.replace("alice", "bob")), json!(READER));
    assert_eq!(actors[0], (&alice, &json!(2)));
    assert!(actors.contains(&(&bob, &json!(1))) && actors.contains(&(&reader, &json!(1))), "{actors:?}");
    assert_eq!(actors.len(), 4);
    assert!(told["identities"].to_string().contains("user/carol"), "{told}");
    let ends = dir.keytrail(["timeline", "--chain", "--session", "ci"]).format("ndjson").ok().ndjson();
    let of = |id: &str| ends.iter().find(|row| row["event_id"] == id).unwrap()["origin_end"].clone();
    assert_eq!((of("d1"), of("d3"), of("d4")), (json!("user"), json!("user"), json!("ambiguous")));
}

#[test]
fn of_a_re_encrypt_each_key_has_its_part_and_a_dry_run_is_no_call() {
    let dir = Dir::new();
    let other = crate::support::KEY.replace("1234abcd", "ffffffff");
    let mut moved = decrypt("moved");
    moved["eventName"] = "ReEncrypt".into();
    moved["requestParameters"] = json!({"sourceKeyId": crate::support::KEY, "destinationKeyId": other,
        "sourceEncryptionContext": {"aws:s3:arn": "arn:aws:s3:::b/x"}, "destinationEncryptionContext": {"aws:s3:arn": "arn:aws:s3:::b/x"}});
    moved["resources"] = json!([
        {"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": crate::support::KEY},
        {"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": other}]);
    let mut dry = decrypt("dry");
    dry["errorCode"] = "DryRunOperationException".into();
    dir.log("log.json.gz", &[moved, dry]);
    dir.ingest("logs");
    let report =
        |filter: &str, value: &str| dir.keytrail(["report", "--incident", filter, value]).format("json").ok().json();
    let counts = |told: &Value| ["calls", "decrypts", "dry_runs"].map(|name| told[name].as_i64().unwrap());
    let of_alice = report("--principal", "*user/alice");
    assert_eq!(counts(&of_alice["counts"]), [1, 1, 1]);
    let keys: Vec<(&Value, [i64; 3])> =
        of_alice["keys"]["rows"].as_array().unwrap().iter().map(|key| (&key["key_arn"], counts(key))).collect();
    assert_eq!(keys, [(&json!(crate::support::KEY), [1, 1, 1]), (&json!(other), [1, 0, 0])]);
    assert_eq!(counts(&report("--key", &other)["counts"]), [1, 0, 0]);
    let rows =
        dir.keytrail(["query", "principal-profile", "--param", "principal=*alice"]).format("ndjson").ok().ndjson();
    let all = rows.iter().find(|row| row["trait"] == "all").unwrap();
    assert_eq!((&all["calls"], &all["failures"], &all["dry_runs"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(rows.iter().filter(|row| row["trait"] == "key").count(), 2);
}

/// Whoever may not even know the key asks by an alias, and the record of the refusal names nothing else.
#[test]
fn a_call_by_alias_alone_is_in_the_table_of_keys_under_the_aliass_arn() {
    let dir = Dir::new();
    let mut plain = decrypt("plain");
    plain["eventName"] = "Encrypt".into();
    plain["errorCode"] = "AccessDenied".into();
    plain["requestParameters"] = json!({"keyId": "alias/orders"});
    plain["resources"] = Value::Null;
    let mut whole = plain.clone();
    whole["eventID"] = "whole".into();
    whole["requestParameters"]["keyId"] = "arn:aws:kms:us-east-1:444455556666:alias/orders".into();
    dir.log("log.json.gz", &[plain, whole, decrypt("named")]);
    dir.ingest("logs");
    let told = dir.keytrail(["report", "--incident", "--principal", "*user/alice"]).format("json").ok().json();
    let keys: Vec<(&Value, &Value)> =
        told["keys"]["rows"].as_array().unwrap().iter().map(|key| (&key["key_arn"], &key["denied"])).collect();
    assert_eq!(
        keys,
        [
            (&json!(crate::support::KEY), &json!(0)),
            (&json!("arn:aws:kms:eu-west-1:111122223333:alias/orders"), &json!(1)),
            (&json!("arn:aws:kms:us-east-1:444455556666:alias/orders"), &json!(1)),
        ]
    );
}

#[test]
fn that_nothing_was_found_is_no_proof_where_no_log_vouches() {
    let dir = Story::new().ingest();
    // An address from which nobody called is no document that could be read as proof.
    let ran = dir.keytrail(["report", "--incident", "--source-ip", "203.0.113.250"]).code(2);
    assert!(ran.stdout().is_empty() && ran.stderr().contains("no proof where logs are missing"), "{}", ran.seen());
}

#[test]
fn the_records_of_chains_are_evidence_too() {
    let dir = Dir::new();
    let role = (READER, "AROAREADER", "nightly");
    dir.log("sts.json.gz", &[assume("a", "2026-05-12T09:10:00Z", &super::alice(), role, "ASIAREADER", CALLERS)]);
    dir.log("kms.json.gz", &[through_s3("d", "ASIAREADER")]);
    dir.ingest("logs");
    let report = ["report", "--incident", "--principal", "*/Reader"];
    let told = dir.keytrail(report).format("json").ok().json();
    let records = told["evidence"]["records"].as_array().unwrap().iter();
    let records: Vec<(&Value, bool)> =
        records.map(|record| (&record["event_id"], record["source_object"].is_string())).collect();
    assert_eq!(records, [(&json!("d"), true), (&json!("a"), true)]);
    fs::remove_file(dir.join("logs/sts.json.gz")).unwrap();
    let ran = dir.keytrail(report).code(3);
    assert!(ran.stderr().contains("log objects") && ran.stdout().contains("1 log object is not as"), "{}", ran.seen());
}

#[test]
fn a_line_end_in_a_name_begins_no_line_and_no_character_acts() {
    let dir = Dir::new();
    let mut start =
        assume("a", "2026-05-12T09:10:00Z", &super::alice(), (READER, "AROAREADER", "nightly"), "ASIAREADER", OWNERS);
    start["eventName"] = "AssumeRoleWithSAML".into();
    start["userIdentity"] =
        json!({"type": "SAMLUser", "principalId": "x:bob\nORIGIN arn:aws:iam::1:user/eve\u{9b}31m\u{202e}"});
    dir.log("log.json.gz", &[start, through_s3("d", "ASIAREADER")]);
    dir.ingest("logs");
    let text = dir.keytrail(["chain", "d"]).ok().stdout();
    assert_eq!(text.lines().filter(|line| line.starts_with("ORIGIN")).count(), 1, "{text}");
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let text = dir.keytrail(["chain", "d"]).format(format).ok().stdout();
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{format}: {text}");
    }
    let text = dir.keytrail(["report", "--incident", "--principal", "*/Reader"]).format("json").ok().stdout();
    assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text}");
}

#[test]
fn what_digests_vouched_for_is_not_what_was_forged_since() {
    let dir = Dir::new();
    dir.keytrail(["generate", "logs", "--digests", "--events", "600", "--days", "1"]).ok();
    let keys = ["--verify", "--public-keys", "logs/public-keys.json"];
    dir.keytrail(["ingest", "logs"]).args(keys).code_among(&[0, 3]);
    let rows = dir.sql("SELECT principal, source_object FROM events WHERE source_object LIKE '%eu-central-1%' AND principal LIKE 'arn:%' ORDER BY event_id LIMIT 1");
    let object = rows[0]["source_object"].as_str().unwrap().to_owned();
    let states = |principal: &str, code: i32| -> Value {
        let told = dir.keytrail(["report", "--incident", "--principal", principal]).format("json").code(code).json();
        let objects = told["evidence"]["objects"].as_array().unwrap().iter();
        let of_it = objects.clone().find(|one| one["source_object"] == object.as_str());
        let one = of_it.unwrap_or_else(|| panic!("{told}"));
        json!([one["object_state"], one["digest_state"], one["trouble"]])
    };
    assert_eq!(states(rows[0]["principal"].as_str().unwrap(), 0), json!(["valid", "valid", null]));
    // A call of someone else's is written into the log, and read into the lake.
    let path = std::path::PathBuf::from(object.strip_prefix("file://").unwrap());
    let mut forged = decrypt("forged");
    forged["userIdentity"]["arn"] = "arn:aws:iam::111122223333:user/eve".into();
    fs::write(&path, crate::support::gzip(json!({"Records": [forged]}).to_string().as_bytes())).unwrap();
    dir.keytrail(["ingest", "logs"]).code_among(&[0, 3]);
    let told = states("*user/eve", 3);
    assert_eq!((&told[0], &told[1]), (&Value::Null, &Value::Null), "{told}");
    assert!(told[2].as_str().unwrap().contains("verify"), "{told}");
}
