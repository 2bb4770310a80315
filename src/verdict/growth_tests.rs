//! More logs never weaken a verdict: whatever is added to a lake (an event, the other account's copy of one, a second delivery,
//! an account), no key that was in use is in use no more, and no doubt is lifted unless what was used is found.
//!
//! ```text
//! records ─► some of them in a lake ─► verdicts ─┐
//!            the others as well     ─► verdicts ─┴► never nearer to `no_use_found`
//! ```
//!
//! Every hour counts as proven here, so that nothing but the events decides. Each case has accounts of its own, so that one
//! lake holds many.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::facts::{LaneHour, Worth, read};
use super::judge::judge;
use super::{Answer, Asked, Options};
use crate::cloudtrail::columns::EventBuilder;
use crate::cloudtrail::decode::{Decoded, decode};
use crate::engine::Engine;
use crate::expectations::Expectations;
use crate::lake::Lake;
use crate::lake::events::EventsWriter;
use crate::lake::inventory::{InventoryRow, KeyRow, Snapshot};
use crate::lake::snapshots::record;
use crate::query::Catalog;

/// Cases in a lake, and lakes: 540 cases in all. Asking is what takes its time, so that few lakes hold many.
const CASES: usize = 270;
const LAKES: u8 = 2;

const REGION: &str = "eu-west-1";

fn asked() -> Asked {
    let time = |text: &str| text.parse().unwrap();
    let (since, until) = (time("2026-05-01T00:00:00Z"), time("2026-05-04T00:00:00Z"));
    let options = Options::default();
    Asked { key_arn: None, since, until, now: until, watch_days: 30, accept_observed: false, options }
}

/// How a record tells which key was used.
#[derive(Debug, Clone, Copy)]
enum Named {
    Key,
    KeyAndAlias,
    Alias,
    PlainAlias,
    Nothing,
}

/// Which copies of a call there are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Copies {
    Own,
    Owner,
    Caller,
    Both,
}

/// How a second delivery of a record differs from the first.
#[derive(Debug, Clone, Copy)]
enum Again {
    Not,
    Equal,
    WithFraction,
    WithoutId,
    WithoutRecipient,
    /// CloudTrail patches what it delivered.
    Patched,
    /// A VPC endpoint logs the call, too.
    ByEndpoint,
}

/// Something that happened.
#[derive(Debug, Clone)]
struct Deed {
    operation: &'static str,
    error: Option<&'static str>,
    /// Of the two keys of the account.
    key: u32,
    named: Named,
    /// Whether the other copy of a cross-account call names the key as this one does, or by its ARN.
    is_named_alike: bool,
    copies: Copies,
    again: Again,
    /// Seconds since the look-back's begin.
    at: i64,
    /// For each record that comes of it whether it is in the lake from the beginning.
    is_early: [bool; 4],
}

fn deed() -> impl Strategy<Value = Deed> {
    let operation = prop_oneof![
        4 => Just("GenerateDataKey"),
        4 => Just("Decrypt"),
        2 => Just("ReEncrypt"),
        1 => Just("GetPublicKey"),
        1 => Just("DescribeKey"),
        1 => Just("DisableKey"),
        1 => Just("ScheduleKeyDeletion"),
        1 => Just("CreateGrant"),
    ];
    let error = prop_oneof![
        6 => Just(None),
        1 => Just(Some("AccessDenied")),
        1 => Just(Some("DisabledException")),
        1 => Just(Some("DryRunOperationException")),
    ];
    let named = prop_oneof![
        3 => Just(Named::Key),
        2 => Just(Named::KeyAndAlias),
        4 => Just(Named::Alias),
        1 => Just(Named::PlainAlias),
        1 => Just(Named::Nothing),
    ];
    let copies = prop_oneof![1 => Just(Copies::Own), 1 => Just(Copies::Owner), 1 => Just(Copies::Caller), 4 => Just(Copies::Both)];
    let again = prop_oneof![
        4 => Just(Again::Not),
        1 => Just(Again::Equal),
        1 => Just(Again::WithFraction),
        1 => Just(Again::WithoutId),
        1 => Just(Again::WithoutRecipient),
        1 => Just(Again::Patched),
        1 => Just(Again::ByEndpoint),
    ];
    (operation, error, 1..=2_u32, named, any::<bool>(), copies, again, 0..3 * 86_400_i64, any::<[bool; 4]>()).prop_map(
        |(operation, error, key, named, is_named_alike, copies, again, at, is_early)| Deed {
            operation,
            error,
            key,
            named,
            is_named_alike,
            copies,
            again,
            at,
            is_early,
        },
    )
}

