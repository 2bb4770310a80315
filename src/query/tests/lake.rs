//! A lake for tests, written as a table: the first line names columns of `events`, each further line is an event.
//!
//! Words are separated by blanks and `-` is null. Columns that a table leaves out have the values of one ordinary
//! Decrypt. To keep a table narrow, `A`, `B`, `C` stand for accounts, `A/k1` for a key of account A, and the time
//! `1T08` for the first of January 2026 at eight.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::prelude::SessionContext;

use crate::cloudtrail::columns::{Event, EventBuilder, Text};
use crate::engine::Engine;
use crate::expectations::Expectations;
use crate::lake::Lake;
use crate::lake::events::EventsWriter;
use crate::query::Catalog;

const ACCOUNTS: [(&str, &str); 3] = [("A", "111111111111"), ("B", "222222222222"), ("C", "333333333333")];

/// A session over a lake with the events of the table, and the shipped views over them.
pub async fn session(table: &str) -> SessionContext {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::at(folder.path().to_str().unwrap()).unwrap();
    EventsWriter::open(&lake).await.unwrap().append(&batch(table)).await.unwrap();
    let session = engine(&lake).await.session().clone();
    // The lake is there as long as the session is.
    session.state_ref().write().config_mut().set_extension(Arc::new(folder));
    session
}

/// Questions to a lake.
pub async fn engine(lake: &Lake) -> Engine {
    Engine::open(lake, &Catalog::shipped(), &Expectations::default()).await.unwrap()
}

/// The rows of a statement, one line each, values separated by blanks, shortened as the tables of events are.
pub async fn rows(session: &SessionContext, sql: &str) -> String {
    render(&session.sql(sql).await.unwrap().collect().await.unwrap())
}

/// The rows of a shipped query with these parameters.
pub async fn answer(session: &SessionContext, name: &str, given: &[(&str, &str)]) -> String {
    let catalog = Catalog::shipped();
    let query = catalog.get(name).unwrap();
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), long(value))).collect();
    let values = query.bind(&given, now()).unwrap();
    let rows = session.sql(&query.sql).await.unwrap().with_param_values(values).unwrap();
    render(&rows.collect().await.unwrap())
}

pub fn now() -> DateTime<Utc> {
    "2026-02-01T00:00:00Z".parse().unwrap()
}

pub fn batch(table: &str) -> RecordBatch {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let mut builder = EventBuilder::default();
    for line in lines {
        let values: Vec<String> = line.split_whitespace().map(long).collect();
        assert_eq!(values.len(), names.len(), "{line}");
        let mut event = ordinary();
        for (name, value) in names.iter().zip(values) {
            set(&mut event, name, (value != "-").then_some(value));
        }
        finish(&mut event);
        builder.append(&event).unwrap();
    }
    builder.finish().unwrap()
}

fn ordinary() -> Event<'static> {
    Event {
        event_time: instant("1T08"),
        event_source: Some("kms.amazonaws.com".into()),
        event_name: Some("Decrypt".into()),
        event_type: Some("AwsApiCall".into()),
        region: Some("eu-west-1".into()),
        account_id: Some(long("A").into()),
        outcome: Some("ok".into()),
        ..Event::default()
    }
}

fn set(event: &mut Event<'static>, name: &str, value: Option<String>) {
    let text: Text<'static> = value.clone().map(Into::into);
    let field = match name {
        "id" => &mut event.event_id,
        "shared" => &mut event.shared_event_id,
        "patches" => &mut event.original_event_id,
        "account" => &mut event.account_id,
        "source" => &mut event.event_source,
        "operation" => &mut event.event_name,
        "event_type" => &mut event.event_type,
        "outcome" => &mut event.outcome,
        "error_code" => &mut event.error_code,
        "key" => &mut event.key_arn,
        "owner" => &mut event.key_account_id,
        "request" => &mut event.request_id,
        "alias" => &mut event.key_alias,
        "dest" => &mut event.dest_key_arn,
        "principal" => &mut event.principal,
        "caller" => &mut event.principal_account_id,
        "session" => &mut event.session_name,
        "access_key" => &mut event.access_key_id,
        "via" => &mut event.via,
        "ip" => &mut event.source_ip,
        "asset" => &mut event.asset,
        "asset_type" => &mut event.asset_type,
        "trust" => &mut event.asset_trust,
        "response" => &mut event.response_elements,
        "time" => return event.event_time = value.and_then(|text| instant(&text)),
        "context" => {
            event.encryption_context = value
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.to_owned().into(), value.to_owned().into()))
                .collect();
            return;
        }
        _ => panic!("no column `{name}` in the tests' tables"),
    };
    *field = text;
}

/// Fills in what decoding derives from other columns.
fn finish(event: &mut Event<'static>) {
    let key = event.key_arn.clone().unwrap_or_default();
    let field = |at: usize| key.split(':').nth(at).map(|text| text.to_owned().into());
    if event.key_arn.is_some() {
        (event.key_region, event.key_account_id) = (field(3), field(4));
    } else if event.key_account_id.is_some() {
        event.key_region = Some("eu-west-1".into());
    }
    event.key_id = key.split_once(":key/").map(|(_, id)| id.to_owned().into());
    event.event_date = event.event_time.map(|micros| i32::try_from(micros.div_euclid(86_400_000_000)).unwrap());
    event.usage_class = match event.event_name.as_deref().unwrap_or_default() {
        "Decrypt" | "ReEncrypt" => Some("decrypt".into()),
        "Encrypt" => Some("encrypt".into()),
        "GenerateDataKey" => Some("generate".into()),
        "DescribeKey" => Some("read".into()),
        "AssumeRole" => Some("context".into()),
        "CreateGrant" | "CreateAlias" | "UpdateAlias" | "DeleteAlias" => Some("access".into()),
        "EnableKey" | "DisableKey" | "ScheduleKeyDeletion" | "CancelKeyDeletion" | "DeleteKey" => {
            Some("lifecycle".into())
        }
        other => panic!("no class for `{other}` in the tests' tables"),
    };
    if event.principal_type.is_none() {
        event.principal_type = event.principal.as_deref().map(|principal| match principal.split(':').next() {
            Some("acct") => "AWSAccount".into(),
            Some("service") => "AWSService".into(),
            _ => "AssumedRole".into(),
        });
    }
}

fn long(word: &str) -> String {
    for (short, account) in ACCOUNTS {
        if word == short {
            return account.to_owned();
        }
        if let Some(id) = word.strip_prefix(short).and_then(|rest| rest.strip_prefix('/')) {
            return format!("arn:aws:kms:eu-west-1:{account}:key/{id}");
        }
    }
    word.to_owned()
}

fn short(mut text: String) -> String {
    for (short, account) in ACCOUNTS {
        text = text.replace(&format!("arn:aws:kms:eu-west-1:{account}:key/"), &format!("{short}/"));
        text = text.replace(account, short);
    }
    text.replace("2026-01-0", "").replace(":00:00Z", "").replace(' ', "")
}

fn instant(text: &str) -> Option<i64> {
    let (day, hour) = text.split_once('T')?;
    let day = NaiveDate::from_ymd_opt(2026, 1, day.parse().ok()?)?;
    Some(day.and_hms_opt(hour.parse().ok()?, 0, 0)?.and_utc().timestamp_micros())
}

fn render(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_null("-");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| short(column.value(row).to_string())).collect();
            lines.push(cells.join(" "));
        }
    }
    lines.join("\n")
}
