//! Detectors over a lake of a test's own, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use keytrail::detect::{Detection, Options, Window, detect};
use keytrail::engine::Engine;
use keytrail::expectations::Expectations;
use keytrail::ingest::{self, Progress, ingest};
use keytrail::lake::Lake;
use keytrail::query::Catalog;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Dir, gzip};

/// A lake, and what is expected of its keys.
pub struct Trial {
    engine: Engine,
    expectations: Expectations,
    params: BTreeMap<String, BTreeMap<String, String>>,
    /// Where the lake is.
    _dir: Arc<Dir>,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::shipped)
}

/// Writes records as log objects, one for each account and Region.
pub fn write_logs(dir: &Dir, records: impl IntoIterator<Item = Value>) {
    let mut logs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let text = |name: &str| record[name].as_str().unwrap_or("none").to_owned();
        let (account, region) = (text("recipientAccountId"), text("awsRegion"));
        logs.entry(format!("{account}_CloudTrail_{region}_20260105T0005Z_abcdefgh.json.gz")).or_default().push(record);
    }
    for (name, records) in logs {
        dir.object(&name, gzip(json!({ "Records": records }).to_string().as_bytes()));
    }
}

/// Reads a folder's logs into its lake.
pub fn read_logs(dir: &Dir) {
    let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
    let options = ingest::Options { jobs: 1, ..ingest::Options::at(Utc::now()) };
    let sources = [dir.join("logs").to_str().unwrap().to_owned()];
    let report = ingest(runtime().handle(), &lake, &sources, &options, &Arc::new(Progress::default())).unwrap();
    assert!(report.is_whole(), "{report:?}");
}

impl Trial {
    /// Opens a folder's lake as it is now.
    pub fn open(dir: Arc<Dir>, expectations: Expectations) -> Self {
        let lake = Lake::at(dir.lake().to_str().unwrap()).unwrap();
        let engine = runtime().block_on(Engine::open(&lake, catalog(), &expectations)).unwrap();
        Self { engine, expectations, params: BTreeMap::new(), _dir: dir }
    }

    /// Sets a detector's parameters.
    pub fn with_params(mut self, detector: &str, params: BTreeMap<String, String>) -> Self {
        self.params.insert(detector.to_owned(), params);
        self
    }

    /// Runs a detector.
    pub fn detect(&self, detector: &str, window: Window) -> Detection {
        let options = Options {
            window,
            unseen_from: None,
            only: vec![detector.to_owned()],
            params: self.params.clone(),
            now: window.until.max(Utc::now()),
        };
        let found = detect(&self.engine, catalog(), &self.expectations, &options, &|_| {});
        runtime().block_on(found).unwrap()
    }
}

/// An expectations file of these lines.
pub fn expectations(dir: &Dir, lines: &[Value]) -> Expectations {
    let path = dir.join("keytrail.toml");
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    Expectations::read(Path::new(&path)).unwrap()
}

/// Whom or what a finding is about.
pub type About = (Option<String>, Option<String>);

/// About whom or what there are findings, accepted ones included.
pub fn about(found: &Detection) -> BTreeSet<About> {
    found.findings.iter().chain(&found.accepted).map(|one| (one.key_arn.clone(), one.principal.clone())).collect()
}

pub fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