impl Deed {
    /// Whether it is a use of this key, whatever its records tell of that.
    fn uses(&self, key: u32) -> bool {
        let is_use = matches!(self.operation, "GenerateDataKey" | "Decrypt" | "ReEncrypt");
        let is_of_both = self.operation == "ReEncrypt" && matches!(self.named, Named::Key);
        is_use && matches!(self.error, None | Some("DisabledException")) && (self.key == key || is_of_both)
    }
}

/// A case: where its alias leads by the inventory, and what happened.
#[derive(Debug, Clone)]
struct Story {
    alias_of: Option<u32>,
    /// An alias is made for a key, before or within the look-back; that is known from the beginning.
    created: Option<(u32, i64)>,
    /// It is moved to a key so many seconds later, likewise.
    moved: Option<(u32, i64)>,
    deeds: Vec<Deed>,
}

impl Story {
    /// A deed as it can have been: an alias names the key that it was made for, or else the one that the inventory finds; and without an
    /// ARN it is one of the caller's own account.
    fn told(&self, deed: &Deed) -> Deed {
        let named = match deed.named {
            Named::PlainAlias if deed.copies != Copies::Own => Named::Alias,
            named => named,
        };
        let made_for = match self.created {
            Some(_) => self.changes().filter(|(_, _, at)| *at < deed.at).last().map(|(_, key, _)| key),
            None => self.alias_of,
        };
        let key = made_for.filter(|_| !matches!(named, Named::Key | Named::Nothing)).unwrap_or(deed.key);
        Deed { key, named, ..deed.clone() }
    }

    /// What was done to the alias, for which key and when, in order.
    fn changes(&self) -> impl Iterator<Item = (&'static str, u32, i64)> {
        let created = self.created.map(|(key, at)| ("CreateAlias", key, at));
        let moved = self.moved.zip(self.created).map(|((key, later), (_, at))| ("UpdateAlias", key, at + later));
        created.into_iter().chain(moved)
    }
}

fn story() -> impl Strategy<Value = Story> {
    let created = prop::option::weighted(0.4, (1..=2_u32, -86_400..2 * 86_400_i64));
    let moved = prop::option::weighted(0.5, (1..=2_u32, 1..86_400_i64));
    (prop::option::weighted(0.5, 1..=2_u32), created, moved, prop::collection::vec(deed(), 1..4))
        .prop_map(|(alias_of, created, moved, deeds)| Story { alias_of, created, moved, deeds })
}

fn owner(case: usize) -> String {
    format!("{:012}", 100_000_000_000 + case)
}

fn outsider(case: usize) -> String {
    format!("{:012}", 200_000_000_000 + case)
}

fn key_arn(case: usize, key: u32) -> String {
    format!("arn:aws:kms:{REGION}:{}:key/{key:08}-2222-4333-8444-{case:012}", owner(case))
}

fn alias_arn(case: usize) -> String {
    format!("arn:aws:kms:{REGION}:{}:alias/a", owner(case))
}

fn instant(seconds: i64) -> String {
    crate::instant::plain(asked().since + chrono::TimeDelta::seconds(seconds))
}

