//! The lake itself may be in a bucket.

use super::{LOGS, bucket};
use crate::support::Dir;
use crate::support::s3::BUCKET;

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
