//! What comes from a bucket is what comes from a folder, whatever happens on the way, and no more is asked of S3 than
//! needed.

mod archived;
mod evidence;
mod follow;
mod lake;
mod listing;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use chrono::{DateTime, Utc};
use keytrail::ingest::{Options, Progress, Report, ingest};
use keytrail::lake::Lake;
use keytrail::synthetic::{Plan, Truth, write_folder};
use tempfile::TempDir;

use crate::support::s3::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::support::{Dir, Shared, rows};

/// An organization's logs of three days, by two trails: `AWSLogs/` and `org-trail/AWSLogs/o-…/`.
struct Logs {
    folder: TempDir,
    truth: Truth,
    rows: Vec<String>,
}

static LOGS: Shared<Logs> = Shared::new(|| {
    let folder = TempDir::with_prefix("keytrail-logs-").unwrap();
    let plan = Plan { events: 3_000, kms_share: 0.7, events_per_object: 40, seed: 12, ..Plan::default() };
    let truth = write_folder(&plan, folder.path(), &mut |_| ()).unwrap();
    let dir = Dir::new();
    dir.ingest(folder.path());
    Logs { folder, truth, rows: rows::of_lake(&dir) }
});

impl Logs {
    fn server(&self) -> Server {
        let server = Server::start();
        server.bucket.fill(self.folder.path());
        server
    }
}

/// The whole bucket as a source.
fn bucket() -> String {
    format!("s3://{BUCKET}")
}

fn at(instant: &str) -> DateTime<Utc> {
    instant.parse().unwrap()
}

/// The way to the server for a run within this process; pauses are short, for the server never means harm for long.
fn sdk(server: &Server) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    let retries = RetryConfig::standard().with_max_attempts(8).with_initial_backoff(Duration::from_millis(5));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(server.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(retries)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn options(server: &Server, now: &str) -> Options {
    let mut options = Options::at(at(now));
    options.source.sdk = Some(sdk(server));
    options.source.s3.silence_max = Duration::from_millis(300);
    options.source.s3.pause = Duration::from_millis(1);
    options
}

/// A pass within this process, over the whole bucket.
fn pass(dir: &Dir, options: &Options) -> Report {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
    ingest(runtime.handle(), &lake, &[bucket()], options, &Arc::new(Progress::default())).unwrap()
}

#[test]
fn a_bucket_gives_the_rows_of_the_folder() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    let run = || dir.keytrail(["ingest", &bucket()]).env(server.environment()).format("json").ok().json();
    let first = run();
    assert_eq!(first["records"]["kept"], logs.truth.kept);
    assert!(rows::of_lake(&dir) == logs.rows, "other rows than from the folder");
    let (_, gets) = server.asked.take();
    assert_eq!(first["objects"]["ingested"], gets, "each object is fetched once");

    // These days were over for months: nothing in them can have changed, and they are not asked for again.
    let ran = dir.keytrail(["ingest", &bucket()]).env(server.environment()).format("json").ok();
    assert!(ran.stderr().contains("nothing new in s3://"), "{}", ran.stderr());
    let second = ran.json();
    let (lists, gets) = server.asked.take();
    assert_eq!((second["records"]["read"].as_u64(), gets), (Some(0), 0));
    assert!(!lists.is_empty() && lists.iter().all(|prefix| !prefix.contains("/2026/01/")), "{lists:?}");
    assert!(rows::of_lake(&dir) == logs.rows);
}

#[test]
fn trouble_on_the_way_changes_no_row() {
    let logs = LOGS.get();
    let server = logs.server();
    server.mood.trouble_each.store(7, std::sync::atomic::Ordering::Relaxed);
    let dir = Dir::new();
    let report = pass(&dir, &options(&server, "2026-02-01T00:00:00Z"));
    assert!(server.asked.spoilt.load(std::sync::atomic::Ordering::Relaxed) > 15, "there was trouble of each kind");
    assert!(report.is_whole(), "{report:?}");
    assert!(rows::of_lake(&dir) == logs.rows, "other rows than from the folder");
}

#[test]
fn an_object_that_cannot_be_had_is_named_and_had_later() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    let key = server.bucket.keys().into_iter().find(|key| key.contains("_CloudTrail_")).unwrap();
    server.forbid(Some(&key));
    let run = || dir.keytrail(["ingest", &bucket()]).env(server.environment()).format("json");
    let account = run().code(3).json();
    assert_eq!(account["rejects"][0]["object"], format!("s3://{BUCKET}/{key}"));
    assert!(account["rejects"][0]["reason"].as_str().unwrap().contains("AccessDenied"), "{account}");
    // The lane that it is in is not settled, however long ago it was.
    server.forbid(None);
    assert_eq!(run().ok().json()["objects"]["ingested"], 1);
    assert!(rows::of_lake(&dir) == logs.rows, "other rows than from the folder");
}

#[test]
fn a_bucket_that_cannot_be_listed_is_a_clear_error() {
    let server = Server::start();
    let dir = Dir::new();
    let run = |source: &str| dir.keytrail(["ingest", source]).env(server.environment()).code(2).stderr();
    assert!(run("s3://no-such-bucket").contains("NoSuchBucket"), "the code is told");
    assert!(run("s3://").contains("no bucket is named"));
    assert!(run("gs://bucket").contains("gs:// is not a kind of source"));
    assert!(run(&format!("s3://{BUCKET}/AWSLogs/x.json.gz")).contains("there is no such object"));
}
