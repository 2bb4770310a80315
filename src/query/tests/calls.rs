//! `calls`, `event_hours` and `call_counts` say the same as their naive definitions, however a lake came to be.

use std::borrow::Cow;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Duration, NaiveDate};
use deltalake_core::kernel::Add;
use object_store::ObjectStoreExt;
use proptest::prelude::*;

use super::lake::engine;
use crate::cloudtrail::columns::{CALL, Event, EventBuilder, PARTITION, Text};
use crate::engine::{Engine, Horizon, Span, functions};
use crate::lake::events::EventsWriter;
use crate::lake::maintain::maintain;
use crate::lake::settling;
use crate::lake::shared::{SharedCalls, is_marked, shared_calls};
use crate::lake::tables::{EVENTS, SETTLED_COUNTS, SETTLED_HOURS, SETTLED_UNCOMMON, SHARED_CALLS};
use crate::lake::{Lake, parquet};

/// The naive definition.
const BY_GROUPING: &str = include_str!("calls_by_grouping.sql");

/// What `event_hours` is.
const HOURS_BY_GROUPING: &str = "
    SELECT
        account_id, region, event_date AS day,
        CASE WHEN event_time >= horizon_from() AND event_time < horizon_until() THEN date_trunc('hour', event_time) END AS hour,
        min(CASE WHEN is_other THEN event_time END) AS first_event, max(CASE WHEN is_other THEN event_time END) AS last_event,
        bool_or(CASE WHEN is_other THEN event_source = 'kms.amazonaws.com' AND read_only END) AS has_reads
    FROM (SELECT *, event_type IS DISTINCT FROM 'AwsVpceEvent' AS is_other FROM events)
    GROUP BY 1, 2, 3, 4";

/// What is neither a use of a key that the record names nor a read.
const UNCOMMON: &str = "
    event_source = 'cloudtrail.amazonaws.com'
    OR (event_source = 'kms.amazonaws.com' AND (usage_class IS NULL OR usage_class = 'lifecycle'
        OR (usage_class = 'decrypt' AND (key_arn IS NULL OR (event_name = 'ReEncrypt' AND dest_key_arn IS NULL)))))";

/// What an event is drawn from, a byte per choice.
type Drawn = [u8; 24];

const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/";

const K: Option<&str> = Some("kms.amazonaws.com");

fn of<'v>(drawn: u8, values: &[Option<&'v str>]) -> Text<'v> {
    values[usize::from(drawn) % values.len()].map(Cow::Borrowed)
}

