//! What Prometheus reads, against what was ingested.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use chrono::{DateTime, Utc};

use super::receiver::{Answer, Receiver};
use super::{once, root_uses, until, watch};
use crate::support::{Dir, Ran, decrypt};

/// An answer: its status, its kind and its text.
struct Page {
    status: u16,
    kind: String,
    text: String,
}

fn ask(port: u16, request: &str) -> Page {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-type: ").map(str::to_owned));
    Page { status, kind: kind.unwrap(), text: text.to_owned() }
}

/// The samples of a text, read as strictly as Prometheus reads it: each family has its help and its type before its samples,
/// once, and each sample is a name, labels and a number.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut family, mut typed) = (String::new(), String::new());
    let mut families = Vec::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split_once(' ').unwrap().0.clone_into(&mut family);
            assert!(!families.contains(&family), "{family} comes twice");
            families.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            name.clone_into(&mut typed);
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            assert_eq!((bare, bare), (family.as_str(), typed.as_str()));
            assert!(bare.starts_with("keytrail_"));
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} comes twice");
        }
    }
    samples
}

fn started(dir: &Dir, arguments: &[&str]) -> (Child, u16) {
    let mut child = watch(dir, &["--metrics", "0", "--interval", "1", "--detect-each", "1s"]).args(arguments).start();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let port = line.split("http://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let port = port.parse().unwrap();
    // Somebody has to read what it says.
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    (child, port)
}

fn stop(child: Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(Ran::from(child.wait_with_output().unwrap()).status(), Some(0));
}

#[test]
fn counters_are_what_the_lake_says() {
    let dir = Dir::new();
    let name = |minute: u32| format!("111122223333_CloudTrail_eu-west-1_20260105T12{minute:02}Z_abcdefgh.json.gz");
    let other = serde_json::json!({"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "eventID": "other",
        "eventTime": "2026-01-05T12:00:00Z", "eventVersion": "1.11"});
    dir.log(&name(10), &[root_uses(0, "2026-01-05T12:00:00Z"), decrypt("a"), decrypt("a"), other]);
    dir.log(
        &name(25),
        &[root_uses(1, "2026-01-05T12:20:00Z"), serde_json::json!({"eventSource": "kms.amazonaws.com"})],
    );
    dir.object("damaged.json.gz", "no log");
    let receiver = Receiver::start([Answer::Status(500)]);
    let url = receiver.url();
    let (child, port) = started(&dir, &["--webhook", &url]);
    // A round is counted when all of it is over.
    until(|| ask(port, "GET /metrics").text.contains("keytrail_last_success_timestamp_seconds{stage=\"notify\"}"));
    let page = ask(port, "GET /metrics");
    let asked_at = Utc::now();
    stop(child);

    assert_eq!((page.status, page.kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let samples = samples(&page.text);
    let rows = dir.sql("SELECT state, count(*) AS n FROM objects GROUP BY state");
    for row in &rows {
        let name = format!("keytrail_objects_total{{state=\"{}\"}}", row["state"].as_str().unwrap());
        assert_eq!(Some(samples[&name]), row["n"].as_f64(), "{name}");
    }
    assert_eq!(rows.len(), 3, "one is whole, one is partial, one is rejected");
    let statement = "SELECT sum(records_kept) AS kept, sum(records_other) AS other, sum(records_duplicate) AS duplicate, \
                     sum(records_rejected) AS rejected FROM objects";
    let records = &dir.sql(statement)[0];
    for (fate, count) in [("kept", 3.0), ("other", 1.0), ("duplicate", 1.0), ("rejected", 1.0)] {
        assert_eq!(records[fate].as_f64(), Some(count), "{fate}");
        assert_eq!(samples.get(&format!("keytrail_records_total{{fate=\"{fate}\"}}")), Some(&count), "{fate}");
    }
    let newest: DateTime<Utc> = "2026-01-05T12:25:00Z".parse().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are far from where it matters")]
    let (newest, now) = (newest.timestamp() as f64, asked_at.timestamp() as f64);
    assert!((samples["keytrail_newest_object_timestamp_seconds"] - newest).abs() < 0.001);
    assert!((samples["keytrail_lag_seconds"] - (now - newest)).abs() < 300.0);
    for (severity, open) in [("critical", 0.0), ("high", 2.0), ("medium", 0.0), ("low", 0.0), ("info", 0.0)] {
        assert_eq!(samples.get(&format!("keytrail_findings{{severity=\"{severity}\"}}")), Some(&open));
    }
    assert_eq!(samples.get("keytrail_notified_findings_total{channel=\"webhook\"}"), Some(&2.0));
    let messages =
        |result: &str| samples.get(&format!("keytrail_notifications_total{{channel=\"webhook\",result=\"{result}\"}}"));
    assert_eq!((messages("failed"), messages("delivered")), (Some(&1.0), Some(&1.0)));
    assert_eq!(samples.get("keytrail_pending_findings{channel=\"webhook\"}"), Some(&0.0));
    for stage in ["ingest", "detect", "notify"] {
        assert_eq!(samples.get(&format!("keytrail_errors_total{{stage=\"{stage}\"}}")), Some(&0.0));
        let at = samples[&format!("keytrail_last_success_timestamp_seconds{{stage=\"{stage}\"}}")];
        assert!((now - at).abs() < 300.0, "{stage} succeeded at {at}");
    }
}

#[test]
fn health_is_what_is_wrong_until_it_is_right_again() {
    let dir = super::rooted(1);
    let receiver = Receiver::start([]);
    receiver.always(Answer::Status(500));
    let url = receiver.url();
    let (child, port) = started(&dir, &["--webhook", &url]);
    until(|| ask(port, "GET /health").status == 503);
    let page = ask(port, "GET /health");
    assert!(page.text.starts_with("notify: webhook: 1 to be told later: it answered 500"), "{}", page.text);
    assert!(!page.text.contains("s3cr3t"));
    assert!(samples(&ask(port, "GET /metrics").text)["keytrail_errors_total{stage=\"notify\"}"] >= 1.0);
    receiver.always(Answer::Status(200));
    until(|| ask(port, "GET /health").status == 200);
    assert_eq!(ask(port, "GET /health").text, "ok\n");

    // A pass that fails is told as well.
    let (events, away) = (dir.lake().join("events"), dir.join("away"));
    std::fs::rename(&events, &away).unwrap();
    std::fs::write(&events, "in the way").unwrap();
    until(|| ask(port, "GET /health").text.contains("detect: "));
    std::fs::remove_file(&events).unwrap();
    std::fs::rename(&away, &events).unwrap();
    until(|| ask(port, "GET /health").status == 200);

    for request in ["GET /", "POST /metrics", "GET /metrics/..", "DELETE /health"] {
        assert_eq!(ask(port, request).status, 404, "{request}");
    }
    assert_eq!(ask(port, "HEAD /health").text, "");
    // Of this machine's addresses it has the one.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    stop(child);
}

#[test]
fn metrics_alone_are_a_watch_and_a_port_that_is_taken_is_told() {
    let dir = super::rooted(1);
    let (child, port) = started(&dir, &[]);
    until(|| ask(port, "GET /metrics").text.contains("keytrail_findings{severity=\"high\"} 1\n"));
    let told = watch(&Dir::new(), &["--metrics", &port.to_string()]).code(2).stderr();
    assert!(told.contains(&format!("--metrics {port}")), "{told}");
    stop(child);
    once(&dir, &["--notify-file", "told.ndjson"]).ok();
    assert!(dir.join("told.ndjson").exists(), "what was found meanwhile is told to whom it was not");
}