/// One copy of a deed, as the log of an account has it.
fn copy(case: usize, number: usize, deed: &Deed, log: &str, is_opaque: bool, named: Named) -> Value {
    let caller = if deed.copies == Copies::Own { owner(case) } else { outsider(case) };
    let key = key_arn(case, deed.key);
    let (request, arn) = match named {
        Named::Key => (json!(key), Some(key.clone())),
        Named::KeyAndAlias => (json!(alias_arn(case)), Some(key.clone())),
        Named::Alias => (json!(alias_arn(case)), Some(alias_arn(case))),
        Named::PlainAlias => (json!("alias/a"), None),
        Named::Nothing => (Value::Null, None),
    };
    let request = if deed.operation == "Decrypt" && matches!(named, Named::Key) { Value::Null } else { request };
    let mut resources: Vec<Value> =
        arn.iter().map(|arn| json!({"accountId": owner(case), "type": "AWS::KMS::Key", "ARN": arn})).collect();
    if deed.operation == "ReEncrypt" && matches!(named, Named::Key) {
        let other = key_arn(case, 3 - deed.key);
        resources.push(json!({"accountId": owner(case), "type": "AWS::KMS::Key", "ARN": other}));
    }
    let identity = if is_opaque {
        json!({"type": "AWSAccount", "principalId": "AROACALLERCALLERCALL1:s", "accountId": caller})
    } else {
        json!({"type": "AssumedRole", "principalId": "AROACALLERCALLERCALL1:s", "accountId": caller,
            "arn": format!("arn:aws:sts::{caller}:assumed-role/app/s"),
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{caller}:role/app")}}})
    };
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": instant(deed.at), "eventSource": "kms.amazonaws.com",
        "eventName": deed.operation, "awsRegion": REGION, "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli",
        "userIdentity": identity, "requestParameters": {"keyId": request}, "responseElements": null,
        "requestID": format!("{case}-{number}-{log}"), "eventID": format!("{case:08}-{number:04}-4333-8444-{log}"),
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": log, "resources": resources,
        "eventCategory": "Management",
    });
    if deed.operation == "CreateGrant" {
        record["requestParameters"]["granteePrincipal"] = "arn:aws:iam::111122223333:role/x".into();
        record["responseElements"] = json!({"grantId": format!("g{case}-{number}"), "keyId": key});
    }
    if deed.copies != Copies::Own {
        record["sharedEventID"] = format!("{case:08}-{number:04}-4333-8444-000000000000").into();
    }
    if let Some(error) = deed.error {
        record["errorCode"] = error.into();
        record["errorMessage"] = match error {
            "DisabledException" => format!("{key} is disabled."),
            other => other.to_owned(),
        }
        .into();
    }
    record
}

fn delivered_again(record: &Value, again: Again) -> Option<Value> {
    let mut second = record.clone();
    let members = second.as_object_mut()?;
    match again {
        Again::Not => return None,
        Again::Equal => {}
        Again::WithFraction => {
            let time = record["eventTime"].as_str()?.replace('Z', ".123Z");
            members.insert("eventTime".to_owned(), time.into());
        }
        Again::WithoutId => drop(members.remove("eventID")),
        Again::WithoutRecipient => drop(members.remove("recipientAccountId")),
        Again::Patched => {
            let addendum = json!({"reason": "UPDATED_DATA", "originalEventID": record["eventID"]});
            members.insert("addendum".to_owned(), addendum);
            members.insert("eventID".to_owned(), format!("p-{}", record["eventID"].as_str()?).into());
        }
        Again::ByEndpoint => {
            members.insert("eventType".to_owned(), "AwsVpceEvent".into());
            members.insert("eventCategory".to_owned(), "NetworkActivity".into());
            members.insert("vpcEndpointId".to_owned(), "vpce-1".into());
            members.insert("eventID".to_owned(), format!("v-{}", record["eventID"].as_str()?).into());
        }
    }
    Some(second)
}