/// An event that has much in common with others.
fn event(drawn: &Drawn, place: i32) -> Event<'static> {
    let [id, shared, patch, time, source, operation, kind, account, outcome, key, owner, more @ ..] = *drawn;
    let [alias, dest, caller, caller_id, caller_account, session, ip, asset, request, context, flags, object, via] =
        more;
    let accounts = [Some("111111111111"), Some("222222222222"), None];
    let ids = [Some("e1"), Some("e2"), Some("e3"), Some("e4"), Some("fp:1"), Some("fp:2")];
    let keys = [None, Some("k1"), Some("k2")];
    let key = of(key, &keys);
    // Two days, and a time that no event can have.
    let day = [20454, 20454, 20454, 20455, 2_932_896][usize::from(time) % 5];
    let second = [0, 1, 2000][usize::from(time / 5 % 3)];
    let name =
        of(operation, &[Some("Decrypt"), Some("Decrypt"), Some("DescribeKey"), Some("ReEncrypt"), Some("DisableKey")]);
    let asset = of(asset, &[None, Some("b/1"), Some("b/2")]);
    Event {
        event_id: of(id, &ids),
        shared_event_id: of(shared, &[None, Some("s1"), Some("s2"), Some("s3")]),
        original_event_id: of(patch, &[None, None, None, None, Some("e1"), Some("e2"), Some("e3")]),
        event_time: Some((i64::from(day) * 86_400 + second) * 1_000_000),
        event_date: Some(day),
        event_source: of(source / 32, &[Some("sts.amazonaws.com"), Some("cloudtrail.amazonaws.com"), K, K, K, K, K, K]),
        usage_class: match name.as_deref() {
            Some("DescribeKey") => Some("read".into()),
            Some("DisableKey") => of(flags / 4, &[Some("lifecycle"), None]),
            _ => Some("decrypt".into()),
        },
        event_name: name,
        event_type: of(kind, &[Some("AwsApiCall"), Some("AwsApiCall"), None, Some("AwsVpceEvent")]),
        account_id: of(account, &accounts),
        region: Some("eu-west-1".into()),
        read_only: Some(flags & 1 == 1),
        outcome: of(outcome, &[Some("ok"), Some("ok"), Some("key_unusable"), Some("throttled"), Some("denied"), None]),
        key_arn: key.as_ref().map(|key| format!("{KEY}{key}").into()),
        key_id: key,
        key_account_id: of(owner, &accounts),
        key_region: of(owner / 3, &[None, Some("eu-west-1")]),
        key_alias: of(alias, &[None, Some("alias/a"), Some("alias/b")]),
        dest_key_arn: of(dest, &[None, None, Some("arn:aws:kms:eu-west-1:111111111111:key/k3")]),
        principal: of(caller, &[None, Some("acct:222222222222/AROAX"), Some("role/a"), Some("role/b")]),
        principal_id: of(caller_id, &[None, Some("AROAX"), Some("AROAY")]),
        principal_account_id: of(caller_account, &accounts),
        session_name: of(session, &[None, Some("i-1"), Some("i-2")]),
        session_start: (session > 99).then_some(1_000_000),
        mfa: [None, Some(true), Some(false)][usize::from(flags / 2) % 3],
        source_ip: of(ip, &[None, Some("10.0.0.1"), Some("10.0.0.2")]),
        asset_type: asset.is_some().then(|| of(flags, &[Some("s3-object"), Some("secret")])).flatten(),
        asset_trust: asset.is_some().then(|| of(flags / 8, &[Some("service"), Some("claimed")])).flatten(),
        asset,
        request_id: of(request, &[None, Some("r1"), Some("r2")]),
        encryption_context: if context % 2 == 0 {
            vec![("k".into(), format!("{}", context % 4).into())]
        } else {
            Vec::new()
        },
        via: of(via, &[None, Some("s3"), Some("ebs")]),
        source_object: of(object, &[Some("o1"), Some("o2")]),
        record_index: Some(place),
        ..Event::default()
    }
}

fn batch(events: &[Drawn], first: usize) -> RecordBatch {
    let mut builder = EventBuilder::default();
    for (at, drawn) in events.iter().enumerate() {
        builder.append(&event(drawn, i32::try_from(first + at).unwrap())).unwrap();
    }
    builder.finish().unwrap()
}

/// A file as versions wrote it that did not say of events how they count.
async fn add_as_before(lake: &Lake, batch: &RecordBatch) {
    let mut table = lake.open_or_create(&EVENTS).await.unwrap();
    let days = batch.column_by_name(PARTITION).unwrap();
    let days: Vec<i32> = days.as_any().downcast_ref::<arrow::array::Date32Array>().unwrap().values().to_vec();
    let mut distinct = days.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let kept: Vec<usize> = (0..batch.num_columns())
        .filter(|&column| ![PARTITION, CALL].contains(&batch.schema_ref().field(column).name().as_str()))
        .collect();
    for day in distinct {
        let rows: UInt32Array = (0..).zip(&days).filter(|(_, of)| **of == day).map(|(row, _)| row).collect();
        let part = take_record_batch(batch, &rows).unwrap().project(&kept).unwrap();
        let name = (NaiveDate::default() + Duration::days(i64::from(day))).to_string();
        let add = parquet::write(table.store().as_ref(), &part, Some((PARTITION, &name)), true).await.unwrap();
        table.commit(vec![add], Vec::new(), &[]).await.unwrap();
    }
}

