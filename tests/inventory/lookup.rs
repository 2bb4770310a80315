//! CloudTrail's event history as a source: every event once, however often CloudTrail throttles, and whenever a run ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::config::{Credentials, SharedCredentialsProvider};
use chrono::{DateTime, Utc};
use keytrail::cloudtrail::operation::{CONTEXT_EVENTS, KMS, is_kept};
use keytrail::ingest::{Options, Report, ingest};
use keytrail::lake::Lake;
use keytrail::source::Prune;
use keytrail::source::aws::{AwsOptions, config};
use keytrail::source::lookup::{Clock, LookupError, LookupSource, Slice, attributes};
use serde_json::{Value, json};

use super::http::{Answer, Request, Server};
use crate::support::{Dir, decrypt, with};

const ACCOUNT: &str = "111122223333";

/// A clock on which waiting takes no time.
#[derive(Debug, Default)]
struct Virtual(Mutex<Duration>);

#[async_trait::async_trait]
impl Clock for Virtual {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
        tokio::task::yield_now().await;
    }
}

/// Event history as CloudTrail serves it.
struct History {
    server: Server,
    clock: Arc<Virtual>,
    /// When each Region was asked, by the clock.
    asked: Arc<Mutex<BTreeMap<String, Vec<Duration>>>>,
}

/// One event of the history.
fn event(id: usize, source: &str, name: &str, region: &str, time: DateTime<Utc>) -> Value {
    json!({"eventID": format!("00000000-0000-4000-8000-{id:012}"), "eventSource": source, "eventName": name,
        "awsRegion": region, "eventTime": time.to_rfc3339(), "text": "a \"line\"\nand another"})
}

impl History {
    /// Serves these events; `trouble` may answer instead, given how many requests came before.
    fn of(events: Vec<Value>, trouble: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let (clock, asked) =
            (Arc::new(Virtual::default()), Arc::new(Mutex::new(BTreeMap::<String, Vec<Duration>>::new())));
        let (seen, ticks, count) = (Arc::clone(&asked), Arc::clone(&clock), AtomicUsize::new(0));
        let server = Server::start(move |request| {
            if request.operation == "GetCallerIdentity" {
                return identity();
            }
            assert_eq!((request.service.as_str(), request.operation.as_str()), ("cloudtrail", "LookupEvents"));
            seen.lock().unwrap().entry(request.region.clone()).or_default().push(ticks.now());
            trouble(count.fetch_add(1, Ordering::SeqCst)).unwrap_or_else(|| lookup(request, &events))
        });
        Self { server, clock, asked }
    }

    /// The way to it.
    async fn config(&self) -> SdkConfig {
        let options = AwsOptions { region: Some("eu-west-1".to_owned()), ..AwsOptions::default() };
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        let config = config(&options).await.into_builder().endpoint_url(self.server.url());
        config.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
    }

    async fn open(&self, regions: &[&str]) -> LookupSource {
        let config = self.config().await;
        let regions: Vec<String> = regions.iter().map(|region| (*region).to_owned()).collect();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        LookupSource::open(&config, &regions, attributes(KMS, CONTEXT_EVENTS), clock).await.unwrap()
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().values().map(Vec::len).sum()
    }
}

/// What STS says of whoever asks.
pub fn identity() -> Answer {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/x</Arn><UserId>x</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    Answer { status: 200, kind: "text/xml", body: body.into_bytes() }
}

/// What LookupEvents answers (facts §8.1): one attribute, both ends of the time included, newest first, pages of 50.
fn lookup(request: &Request, events: &[Value]) -> Answer {
    let asked = request.parameters();
    let [attribute] = &asked["LookupAttributes"].as_array().unwrap()[..] else { panic!("one attribute: {asked}") };
    let member = if attribute["AttributeKey"] == "EventSource" { "eventSource" } else { "eventName" };
    let (start, end) = (asked["StartTime"].as_f64().unwrap(), asked["EndTime"].as_f64().unwrap());
    let at = |event: &Value| event["eventTime"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let seconds = |event: &Value| f64::from(u32::try_from(at(event).timestamp()).unwrap());
    let mut found: Vec<&Value> = events
        .iter()
        .filter(|event| event["awsRegion"] == *request.region && event[member] == attribute["AttributeValue"])
        .filter(|event| (start..=end).contains(&seconds(event)))
        .collect();
    found.sort_by_key(|event| std::cmp::Reverse(at(event)));
    let size = usize::try_from(asked["MaxResults"].as_u64().unwrap()).unwrap();
    assert!(size <= 50);
    let from = asked["NextToken"].as_str().map_or(0, |token| token.parse::<usize>().unwrap());
    let page: Vec<Value> = found
        .iter()
        .skip(from)
        .take(size)
        .map(|event| json!({"EventId": event["eventID"], "EventTime": seconds(event), "CloudTrailEvent": event.to_string()}))
        .collect();
    let mut answer = json!({"Events": page});
    if from + size < found.len() {
        answer["NextToken"] = (from + size).to_string().into();
    }
    Answer::json(200, &answer)
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({"__type": code, "message": "Rate exceeded"}))
}

fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Reads a slice to its end; its lines, each a record.
async fn read(source: &LookupSource, slice: &Slice) -> Result<Vec<Value>, LookupError> {
    let (mut reading, mut records) = (source.read(slice)?, Vec::new());
    while let Some(page) = reading.page().await? {
        records.extend(page.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    Ok(records)
}

fn ids<'a>(records: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    records.into_iter().map(|record| record["eventID"].as_str().unwrap().to_owned()).collect()
}

/// Three months of two Regions, with busy days, both ends of a day, and what is of no interest.
fn months() -> Vec<Value> {
    let mut events = Vec::new();
    let mut add = |source: &str, name: &str, region: &str, time: DateTime<Utc>| {
        events.push(event(events.len(), source, name, region, time));
    };
    for day in 0..100 {
        let midnight = "2026-11-20T00:00:00Z".parse::<DateTime<Utc>>().unwrap() - chrono::Duration::days(day);
        for region in ["eu-west-1", "us-east-1"] {
            add(KMS, "Decrypt", region, midnight);
            add(KMS, "Decrypt", region, midnight + chrono::Duration::seconds(86_399));
            add("sts.amazonaws.com", "AssumeRole", region, midnight + chrono::Duration::hours(1));
            add("cloudtrail.amazonaws.com", "LookupEvents", region, midnight + chrono::Duration::hours(2));
            if day % 7 == 3 {
                add("cloudtrail.amazonaws.com", "StopLogging", region, midnight + chrono::Duration::hours(3));
                add("s3.amazonaws.com", "CreateBucket", region, midnight);
            }
        }
        for second in 0..if day == 40 { 235 } else { 0 } {
            add(KMS, "GenerateDataKey", "eu-west-1", midnight + chrono::Duration::seconds(3600 + second));
        }
    }
    events
}

/// The ids of what a run at [`now`] must find.
fn expected(events: &[Value]) -> BTreeSet<String> {
    let oldest = now() - chrono::Duration::days(90);
    let wanted = |event: &&Value| {
        let time: DateTime<Utc> = event["eventTime"].as_str().unwrap().parse().unwrap();
        let (source, name) = (event["eventSource"].as_str().unwrap(), event["eventName"].as_str().unwrap());
        (oldest..=now()).contains(&time) && is_kept(source, name)
    };
    ids(events.iter().filter(wanted)).into_iter().collect()
}

#[tokio::test]
async fn every_event_of_ninety_days_comes_once_through_throttling_and_faults() {
    let events = months();
    let expected = expected(&events);
    // Every fifth request is throttled, three in a row now and then; others fail as servers do.
    let history = History::of(events, |count| match count % 50 {
        4 | 9 | 14..=16 | 39 => Some(refusal(400, "ThrottlingException")),
        20 => Some(refusal(500, "InternalFailure")),
        30 => Some(refusal(503, "ServiceUnavailable")),
        _ => None,
    });
    let source = history.open(&["eu-west-1", "us-east-1"]).await;
    let slices = source.slices(now(), &Prune::default());
    let mut found = Vec::new();
    for body in futures::future::join_all(slices.iter().map(|slice| source.fetch(slice))).await {
        let text = String::from_utf8(body.unwrap().into_bytes().unwrap()).unwrap();
        if text == "{\"Records\":[]}" {
            continue;
        }
        found.extend(ids(&text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()));
    }
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "no event twice");
    assert!(once == expected, "{} found, {} expected", once.len(), expected.len());
    assert!(expected.len() > 700);
}