/// The records of a case: those that are there from the beginning, and those that are added.
fn records(case: usize, story: &Story) -> [Vec<Value>; 2] {
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for (name, key, at) in story.changes() {
        let arn = key_arn(case, key);
        early.push(json!({
            "eventTime": instant(at), "eventSource": "kms.amazonaws.com", "eventName": name, "awsRegion": REGION,
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{}:user/ops", owner(case)), "accountId": owner(case)},
            "requestParameters": {"aliasName": "alias/a", "targetKeyId": arn}, "eventID": format!("{case}-{name}"),
            "recipientAccountId": owner(case),
            "resources": [{"ARN": arn, "accountId": owner(case)}, {"ARN": alias_arn(case), "accountId": owner(case)}],
        }));
    }
    for (number, deed) in story.deeds.iter().enumerate() {
        let (deed, mut all) = (&story.told(deed), Vec::new());
        if deed.copies == Copies::Own {
            all.push(copy(case, number, deed, &owner(case), false, deed.named));
        }
        if matches!(deed.copies, Copies::Owner | Copies::Both) {
            all.push(copy(case, number, deed, &owner(case), true, deed.named));
        }
        if matches!(deed.copies, Copies::Caller | Copies::Both) {
            let named = if deed.is_named_alike { deed.named } else { Named::Key };
            all.push(copy(case, number, deed, &outsider(case), false, named));
        }
        all.extend(all.clone().iter().filter_map(|record| delivered_again(record, deed.again)));
        for (record, is_early) in all.into_iter().zip(deed.is_early) {
            if is_early { early.push(record) } else { late.push(record) }
        }
    }
    [early, late]
}

/// An inventory that knows everything of the two keys of each case, and of a key of each outsider.
fn inventory(stories: &[Story]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let taken_at = (asked().until - chrono::TimeDelta::minutes(30)).timestamp_micros();
    let text = |text: &str| Some(text.to_owned());
    for (case, story) in stories.iter().enumerate() {
        for key in 1..=2 {
            let key_arn = key_arn(case, key);
            let aliases = if story.alias_of == Some(key) { r#"["alias/a"]"# } else { "[]" };
            snapshot.keys.push(KeyRow {
                taken_at,
                source: "aws",
                key_id: key_arn.split_once(":key/").map(|(_, id)| id.to_owned()),
                account_id: Some(owner(case)),
                region: text(REGION),
                key_arn,
                state: text("Enabled"),
                key_manager: text("CUSTOMER"),
                aliases: text(aliases),
                grants: text("[]"),
                ..KeyRow::default()
            });
        }
        snapshot.inventories.push(InventoryRow {
            taken_at,
            source: "aws",
            account_id: Some(owner(case)),
            region: text(REGION),
            keys: Some(2),
            trails: Some(0),
            unknown_fields: None,
        });
    }
    snapshot
}

async fn add(lake: &Lake, records: &[Value]) {
    let texts: Vec<String> = records.iter().map(Value::to_string).collect();
    let mut builder = EventBuilder::default();
    for (index, text) in texts.iter().enumerate() {
        let Decoded::Kept(mut event) = decode(text).unwrap() else { panic!("{text} is not kept") };
        (event.source_object, event.record_index) = (Some("o".into()), i32::try_from(index).ok());
        builder.append(&event).unwrap();
    }
    EventsWriter::open(lake).await.unwrap().append(&builder.finish().unwrap()).await.unwrap();
}

/// The answer for every key of the cases, all hours of all accounts being proven.
async fn answers(lake: &Lake, cases: usize) -> BTreeMap<String, Answer> {
    let (catalog, asked) = (Catalog::shipped(), asked());
    let engine = Engine::open(lake, &catalog, &Expectations::default()).await.unwrap();
    let mut facts = read(&engine, &catalog, &asked).await.unwrap();
    for case in 0..cases {
        let (account_id, region) = (owner(case), REGION.to_owned());
        let hours = (0..72).map(|hour| {
            let hour = asked.since + chrono::TimeDelta::hours(hour);
            let (account_id, region) = (account_id.clone(), region.clone());
            (hour, LaneHour { account_id, region, hour, state: Worth::Proven, is_doubtful: false, reason: None })
        });
        let hours = hours.collect();
        facts.hours.insert((account_id, region), hours);
    }
    let keys = facts.sets.values().flat_map(|set| set.members.iter().map(move |member| (set, member)));
    keys.map(|(set, member)| (member.key_arn.clone(), judge(&member.key_arn, set, &facts, &asked).verdict)).collect()
}

/// Stories that are the same in every run.
fn stories(seed: u8) -> Vec<Story> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..CASES).map(|_| story().new_tree(&mut runner).unwrap().current()).collect()
}

