//! Digests in a bucket, where their signatures are metadata, and single records read again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use flate2::read::GzDecoder;
use keytrail::evidence::hash::sha256;
use keytrail::synthetic::{Plan, write_folder};
use serde_json::Value;
use std::io::Read;

use super::bucket;
use crate::support::Dir;
use crate::support::s3::{BUCKET, Server};

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

/// A day of signed logs in a bucket, each digest with its signature as CloudTrail stores it, and beside it the public
/// keys in a file.
fn signed(dir: &Dir) -> Server {
    let server = Server::start();
    let plan = Plan { events: 1_000, days: 1, accounts: 1, regions: 1, digests: true, ..Plan::default() };
    let logs = dir.join("signed");
    write_folder(&plan, &logs, &mut |_| ()).unwrap();
    server.bucket.fill(&logs);
    let mut signatures: HashMap<String, String> = HashMap::new();
    let keys = server.bucket.keys();
    for key in keys.iter().filter(|key| key.contains("/CloudTrail-Digest/") && key.ends_with(".json.gz")) {
        let digest: Value = serde_json::from_slice(&inflated(&fs::read(logs.join(key)).unwrap())).unwrap();
        if let (Some(previous), Some(signature)) =
            (digest["previousDigestS3Object"].as_str(), digest["previousDigestSignature"].as_str())
        {
            signatures.insert(previous.to_owned(), signature.to_owned());
        }
        if let Ok(head) = fs::read(logs.join(format!("{key}.metadata.json"))) {
            let head: Value = serde_json::from_slice(&head).unwrap();
            signatures.insert(key.clone(), head["Metadata"]["signature"].as_str().unwrap().to_owned());
        }
    }
    for (key, signature) in signatures {
        let metadata = [("signature", signature), ("signature-algorithm", "SHA256withRSA".to_owned())];
        let metadata = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        server.bucket.put_with(&key, fs::read(logs.join(&key)).unwrap(), metadata);
    }
    for key in keys.iter().filter(|key| key.ends_with(".metadata.json")) {
        server.bucket.remove(key);
    }
    server
}

fn verified(dir: &Dir, server: &Server, code: i32) -> Value {
    let keys = dir.join("signed").join("public-keys.json");
    let command = dir.keytrail(["verify", &bucket(), "--public-keys", keys.to_str().unwrap()]);
    command.env(server.environment()).format("json").code(code).json()
}

#[test]
fn digests_in_a_bucket_are_verified_by_their_own_signatures() {
    let dir = Dir::new();
    let server = signed(&dir);
    let report = verified(&dir, &server, 0);
    assert!(report["digests"]["valid"].as_u64() > Some(40), "{report}");
    assert_eq!(report["problems"], serde_json::json!([]));

    // A signature that is stored wrong is a fault of that digest, and of no other.
    let digest = server.bucket.keys().into_iter().find(|key| key.contains("/CloudTrail-Digest/")).unwrap();
    let metadata = [("signature".to_owned(), "00".repeat(256))].into();
    server.bucket.put_with(&digest, fs::read(dir.join("signed").join(&digest)).unwrap(), metadata);
    let report = verified(&dir, &server, 1);
    let objects: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|problem| problem["object"].as_str().unwrap()).collect();
    assert!(objects.contains(&format!("s3://{BUCKET}/{digest}").as_str()), "{report}");
    assert_eq!(report["digests"]["invalid"], 1);
}

/// The id of some event that one digest's object holds.
fn some_event(dir: &Dir) -> (String, String) {
    let rows = dir.sql(
        "SELECT e.event_id, e.source_object FROM events e JOIN verified_files f ON f.uri = e.source_object \
         WHERE f.digest_uri IS NOT NULL AND e.source_object LIKE '%/CloudTrail/%' ORDER BY e.event_time LIMIT 1",
    );
    let text = |column: &str| rows[0][column].as_str().unwrap().to_owned();
    (text("event_id"), text("source_object"))
}