#[tokio::test]
async fn a_run_that_was_cut_short_goes_on_where_it_was() {
    let events = months();
    let expected = expected(&events);
    let history = History::of(events, |_| None);
    let source = history.open(&["eu-west-1", "us-east-1"]).await;
    let slices = source.slices(now(), &Prune::default());
    // What the ledger would hold of the first run, which ends in the middle of a slice of several pages.
    let busy =
        slices.iter().position(|slice| slice.uri.ends_with("/eu-west-1/EventSource=kms.amazonaws.com/2026-10-11"));
    let busy = busy.unwrap();
    let (mut ledger, mut lake) = (BTreeMap::new(), BTreeSet::new());
    for slice in &slices[..busy] {
        lake.extend(ids(&read(&source, slice).await.unwrap()));
        ledger.insert(slice.uri.clone(), slice.version_tag.clone());
    }
    let mut reading = source.read(&slices[busy]).unwrap();
    for _ in 0..3 {
        let page = reading.page().await.unwrap().unwrap();
        lake.extend(ids(&page.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()));
    }
    drop((reading, source));

    let (before, later) = (history.requests(), now() + chrono::Duration::minutes(5));
    let source = history.open(&["eu-west-1", "us-east-1"]).await;
    let (mut again, mut needed) = (Vec::new(), 0);
    for slice in source.slices(later, &Prune::default()) {
        if ledger.get(&slice.uri) == Some(&slice.version_tag) {
            continue;
        }
        needed += 1;
        if ledger.contains_key(&slice.uri) {
            again.push(slice.from.date_naive().to_string());
        }
        lake.extend(ids(&read(&source, &slice).await.unwrap()));
    }
    assert!(lake == expected, "{} of {} events", lake.len(), expected.len());
    again.sort_unstable();
    again.dedup();
    assert_eq!(again, ["2026-11-18", "2026-11-19", "2026-11-20"], "only days that may still change are asked again");
    assert_eq!(history.requests() - before, needed + 4, "one page a slice, but for the busy one, which has five");
}

#[tokio::test]
async fn no_region_is_asked_more_than_twice_a_second() {
    let history = History::of(months(), |count| (count % 3 == 0).then(|| refusal(400, "ThrottlingException")));
    let source = history.open(&["eu-west-1", "us-east-1"]).await;
    let slices = source.slices(now(), &Prune { since: Some(now() - chrono::Duration::days(12)), ..Prune::default() });
    let mut regions: Vec<&str> = slices[..6].iter().map(|slice| slice.region.as_str()).collect();
    assert!(slices[..6].iter().all(|slice| slice.uri.contains("EventSource=kms.amazonaws.com")), "KMS comes first");
    regions.dedup();
    assert_eq!(regions.len(), 6, "Regions take turns");
    for region in ["eu-west-1", "us-east-1"] {
        for slice in slices.iter().filter(|slice| slice.region == region) {
            read(&source, slice).await.unwrap();
        }
    }
    for (region, times) in history.asked.lock().unwrap().iter() {
        assert!(times.len() > 50, "{region}");
        for three in times.windows(3) {
            assert!(three[2] >= three[0] + Duration::from_secs(1), "{region}: {three:?}");
        }
    }
}

#[tokio::test]
async fn a_region_that_refuses_is_asked_once_and_not_for_every_slice() {
    let history = History::of(Vec::new(), |_| Some(refusal(400, "AccessDeniedException")));
    let source = history.open(&["eu-west-1"]).await;
    for slice in source.slices(now(), &Prune::default()) {
        let error = read(&source, &slice).await.unwrap_err().to_string();
        assert_eq!(error, "cloudtrail:LookupEvents in eu-west-1: AccessDeniedException: Rate exceeded");
    }
    assert_eq!(history.requests(), 1);
}

#[tokio::test]
async fn a_region_that_never_answers_is_given_up_once_and_not_for_every_slice() {
    let history = History::of(Vec::new(), |_| Some(refusal(500, "InternalFailure")));
    let source = history.open(&["eu-west-1"]).await;
    for slice in source.slices(now(), &Prune::default()) {
        let error = read(&source, &slice).await.unwrap_err().to_string();
        assert_eq!(error, "cloudtrail:LookupEvents in eu-west-1: InternalFailure: Rate exceeded");
    }
    assert_eq!(history.requests(), 8);
}