/// Faults of one lake, and how many keys had each answer before and after.
async fn grown(seed: u8) -> (Vec<String>, BTreeMap<(Answer, Answer), u32>) {
    let stories = stories(seed);
    let folder = TempDir::new().unwrap();
    let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
    record(&lake, &inventory(&stories)).await.unwrap();
    let (first, added): (Vec<_>, Vec<_>) =
        stories.iter().enumerate().map(|(case, story)| records(case, story)).map(|[early, late]| (early, late)).unzip();
    add(&lake, &first.concat()).await;
    let before = answers(&lake, CASES).await;
    add(&lake, &added.concat()).await;
    let after = answers(&lake, CASES).await;
    let (mut faults, mut moves) = (Vec::new(), BTreeMap::<(Answer, Answer), u32>::new());
    for (case, story) in stories.iter().enumerate() {
        for key in 1..=2 {
            let [before_answer, after_answer] = [&before, &after].map(|answers| answers[&key_arn(case, key)]);
            *moves.entry((before_answer, after_answer)).or_default() += 1;
            // A doubt about several keys is lifted where the use is found to be of the other one, and truly is.
            let is_found = before_answer == Answer::Unknown
                && after[&key_arn(case, 3 - key)] == Answer::InUse
                && !story.deeds.iter().any(|deed| story.told(deed).uses(key));
            if after_answer > before_answer && !is_found {
                faults.push(format!("key {key}: {before_answer:?} became {after_answer:?} in {story:#?}"));
            }
        }
    }
    (faults, moves)
}

#[test]
fn what_is_added_never_speaks_for_deletion() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut faults, mut moves) = (Vec::new(), BTreeMap::<(Answer, Answer), u32>::new());
    for seed in 0..LAKES {
        let (more, counted) = runtime.block_on(grown(seed));
        faults.extend(more);
        for (change, count) in counted {
            *moves.entry(change).or_default() += count;
        }
    }
    assert!(faults.is_empty(), "{} faults, the first: {}", faults.len(), faults[0]);
    // The property says little if every verdict is alike, or none changes.
    let count = |before, after| moves.get(&(before, after)).copied().unwrap_or_default();
    assert!(count(Answer::NoUseFound, Answer::InUse) > 40, "{moves:?}");
    assert!(count(Answer::Unknown, Answer::InUse) > 10, "{moves:?}");
    assert!(
        count(Answer::InUse, Answer::InUse) > 40 && count(Answer::NoUseFound, Answer::NoUseFound) > 40,
        "{moves:?}"
    );
}

/// A record of a call with the key 1 of a case, by its owner, with these members instead; null leaves one out.
fn told(case: usize, id: &str, at: i64, over: Value) -> Value {
    let deed = Deed {
        operation: "Decrypt",
        error: None,
        key: 1,
        named: Named::Key,
        is_named_alike: true,
        copies: Copies::Own,
        again: Again::Not,
        at,
        is_early: [true; 4],
    };
    let mut record = copy(case, 0, &deed, &owner(case), false, Named::Key);
    record["eventID"] = id.into();
    let (members, Value::Object(over)) = (record.as_object_mut().unwrap(), over) else { panic!("no object") };
    for (name, value) in over {
        if value.is_null() { drop(members.remove(&name)) } else { drop(members.insert(name, value)) }
    }
    record
}

