//! Profiles of `aws login`: credentials come from the session that the command line keeps, and who has none is told how to
//! begin one.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::http::{Answer, Server};
use crate::support::{Dir, Keytrail};

/// The session's name, and the file that the command line keeps it in: the SHA-256 of the name, as the SDK's own tests have
/// it.
const SESSION: &str = "arn:aws:iam::0123456789012:user/Admin";
const CACHED: &str = "36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";

const ACCESS_KEY: &str = "ASIALOGINEXAMPLE0001";

/// The key of an example in the documentation of the SDK; it opens nothing.
const EXAMPLE_KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIFDZHUzOG1Pzq+6F0mjMlOSp1syN9LRPBuHMoCFXTcXhoAoGCCqGSM49\nAwEHoUQDQgAE9qhj+KtcdHj1kVgwxWWWw++tqoh7H7UHs7oXh8jBbgF47rrYGC+t\ndjiIaHK3dBvvdE7MGj5HsepzLm3Kj91bqA==\n-----END EC PRIVATE KEY-----\n";

/// A home with a profile of `aws login`.
fn home(dir: &Dir) {
    fs::create_dir_all(dir.join(".aws/login/cache")).unwrap();
    let profile = format!("[profile console]\nlogin_session = {SESSION}\nregion = eu-west-1\n");
    fs::write(dir.join(".aws/config"), profile).unwrap();
}

/// The session as the command line leaves it.
fn sign_in(dir: &Dir, until: &str) {
    let token = json!({
        "accessToken": {"accessKeyId": ACCESS_KEY, "secretAccessKey": "secret", "sessionToken": "session",
            "accountId": "012345678901", "expiresAt": until},
        "tokenType": "aws_sigv4", "refreshToken": "refresh", "idToken": "identity",
        "clientId": "arn:aws:signin:::devtools/same-device", "dpopKey": EXAMPLE_KEY,
    });
    fs::write(dir.join(".aws/login/cache").join(CACHED), token.to_string()).unwrap();
}

fn inventory(dir: &Dir, server: &Server) -> Keytrail {
    dir.keytrail(["inventory", "--from", "aws"]).env([
        ("HOME", dir.path().display().to_string()),
        ("AWS_PROFILE", "console".to_owned()),
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ])
}

/// An account without keys and trails; who asks for a new token is told that the session is over.
fn account(signed: &Arc<Mutex<Vec<String>>>) -> Server {
    let signed = Arc::clone(signed);
    Server::start(move |request| {
        signed.lock().unwrap().push(request.access_key.clone());
        match request.operation.as_str() {
            "ListKeys" => Answer::json(200, &json!({"Keys": [], "Truncated": false})),
            "ListAliases" => Answer::json(200, &json!({"Aliases": [], "Truncated": false})),
            "DescribeTrails" => Answer::json(200, &json!({"trailList": []})),
            "GetCallerIdentity" => Answer { status: 403, kind: "text/xml", body: Vec::new() },
            _ => Answer::json(
                401,
                &json!({"__type": "AccessDeniedException", "error": "TOKEN_EXPIRED", "message": "the session is over"}),
            ),
        }
    })
}

#[test]
fn a_profile_of_aws_login_signs_with_the_session_that_is_kept() {
    let (dir, signed) = (Dir::new(), Arc::default());
    let server = account(&signed);
    home(&dir);
    sign_in(&dir, "2099-01-01T00:00:00Z");
    inventory(&dir, &server).ok();
    let signed = signed.lock().unwrap();
    assert!(signed.len() >= 3 && signed.iter().all(|key| key == ACCESS_KEY), "{signed:?}");
}

#[test]
fn who_has_no_session_any_more_is_told_to_sign_in() {
    let (dir, signed) = (Dir::new(), Arc::default());
    let server = account(&signed);
    home(&dir);
    let told = |ran: crate::support::Ran| {
        let said = ran.stderr();
        assert!(said.contains("hint: the session that `aws login` has begun is over"), "{said}");
        assert!(said.contains("run `aws login`, with --profile NAME"), "{said}");
    };
    // There is none, or it has ended: of the inventory, of a bucket, and of a lake in one.
    for until in [None, Some("2020-01-01T00:00:00Z")] {
        if let Some(until) = until {
            sign_in(&dir, until);
        }
        told(inventory(&dir, &server).code(2));
        let environment = || {
            [
                ("HOME", dir.path().display().to_string()),
                ("AWS_PROFILE", "console".to_owned()),
                ("AWS_ENDPOINT_URL", server.url()),
                ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ]
        };
        told(dir.keytrail(["ingest", "s3://trail-bucket"]).env(environment()).code(2));
        told(dir.bare(["--lake", "s3://lake-bucket/lake", "who", "alias/x"]).env(environment()).code(2));
    }
    assert!(!signed.lock().unwrap().iter().any(|key| key == ACCESS_KEY), "what has ended signs nothing");
}