#[test]
fn a_record_is_read_again_and_says_what_vouches_for_it() {
    let dir = Dir::new();
    let server = signed(&dir);
    dir.keytrail(["ingest", &bucket()]).env(server.environment()).ok();
    let id = dir.sql("SELECT event_id FROM events WHERE event_name = 'Decrypt' ORDER BY event_id LIMIT 1");
    let event = |id: &str, code: i32| {
        dir.keytrail(["event", id]).env(server.environment()).format("json").code(code).json()[0].clone()
    };
    let before = event(id[0]["event_id"].as_str().unwrap(), 0);
    assert_eq!(before["vouched"], "unproven");
    assert_eq!(before["record"]["eventID"], id[0]["event_id"]);

    verified(&dir, &server, 0);
    let (id, object) = some_event(&dir);
    let proven = event(&id, 0);
    assert_eq!((proven["vouched"].as_str(), proven["record"]["eventID"].as_str()), (Some("proven"), Some(id.as_str())));
    let told = dir.keytrail(["event", &id]).env(server.environment()).ok().stdout();
    assert!(told.contains("PROVEN: a valid digest names the object with this hash"), "{told}");

    // One byte of another record changes, and the digest no longer vouches for the object.
    let key = object.strip_prefix(&format!("s3://{BUCKET}/")).unwrap();
    let path = dir.join("signed").join(key);
    let text = String::from_utf8(inflated(&fs::read(&path).unwrap())).unwrap();
    server
        .bucket
        .put(key, crate::support::gzip(text.replacen("\"eventVersion\":\"1.", "\"eventVersion\":\"2.", 1).as_bytes()));
    assert_eq!(event(&id, 1)["vouched"], "contradicted");

    // Nor does it when the digest was rewritten to fit: it was another object that was verified.
    let packed = crate::support::gzip(text.replacen("\"eventVersion\":\"1.", "\"eventVersion\":\"3.", 1).as_bytes());
    let changed = sha256(&inflated(&packed));
    server.bucket.put(key, packed);
    let digest = proven["digest"].as_str().unwrap().strip_prefix(&format!("s3://{BUCKET}/")).unwrap();
    let forged = String::from_utf8(inflated(&fs::read(dir.join("signed").join(digest)).unwrap())).unwrap();
    let forged = forged.replace(proven["sha256"].as_str().unwrap(), &changed);
    server.bucket.put(digest, crate::support::gzip(forged.as_bytes()));
    assert_eq!(event(&id, 0)["vouched"], "unproven");
    server.bucket.remove(key);
    let gone = event(&id, 3);
    assert_eq!((gone["vouched"].as_str(), gone["record"].is_null()), (Some("unreadable"), true));
    assert!(dir.keytrail(["event", "nothing-like-it"]).code(2).stderr().contains("no event nothing-like-it"));
}

#[test]
fn ingest_verifies_what_it_has_read_when_asked_to() {
    let dir = Dir::new();
    let server = signed(&dir);
    let keys = dir.join("signed").join("public-keys.json");
    let run = || {
        // One of two trails: the other would prove the same hours.
        let source = format!("{}/AWSLogs", bucket());
        let arguments = ["ingest", &source, "--verify", "--public-keys", keys.to_str().unwrap()];
        dir.keytrail(arguments).env(server.environment())
    };
    let told = run().ok().stdout();
    assert!(told.contains("objects read") && told.contains("digest files valid"), "{told}");
    let proven = || dir.sql("SELECT count(*) AS n FROM coverage WHERE state = 'proven'")[0]["n"].as_u64();
    let hours = proven();
    assert!(hours > Some(10), "{hours:?}");
    let is_log = |key: &&String| key.starts_with("AWSLogs/") && key.contains("/CloudTrail/");
    let lost = server.bucket.keys().iter().filter(is_log).nth(3).unwrap().clone();
    server.bucket.remove(&lost);
    assert!(run().code(1).stdout().contains(&lost), "the missing object is named");
    assert!(proven() < hours);
}

/// A folder is read like a bucket.
#[test]
fn a_record_in_a_folder_is_read_again() {
    let dir = Dir::new();
    let path = dir.log("a.json.gz", &[crate::support::decrypt("one"), crate::support::decrypt("two")]);
    dir.ingest(Path::new("logs"));
    let answer = dir.keytrail(["event", "two"]).format("json").ok().json();
    assert_eq!((answer[0]["record"]["eventID"].as_str(), answer[0]["record_index"].as_u64()), (Some("two"), Some(1)));
    fs::write(&path, crate::support::gzip(b"{\"Records\":[]}")).unwrap();
    assert_eq!(dir.keytrail(["event", "two"]).format("json").code(1).json()[0]["vouched"], "contradicted");
}