/// The same files under other names and without statistics, as another engine leaves them.
async fn rewritten_by_another_engine(lake: &Lake) {
    let mut table = lake.open(&EVENTS).await.unwrap().unwrap();
    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    for file in table.files() {
        let path = file.path.to_string().replace(".zstd.parquet", "-rewritten.parquet");
        table.store().copy(&file.path, &path.as_str().into()).await.unwrap();
        adds.push(Add {
            path,
            partition_values: [(PARTITION.to_owned(), file.partition.clone())].into_iter().collect(),
            size: i64::try_from(file.size).unwrap(),
            stats: file.rows.map(|rows| format!("{{\"numRecords\":{rows}}}")),
            ..Add::default()
        });
        removes.push(file.removal());
    }
    if !adds.is_empty() {
        table.commit(adds, removes, &[]).await.unwrap();
    }
}

/// The rows of a statement and the names of their columns, in order.
async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    let answer = engine.sql(sql, Vec::new()).await.unwrap();
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in &answer.batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
        let columns: Vec<_> = columns.zip(answer.schema.fields()).collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|(column, field)| format!("{}={}", field.name(), column.value(row)));
            rows.push(cells.filter(|cell| !cell.ends_with("=-")).collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort_unstable();
    rows
}

async fn says_the_same(lake: &Lake, window: (i64, i64), when: &str) {
    let meant = format!(
        "SELECT *, coalesce(principal_type = 'AWSService', false) OR starts_with(principal, 'service:') \
         OR strpos(principal, ':role/aws-service-role/') > 0 AS is_aws FROM (\n{BY_GROUPING}\n)"
    );
    let engine = engine(lake).await;
    agrees(&engine, "SELECT * FROM calls", &meant, when).await;
    agrees(&engine, "SELECT * FROM event_hours", HOURS_BY_GROUPING, when).await;
    for (view, of) in
        [("uncommon_calls", "SELECT * FROM calls"), ("uncommon_events", "SELECT * EXCEPT (call) FROM timely_events")]
    {
        agrees(&engine, &format!("SELECT * FROM {view}"), &format!("{of} WHERE {UNCOMMON}"), when).await;
    }
    let at = |seconds: i64| DateTime::from_timestamp(20454 * 86_400 + seconds, 0).unwrap();
    let (since, until) = window;
    engine.look_at(Span { from: at(0), since: at(since), until: at(until) });
    counts_the_same(&engine, &format!("{when}, from {since} to {until}")).await;
    // A horizon that ends within an hour of the day.
    let until = DateTime::from_timestamp(20454 * 86_400 + 1, 0).unwrap();
    functions::see(engine.session(), Horizon { until, ..engine.horizon() });
    engine.keep(&[]);
    agrees(&engine, "SELECT * FROM event_hours", HOURS_BY_GROUPING, when).await;
    counts_the_same(&engine, &format!("{when}, horizon within a half hour")).await;
}

