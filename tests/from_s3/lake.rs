//! The lake itself may be in a bucket.

use keytrail::lake::Lake;
use keytrail::source::store::bucket_store;
use tokio::runtime::Runtime;

use super::{LOGS, bucket, sdk};
use crate::cli::addresses::{HOSTILE, every_name_is_a_lake};
use crate::support::s3::{BUCKET, Server};
use crate::support::{Dir, decrypt, gzip};

#[test]
fn a_lake_in_a_bucket_answers_like_one_in_a_folder() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    let lake = format!("s3://{BUCKET}/lakes/one");
    let run = |arguments: &[&str]| {
        dir.bare(["--lake", &lake].iter().chain(arguments)).env(server.environment()).format("json").ok().json()
    };
    let account = run(&["ingest", &format!("{}/AWSLogs", bucket()), &format!("{}/org-trail", bucket())]);
    assert_eq!(account["records"]["kept"], logs.truth.kept);
    let folder = dir.ingest(logs.folder.path());
    assert_eq!(folder["records"]["kept"], logs.truth.kept);
    let question = ["query", "key-usage"];
    assert_eq!(run(&question), dir.keytrail(question).format("json").ok().json());
    run(&["maintain"]);
    assert_eq!(run(&question), dir.keytrail(question).format("json").ok().json());
}

#[test]
fn two_writers_of_one_lake_in_a_bucket_lose_and_repeat_nothing() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    let lake = format!("s3://{BUCKET}/lakes/two");
    let start = || {
        dir.bare(["--lake", &lake, "ingest", &format!("{}/AWSLogs", bucket()), &format!("{}/org-trail", bucket())])
            .env(server.environment())
            .format("json")
            .start()
    };
    let both = [start(), start()];
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let count = |sql: &str| {
        let rows = dir.bare(["--lake", &lake, "sql", sql]).env(server.environment()).format("ndjson").ok().ndjson();
        rows[0]["n"].clone()
    };
    assert_eq!(count("SELECT count(*) AS n FROM events"), logs.truth.kept);
}

#[test]
fn every_hostile_prefix_is_a_lake_of_its_own() {
    let server = Server::start();
    let config = sdk(&server);
    let store = Runtime::new().unwrap().block_on(bucket_store(BUCKET, &config)).unwrap();
    every_name_is_a_lake(&HOSTILE, |name| {
        Lake::on(&format!("s3://{BUCKET}/{name}/lake"), std::sync::Arc::<dyn object_store::ObjectStore>::clone(&store))
            .unwrap()
    });
    for name in HOSTILE {
        let prefix = format!("{name}/lake/events/_delta_log/");
        assert!(server.bucket.keys().iter().any(|key| key.starts_with(&prefix)), "{name:?}");
    }
}

#[test]
fn two_tenants_of_a_bucket_are_answered_with_their_own_rows() {
    let server = Server::start();
    let dir = Dir::new();
    let run = |arguments: &[&str]| dir.bare(arguments).env(server.environment()).format("ndjson").ok();
    for (tenant, id) in [("tenant#1", "one"), ("tenant#2", "two"), ("team%20a", "three"), ("team a", "four")] {
        let log = serde_json::json!({ "Records": [decrypt(id)] }).to_string();
        // A key may begin with a slash, and is another one without it.
        for slash in ["", "/"] {
            let lane = format!("{slash}{tenant}/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05");
            let name = "111122223333_CloudTrail_eu-west-1_20260105T1205Z_AbCdEfGhIjKlMnOp.json.gz";
            server.bucket.put(&format!("{lane}/{name}"), gzip(log.replace(id, &format!("{slash}{id}")).as_bytes()));
        }
        let lake = format!("s3://{BUCKET}/{tenant}/lake");
        run(&["--lake", &lake, "ingest", &format!("s3://{BUCKET}/{tenant}")]);
        run(&["--lake", &lake, "ingest", &format!("s3://{BUCKET}//{tenant}")]);
        // The record is read again where it was read.
        for id in [id.to_owned(), format!("/{id}")] {
            let found = run(&["--lake", &lake, "event", &id]).ndjson();
            assert!(found[0]["source_object"].as_str().unwrap().contains(tenant), "{found:?}");
        }
    }
    for (tenant, id) in [("tenant#1", "one"), ("tenant#2", "two"), ("team%20a", "three"), ("team a", "four")] {
        let lake = format!("s3://{BUCKET}/{tenant}/lake");
        run(&["--lake", &lake, "maintain"]);
        let rows = run(&["--lake", &lake, "sql", "SELECT event_id FROM events ORDER BY event_id"]).ndjson();
        let ids: Vec<&str> = rows.iter().map(|row| row["event_id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&format!("/{id}"), id], "{tenant}");
    }
}

#[test]
fn a_prefix_that_a_bucket_cannot_hold_is_refused_before_anything_is_written() {
    let server = Server::start();
    let dir = Dir::new();
    dir.log("a.json", &[decrypt("e")]);
    for (prefix, why) in [
        ("a//lake", "two slashes with nothing between them"),
        ("/lake", "two slashes with nothing between them"),
        ("a/../lake", "is \"..\", which is not a valid name in a bucket"),
        ("new\nline", "has the control character '\\n'"),
        (" lake", "begins with a space"),
    ] {
        let lake = format!("s3://{BUCKET}/{prefix}");
        let ran = dir.bare(["--lake", &lake, "ingest", "logs"]).env(server.environment()).code(2);
        assert!(ran.stderr().contains(why), "{prefix:?}: {}", ran.stderr());
    }
    assert!(server.bucket.keys().is_empty(), "{:?}", server.bucket.keys());
}
