//! Keeping up: nothing is lost when the network goes away and comes back.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use keytrail::ingest::follow::{Follow, Passed};
use keytrail::ingest::{Progress, Report};
use keytrail::lake::Lake;

use super::{at, bucket, options};
use crate::support::s3::Server;
use crate::support::{Dir, Ran, decrypt, gzip, with};

const LANE: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1";

/// Delivers an object of one event, as a trail would at this minute.
fn deliver(server: &Server, minute: u32) {
    let record = with(decrypt(&format!("minute-{minute}")), "eventTime", format!("2026-01-05T10:{minute:02}:00Z"));
    let log = serde_json::json!({ "Records": [record] }).to_string();
    let name = format!("111122223333_CloudTrail_eu-west-1_20260105T10{minute:02}Z_abcdefghij{minute:06}.json.gz");
    server.bucket.put(&format!("{LANE}/2026/01/05/{name}"), gzip(log.as_bytes()));
}

/// A lake, and what it takes to keep it up with a server.
struct Keeper {
    dir: Dir,
    progress: Arc<Progress>,
}

impl Keeper {
    fn new() -> Self {
        Self { dir: Dir::new(), progress: Arc::default() }
    }

    /// Follows the bucket until it is stopped.
    fn run(&self, server: &Server, clock: &dyn Fn() -> DateTime<Utc>, tell: &mut dyn FnMut(Passed<'_>)) -> Report {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let follow = Follow {
            runtime: runtime.handle(),
            lake: &Lake::at(self.dir.lake().to_str().unwrap()).unwrap(),
            sources: &[bucket()],
            options: options(server, "2026-01-05T10:30:00Z"),
            each: Duration::from_millis(10),
            progress: &self.progress,
            clock,
        };
        follow.run(tell).unwrap()
    }

    fn stop(&self) {
        self.progress.stop.store(true, Ordering::Relaxed);
    }
}

fn half_past_ten() -> DateTime<Utc> {
    at("2026-01-05T10:30:00Z")
}

#[test]
fn a_network_that_goes_and_comes_back_loses_nothing() {
    let server = Server::start();
    deliver(&server, 0);
    let keeper = Keeper::new();
    let (mut read, mut trouble, mut passes) = (0, 0, 0);
    let report = keeper.run(&server, &half_past_ten, &mut |passed| {
        passes += 1;
        match passed {
            Passed::Done(report) if report.put_off == 0 => read += report.objects.ingested,
            Passed::Done(_) | Passed::Failed(_) => trouble += 1,
        }
        match passes {
            // While the network is away, objects are delivered: into the day that is polled, and late into another.
            1 => {
                server.mood.down.store(true, Ordering::Relaxed);
                (1..=20).for_each(|minute| deliver(&server, minute));
            }
            3 => server.mood.down.store(false, Ordering::Relaxed),
            4 => deliver(&server, 21),
            _ => {}
        }
        if read == 22 || passes == 50 {
            keeper.stop();
        }
    });
    assert!(trouble >= 2, "the network was away");
    assert_eq!((report.objects.ingested, report.records.kept, report.records.duplicate), (22, 22, 0));
    assert!(report.is_whole());
    assert_eq!(keeper.dir.sql("SELECT count(DISTINCT event_id) AS n FROM events")[0]["n"], 22);
}

#[test]
fn passes_in_between_look_only_at_recent_names() {
    let server = Server::start();
    (0..5).for_each(|minute| deliver(&server, minute));
    let keeper = Keeper::new();
    let clock = std::cell::Cell::new(at("2026-01-05T10:30:00Z"));
    let mut passes = 0;
    let mut listed = Vec::new();
    keeper.run(&server, &|| clock.get(), &mut |_| {
        passes += 1;
        let day = |prefix: &&String| prefix.starts_with(&format!("{LANE}/2026/01/"));
        listed.push(server.asked.take().0.iter().filter(day).count());
        match passes {
            // An object whose name is older than what a pass in between looks at.
            1 => deliver(&server, 5),
            2 => clock.set(at("2026-01-05T13:30:00Z")),
            3 => keeper.stop(),
            _ => {}
        }
    });
    // Searched from the month down; then today's folder; then, three hours later, every day that can change.
    assert_eq!(listed[1], 2, "today, and tomorrow by a clock that is ahead");
    assert!(listed[2] > 2, "{listed:?}");
    assert_eq!(keeper.dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 6);
}

/// The disk of the lake, or its bucket, may be away as well.
#[test]
fn a_lake_that_fails_for_a_while_ends_nothing() {
    let server = Server::start();
    deliver(&server, 0);
    let keeper = Keeper::new();
    let (events, away) = (keeper.dir.lake().join("events"), keeper.dir.join("away"));
    let (mut passes, mut failed, mut read) = (0, 0, 0);
    let report = keeper.run(&server, &half_past_ten, &mut |passed| {
        passes += 1;
        match passed {
            Passed::Done(report) => read += report.objects.ingested,
            Passed::Failed(_) => failed += 1,
        }
        match passes {
            1 => {
                std::fs::rename(&events, &away).unwrap();
                std::fs::write(&events, "in the way").unwrap();
                deliver(&server, 1);
            }
            4 => {
                std::fs::remove_file(&events).unwrap();
                std::fs::rename(&away, &events).unwrap();
            }
            _ => {}
        }
        if read == 2 || passes == 20 {
            keeper.stop();
        }
    });
    assert!(report.is_whole());
    assert!(failed >= 2, "{failed} of {passes} passes failed");
    assert_eq!(keeper.dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 2);
}

#[cfg(unix)]
#[test]
fn a_service_manager_ends_it_cleanly() {
    let server = Server::start();
    deliver(&server, 0);
    let dir = Dir::new();
    let keytrail = dir.keytrail(["ingest", &bucket(), "--follow", "--interval", "1"]).env(server.environment());
    let mut child = keytrail.start();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("1 objects read"), "{told}");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.status(), Some(0));
    assert!(ran.stdout().contains("1 objects read"), "{}", ran.stdout());
}