/// Counted at rest, or one by one.
async fn counts_the_same(engine: &Engine, when: &str) {
    let alike = "key_arn, key_id, key_account_id, key_region, key_alias, dest_key_arn, principal, principal_id, \
        principal_type, principal_account_id, account_id, region, event_name, usage_class, outcome, error_code, via, \
        asset_type, asset_trust";
    let of_endpoints = "SELECT * REPLACE (coalesce(principal, principal_id, 'unknown') AS principal) FROM timely_events \
        WHERE event_source = 'kms.amazonaws.com' AND event_type = 'AwsVpceEvent'";
    for (kind, of) in [
        ("is_call", "SELECT * FROM calls"),
        ("is_event", "SELECT * FROM kms_events"),
        ("NOT is_call AND NOT is_event", of_endpoints),
    ] {
        let said = format!(
            "SELECT {alike}, half, is_past, sum(calls) AS calls, min(first_seen) AS first_seen, max(last_seen) AS last_seen, \
             last_value(last_event_id ORDER BY last_seen, last_event_id) AS last_event_id \
             FROM call_counts WHERE {kind} GROUP BY {alike}, half, is_past"
        );
        let meant = format!(
            "SELECT {alike}, date_bin(INTERVAL '30 minutes', event_time) AS half, event_time < window_since() AS is_past, \
             count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen, \
             last_value(event_id ORDER BY event_time, event_id) AS last_event_id \
             FROM ({of}) WHERE event_time < window_until() GROUP BY {alike}, 20, 21"
        );
        agrees(engine, &said, &meant, &format!("{when}, {kind}")).await;
    }
}

async fn agrees(engine: &Engine, view: &str, meant: &str, when: &str) {
    let (said, meant) = (rows(engine, view).await, rows(engine, meant).await);
    let without = |rows: &[String], others: &[String]| -> Vec<String> {
        rows.iter().filter(|row| !others.contains(row)).cloned().collect()
    };
    let (more, less) = (without(&said, &meant), without(&meant, &said));
    let counts = (said.len(), meant.len());
    assert!(said == meant, "{view}, {when}: {counts:?} rows\nsaid:  {more:#?}\nmeant: {less:#?}");
}

async fn holds(events: &[Drawn], cuts: [usize; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
    let mut cuts = cuts.map(|cut| cut % (events.len() + 1));
    let window = [(1, 2000), (1800, 1801), (2001, 86_400)][cuts[0] % 3];
    cuts.sort_unstable();
    let [one, two, three] = cuts;
    let mut writer = EventsWriter::open(&lake).await.unwrap();
    writer.append(&batch(&events[..one], 0)).await.unwrap();
    says_the_same(&lake, window, "one file a day").await;
    writer.append(&batch(&events[one..two], one)).await.unwrap();
    says_the_same(&lake, window, "two files a day").await;
    maintain(&lake, Duration::days(1)).await;
    says_the_same(&lake, window, "merged and settled").await;
    rewritten_by_another_engine(&lake).await;
    says_the_same(&lake, window, "rewritten by another engine").await;
    writer = EventsWriter::open(&lake).await.unwrap();
    writer.append(&batch(&events[two..three], two)).await.unwrap();
    says_the_same(&lake, window, "settled, and more since").await;
    add_as_before(&lake, &batch(&events[three..], three)).await;
    says_the_same(&lake, window, "beside files of an earlier version").await;
    let done = maintain(&lake, Duration::days(1)).await;
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    says_the_same(&lake, window, "all merged and settled").await;
    // At rest, merged calls are read from one file a day, and only files of another version or engine have events that are looked up.
    let shared = lake.open(&SHARED_CALLS).await.unwrap().unwrap();
    let events = lake.open(&EVENTS).await.unwrap().unwrap();
    let SharedCalls { open, .. } = shared_calls(&events, Some(&shared)).await.unwrap();
    assert!(open.is_empty() || !events.files().iter().all(is_marked), "{open:?}");
    for spec in [&SHARED_CALLS, &SETTLED_HOURS, &SETTLED_COUNTS, &SETTLED_UNCOMMON] {
        let table = lake.open(spec).await.unwrap();
        let found = settling::found(spec, &events, table.as_ref()).await.unwrap();
        assert!(found.fresh.is_empty(), "{}: {:?}", spec.name, found.fresh);
    }
}

proptest! {
    // Some of it in each run; PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { max_shrink_iters: 8, failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(6)
    ) })]

    #[test]
    fn calls_are_those_of_the_naive_definition(
        events in prop::collection::vec(any::<Drawn>(), 1..48),
        cuts in any::<[usize; 3]>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(holds(&events, cuts));
    }
}