/// What is there first, what is added, and the key of the case that must never look unused then.
type Added = (&'static str, Records, Records, u32);

type Records = fn(usize) -> Vec<Value>;

const HOUR: i64 = 3_600;

fn arns(arns: &[String]) -> Value {
    arns.iter().map(|arn| json!({"ARN": arn, "type": "AWS::KMS::Key"})).collect()
}

fn endpoint(case: usize, id: &str) -> Value {
    told(
        case,
        id,
        HOUR,
        json!({"eventType": "AwsVpceEvent", "eventCategory": "NetworkActivity", "vpcEndpointId": "vpce-1"}),
    )
}

fn named(alias: &str, case: usize) -> String {
    alias_arn(case).replace("alias/a", &format!("alias/{alias}"))
}

/// A use through an alias, whose record does not name the key.
fn by_alias(case: usize, at: i64) -> Value {
    let arn = named("x", case);
    told(case, "used", at, json!({"requestParameters": {"keyId": arn}, "resources": arns(std::slice::from_ref(&arn))}))
}

fn alias_event(case: usize, name: &str, alias: &str, key: u32, time: &str) -> Value {
    let over = json!({
        "eventName": name, "eventTime": time, "readOnly": false, "requestID": format!("{name}-{alias}-{time}"),
        "requestParameters": {"aliasName": format!("alias/{alias}"), "targetKeyId": key_arn(case, key)},
        "resources": arns(&[key_arn(case, key), named(alias, case)]),
    });
    told(case, &format!("{name}-{alias}-{time}"), 0, over)
}

fn re_encrypt(case: usize, keys: &[String]) -> Value {
    let aliases = [named("a", case), named("b", case)];
    let parameters = json!({"sourceKeyId": aliases[0], "destinationKeyId": aliases[1]});
    told(case, "re", HOUR, json!({"eventName": "ReEncrypt", "requestParameters": parameters, "resources": arns(keys)}))
}

const ADDED: [Added; 18] = [
    (
        "an event, and another one of its id that names the key",
        |case| vec![told(case, "e1", HOUR, json!({"resources": arns(&[key_arn(case, 2)])}))],
        |case| vec![told(case, "e1", HOUR, json!({}))],
        1,
    ),
    (
        "an event of an endpoint, and its patch",
        |case| vec![endpoint(case, "v1")],
        |case| {
            let mut patch = endpoint(case, "v0");
            patch["addendum"] = json!({"reason": "UPDATED_DATA", "originalEventID": "v1", "originalRequestID": "r"});
            vec![patch]
        },
        1,
    ),
    (
        "an event of an endpoint, and one of KMS with the request id that names another key",
        |case| vec![endpoint(case, "v1")],
        |case| vec![told(case, "e1", HOUR, json!({"resources": arns(&[key_arn(case, 2)])}))],
        1,
    ),
    (
        "an event of an endpoint, and one of KMS that names an alias",
        |case| vec![endpoint(case, "v1")],
        |case| {
            let mut used = by_alias(case, HOUR);
            used["eventID"] = "e1".into();
            vec![used]
        },
        1,
    ),
    (
        "an event of an endpoint, and one of another endpoint without the key",
        |case| vec![endpoint(case, "v1")],
        |case| {
            let mut other = endpoint(case, "v0");
            other["resources"] = json!([]);
            vec![other]
        },
        1,
    ),
    (
        "an event of an endpoint, and one of KMS that was denied",
        |case| vec![endpoint(case, "v1")],
        |case| vec![told(case, "e1", HOUR, json!({"errorCode": "AccessDenied"}))],
        1,
    ),
    (
        "an event without its id, and a throttled one of the same request",
        |case| vec![told(case, "", HOUR, json!({"eventID": null}))],
        |case| vec![told(case, "e1", HOUR, json!({"errorCode": "ThrottlingException"}))],
        1,
    ),
    (
        "ReEncrypt without its id, and one that does not name the key that encrypted",
        |case| {
            let mut whole = re_encrypt(case, &[key_arn(case, 1), key_arn(case, 2)]);
            whole.as_object_mut().unwrap().remove("eventID");
            vec![whole]
        },
        |case| vec![re_encrypt(case, &[key_arn(case, 1)])],
        2,
    ),
    (
        "a patch, and its original by an alias",
        |case| vec![told(case, "e2", HOUR, json!({"addendum": {"reason": "UPDATED_DATA", "originalEventID": "used"}}))],
        |case| vec![by_alias(case, HOUR)],
        1,
    ),
    (
        "a patch, and its original that was denied",
        |case| vec![told(case, "e2", HOUR, json!({"addendum": {"reason": "UPDATED_DATA", "originalEventID": "e1"}}))],
        |case| vec![told(case, "e1", HOUR, json!({"errorCode": "AccessDenied"}))],
        1,
    ),
    (
        "the caller's copy says that the key is disabled, the owner's that the caller was denied",
        |case| {
            let failed = json!({"errorCode": "DisabledException", "errorMessage": format!("{} is disabled.", key_arn(case, 1)),
                "sharedEventID": format!("s{case}"), "recipientAccountId": outsider(case)});
            vec![told(case, "e1", HOUR, failed)]
        },
        |case| vec![told(case, "e2", HOUR, json!({"errorCode": "AccessDenied", "sharedEventID": format!("s{case}")}))],
        1,
    ),
    (
        "a use by an alias, and what it named two years before",
        |case| vec![by_alias(case, HOUR)],
        |case| vec![alias_event(case, "CreateAlias", "x", 1, "2024-01-01T00:00:00Z")],
        2,
    ),
    (
        "a use by an alias, what it named two years before, and what after",
        |case| vec![by_alias(case, HOUR)],
        |case| {
            vec![
                alias_event(case, "CreateAlias", "x", 1, "2024-01-01T00:00:00Z"),
                alias_event(case, "UpdateAlias", "x", 1, "2026-05-02T00:00:00Z"),
            ]
        },
        2,
    ),
    (
        "a use by an alias, and what it named when the logs had ended",
        |case| vec![by_alias(case, HOUR)],
        |case| vec![alias_event(case, "DeleteAlias", "x", 1, "2026-06-20T00:00:00Z")],
        2,
    ),
    (
        "a use by an alias that named key 1, and a move of it at a time that cannot be",
        |case| vec![alias_event(case, "CreateAlias", "x", 1, "2026-05-01T00:30:00Z"), by_alias(case, HOUR)],
        |case| vec![alias_event(case, "UpdateAlias", "x", 2, "9999-01-01T00:00:00Z")],
        2,
    ),
    (
        "ReEncrypt by two aliases, and what they named",
        |case| vec![re_encrypt(case, &[named("a", case), named("b", case)])],
        |case| {
            let at = "2026-05-01T00:30:00Z";
            vec![alias_event(case, "CreateAlias", "a", 1, at), alias_event(case, "CreateAlias", "b", 2, at)]
        },
        2,
    ),
    (
        "ReEncrypt at a time that cannot be, which names its source only",
        |_| Vec::new(),
        |case| {
            let mut record = re_encrypt(case, &[key_arn(case, 2)]);
            record["eventTime"] = "9999-01-01T00:00:00Z".into();
            vec![record]
        },
        1,
    ),
    (
        "a call of ours at a time that cannot be, in the log of another account, which names no key",
        |_| Vec::new(),
        |case| {
            let over =
                json!({"eventTime": "9998-01-01T00:00:00Z", "recipientAccountId": outsider(case), "resources": []});
            vec![told(case, "e1", HOUR, over)]
        },
        1,
    ),
];

/// Ways in which one record was believed in place of another, or an alias beyond what the logs tell, one by one.
#[test]
fn no_record_takes_away_what_another_one_tells() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
        let plain = Story { alias_of: None, created: None, moved: None, deeds: Vec::new() };
        record(&lake, &inventory(&vec![plain; ADDED.len()])).await.unwrap();
        let records = |of: fn(&Added) -> Records| {
            ADDED.iter().enumerate().flat_map(|(case, added)| of(added)(case)).collect::<Vec<_>>()
        };
        add(&lake, &records(|added| added.1)).await;
        let before = answers(&lake, ADDED.len()).await;
        add(&lake, &records(|added| added.2)).await;
        let after = answers(&lake, ADDED.len()).await;
        let mut faults = Vec::new();
        for (case, (about, .., key)) in ADDED.iter().enumerate() {
            let [before, after] = [&before, &after].map(|answers| answers[&key_arn(case, *key)]);
            if after > before || after == Answer::NoUseFound {
                faults.push(format!("{about}: {before:?} became {after:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    });
}