#[tokio::test]
async fn a_slice_that_fails_by_itself_does_not_take_the_others_with_it() {
    let history = History::of(months(), |count| match count {
        2 => Some(refusal(400, "InvalidNextTokenException")),
        // As often as it is tried.
        4..=11 => Some(refusal(500, "InternalFailure")),
        _ => None,
    });
    let source = history.open(&["eu-west-1"]).await;
    let mut failed = Vec::new();
    for (index, slice) in source.slices(now(), &Prune::default()).iter().take(6).enumerate() {
        if let Err(error) = read(&source, slice).await {
            failed.push((index, error.to_string()));
        }
    }
    let said = |code: &str| format!("cloudtrail:LookupEvents in eu-west-1: {code}: Rate exceeded");
    assert_eq!(failed, [(2, said("InvalidNextTokenException")), (4, said("InternalFailure"))]);
}

#[tokio::test]
async fn a_record_without_text_and_a_page_that_repeats_are_not_passed_over() {
    let history = History::of(Vec::new(), |count| {
        let events = match count {
            0 => json!([{"EventId": "a-1"}, {"EventId": "a-2", "CloudTrailEvent": "{\"eventID\":\n\"a-2\"}"}]),
            1 => json!([]),
            _ => json!([{"EventId": "a-3", "CloudTrailEvent": "{\"eventID\":\"a-3\"}"}]),
        };
        Some(Answer::json(200, &json!({"Events": events, "NextToken": if count < 2 { "on" } else { "on and on" }})))
    });
    let source = history.open(&["eu-west-1"]).await;
    let slice = source.slices(now(), &Prune::default()).remove(0);
    let mut reading = source.read(&slice).unwrap();
    let page = reading.page().await.unwrap().unwrap();
    assert_eq!(page, "{\"eventID\":\"a-1\"}\n{\"eventID\": \"a-2\"}\n", "a line is a record");
    let error = reading.page().await.unwrap_err().to_string();
    assert!(error.ends_with("the next page is the same page"), "{error}");
}

/// A healthy call of each of some minutes, as a trail and event history both tell it.
fn calls(minutes: std::ops::Range<u32>) -> Vec<Value> {
    let call = |minute: u32| {
        let record = with(decrypt(&format!("minute-{minute}")), "eventTime", format!("2026-11-10T10:{minute:02}:00Z"));
        with(record, "sourceIPAddress", "192.0.2.7")
    };
    minutes.map(call).collect()
}

/// A pass over the history within this process.
fn pass(history: &History, dir: &Dir, now: &str) -> Report {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut options = Options::at(now.parse().unwrap());
    options.source.sdk = Some(runtime.block_on(history.config()));
    options.source.clock = Some(Arc::clone(&history.clock) as Arc<dyn Clock>);
    let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
    let sources = ["lookup://eu-west-1".to_owned()];
    ingest(runtime.handle(), &lake, &sources, &options, &Arc::default()).unwrap()
}

#[test]
fn event_history_and_a_trail_tell_of_one_event() {
    let history = History::of(calls(0..20), |count| (count % 4 == 1).then(|| refusal(400, "ThrottlingException")));
    let dir = Dir::new();
    dir.log("trail.json.gz", &calls(10..30));
    dir.ingest("logs");
    let first = pass(&history, &dir, "2026-11-20T12:00:00Z");
    assert!(first.is_whole(), "{first:?}");
    assert_eq!((first.records.read, first.records.kept, first.records.duplicate), (20, 10, 10));
    assert_eq!(
        dir.sql("SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM events")[0],
        json!({"n": 30, "d": 30})
    );

    // What lies wholly in the past is not asked for again.
    let before = history.requests();
    let second = pass(&history, &dir, "2026-11-20T13:00:00Z");
    assert_eq!((second.records.read, second.objects.rejected), (0, 0));
    assert!(second.objects.unchanged > second.objects.ingested && second.objects.ingested > 0, "{second:?}");
    assert!(history.requests() - before < before / 2);
}

#[test]
fn a_region_that_refuses_is_named_and_asked_again_by_the_next_run() {
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&refuses);
    let trouble = move |_| refusing.load(Ordering::SeqCst).then(|| refusal(400, "AccessDeniedException"));
    let history = History::of(calls(0..5), trouble);
    let dir = Dir::new();
    let report = pass(&history, &dir, "2026-11-20T12:00:00Z");
    assert!(!report.is_whole() && report.rejects[0].reason.contains("AccessDeniedException"), "{:?}", report.rejects);
    refuses.store(false, Ordering::SeqCst);
    let report = pass(&history, &dir, "2026-11-20T12:05:00Z");
    assert!(report.is_whole());
    assert_eq!(report.records.kept, 5);
}
